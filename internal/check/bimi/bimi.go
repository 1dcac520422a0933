// Package bimi judges the brand indicator of a domain: record, logo, mark certificate, and whether DMARC is strict
// enough for anybody to show it.
//
// Promise: look gathers facts (the logo and the certificate are fetched with bounds, never shown or run), judge is pure.
package bimi

import (
	"context"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/bimi"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

// Where the drafts stand; BIMI has no RFC.
var refs = []finding.Ref{{Title: "BIMI draft: Brand Indicators for Message Identification", URL: "https://datatracker.ietf.org/doc/draft-brand-indicators-for-message-identification/"}}

var (
	ruleMissing = &finding.Rule{
		ID: "bimi.missing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title: "no BIMI record",
		Says:  "{{.Domain}} shows no logo (no BIMI record)",
		OK:    "BIMI record found",
		Why:   "BIMI is optional: a logo beside your mail in some mailboxes. It does not help delivery.",
		Refs:  refs,
	}
	ruleSyntax = &finding.Rule{
		ID: "bimi.record", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "mistake in the BIMI record",
		Says:   "the BIMI record has a mistake at character {{.Pos}}: {{.What}}",
		Why:    "Mailboxes ignore a record they cannot read and show no logo.",
		Repair: "Write it as v=BIMI1; l=https://…/logo.svg; a=https://…/certificate.pem.",
		Refs:   refs,
	}
	ruleSeveral = &finding.Rule{
		ID: "bimi.several", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "several BIMI records",
		Says:   "default._bimi.{{.Domain}} has {{.N}} BIMI records, so none is used",
		Why:    "With more than one record mailboxes show no logo.",
		Repair: "Keep one record.",
		Refs:   refs,
	}
	ruleDMARC = &finding.Rule{
		ID: "bimi.dmarc-weak", Severity: finding.Warning, Owner: finding.OwnerDomain, After: nil,
		Title:  "DMARC too weak for BIMI",
		Says:   "the DMARC policy of {{.Domain}} is {{.Policy}}; mailboxes show a logo only from quarantine or reject for all mail on",
		OK:     "DMARC is strict enough for BIMI",
		Why:    "A logo may stand only beside mail that cannot be forged.",
		Repair: "Raise the DMARC policy to quarantine or reject, also for subdomains, without pct.",
		Refs:   refs,
	}
	ruleFetch = &finding.Rule{
		ID: "bimi.unreachable", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "logo or certificate cannot be fetched",
		Says:   "{{.URL}} cannot be fetched: {{.What}}",
		OK:     "{{.URL}} can be fetched",
		Why:    "What cannot be fetched is not shown.",
		Repair: "Serve the file over HTTPS with a valid certificate.",
		Refs:   refs,
	}
	ruleLogo = &finding.Rule{
		ID: "bimi.logo", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "logo outside the SVG profile",
		Says:   "the logo is not an SVG Tiny PS picture: {{.What}}",
		OK:     "the logo keeps to SVG Tiny PS",
		Why:    "Mailboxes refuse pictures outside this profile for safety.",
		Repair: "Export the logo as SVG Tiny PS (version 1.2, baseProfile tiny-ps), square, with a title, under 32 kB.",
		Refs:   []finding.Ref{{Title: "SVG Tiny Portable/Secure", URL: "https://datatracker.ietf.org/doc/draft-svg-tiny-ps-abrotman/"}},
	}
	ruleNoMark = &finding.Rule{
		ID: "bimi.no-certificate", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "logo without a mark certificate",
		Says:   "the record names no mark certificate (a=)",
		Why:    "Gmail and Apple show a logo only with a mark certificate (VMC or CMC); some others do without.",
		Repair: "Buy a mark certificate if those mailboxes matter.",
		Refs:   refs,
	}
	ruleMark = &finding.Rule{
		ID: "bimi.certificate", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "mark certificate that does not serve",
		Says:   "the mark certificate does not serve: {{.What}}",
		OK:     "the mark certificate is for this domain and valid until {{.Until}}",
		Why:    "Mailboxes that want a certificate show no logo.",
		Repair: "Have the certificate issued again for this domain, and serve leaf and intermediates as PEM.",
		Refs:   []finding.Ref{{Title: "Fetch and Validation of Verified Mark Certificates", URL: "https://datatracker.ietf.org/doc/draft-fetch-validation-vmc-wchuang/"}},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleMissing, ruleSyntax, ruleSeveral, ruleDMARC, ruleFetch, ruleLogo, ruleNoMark, ruleMark}

// Facts are what was seen of a domain's BIMI; JSON: docs/json.md.
type Facts struct {
	Domain  string           `json:"domain"`
	Found   *bimi.Found      `json:"found,omitempty"`
	DMARC   *dmarc.Discovery `json:"-"`
	Logo    *http.Response   `json:"-"`
	LogoBad []bimi.Finding   `json:"logo_faults,omitempty"`
	Cert    *http.Response   `json:"-"`
	Mark    *bimi.Mark       `json:"mark,omitempty"`
	Err     error            `json:"-"`
	LogoErr error            `json:"-"`
	CertErr error            `json:"-"`
}

// Look gathers the facts about a domain. The selector is "default": others are named in messages only.
func Look(ctx context.Context, env *check.Env, domain string) *Facts {
	f := &Facts{Domain: domain}
	if f.Found, f.Err = bimi.Lookup(ctx, env.DNS, domain, "default"); f.Err != nil || f.Found.Record == nil || f.Found.Record.Declined() {
		return f
	}
	if d, err := dmarc.Discover(ctx, env.DNS, domain, dmarc.RFC9989); err == nil {
		f.DMARC = d
	}
	if env.Probe.SkipSMTP || env.Probe.Offline {
		return f
	}
	r := f.Found.Record
	if r.Location != "" {
		if f.Logo, f.LogoErr = env.HTTP().Get(ctx, http.Request{URL: r.Location, MaxBytes: 4 * bimi.MaxLogo, Redirects: 3}); f.LogoErr == nil && f.Logo.Fault == nil && f.Logo.Status == 200 {
			f.LogoBad = bimi.CheckLogo(f.Logo.Body)
		}
	}
	if r.Evidence != "" {
		if f.Cert, f.CertErr = env.HTTP().Get(ctx, http.Request{URL: r.Evidence, MaxBytes: 256 << 10, Redirects: 3}); f.CertErr == nil && f.Cert.OK() {
			f.Mark = bimi.ReadMark(f.Cert.Body, domain, env.Now())
		}
	}
	return f
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	subject, prove := finding.Domain(f.Domain), finding.Cmd("check", f.Domain)
	if f.Err != nil {
		return []finding.Finding{ruleMissing.Untested(subject, check.Why(f.Err)).Prove(prove)}
	}
	var out []finding.Finding
	r := f.Found.Record
	switch {
	case len(f.Found.Records) == 0:
		out = append(out, ruleMissing.Failed(subject, finding.Args{"Domain": f.Domain}))
	case r == nil:
		out = append(out, ruleSeveral.Failed(subject, finding.Args{"Domain": f.Domain, "N": len(f.Found.Records)}))
	case r.Declined():
		out = append(out, ruleMissing.NA(subject))
	default:
		out = f.record(subject)
	}
	for i := range out {
		out[i] = out[i].Prove(prove)
		if r != nil && out[i].Outcome == finding.Fail {
			out[i] = out[i].With(finding.Evidence{Source: "dns", Place: f.Found.Name + " TXT", Raw: r.Raw})
		}
	}
	return out
}

func (f *Facts) record(subject finding.Subject) []finding.Finding {
	r := f.Found.Record
	var out []finding.Finding
	for _, p := range r.Problems {
		out = append(out, ruleSyntax.Failed(subject, finding.Args{"Pos": p.Pos + 1, "What": what(p)}))
	}
	if len(r.Problems) == 0 {
		out = append(out, ruleMissing.Passed(subject, nil))
	}
	if d := f.DMARC; d != nil {
		pol := d.Effective
		if pol == "" {
			pol = dmarc.None
		}
		weak := pol == dmarc.None || d.Record != nil && (d.Record.Pct < 100 || d.Meaning.SP == dmarc.None)
		args := finding.Args{"Domain": f.Domain, "Policy": string(pol)}
		if weak {
			out = append(out, ruleDMARC.Failed(subject, args))
		} else {
			out = append(out, ruleDMARC.Passed(subject, args))
		}
	}
	out = append(out, fetched(subject, r.Location, f.Logo, f.LogoErr)...)
	for _, b := range f.LogoBad {
		out = append(out, ruleLogo.Failed(subject, finding.Args{"What": logoFault(b)}))
	}
	if f.Logo != nil && f.Logo.OK() && len(f.LogoBad) == 0 {
		out = append(out, ruleLogo.Passed(subject, nil))
	}
	if r.Evidence == "" {
		return append(out, ruleNoMark.Failed(subject, nil))
	}
	out = append(out, fetched(subject, r.Evidence, f.Cert, f.CertErr)...)
	if f.Mark != nil {
		for _, c := range f.Mark.Faults {
			out = append(out, ruleMark.Failed(subject, finding.Args{"What": certFault(c, f.Mark)}))
		}
		if len(f.Mark.Faults) == 0 {
			out = append(out, ruleMark.Passed(subject, finding.Args{"Until": f.Mark.Until.Format(time.DateOnly)}))
		}
	}
	return out
}

func fetched(subject finding.Subject, url string, r *http.Response, err error) []finding.Finding {
	args := finding.Args{"URL": url}
	switch {
	case err != nil:
		return []finding.Finding{ruleFetch.Untested(subject, check.Why(err))}
	case r == nil:
		return nil
	case r.Fault != nil && check.Ours(r.Fault):
		return []finding.Finding{ruleFetch.Untested(subject, check.Fault(r.Fault))}
	case r.Fault != nil:
		args["What"] = check.Fault(r.Fault)
	case r.Status != 200:
		args["What"] = finding.S("status {{.Status}}", finding.Args{"Status": r.Status})
	case r.TLS == nil || !r.TLS.Trusted():
		args["What"] = finding.S("its certificate is not trusted", nil)
	default:
		return []finding.Finding{ruleFetch.Passed(subject, args)}
	}
	return []finding.Finding{ruleFetch.Failed(subject, args)}
}

func what(p bimi.Problem) finding.Sentence {
	args := finding.Args{"Text": p.Text}
	switch p.Code {
	case bimi.VersionText:
		return finding.S("it must begin with v=BIMI1", nil)
	case bimi.NoLocation:
		return finding.S("there is no l tag", nil)
	case bimi.NotHTTPS:
		return finding.S("{{.Text}} is no https: URL", args)
	case bimi.Repeated:
		return finding.S("the tag {{.Text}} is given twice", args)
	}
	return finding.S("{{.Text}} is no tag=value", args)
}

func logoFault(b bimi.Finding) finding.Sentence {
	args := finding.Args{"Text": b.Text}
	switch b.Fault {
	case bimi.NotSVG:
		return finding.S("it is no SVG at all", nil)
	case bimi.BadXML:
		return finding.S("it is broken XML: {{.Text}}", args)
	case bimi.HasDoctype:
		return finding.S("it has a document type declaration", nil)
	case bimi.NoProfile:
		return finding.S("baseProfile is not tiny-ps", nil)
	case bimi.BadVersion:
		return finding.S("version is not 1.2", nil)
	case bimi.NoTitle:
		return finding.S("it has no title", nil)
	case bimi.Script:
		return finding.S("it holds a script: {{.Text}}", args)
	case bimi.Animation:
		return finding.S("it is animated: {{.Text}}", args)
	case bimi.Picture:
		return finding.S("it embeds a picture or foreign content: {{.Text}}", args)
	case bimi.External:
		return finding.S("it refers to something outside: {{.Text}}", args)
	case bimi.NotSquare:
		return finding.S("it is not square", nil)
	case bimi.TooLarge:
		return finding.S("it has {{.Text}} bytes, more than 32 kB", args)
	case bimi.Interactive:
		return finding.S("it holds a link", nil)
	}
	return finding.S("the svg element has x or y", nil)
}

func certFault(c bimi.CertFault, m *bimi.Mark) finding.Sentence {
	switch c {
	case bimi.NoPEM:
		return finding.S("the file holds no PEM certificate", nil)
	case bimi.NoPurpose:
		return finding.S("it is an ordinary certificate, not one for brand indicators", nil)
	case bimi.NoLogotype:
		return finding.S("it carries no logo", nil)
	case bimi.WrongName:
		return finding.S("it is for {{list .Names}}", finding.Args{"Names": m.Names})
	case bimi.Expired:
		return finding.S("it expired on {{.Until}}", finding.Args{"Until": m.Until.Format(time.DateOnly)})
	}
	return finding.S("it is not valid yet", nil)
}

// Checks are the checks of this topic.
var Checks = []check.Check[string]{{Name: "bimi", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env, domain)), nil
}}}
