// Package tlsrpt reads the TLS reporting record of a domain (RFC 8460 section 3): who wants reports about failed TLS.
//
// Promise: pure. Problems carry their byte offset. The reports themselves are read by tlsrptjson.
package tlsrpt

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
	VersionText Code = "version-text" // the record does not begin with exactly "v=TLSRPTv1;"
	NoRUA       Code = "no-rua"       //
	BadURI      Code = "bad-uri"      // neither a mailto: with an address nor an https: URL
	Syntax      Code = "syntax"       // a part that is no tag=value
	Repeated    Code = "repeated"     // a tag given twice
)

// Problem is something wrong at a byte offset.
type Problem struct {
	Code Code   `json:"code"`
	Pos  int    `json:"pos"`
	Text string `json:"text,omitempty"`
}

// Target is one place reports go to.
type Target struct {
	Raw     string `json:"raw"`
	Pos     int    `json:"pos"`
	Address string `json:"address,omitempty"` // of a mailto:
	Domain  string `json:"domain,omitempty"`  // of the address
	URL     string `json:"url,omitempty"`     // of an https:
}

// Record is a parsed "_smtp._tls" TXT record.
type Record struct {
	Raw      string    `json:"raw"`
	RUA      []Target  `json:"rua,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
}

// Valid tells whether senders would use the record.
func (r *Record) Valid() bool { return len(r.Problems) == 0 }

// ParseRecord reads one TXT value.
func ParseRecord(s string) *Record {
	r := &Record{Raw: s}
	if !strings.HasPrefix(s, "v=TLSRPTv1;") {
		r.Problems = append(r.Problems, Problem{VersionText, 0, s[:min(len(s), 40)]})
	}
	tags, faults := tag.Parse(s)
	for _, f := range faults {
		c := Syntax
		if f.Kind == tag.Duplicate {
			c = Repeated
		}
		r.Problems = append(r.Problems, Problem{c, f.Pos, f.Text})
	}
	rua := tag.Find(tags, "rua")
	if rua == nil || rua.Value == "" {
		r.Problems = append(r.Problems, Problem{NoRUA, len(s), ""})
		return r
	}
	pos := rua.ValuePos
	for part := range strings.SplitSeq(rua.Value, ",") {
		raw := strings.Trim(part, " \t\r\n")
		at := pos + len(part) - len(strings.TrimLeft(part, " \t\r\n"))
		pos += len(part) + 1
		t, ok := target(raw)
		t.Pos = at
		if !ok {
			r.Problems = append(r.Problems, Problem{BadURI, at, raw})
		}
		r.RUA = append(r.RUA, t)
	}
	return r
}

func target(raw string) (Target, bool) {
	t := Target{Raw: raw}
	u, err := url.Parse(raw)
	if err != nil {
		return t, false
	}
	switch strings.ToLower(u.Scheme) {
	case "mailto":
		addr, err := url.PathUnescape(u.Opaque)
		at := strings.LastIndexByte(addr, '@')
		if err != nil || at < 1 || at == len(addr)-1 || strings.ContainsAny(addr, " <>") {
			return t, false
		}
		t.Address, t.Domain = addr, strings.ToLower(addr[at+1:])
		return t, true
	case "https":
		t.URL = raw
		return t, u.Host != ""
	}
	return t, false
}

// Found is what the DNS says about TLS reporting for a domain.
type Found struct {
	Domain  string   `json:"domain"`
	Name    string   `json:"name"`
	Records []string `json:"records,omitempty"`
	Record  *Record  `json:"record,omitempty"` // the one, or nil for none or several
}

// Lookup asks for the record of a domain. The error is non-nil only when the DNS could not be asked.
func Lookup(ctx context.Context, r mail.Resolver, domain string) (*Found, error) {
	f := &Found{Domain: domain, Name: "_smtp._tls." + domain}
	a, err := r.Resolve(ctx, f.Name, mail.TypeTXT)
	if err != nil {
		return nil, err
	}
	for _, t := range a.Texts() {
		if strings.HasPrefix(strings.ToLower(strings.Join(strings.Fields(t), "")), "v=tlsrpt") {
			f.Records = append(f.Records, t)
		}
	}
	if len(f.Records) == 1 {
		f.Record = ParseRecord(f.Records[0])
	}
	return f, nil
}
