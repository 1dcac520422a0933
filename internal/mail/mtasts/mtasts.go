// Package mtasts reads MTA-STS (RFC 8461): the TXT record, the policy file, and whether a policy covers an MX host.
//
// Promise: pure. The policy file is fetched by somebody else (without following redirects, section 3.3) and handed in
// as bytes; a file of any size is read up to MaxPolicy. Records and policies that a sender must ignore are given
// together with the reason, so that a report can say why they have no effect.
package mtasts

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/tag"
)

// MaxPolicy is the largest policy file that is read, in bytes: RFC 8461 section 3.3 suggests 64 kB.
const MaxPolicy = 64 << 10

// MaxAgeLimit is the longest lifetime a policy may ask for, in seconds (section 3.2).
const MaxAgeLimit = 31557600

// Code names a problem.
type Code string

// Problems of a record or a policy.
const (
	Several     Code = "several"      // more than one STSv1 record: senders see none
	VersionText Code = "version-text" // the record does not begin with exactly "v=STSv1;"
	NoID        Code = "no-id"        // no id tag
	BadID       Code = "bad-id"       // an id that is not 1 to 32 letters and digits
	Syntax      Code = "syntax"       // a part that is no key-value pair
	NoVersion   Code = "no-version"   // the policy has no "version: STSv1"
	NoMode      Code = "no-mode"      //
	BadMode     Code = "bad-mode"     // a mode that is none of enforce, testing, none
	NoMaxAge    Code = "no-max-age"   //
	BadMaxAge   Code = "bad-max-age"  // not a number, or beyond 31557600
	NoMX        Code = "no-mx"        // enforce or testing without an mx line
	BadMX       Code = "bad-mx"       // a pattern that is no host name, or with a misplaced "*"
	Repeated    Code = "repeated"     // a key given twice; the first counts
	TooLarge    Code = "too-large"    // more than MaxPolicy
	NotText     Code = "not-text"     // bytes that no policy has; often an HTML page
)

// Problem is something wrong, with its place: a byte offset in a record, a line number (from 1) in a policy.
type Problem struct {
	Code Code   `json:"code"`
	At   int    `json:"at"`
	Text string `json:"text,omitempty"` // the offending text
}

// Record is a parsed "_mta-sts" TXT record.
type Record struct {
	Raw      string    `json:"raw"`
	ID       string    `json:"id"`
	Problems []Problem `json:"problems,omitempty"`
}

// Valid tells whether a sender would use the record.
func (r *Record) Valid() bool { return len(r.Problems) == 0 }

// ParseRecord reads one TXT value.
func ParseRecord(s string) *Record {
	r := &Record{Raw: s}
	if !strings.HasPrefix(s, "v=STSv1;") {
		r.problem(VersionText, 0, head(s))
	}
	tags, faults := tag.Parse(s)
	for _, f := range faults {
		if f.Kind == tag.Duplicate {
			r.problem(Repeated, f.Pos, f.Text)
		} else {
			r.problem(Syntax, f.Pos, f.Text)
		}
	}
	id := tag.Find(tags, "id")
	switch {
	case id == nil:
		r.problem(NoID, len(s), "")
	default:
		r.ID = id.Value
		if !idOK(id.Value) {
			r.problem(BadID, id.ValuePos, id.Value)
		}
	}
	return r
}

func (r *Record) problem(c Code, at int, text string) {
	r.Problems = append(r.Problems, Problem{c, at, text})
}

func idOK(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		b := s[i] | 0x20
		if (b < 'a' || b > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

func head(s string) string {
	if i := strings.IndexByte(s, ';'); i >= 0 {
		s = s[:i+1]
	}
	return s[:min(len(s), 40)]
}

// Found is what the DNS says about MTA-STS for a domain.
type Found struct {
	Domain  string   `json:"domain"`
	Name    string   `json:"name"`              // the owner name asked
	Chain   []string `json:"chain,omitempty"`   // CNAMEs followed, for hosted policies
	Records []string `json:"records,omitempty"` // those that begin like an STS record
	Record  *Record  `json:"record,omitempty"`  // the one, or nil for none or several
	Secure  bool     `json:"secure"`
}

// Lookup asks for the record of a domain (section 3.1). The error is non-nil only when the DNS could not be asked.
func Lookup(ctx context.Context, r mail.Resolver, domain string) (*Found, error) {
	f := &Found{Domain: domain, Name: "_mta-sts." + domain}
	a, err := r.Resolve(ctx, f.Name, mail.TypeTXT)
	if err != nil {
		return nil, err
	}
	f.Chain, f.Secure = a.Chain, a.Secure
	for _, t := range a.Texts() {
		if looksLikeRecord(t) {
			f.Records = append(f.Records, t)
		}
	}
	if len(f.Records) == 1 {
		f.Record = ParseRecord(f.Records[0])
	}
	return f, nil
}

// looksLikeRecord is wider than the rule of section 3.1 ("v=STSv1;") so that a record with a slip of the pen is named
// instead of overlooked.
func looksLikeRecord(t string) bool {
	t = strings.ToLower(strings.Join(strings.Fields(t), ""))
	return strings.HasPrefix(t, "v=sts")
}

// Host is the name that serves the policy of a domain (section 3.3).
func Host(domain string) string { return "mta-sts." + domain }

// URL is where the policy of a domain is served (section 3.3).
func URL(domain string) string { return "https://" + Host(domain) + "/.well-known/mta-sts.txt" }

// Mode is what a policy asks of senders.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce"
	Testing Mode = "testing"
	None    Mode = "none"
)

// Policy is a parsed policy file.
type Policy struct {
	Version  string        `json:"version"`
	Mode     Mode          `json:"mode"`
	MX       []string      `json:"mx,omitempty"` // patterns, lower case
	MaxAge   time.Duration `json:"max_age"`
	Problems []Problem     `json:"problems,omitempty"`
}

// Valid tells whether a sender would honour the policy.
func (p *Policy) Valid() bool {
	for _, x := range p.Problems {
		if x.Code != Repeated {
			return false
		}
	}
	return true
}

func (p *Policy) problem(c Code, line int, text string) {
	p.Problems = append(p.Problems, Problem{c, line, text[:min(len(text), 80)]})
}

// ParsePolicy reads a policy file (section 3.2). Lines end in LF or CRLF; unknown keys are extensions and no problem.
func ParsePolicy(b []byte) *Policy {
	p := &Policy{}
	if len(b) > MaxPolicy {
		p.problem(TooLarge, 0, "")
		b = b[:MaxPolicy]
	}
	seen := map[string]bool{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		s := strings.TrimRight(string(line), "\r\n")
		if strings.TrimSpace(s) == "" {
			continue
		}
		if bad := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f || r == 0xfffd }); bad >= 0 || strings.HasPrefix(strings.TrimSpace(s), "<") {
			p.problem(NotText, n, strings.TrimSpace(s))
			break
		}
		key, value, ok := strings.Cut(s, ":")
		if !ok {
			p.problem(Syntax, n, s)
			continue
		}
		p.field(n, strings.TrimSpace(key), strings.TrimSpace(value), seen)
	}
	p.missing(seen, n)
	return p
}

func (p *Policy) field(line int, key, value string, seen map[string]bool) {
	if seen[key] && key != "mx" {
		p.problem(Repeated, line, key)
		return
	}
	seen[key] = true
	switch key {
	case "version":
		p.Version = value
		if value != "STSv1" {
			p.problem(NoVersion, line, value)
		}
	case "mode":
		p.Mode = Mode(value)
		if p.Mode != Enforce && p.Mode != Testing && p.Mode != None {
			p.problem(BadMode, line, value)
		}
	case "max_age":
		sec, err := strconv.ParseUint(value, 10, 32)
		if err != nil || len(value) > 10 || sec > MaxAgeLimit {
			p.problem(BadMaxAge, line, value)
		}
		p.MaxAge = time.Duration(min(sec, MaxAgeLimit)) * time.Second
	case "mx":
		v := strings.ToLower(strings.TrimSuffix(value, "."))
		if !patternOK(v) {
			p.problem(BadMX, line, value)
		}
		p.MX = append(p.MX, v)
	}
}

func (p *Policy) missing(seen map[string]bool, last int) {
	for _, m := range []struct {
		key  string
		code Code
	}{{"version", NoVersion}, {"mode", NoMode}, {"max_age", NoMaxAge}} {
		if !seen[m.key] {
			p.problem(m.code, last+1, "")
		}
	}
	if !seen["mx"] && p.Mode != None {
		p.problem(NoMX, last+1, "")
	}
}

// patternOK tells a host name, or one whose first label alone is "*".
func patternOK(v string) bool {
	v = strings.TrimPrefix(v, "*.")
	if v == "" || len(v) > 253 || !strings.Contains(v, ".") {
		return false
	}
	for l := range strings.SplitSeq(v, ".") {
		if l == "" || len(l) > 63 {
			return false
		}
		for i := range len(l) {
			if b := l[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
				return false
			}
		}
	}
	return true
}

// Match tells whether the policy covers an MX host (section 4.1): the names are equal, or the pattern's "*" stands for
// exactly one leftmost label.
func (p *Policy) Match(host string) bool { return p.MatchedBy(host) != "" }

// MatchedBy gives the pattern that covers an MX host, or "".
func (p *Policy) MatchedBy(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, m := range p.MX {
		if m == host {
			return m
		}
		if suffix, ok := strings.CutPrefix(m, "*"); ok {
			if first, found := strings.CutSuffix(host, suffix); found && first != "" && !strings.Contains(first, ".") {
				return m
			}
		}
	}
	return ""
}

// Unused gives the patterns that cover none of the MX hosts.
func (p *Policy) Unused(hosts []string) []string {
	var out []string
	for _, m := range p.MX {
		one := Policy{MX: []string{m}}
		used := false
		for _, h := range hosts {
			used = used || one.Match(h)
		}
		if !used {
			out = append(out, m)
		}
	}
	return out
}
