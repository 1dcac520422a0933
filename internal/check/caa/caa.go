// Package caa judges the CAA records of a domain (RFC 8659, RFC 9495): who may issue certificates for it, also for mail.
package caa

import (
	"context"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/caa"
)

var (
	ruleMissing = &finding.Rule{
		ID: "caa.missing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "no CAA record",
		Says:   "no CAA record limits who may issue certificates for {{.Domain}}",
		OK:     "CAA records at {{.At}}: {{list .Issuers}}",
		Why:    "Every certification authority in the world may issue a certificate for the domain's servers; CAA narrows this to those you use.",
		Repair: "Publish an issue record for each authority you use.",
		Refs:   []finding.Ref{finding.RFC(8659, "4")},
	}
	ruleSyntax = &finding.Rule{
		ID: "caa.syntax", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "mistake in a CAA record",
		Says:   "the CAA property {{.Tag}} has a value authorities cannot read: {{.Value}}",
		Why:    "An authority that cannot read the value refuses to issue, often at the next automatic renewal.",
		Repair: "Write the bare domain of the authority, without https:// and without path.",
		Refs:   []finding.Ref{finding.RFC(8659, "4.2"), finding.RFC(8659, "4.4")},
	}
	ruleCritical = &finding.Rule{
		ID: "caa.unknown-critical", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "unknown critical CAA property",
		Says:   "the CAA property {{.Tag}} is marked critical and unknown: no authority may issue any certificate",
		Why:    "The next renewal of every certificate under this name fails.",
		Repair: "Correct the name of the property or set its flags to 0.",
		Refs:   []finding.Ref{finding.RFC(8659, "4.5")},
	}
	ruleMail = &finding.Rule{
		ID: "caa.issuemail", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "no limit on S/MIME certificates",
		Says:   "CAA limits server certificates, but without issuemail any authority may issue S/MIME certificates for addresses at {{.Domain}}",
		Why:    "issue does not count for S/MIME; issuemail does.",
		Repair: "Add issuemail with the authority you use, or with a bare semicolon if you use none.",
		Refs:   []finding.Ref{finding.RFC(9495, "4")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleMissing, ruleSyntax, ruleCritical, ruleMail}

// Facts are what the DNS says; JSON: docs/json.md.
type Facts struct {
	Domain string     `json:"domain"`
	Found  *caa.Found `json:"found,omitempty"`
	Err    error      `json:"-"`
}

// Look gathers the facts about a domain.
func Look(ctx context.Context, r mail.Resolver, domain string) *Facts {
	f := &Facts{Domain: domain}
	f.Found, f.Err = caa.Lookup(ctx, r, domain)
	return f
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	subject, prove := finding.Domain(f.Domain), finding.Cmd("check", f.Domain)
	if f.Err != nil {
		return []finding.Finding{ruleMissing.Untested(subject, check.Why(f.Err)).Prove(prove)}
	}
	if f.Found.At == "" {
		return []finding.Finding{ruleMissing.Failed(subject, finding.Args{"Domain": f.Domain}).Prove(prove)}
	}
	var out []finding.Finding
	var issuers, raw []string
	for _, p := range f.Found.Properties {
		issuers = append(issuers, p.Tag+" "+p.Value)
		raw = append(raw, p.Tag+` "`+p.Value+`"`)
	}
	ev := finding.Evidence{Source: "dns", Place: f.Found.At + " CAA", Raw: strings.Join(raw, "\n")}
	out = append(out, ruleMissing.Passed(subject, finding.Args{"At": f.Found.At, "Issuers": issuers}))
	for _, p := range f.Found.Properties {
		args := finding.Args{"Tag": p.Tag, "Value": p.Bad}
		switch {
		case p.Critical && !p.Known():
			out = append(out, ruleCritical.Failed(subject, args).With(ev).Prove(prove))
		case p.Bad != "":
			out = append(out, ruleSyntax.Failed(subject, args).With(ev).Prove(prove))
		}
	}
	if f.Found.Has("issue") && !f.Found.Has("issuemail") {
		out = append(out, ruleMail.Failed(subject, finding.Args{"Domain": f.Domain}).With(ev).Prove(prove).
			Mend(finding.Step{Kind: finding.DNSAdd, Target: f.Found.At + " CAA", New: `0 issuemail ";"`}))
	}
	return out
}

// Checks are the checks of this topic.
var Checks = []check.Check[string]{{Name: "caa", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env.DNS, domain)), nil
}}}
