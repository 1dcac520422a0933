// Package tlsrpt judges the TLS reporting record of a domain (RFC 8460).
package tlsrpt

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/tlsrpt"
)

var (
	ruleMissing = &finding.Rule{
		ID: "tlsrpt.missing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "no TLS reporting",
		Says:   "{{.Domain}} asks nobody for TLS reports",
		OK:     "TLS reports go to {{list .Targets}}",
		Why:    "Failures of encryption towards your servers happen elsewhere; without reports you never hear of them.",
		Repair: "Publish the record with a mailbox that a program reads.",
		Refs:   []finding.Ref{finding.RFC(8460, "3")},
	}
	ruleSeveral = &finding.Rule{
		ID: "tlsrpt.several", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "several TLS reporting records",
		Says:   "_smtp._tls.{{.Domain}} has {{.N}} records, so senders use none",
		Why:    "With more than one record senders send no reports.",
		Repair: "Keep one record; several addresses go into one rua, with commas.",
		Refs:   []finding.Ref{finding.RFC(8460, "3")},
	}
	ruleSyntax = &finding.Rule{
		ID: "tlsrpt.syntax", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "mistake in the TLS reporting record",
		Says:   "the TLS reporting record has a mistake at character {{.Pos}}: {{.What}}",
		Why:    "Senders ignore a record they cannot read, and no report arrives.",
		Repair: "Write it as v=TLSRPTv1; rua=mailto:name@domain.",
		Refs:   []finding.Ref{finding.RFC(8460, "3")},
	}
	ruleUnreachable = &finding.Rule{
		ID: "tlsrpt.unreachable", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the TLS report address cannot receive mail",
		Says:   "{{.Target}}, where TLS reports go, has neither MX nor address records",
		Why:    "Every report bounces.",
		Repair: "Use an address whose domain receives mail.",
		Refs:   []finding.Ref{finding.RFC(8460, "3"), finding.RFC(5321, "5.1")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleMissing, ruleSeveral, ruleSyntax, ruleUnreachable}

// Facts are what the DNS says; JSON: docs/json.md.
type Facts struct {
	Domain string          `json:"domain"`
	Found  *tlsrpt.Found   `json:"found,omitempty"`
	Dead   map[string]bool `json:"unreachable,omitempty"` // report domains that cannot receive mail
	Err    error           `json:"-"`
}

// Look gathers the facts about a domain.
func Look(ctx context.Context, r mail.Resolver, domain string) *Facts {
	f := &Facts{Domain: domain, Dead: map[string]bool{}}
	if f.Found, f.Err = tlsrpt.Lookup(ctx, r, domain); f.Err != nil || f.Found.Record == nil {
		return f
	}
	for i, t := range f.Found.Record.RUA {
		if t.Domain != "" && i < 20 && !reachable(ctx, r, t.Domain) {
			f.Dead[t.Domain] = true
		}
	}
	return f
}

// reachable is true also where the DNS gave no answer: no answer is no finding.
func reachable(ctx context.Context, r mail.Resolver, domain string) bool {
	for _, t := range []mail.Type{mail.TypeMX, mail.TypeA, mail.TypeAAAA} {
		a, err := r.Resolve(ctx, domain, t)
		if err != nil {
			return true
		}
		for _, rr := range a.Records {
			if t == mail.TypeMX && rr.Host == "" {
				return false
			}
			return true
		}
	}
	return false
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	subject, prove := finding.Domain(f.Domain), finding.Cmd("check", f.Domain)
	if f.Err != nil {
		return []finding.Finding{ruleMissing.Untested(subject, check.Why(f.Err)).Prove(prove)}
	}
	target := f.Found.Name + " TXT"
	var out []finding.Finding
	switch r := f.Found.Record; {
	case len(f.Found.Records) == 0:
		out = append(out, ruleMissing.Failed(subject, finding.Args{"Domain": f.Domain}).
			Mend(finding.Step{Kind: finding.DNSAdd, Target: target, New: check.QuoteTXT("v=TLSRPTv1; rua=mailto:tls-reports@" + f.Domain)}))
	case r == nil:
		x := ruleSeveral.Failed(subject, finding.Args{"Domain": f.Domain, "N": len(f.Found.Records)})
		for i, t := range f.Found.Records {
			x = x.With(finding.Evidence{Source: "dns", Place: target, Raw: t})
			if i > 0 {
				x = x.Mend(finding.Step{Kind: finding.DNSDelete, Target: target, Old: check.QuoteTXT(t)})
			}
		}
		out = append(out, x)
	default:
		var to []string
		for _, t := range r.RUA {
			to = append(to, t.Raw)
		}
		if r.Valid() {
			out = append(out, ruleMissing.Passed(subject, finding.Args{"Targets": to}))
		}
		for _, p := range r.Problems {
			out = append(out, ruleSyntax.Failed(subject, finding.Args{"Pos": p.Pos + 1, "What": what(p)}).With(finding.Evidence{Source: "dns", Place: target, Raw: r.Raw}))
		}
		for _, t := range r.RUA {
			if f.Dead[t.Domain] {
				out = append(out, ruleUnreachable.Failed(subject, finding.Args{"Target": t.Domain}).With(finding.Evidence{Source: "dns", Place: target, Raw: r.Raw}))
			}
		}
	}
	for i := range out {
		out[i] = out[i].Prove(prove)
	}
	return out
}

func what(p tlsrpt.Problem) finding.Sentence {
	args := finding.Args{"Text": p.Text}
	switch p.Code {
	case tlsrpt.VersionText:
		return finding.S("it must begin with v=TLSRPTv1; exactly", nil)
	case tlsrpt.NoRUA:
		return finding.S("there is no rua", nil)
	case tlsrpt.BadURI:
		return finding.S("{{.Text}} is neither mailto: with an address nor an https: URL", args)
	case tlsrpt.Repeated:
		return finding.S("the tag {{.Text}} is given twice", args)
	}
	return finding.S("{{.Text}} is no tag=value", args)
}

// Checks are the checks of this topic.
var Checks = []check.Check[string]{{Name: "tlsrpt", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env.DNS, domain)), nil
}}}
