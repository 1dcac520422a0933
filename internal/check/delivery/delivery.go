// Package delivery answers "why can't we mail them?": it walks the way of a message from the address to the recipient's
// server, stage by stage, as a mail server would, and looks at our own side at the same time.
//
// Promise: nothing is delivered unless Options.Message is set, and then at most once: no further server is tried after
// one has accepted or refused for good. One connection at a time per host. What puts us off for now (421, greylisting,
// rate limits) is "could not test", with the time of the next try. RFCs: 5321 (5: which server, 4.5.4: tries), 7505
// (null MX), 8461 (MTA-STS), 7672 (DANE), 7208 (SPF), 6531 (SMTPUTF8).
package delivery

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	checksmtp "github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/addr"
	"github.com/mailwhy/mailwhy/internal/mail/dane"
	"github.com/mailwhy/mailwhy/internal/mail/mtasts"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Options say what to try.
type Options struct {
	From     string // the sender; "" is the null sender
	To       string
	Message  []byte     // sent after RCPT; nil: nothing is sent
	HELO     string     // our name; "" means Env.Probe.HELO
	Via      string     // a smarthost instead of the recipient's servers
	ViaPort  uint16     // 0 means 25
	PublicIP netip.Addr // our address as the world sees it; invalid: found out
}

// Facts are what was found out; docs/json.md writes them down.
type Facts struct {
	From      string              `json:"from"`
	To        string              `json:"to"`
	Domain    string              `json:"domain,omitempty"` // A-labels
	HELO      string              `json:"helo"`
	Mended    []addr.Mend         `json:"mended,omitempty"`
	Means     string              `json:"means,omitempty"` // the address that was probably meant
	DNS       *Route              `json:"dns,omitempty"`
	Via       string              `json:"via,omitempty"`
	Attempts  []Attempt           `json:"attempts"`
	Outbound  *checksmtp.Outbound `json:"outbound,omitempty"`
	STS       *STS                `json:"mta_sts,omitempty"`
	Self      *Self               `json:"self,omitempty"`
	Result    Result              `json:"result"`
	Delivered bool                `json:"delivered"` // a message was sent and accepted
	Untried   int                 `json:"untried,omitempty"`
	StartedAt time.Time           `json:"-"`

	to, from *addr.Address
	badFrom  *addr.Error
	badTo    *addr.Error
	message  bool
}

// Result is the outcome in a word.
type Result string

// The results.
const (
	Accepted Result = "accepted" // RCPT, or the message, was accepted
	Refused  Result = "refused"  // for good
	Deferred Result = "deferred" // for now: a later try may tell more
	Insecure Result = "insecure" // MTA-STS or DANE forbids to deliver to the server as it is
	Nowhere  Result = "nowhere"  // there is no server to deliver to, or none answers
	Unknown  Result = "unknown"  // our own trouble: nothing can be said
)

// Attempt is one address of one server.
type Attempt struct {
	Host    string        `json:"host"`
	Pref    uint16        `json:"pref"`
	Addr    netip.Addr    `json:"addr"`
	Session *smtp.Session `json:"session"`
	Ports   []wire.Knock  `json:"ports,omitempty"` // other ports of the same address, tried where 25 was silent
	DANE    *DANE         `json:"dane,omitempty"`
	STS     string        `json:"mta_sts,omitempty"` // "met", "host", "certificate", "no-tls"; empty: no policy
	Plain   *smtp.Session `json:"plain,omitempty"`   // the same without TLS, after STARTTLS broke
	Result  Result        `json:"result"`
}

// said is the session that tells the outcome: the one in plain text where STARTTLS broke and that went further.
func (a *Attempt) said() *smtp.Session {
	if a.Plain != nil && a.Plain.Connected() {
		return a.Plain
	}
	return a.Session
}

// DANE is what the TLSA records of a server say about it.
type DANE struct {
	Found   *dane.Found   `json:"found"`
	Verdict *dane.Verdict `json:"verdict,omitempty"`
}

// STS is the MTA-STS policy of the recipient's domain.
type STS struct {
	Found  *mtasts.Found  `json:"found"`
	Policy *mtasts.Policy `json:"policy,omitempty"`
	Fault  string         `json:"fault,omitempty"` // why there is no policy though there is a record
}

// Self is our own side.
type Self struct {
	IP      netip.Addr       `json:"ip,omitzero"`
	Source  string           `json:"source,omitempty"` // "socket", "ehlo", "given"
	Socket  netip.Addr       `json:"socket,omitzero"`
	PTR     *ptr.Facts       `json:"ptr,omitempty"`
	HELO    string           `json:"helo"`
	HELOIPs []string         `json:"helo_ips,omitempty"`
	Lists   *blocklist.Facts `json:"blocklists,omitempty"`
	SPF     *spf.Result      `json:"spf,omitempty"`
	DMARC   string           `json:"dmarc,omitempty"`    // what the sender's domain asks for: "none", "quarantine", "reject"; "" for no record
	DMARCAt string           `json:"dmarc_at,omitempty"` // where the record stands

	dmarcErr error
}

// Survey finds out why mail does or does not reach the recipient.
func Survey(ctx context.Context, env *check.Env, opt Options) *finding.Report {
	f := Look(ctx, env, opt)
	fs := Judge(env, f)
	r := check.NewReport(env, "deliver", finding.Subject{Kind: finding.KindAddress, Name: f.To}, f.StartedAt, fs, Sections(env, f), f)
	r.Headline = Headline(env, f, r.Findings)
	return r
}

// Look walks the way of a message.
func Look(ctx context.Context, env *check.Env, opt Options) *Facts {
	f := &Facts{From: opt.From, To: opt.To, HELO: opt.HELO, StartedAt: env.Now(), message: opt.Message != nil, Result: Unknown}
	if f.HELO == "" {
		f.HELO = env.Probe.HELO
	}
	if !f.addresses(env, opt) {
		f.Result = Nowhere
		return f
	}
	if env.Probe.Offline {
		return f
	}
	var wg sync.WaitGroup
	switch {
	case opt.Via != "":
		f.Via = opt.Via
		f.DNS = lookHost(ctx, env, opt.Via)
	case f.to.Literal.IsValid():
		f.DNS = &Route{Servers: check.Servers{Hosts: []check.MailServer{{Name: f.to.Literal.String(), Addrs: []netip.Addr{f.to.Literal}}}}}
	default:
		f.Domain = f.to.ASCII
		wg.Go(func() { f.STS = lookSTS(ctx, env, f.Domain) })
		f.DNS = lookRoute(ctx, env, f.Domain)
	}
	wg.Wait()
	f.serve(ctx, env, opt)
	if len(f.Attempts) > 0 || opt.PublicIP.IsValid() {
		f.Self = lookSelf(ctx, env, f, opt)
	}
	return f
}

// addresses reads sender and recipient; false means that there is nothing to try.
func (f *Facts) addresses(env *check.Env, opt Options) bool {
	var err error
	if f.to, err = addr.Parse(opt.To); err != nil {
		f.badTo, _ = err.(*addr.Error)
		return false
	}
	f.To, f.Mended = f.to.String(), f.to.Mended
	f.Means = meant(env, f.to)
	if opt.From != "" {
		if f.from, err = addr.Parse(opt.From); err != nil {
			f.badFrom, _ = err.(*addr.Error)
			return false
		}
		f.From = f.from.String()
	}
	return true
}

// meant gives the address that was probably meant where the domain is a slip away from a large provider's.
func meant(env *check.Env, a *addr.Address) string {
	table, err := env.Know.Mailboxes()
	if err != nil || a.ASCII == "" {
		return ""
	}
	domain := a.ASCII
	for _, d := range table.Domains {
		if d == domain {
			return ""
		}
	}
	for bad, good := range table.Endings {
		if n := len(domain) - len(bad); n > 0 && domain[n:] == bad {
			domain = domain[:n] + good
			break
		}
	}
	best, least := "", 2
	for _, d := range table.Domains {
		limit := 1
		if len(d) < 8 && domain != d {
			limit = 0 // qq.com and 163.com have honest neighbours
			if sameButSwapped(d, domain) {
				limit = 1
			}
		}
		if n := addr.Distance(domain, d, 1); n <= limit && n < least {
			best, least = d, n
		}
	}
	switch {
	case best != "":
		return a.Local + "@" + best
	case domain != a.ASCII:
		return a.Local + "@" + domain
	}
	return ""
}

// sameButSwapped tells two strings of the same letters, as "qq.cmo".
func sameButSwapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	var n [256]int
	for i := range len(a) {
		n[a[i]]++
		n[b[i]]--
	}
	return n == [256]int{}
}
