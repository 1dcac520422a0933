// Package mtasts judges MTA-STS (RFC 8461): the record, the policy file and the server that gives it, and the policy
// against the MX hosts in both directions.
//
// Promise: look gathers facts, judge is pure. The policy is fetched without following redirects and with a bound on
// time and size, as senders do.
package mtasts

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/mtasts"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

// shortAge is the lifetime below which a policy hardly protects; section 3.2 speaks of weeks.
const shortAge = 24 * time.Hour

var (
	refs        = []finding.Ref{finding.RFC(8461, "3.1"), finding.RFC(8461, "3.2")}
	ruleMissing = &finding.Rule{
		ID: "mtasts.missing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "no MTA-STS",
		Says:   "{{.Domain}} has no MTA-STS policy",
		OK:     "MTA-STS record found, policy {{.ID}}",
		Why:    "Without MTA-STS or DANE whoever sits on the path can switch encryption off and read or divert mail to the domain.",
		Repair: "Serve a policy in mode testing at the well-known URL, publish the record, watch TLS reports, then switch to enforce.",
		Refs:   refs,
	}
	ruleSeveral = &finding.Rule{
		ID: "mtasts.several", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "several MTA-STS records",
		Says:   "_mta-sts.{{.Domain}} has {{.N}} MTA-STS records, so senders see none",
		Why:    "With more than one record senders act as if there were no policy.",
		Repair: "Keep one record.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.1")},
	}
	ruleRecord = &finding.Rule{
		ID: "mtasts.record", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "mistake in the MTA-STS record",
		Says:   "the MTA-STS record has a mistake at character {{.Pos}}: {{.What}}",
		Why:    "Senders ignore a record they cannot read, and with it the policy.",
		Repair: "Publish it as v=STSv1; id= followed by 1 to 32 letters and digits, new at each change of the policy.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.1")},
	}
	ruleFetch = &finding.Rule{
		ID: "mtasts.policy-unreachable", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "MTA-STS policy cannot be fetched",
		Says:   "the MTA-STS policy cannot be fetched from {{.URL}}: {{.What}}",
		OK:     "policy fetched from {{.URL}}",
		Why:    "Senders without a cached policy send without protection; those with one report failures.",
		Repair: "Let the web server give the file itself with status 200, without redirects.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.3")},
	}
	ruleNotThere = &finding.Rule{
		ID: "mtasts.policy-missing", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "no MTA-STS policy at its place",
		Says:   "the record promises a policy, but {{.URL}} answers with status {{.Status}}",
		Why:    "Senders without a cached policy send without protection; those with one report failures.",
		Repair: "Put the policy file at exactly this address, or remove the record.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.3")},
	}
	ruleRedirect = &finding.Rule{
		ID: "mtasts.redirect", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "MTA-STS policy behind a redirect",
		Says:   "{{.URL}} redirects to {{.To}}, which senders must not follow",
		Why:    "To senders the policy is not there.",
		Repair: "Serve the file at the address itself, with status 200.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.3")},
	}
	ruleLarge = &finding.Rule{
		ID: "mtasts.too-large", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "MTA-STS policy too large",
		Says:   "the policy at {{.URL}} is larger than 64 kB; senders stop reading there",
		Why:    "A policy cut off is no policy.",
		Repair: "Serve the policy file and nothing else; a policy needs a few hundred bytes.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.3")},
	}
	ruleCertificate = &finding.Rule{
		ID: "mtasts.certificate", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "certificate of the policy server",
		Says:   "the certificate of {{.Host}} is not valid for fetching the policy: {{.What}}",
		OK:     "the certificate of {{.Host}} is valid",
		Why:    "Senders must not use a policy from a server whose certificate they cannot verify.",
		Repair: "Give the policy server a certificate of a public authority for its name.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.3")},
	}
	rulePolicy = &finding.Rule{
		ID: "mtasts.policy-syntax", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "mistake in the MTA-STS policy",
		Says:   "the MTA-STS policy has a mistake in line {{.Line}}: {{.What}}",
		OK:     "the policy is well-formed, mode {{.Mode}}",
		Why:    "Senders ignore a policy they cannot read.",
		Repair: "Correct the file and give the record a new id.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.2")},
	}
	ruleType = &finding.Rule{
		ID: "mtasts.policy-type", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "type of the policy file",
		Says:   "the policy is served as {{.Type}} instead of text/plain",
		Why:    "The standard names text/plain; some senders insist.",
		Repair: "Serve the file as text/plain.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.2")},
	}
	ruleMX = &finding.Rule{
		ID: "mtasts.mx-not-listed", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "MX host that the policy does not allow",
		Says:   "the policy (mode {{.Mode}}) does not allow the MX host {{.Host}}",
		OK:     "the policy allows every MX host",
		Why:    "In mode enforce senders with MTA-STS deliver nothing to this host; if no other MX is left, mail is lost.",
		Repair: "Add an mx line for the host to the policy and change the id in the record, or correct the MX.",
		Refs:   []finding.Ref{finding.RFC(8461, "4.1"), finding.RFC(8461, "5")},
	}
	ruleUnused = &finding.Rule{
		ID: "mtasts.mx-unused", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "policy line that no MX uses",
		Says:   "the policy allows {{list .Patterns}}, which no MX host of {{.Domain}} matches",
		Why:    "Harmless, and right while a new MX is being prepared; otherwise a forgotten or misspelt name.",
		Repair: "Remove the line when it is no longer needed.",
		Refs:   []finding.Ref{finding.RFC(8461, "4.1")},
	}
	ruleMXTLS = &finding.Rule{
		ID: "mtasts.mx-tls", Severity: finding.Error, Owner: finding.OwnerServer,
		Title:  "MX host does not meet the policy",
		Says:   "{{.Host}} does not meet the policy (mode {{.Mode}}): {{.What}}",
		OK:     "{{.Host}} meets the policy",
		Why:    "In mode enforce senders with MTA-STS refuse to deliver to this host.",
		Repair: "Give the host a certificate of a public authority for exactly this name and offer STARTTLS.",
		Refs:   []finding.Ref{finding.RFC(8461, "4.2"), finding.RFC(8461, "5")},
	}
	ruleTesting = &finding.Rule{
		ID: "mtasts.testing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "policy only tests",
		Says:   "the policy is in mode {{.Mode}}: {{if eq .Mode \"none\"}}it asks for nothing{{else}}failures are reported, mail is delivered all the same{{end}}",
		Why:    "Only mode enforce protects mail.",
		Repair: "When TLS reports show no failures, set mode: enforce and change the id in the record.",
		Refs:   []finding.Ref{finding.RFC(8461, "5")},
	}
	ruleAge = &finding.Rule{
		ID: "mtasts.max-age-short", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "short lifetime of the policy",
		Says:   "senders keep the policy for {{.Age}} only",
		Why:    "The cached policy is the protection: an attacker has to wait only until it runs out. Weeks are usual.",
		Repair: "Set max_age to 604800 (a week) or more.",
		Refs:   []finding.Ref{finding.RFC(8461, "3.2"), finding.RFC(8461, "10.2")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleMissing, ruleSeveral, ruleRecord, ruleFetch, ruleNotThere, ruleRedirect, ruleLarge, ruleCertificate, rulePolicy, ruleType, ruleMX, ruleUnused, ruleMXTLS, ruleTesting, ruleAge}

// Facts are what was seen of a domain's MTA-STS; JSON: docs/json.md.
type Facts struct {
	Domain string                     `json:"domain"`
	Found  *mtasts.Found              `json:"found,omitempty"`
	Fetch  *http.Response             `json:"fetch,omitempty"`
	Policy *mtasts.Policy             `json:"policy,omitempty"`
	MX     []string                   `json:"mx,omitempty"`
	TLS    map[string]*wire.Handshake `json:"-"` // by MX host, where a session was had
	Plain  map[string]bool            `json:"-"` // hosts that talked but offered no STARTTLS
	Err    error                      `json:"-"`
	GetErr error                      `json:"-"`
}

// Look gathers the facts about a domain with its mail servers.
func Look(ctx context.Context, env *check.Env, t check.Servers) *Facts {
	f := &Facts{Domain: t.Domain, TLS: map[string]*wire.Handshake{}, Plain: map[string]bool{}}
	for _, h := range t.Hosts {
		f.MX = append(f.MX, h.Name)
	}
	if f.Found, f.Err = mtasts.Lookup(ctx, env.DNS, t.Domain); f.Err != nil || len(f.Found.Records) == 0 || env.Probe.SkipSMTP || env.Probe.Offline {
		return f
	}
	f.Fetch, f.GetErr = env.HTTP().Get(ctx, http.Request{URL: mtasts.URL(t.Domain), MaxBytes: mtasts.MaxPolicy})
	if f.GetErr == nil && f.Fetch.OK() && len(f.Fetch.Body) <= mtasts.MaxPolicy {
		f.Policy = mtasts.ParsePolicy(f.Fetch.Body)
		f.handshakes(ctx, env, t)
	}
	return f
}

// handshakes takes what the shared SMTP sessions saw, one address per host.
func (f *Facts) handshakes(ctx context.Context, env *check.Env, t check.Servers) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, h := range t.Hosts {
		if len(h.Addrs) == 0 {
			continue
		}
		wg.Go(func() {
			s, err := env.Session(ctx, env.ProbePlan(h.Name, h.Addrs[0]))
			if err != nil || s == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if s.TLS != nil {
				f.TLS[h.Name] = s.TLS
			} else if len(s.Caps) > 0 {
				f.Plain[h.Name] = true
			}
		})
	}
	wg.Wait()
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	subject := finding.Domain(f.Domain)
	prove := finding.Cmd("check", f.Domain)
	if f.Err != nil {
		return []finding.Finding{ruleMissing.Untested(subject, check.Why(f.Err)).Prove(prove)}
	}
	var out []finding.Finding
	say := func(x finding.Finding) { out = append(out, x.Prove(prove)) }
	target := f.Found.Name + " TXT"
	switch {
	case len(f.Found.Records) == 0:
		say(ruleMissing.Failed(subject, finding.Args{"Domain": f.Domain}).Mend(
			finding.Step{Kind: finding.Publish, Target: mtasts.URL(f.Domain), New: suggested(f.MX)},
			finding.Step{Kind: finding.DNSAdd, Target: target, New: check.QuoteTXT("v=STSv1; id=1")}))
		return out
	case f.Found.Record == nil:
		x := ruleSeveral.Failed(subject, finding.Args{"Domain": f.Domain, "N": len(f.Found.Records)})
		for i, r := range f.Found.Records {
			x = x.With(finding.Evidence{Source: "dns", Place: target, Raw: r})
			if i > 0 {
				x = x.Mend(finding.Step{Kind: finding.DNSDelete, Target: target, Old: check.QuoteTXT(r)})
			}
		}
		say(x)
	case f.Found.Record.Valid():
		say(ruleMissing.Passed(subject, finding.Args{"ID": f.Found.Record.ID}))
	default:
		for _, p := range f.Found.Record.Problems {
			say(ruleRecord.Failed(subject, finding.Args{"Pos": p.At + 1, "What": what(p)}).With(finding.Evidence{Source: "dns", Place: target, Raw: f.Found.Records[0]}).
				Mend(finding.Step{Kind: finding.DNSReplace, Target: target, Old: check.QuoteTXT(f.Found.Records[0]), New: check.QuoteTXT("v=STSv1; id=" + cleanID(f.Found.Record.ID))}))
		}
	}
	out = append(out, f.judgeFetch(subject)...)
	return append(out, f.judgePolicy(subject)...)
}

// suggested is a first policy for the MX hosts as they are.
func suggested(mx []string) string {
	return "version: STSv1\nmode: testing\nmx: " + strings.Join(mx, "\nmx: ") + "\nmax_age: 604800\n"
}

func cleanID(id string) string {
	id = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, id)
	if id == "" {
		return "1"
	}
	return id[:min(len(id), 32)]
}

// judgeFetch speaks of the web server.
func (f *Facts) judgeFetch(subject finding.Subject) []finding.Finding {
	url := mtasts.URL(f.Domain)
	prove := finding.Cmd("check", f.Domain)
	if f.GetErr != nil {
		return []finding.Finding{ruleFetch.Untested(subject, check.Why(f.GetErr)).Prove(prove)}
	}
	r := f.Fetch
	if r == nil {
		return nil
	}
	ev := finding.Evidence{Source: "http", Place: url, Raw: strings.TrimSpace(r.Remote + " " + http.StatusText(r.Status))}
	var out []finding.Finding
	fail := func(w finding.Sentence) {
		out = append(out, ruleFetch.Failed(subject, finding.Args{"URL": url, "What": w}).With(ev).Prove(prove))
	}
	switch {
	case r.NoAddress:
		fail(finding.S("{{.Host}} has no address", finding.Args{"Host": mtasts.Host(f.Domain)}))
	case r.Fault != nil && check.Ours(r.Fault):
		return []finding.Finding{ruleFetch.Untested(subject, check.Fault(r.Fault)).Prove(prove)}
	case r.Fault != nil:
		fail(check.Fault(r.Fault))
	case r.Location != "":
		out = append(out, ruleRedirect.Failed(subject, finding.Args{"URL": url, "To": r.Location}).With(ev).Prove(prove))
	case r.Status != 200:
		out = append(out, ruleNotThere.Failed(subject, finding.Args{"URL": url, "Status": r.Status}).With(ev).Prove(prove))
	case r.Truncated || len(r.Body) > mtasts.MaxPolicy:
		out = append(out, ruleLarge.Failed(subject, finding.Args{"URL": url}).With(ev).Prove(prove))
	default:
		out = append(out, ruleFetch.Passed(subject, finding.Args{"URL": url}))
	}
	if r.TLS != nil && r.TLS.Fault == nil {
		args := finding.Args{"Host": mtasts.Host(f.Domain)}
		if r.TLS.Trusted() {
			out = append(out, ruleCertificate.Passed(subject, args))
		} else if r.TLS.Trust == wire.NoRoots {
			out = append(out, ruleCertificate.Untested(subject, trust(r.TLS)).Prove(prove))
		} else {
			args["What"] = trust(r.TLS)
			out = append(out, ruleCertificate.Failed(subject, args).With(finding.Evidence{Source: "tls", Place: r.Remote, Raw: r.TLS.TrustText}).Prove(prove))
		}
	}
	return out
}

// trust says why a certificate does not serve.
func trust(h *wire.Handshake) finding.Sentence {
	args := finding.Args{"Name": h.Name}
	switch h.Trust {
	case wire.TrustOK:
		return finding.S("it is not for the name {{.Name}}", args)
	case wire.Expired:
		return finding.S("it has expired", nil)
	case wire.NotYetValid:
		return finding.S("it is not valid yet", nil)
	case wire.SelfSigned:
		return finding.S("it is self-signed", nil)
	case wire.MissingLink:
		return finding.S("an intermediate certificate is missing", nil)
	case wire.NoRoots:
		return finding.S("this machine has no list of trusted authorities", nil)
	}
	return finding.S("its issuer is not trusted", nil)
}

// judgePolicy speaks of the file and of the MX hosts.
func (f *Facts) judgePolicy(subject finding.Subject) []finding.Finding {
	p := f.Policy
	if p == nil {
		return nil
	}
	var out []finding.Finding
	say := func(x finding.Finding) { out = append(out, x.Prove(finding.Cmd("check", f.Domain))) }
	ev := finding.Evidence{Source: "http", Place: mtasts.URL(f.Domain), Raw: string(f.Fetch.Body[:min(len(f.Fetch.Body), 2000)])}
	for _, x := range p.Problems {
		say(rulePolicy.Failed(subject, finding.Args{"Line": x.At, "What": what(x)}).With(ev))
	}
	if p.Valid() {
		say(rulePolicy.Passed(subject, finding.Args{"Mode": string(p.Mode)}))
	}
	if t, _, _ := strings.Cut(f.Fetch.ContentType, ";"); !strings.EqualFold(strings.TrimSpace(t), "text/plain") {
		say(ruleType.Failed(subject, finding.Args{"Type": t}).With(finding.Evidence{Source: "http", Place: mtasts.URL(f.Domain), Raw: "Content-Type: " + f.Fetch.ContentType}))
	}
	if !p.Valid() {
		return out
	}
	if p.Mode != mtasts.Enforce {
		say(ruleTesting.Failed(subject, finding.Args{"Mode": string(p.Mode)}).With(ev))
	}
	if p.Mode == mtasts.None {
		return out
	}
	if p.MaxAge < shortAge {
		say(ruleAge.Failed(subject, finding.Args{"Age": p.MaxAge}).With(ev))
	}
	return append(out, f.judgeMX(subject, ev)...)
}

// judgeMX holds policy and MX hosts against each other. Outside mode enforce a fault warns only.
func (f *Facts) judgeMX(subject finding.Subject, ev finding.Evidence) []finding.Finding {
	var out []finding.Finding
	warn := finding.Warning
	say := func(x finding.Finding) {
		if f.Policy.Mode != mtasts.Enforce && x.Outcome == finding.Fail && x.Rule.Severity == finding.Error {
			x.Severity = &warn
		}
		out = append(out, x.Prove(finding.Cmd("check", f.Domain)))
	}
	all := true
	for _, h := range f.MX {
		args := finding.Args{"Host": h, "Mode": string(f.Policy.Mode)}
		if !f.Policy.Match(h) {
			all = false
			say(ruleMX.Failed(subject, args).With(ev).Mend(finding.Step{Kind: finding.Publish, Target: mtasts.URL(f.Domain), New: "mx: " + h}))
			continue
		}
		switch tls := f.TLS[h]; {
		case f.Plain[h]:
			args["What"] = finding.S("it offers no STARTTLS", nil)
			say(ruleMXTLS.Failed(finding.Host(h), args))
		case tls == nil || tls.Fault != nil || tls.Trust == wire.NoRoots:
		case tls.Trusted():
			say(ruleMXTLS.Passed(finding.Host(h), args))
		default:
			args["What"] = trust(tls)
			say(ruleMXTLS.Failed(finding.Host(h), args).With(finding.Evidence{Source: "tls", Place: h, Raw: tls.TrustText}))
		}
	}
	if all && len(f.MX) > 0 {
		say(ruleMX.Passed(subject, nil))
	}
	if un := f.Policy.Unused(f.MX); len(un) > 0 && len(f.MX) > 0 {
		say(ruleUnused.Failed(subject, finding.Args{"Patterns": un, "Domain": f.Domain}).With(ev))
	}
	return out
}

func what(p mtasts.Problem) finding.Sentence {
	args := finding.Args{"Text": p.Text}
	switch p.Code {
	case mtasts.VersionText:
		return finding.S("it must begin with v=STSv1; exactly", nil)
	case mtasts.NoID:
		return finding.S("there is no id", nil)
	case mtasts.BadID:
		return finding.S("the id {{.Text}} is not 1 to 32 letters and digits", args)
	case mtasts.NoVersion:
		return finding.S("there is no line version: STSv1", nil)
	case mtasts.NoMode:
		return finding.S("there is no mode", nil)
	case mtasts.BadMode:
		return finding.S("the mode {{.Text}} does not exist: enforce, testing or none", args)
	case mtasts.NoMaxAge:
		return finding.S("there is no max_age", nil)
	case mtasts.BadMaxAge:
		return finding.S("max_age {{.Text}} is not a number of seconds up to 31557600", args)
	case mtasts.NoMX:
		return finding.S("there is no mx line", nil)
	case mtasts.BadMX:
		return finding.S("mx {{.Text}} is no host name and no pattern like *.example.com", args)
	case mtasts.Repeated:
		return finding.S("{{.Text}} is given twice; the first one counts", args)
	case mtasts.TooLarge:
		return finding.S("it is larger than 64 kB", nil)
	case mtasts.NotText:
		return finding.S("it is not a policy but something else, such as a web page: {{.Text}}", args)
	}
	return finding.S("{{.Text}} is no key and value", args)
}

// Checks are the checks of this topic.
var Checks = []check.Check[check.Servers]{{Name: "mtasts", Rules: Rules, Run: func(ctx context.Context, env *check.Env, t check.Servers) ([]finding.Finding, error) {
	if t.Null {
		return nil, nil
	}
	return Judge(Look(ctx, env, t)), nil
}}}
