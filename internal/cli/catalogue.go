package cli

import (
	"github.com/mailwhy/mailwhy/internal/change"
	localcheck "github.com/mailwhy/mailwhy/internal/check/local"
	logcheck "github.com/mailwhy/mailwhy/internal/check/logs"
	queuecheck "github.com/mailwhy/mailwhy/internal/check/queue"
	"github.com/mailwhy/mailwhy/internal/check/threat"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/bimi"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/bounce"
	"github.com/mailwhy/mailwhy/internal/check/caa"
	"github.com/mailwhy/mailwhy/internal/check/canary"
	"github.com/mailwhy/mailwhy/internal/check/capture"
	"github.com/mailwhy/mailwhy/internal/check/content"
	"github.com/mailwhy/mailwhy/internal/check/court"
	"github.com/mailwhy/mailwhy/internal/check/dane"
	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/check/dkim"
	"github.com/mailwhy/mailwhy/internal/check/dmarc"
	"github.com/mailwhy/mailwhy/internal/check/dnssec"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	findcheck "github.com/mailwhy/mailwhy/internal/check/find"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/journey"
	"github.com/mailwhy/mailwhy/internal/check/lookalike"
	"github.com/mailwhy/mailwhy/internal/check/message"
	"github.com/mailwhy/mailwhy/internal/check/mtasts"
	"github.com/mailwhy/mailwhy/internal/check/mx"
	"github.com/mailwhy/mailwhy/internal/check/nameserver"
	"github.com/mailwhy/mailwhy/internal/check/origin"
	"github.com/mailwhy/mailwhy/internal/check/path"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/registry"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/check/score"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/sieve"
	"github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/check/spf"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/check/tlsrpt"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

// catalogue holds the rules of every pack, a slice each.
var catalogue = [][]*finding.Rule{
	auditRules,
	storeRules,
	queuecheck.Rules,
	change.Rules,
	threat.Rules,
	localcheck.Rules,
	findcheck.Rules,
	sieve.Rules,
	logcheck.Rules,
	blocklist.Rules,
	court.Rules,
	path.Rules,
	registry.Rules,
	origin.Rules,
	bimi.Rules,
	caa.Rules,
	dane.Rules,
	mtasts.Rules,
	tlsrpt.Rules,
	journey.Rules,
	bounce.Rules,
	auth.Rules,
	dkim.Rules,
	feedback.Rules,
	dmarc.Rules,
	smtp.Rules,
	delivery.Rules,
	capture.Rules,
	tls.Rules,
	domain.Rules,
	mx.Rules,
	nameserver.Rules,
	dnssec.Rules,
	ptr.Rules,
	spf.Rules,
	server.Rules,
	monitor.Rules,
	canary.Rules,
	message.Rules, hops.Rules, fields.Rules, lookalike.Rules, results.Rules, content.Rules, score.Rules,
}

// Rules lists every rule this binary may say, by ID.
func Rules() []*finding.Rule {
	all := slices.Concat(catalogue...)
	slices.SortFunc(all, func(a, b *finding.Rule) int { return strings.Compare(a.ID, b.ID) })
	return slices.Compact(all)
}
