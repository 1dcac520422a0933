// Package dmarc reads DMARC records and applies them as receivers do, in both readings that are in use: that of RFC
// 7489 (organizational domain by the public suffix list; pct, rf, ri) and that of RFC 9989 (DNS tree walk of at most
// eight questions; np, psd, t; pct, rf and ri are history). Where to send reports to another domain is RFC 7489 section
// 7.1 and RFC 9990.
//
// Promise: pure; looks up through a Resolver only. One record gives one Record, whatever its faults, with every fault
// at its byte offset; what each reading makes of it is asked afterwards. No opinions: a weak policy is no fault here.
package dmarc

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/tag"
)

// Policy is what a domain owner asks receivers to do with mail that fails.
type Policy string

// The policies; the zero value is "not given".
const (
	None       Policy = "none"
	Quarantine Policy = "quarantine"
	Reject     Policy = "reject"
)

// Strength orders policies: none 0, quarantine 1, reject 2, not given -1.
func (p Policy) Strength() int { return slices.Index([]Policy{None, Quarantine, Reject}, p) }

// Lower is the next weaker policy, as for a test mode or what pct leaves out.
func (p Policy) Lower() Policy {
	if p == Reject {
		return Quarantine
	}
	return None
}

// Code names a fault of a record.
type Code string

// Faults of a record.
const (
	BadVersion   Code = "bad-version"    // does not begin with v=DMARC1 exactly: receivers do not see the record
	PMissing     Code = "p-missing"      //
	PNotSecond   Code = "p-not-second"   // RFC 7489 section 6.4 wants p right after v; RFC 9989 does not
	BadValue     Code = "bad-value"      // a value its tag does not have
	UnknownTag   Code = "unknown-tag"    // ignored by receivers
	Repeated     Code = "repeated"       // a tag given twice
	Syntax       Code = "syntax"         // a part that is no tag=value
	BadByte      Code = "bad-byte"       // a byte outside printable ASCII: often typographic quotes or dashes
	NoSemicolon  Code = "no-semicolon"   // two tags run into one value
	BadURI       Code = "bad-uri"        // a report address that is no URI
	NoMailto     Code = "no-mailto"      // an address without "mailto:"
	OtherScheme  Code = "other-scheme"   // receivers need to support mailto: only
	URISize      Code = "uri-size"       // "!10m": a size limit, which RFC 9989 no longer knows
	HistoricTag  Code = "historic-tag"   // pct, rf, ri: without meaning to RFC 9989
	NewerTag     Code = "newer-tag"      // np, psd, t: without meaning to RFC 7489
	FOWithoutRUF Code = "fo-without-ruf" // fo means nothing without ruf
)

// Problem is a fault at a byte offset of the record.
type Problem struct {
	Code Code   `json:"code"`
	Tag  string `json:"tag,omitempty"`
	Pos  int    `json:"pos"`
	Text string `json:"text,omitempty"`
}

// URI is one report address.
type URI struct {
	Raw     string `json:"raw"`
	Pos     int    `json:"pos"`
	Address string `json:"address,omitempty"` // of a mailto:
	Domain  string `json:"domain,omitempty"`  // of the address, lower case
	Size    string `json:"size,omitempty"`    // after "!"
	Usable  bool   `json:"usable"`            // a receiver can send to it
}

// Record is a parsed DMARC record. Absent tags have zero values; PctGiven tells an absent pct from "pct=0".
type Record struct {
	Raw      string    `json:"raw"`
	Domain   string    `json:"domain,omitempty"` // whose record it is, without "_dmarc."
	P        Policy    `json:"p,omitempty"`
	SP       Policy    `json:"sp,omitempty"`
	NP       Policy    `json:"np,omitempty"`
	ADKIM    string    `json:"adkim"` // "r" or "s"
	ASPF     string    `json:"aspf"`  // "r" or "s"
	Pct      int       `json:"pct"`   // 0 to 100
	PctGiven bool      `json:"pct_given,omitempty"`
	RI       int       `json:"ri,omitempty"` // seconds
	RF       string    `json:"rf,omitempty"`
	FO       []string  `json:"fo,omitempty"`
	RUA      []URI     `json:"rua,omitempty"`
	RUF      []URI     `json:"ruf,omitempty"`
	T        bool      `json:"t,omitempty"`   // t=y
	PSD      string    `json:"psd,omitempty"` // "y", "n", "u"; "" is "u"
	Tags     []tag.Tag `json:"-"`
	Problems []Problem `json:"problems,omitempty"`
}

// IsRecord tells whether a TXT value begins like a DMARC record that receivers see (RFC 7489 section 6.6.3 step 2, RFC
// 9989 section 4.7).
func IsRecord(txt string) bool {
	v, _, _ := strings.Cut(txt, ";")
	name, value, ok := strings.Cut(v, "=")
	return ok && strings.TrimRight(name, " \t") == "v" && strings.Trim(value, " \t") == "DMARC1"
}

// LooksLikeRecord is the wider test that finds records with a slip of the pen, which receivers do not see.
func LooksLikeRecord(txt string) bool {
	s := strings.ToLower(strings.TrimLeft(strings.TrimSpace(txt), "\"' \t"))
	s = strings.Join(strings.Fields(s), "")
	return strings.HasPrefix(s, "v=dmarc") || strings.HasPrefix(s, "dmarc1") || strings.HasPrefix(s, "v:dmarc")
}

// Parse reads a TXT value.
func Parse(txt string) *Record {
	r := &Record{Raw: txt, ADKIM: "r", ASPF: "r", Pct: 100}
	tags, faults := tag.Parse(txt)
	r.Tags = tags
	for _, f := range faults {
		r.listFault(f)
	}
	if !IsRecord(txt) {
		r.problem(BadVersion, "v", 0, head(txt))
	}
	for i, t := range tags {
		name := strings.ToLower(t.Name)
		if name == "v" {
			continue
		}
		if at := runTogether(t.Value); at >= 0 && name != "rua" && name != "ruf" {
			r.problem(NoSemicolon, name, t.ValuePos+at, t.Value)
			t.Value = strings.TrimSpace(t.Value[:at])
		}
		r.set(name, t)
		if name == "p" && i != 1 {
			r.problem(PNotSecond, "p", t.Pos, "")
		}
	}
	if tag.Find(tags, "p") == nil {
		r.problem(PMissing, "p", len(txt), "")
	}
	if fo := tag.Find(tags, "fo"); fo != nil && tag.Find(tags, "ruf") == nil {
		r.problem(FOWithoutRUF, "fo", fo.Pos, "")
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return a.Pos - b.Pos })
	return r
}

func (r *Record) problem(c Code, name string, pos int, text string) {
	r.Problems = append(r.Problems, Problem{c, name, pos, text[:min(len(text), 120)]})
}

func (r *Record) listFault(f tag.Fault) {
	switch f.Kind {
	case tag.Duplicate:
		r.problem(Repeated, strings.ToLower(f.Text), f.Pos, f.Text)
	case tag.BadByte:
		r.problem(BadByte, "", f.Pos, f.Text)
	case tag.EmptyPart, tag.EmptyValue: // an empty value is named by its tag
	default:
		r.problem(Syntax, "", f.Pos, f.Text)
	}
}

// runTogether finds "none rua=…" inside a value: where the white space before the next tag begins, or -1.
func runTogether(v string) int {
	eq := strings.IndexByte(v, '=')
	if eq < 0 {
		return -1
	}
	return strings.LastIndexAny(strings.TrimRight(v[:eq], " \t"), " \t,")
}

func (r *Record) set(name string, t tag.Tag) {
	bad := func() { r.problem(BadValue, name, t.ValuePos, t.Value) }
	switch name {
	case "p", "sp", "np":
		p := Policy(strings.ToLower(t.Value))
		if p.Strength() < 0 {
			bad()
			p = Policy(t.Value) // kept: an invalid value differs from an absent one
		}
		*map[string]*Policy{"p": &r.P, "sp": &r.SP, "np": &r.NP}[name] = p
	case "adkim", "aspf":
		v := strings.ToLower(t.Value)
		if v != "r" && v != "s" {
			bad()
			v = "r"
		}
		*map[string]*string{"adkim": &r.ADKIM, "aspf": &r.ASPF}[name] = v
	case "rua":
		r.RUA = r.uris(name, t)
	case "ruf":
		r.RUF = r.uris(name, t)
	case "pct", "ri":
		r.number(name, t)
	case "rf":
		r.RF = strings.ToLower(t.Value)
		if r.RF != "afrf" && r.RF != "iodef" {
			bad()
		}
	case "fo":
		r.options(t)
	case "t":
		v := strings.ToLower(t.Value)
		if r.T = v == "y"; !r.T && v != "n" {
			bad()
		}
	case "psd":
		r.PSD = strings.ToLower(t.Value)
		if r.PSD != "y" && r.PSD != "n" && r.PSD != "u" {
			bad()
			r.PSD = ""
		}
	default:
		r.problem(UnknownTag, name, t.Pos, t.Name)
	}
	switch name {
	case "pct", "rf", "ri":
		r.problem(HistoricTag, name, t.Pos, t.Name+"="+t.Value)
	case "np", "psd", "t":
		r.problem(NewerTag, name, t.Pos, t.Name+"="+t.Value)
	}
}

func (r *Record) number(name string, t tag.Tag) {
	n, err := strconv.ParseUint(t.Value, 10, 31)
	if err != nil || name == "pct" && n > 100 {
		r.problem(BadValue, name, t.ValuePos, t.Value)
		return
	}
	if name == "pct" {
		r.Pct, r.PctGiven = int(n), true
	} else {
		r.RI = int(n)
	}
}

func (r *Record) options(t tag.Tag) {
	for o := range strings.SplitSeq(t.Value, ":") {
		o = strings.ToLower(strings.TrimSpace(o))
		if !slices.Contains([]string{"0", "1", "d", "s"}, o) {
			r.problem(BadValue, "fo", t.ValuePos, t.Value)
			continue
		}
		r.FO = append(r.FO, o)
	}
}

func (r *Record) uris(name string, t tag.Tag) []URI {
	var out []URI
	pos := t.ValuePos
	for part := range strings.SplitSeq(t.Value, ",") {
		u := URI{Raw: strings.Trim(part, " \t\r\n"), Pos: pos + len(part) - len(strings.TrimLeft(part, " \t\r\n"))}
		pos += len(part) + 1
		r.uri(name, &u)
		out = append(out, u)
	}
	return out
}

func (r *Record) uri(name string, u *URI) {
	scheme, rest, ok := strings.Cut(u.Raw, ":")
	switch {
	case !ok && strings.Contains(u.Raw, "@"):
		r.problem(NoMailto, name, u.Pos, u.Raw)
		u.setAddress(u.Raw)
		return
	case !ok:
		r.problem(BadURI, name, u.Pos, u.Raw)
		return
	case !strings.EqualFold(scheme, "mailto"):
		r.problem(OtherScheme, name, u.Pos, u.Raw)
		return
	}
	addr, size, sized := strings.Cut(rest, "!")
	addr, _, _ = strings.Cut(addr, "?")
	if sized {
		u.Size = size
		if !sizeOK(size) {
			r.problem(BadURI, name, u.Pos, u.Raw)
			return
		}
		r.problem(URISize, name, u.Pos, u.Raw)
	}
	if !u.setAddress(addr) {
		r.problem(BadURI, name, u.Pos, u.Raw)
		return
	}
	u.Usable = true
}

func (u *URI) setAddress(addr string) bool {
	at := strings.LastIndexByte(addr, '@')
	if at < 1 || at == len(addr)-1 || strings.ContainsAny(addr, " <>()\"\\/;") || !strings.Contains(addr[at:], ".") {
		return false
	}
	u.Address, u.Domain = addr, strings.ToLower(strings.TrimSuffix(addr[at+1:], "."))
	return true
}

// sizeOK holds "!" sizes against RFC 7489 section 6.4: digits with an optional k, m, g or t.
func sizeOK(s string) bool {
	s = strings.TrimRight(strings.ToLower(s), "")
	if n := len(s); n > 0 && strings.IndexByte("kmgt", s[n-1]) >= 0 {
		s = s[:n-1]
	}
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}

func head(s string) string {
	if i := strings.IndexByte(s, ';'); i >= 0 {
		s = s[:i]
	}
	return s[:min(len(s), 40)]
}

// With gives the record's text with a tag set to a value, or removed where the value is empty. Order and the rest of
// the text are kept; a new tag goes before the report addresses or to the end. Repairs are built with it.
func (r *Record) With(name, value string) string {
	parts := []string{}
	done := value == ""
	for _, t := range r.Tags {
		switch {
		case strings.EqualFold(t.Name, name):
			if value != "" && !done {
				parts = append(parts, name+"="+value)
			}
			done = true
		default:
			parts = append(parts, t.Name+"="+t.Value)
		}
	}
	if !done {
		at := len(parts)
		if name == "p" {
			at = min(1, at)
		}
		parts = slices.Insert(parts, at, name+"="+value)
	}
	return strings.Join(parts, "; ")
}
