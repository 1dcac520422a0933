// Package bimi reads BIMI assertion records, holds a logo against the SVG Tiny PS profile, and reads the mark
// certificate that goes with it (draft-brand-indicators-for-message-identification, draft-svg-tiny-ps-abrotman,
// draft-fetch-validation-vmc-wchuang).
//
// Promise: pure; documents come in as bytes, the time as an argument. Nothing in a logo is executed or fetched.
package bimi

import (
	"context"
	"net/url"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/tag"
)

// Code names a problem.
type Code string

// Problems of a record.
const (
	VersionText Code = "version-text" // does not begin with v=BIMI1
	NoLocation  Code = "no-location"  // no l tag
	NotHTTPS    Code = "not-https"    // l or a is no https: URL
	Syntax      Code = "syntax"
	Repeated    Code = "repeated"
)

// Problem is something wrong at a byte offset.
type Problem struct {
	Code Code   `json:"code"`
	Pos  int    `json:"pos"`
	Text string `json:"text,omitempty"`
}

// Record is a parsed assertion record.
type Record struct {
	Raw      string    `json:"raw"`
	Location string    `json:"location"`  // l=, the logo; empty with Evidence empty declines
	Evidence string    `json:"authority"` // a=, the mark certificate
	Problems []Problem `json:"problems,omitempty"`
}

// Declined tells a record that says the domain takes no part.
func (r *Record) Declined() bool {
	return r.Location == "" && r.Evidence == "" && len(r.Problems) == 0
}

// ParseRecord reads one TXT value.
func ParseRecord(s string) *Record {
	r := &Record{Raw: s}
	bad := func(c Code, pos int, text string) { r.Problems = append(r.Problems, Problem{c, pos, text}) }
	tags, faults := tag.Parse(s)
	if len(tags) == 0 || tags[0].Name != "v" || tags[0].Value != "BIMI1" {
		bad(VersionText, 0, s[:min(len(s), 40)])
	}
	for _, f := range faults {
		switch f.Kind {
		case tag.Duplicate:
			bad(Repeated, f.Pos, f.Text)
		case tag.EmptyValue: // l=; declines, a=; means self-asserted
		default:
			bad(Syntax, f.Pos, f.Text)
		}
	}
	l, a := tag.Find(tags, "l"), tag.Find(tags, "a")
	if l == nil {
		bad(NoLocation, len(s), "")
	} else {
		r.Location = l.Value
	}
	if a != nil {
		r.Evidence = a.Value
	}
	for _, t := range []*tag.Tag{l, a} {
		if t != nil && t.Value != "" {
			if u, err := url.Parse(t.Value); err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "" {
				bad(NotHTTPS, t.ValuePos, t.Value)
			}
		}
	}
	return r
}

// Found is what the DNS says about BIMI for a domain.
type Found struct {
	Domain  string   `json:"domain"`
	Name    string   `json:"name"`
	Records []string `json:"records,omitempty"`
	Record  *Record  `json:"record,omitempty"`
}

// Lookup asks for the record of a domain and selector ("default" where nothing else is known). The error is non-nil
// only when the DNS could not be asked.
func Lookup(ctx context.Context, r mail.Resolver, domain, selector string) (*Found, error) {
	f := &Found{Domain: domain, Name: selector + "._bimi." + domain}
	a, err := r.Resolve(ctx, f.Name, mail.TypeTXT)
	if err != nil {
		return nil, err
	}
	for _, t := range a.Texts() {
		if strings.HasPrefix(strings.ToLower(strings.Join(strings.Fields(t), "")), "v=bimi") {
			f.Records = append(f.Records, t)
		}
	}
	if len(f.Records) == 1 {
		f.Record = ParseRecord(f.Records[0])
	}
	return f, nil
}
