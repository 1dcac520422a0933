package spf

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// Facts are what the DNS says about a domain's SPF; JSON: docs/json.md.
type Facts struct {
	Domain string      `json:"domain"`
	Tree   *spf.Tree   `json:"tree"`
	Client netip.Addr  `json:"client,omitzero"`
	Result *spf.Result `json:"result,omitempty"` // of check_host() for Client

	brief bool // type 99 was not asked for
}

// Question is what to ask besides the record itself.
type Question struct {
	IP   netip.Addr // zero: judge the record only
	From string     // MAIL FROM; "" means any sender of the domain
	HELO string

	Brief bool // do not ask for the obsolete type SPF (99), which nobody reads
}

// Look gathers the facts about a domain, and about a client where the question names one. base is what the receiving
// side knows: its name and the time.
func Look(ctx context.Context, r mail.Resolver, base spf.Input, domain string, q Question) *Facts {
	f := &Facts{Domain: strings.ToLower(strings.TrimSuffix(domain, ".")), Client: q.IP}
	var wg sync.WaitGroup
	wg.Go(func() { f.Tree = spf.Expand(ctx, r, f.Domain) })
	var old []string
	if !q.Brief {
		wg.Go(func() {
			if a, err := r.Resolve(ctx, f.Domain, mail.TypeSPF); err == nil {
				old = a.Texts()
			}
		})
	}
	if q.IP.IsValid() {
		in := base
		in.IP, in.HELO, in.MailFrom = q.IP, q.HELO, q.From
		if in.MailFrom == "" && in.HELO == "" {
			in.MailFrom = "postmaster@" + f.Domain
		}
		wg.Go(func() { f.Result = spf.Check(ctx, r, in) })
	}
	wg.Wait()
	f.Tree.Type99, f.brief = old, q.Brief
	return f
}

// Check is the SPF topic for a domain.
var Check = check.Check[string]{Name: "spf", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env.DNS, input(env), domain, Question{Brief: env.Probe.Many})), nil
}}

// input is what the run knows of the receiving side.
func input(env *check.Env) spf.Input {
	return spf.Input{Now: env.Now(), Receiver: env.Probe.HELO}
}

// Survey is the report of `mailwhy spf DOMAIN`.
func Survey(ctx context.Context, env *check.Env, domain string, q Question) *finding.Report {
	start := env.Now()
	f := Look(ctx, env.DNS, input(env), domain, q)
	return check.NewReport(env, "spf", finding.Domain(f.Domain), start, Judge(f), Sections(f), f)
}

// resolverSaid turns the words of a resolver's error back into an error for check.Why.
func resolverSaid(text string) error { return errors.New(text) }
