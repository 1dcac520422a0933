// Package spf reads SPF records with the position of every term and fault, expands a record into its whole tree, and
// evaluates check_host() with a step-by-step trace.
//
// Promise: RFC 7208 to the letter (all of the openspf suite), with results as data. The tree goes on beyond the tenth
// look-up so that the term that breaks the limit can be named. Everything is bounded: terms, depth, look-ups, bytes.
// RFCs: 7208, 5321 (identities), 1035 (names). It must not say what is good or bad, and asks the DNS only through a
// mail.Resolver.
package spf

import (
	"net/netip"
	"strconv"
	"strings"
)

// Limits of RFC 7208 section 4.6.4.
const (
	MaxLookups = 10 // terms that ask the DNS, over the whole evaluation
	MaxVoids   = 2  // look-ups that find nothing
	MaxMX      = 10 // exchanges of one mx term
	MaxPTR     = 10 // names of the client that are looked at
)

const version = "v=spf1"

// Qualifier is what a directive gives when it matches.
type Qualifier byte

// The qualifiers (RFC 7208 section 4.6.2).
const (
	QPass     Qualifier = '+'
	QFail     Qualifier = '-'
	QSoftFail Qualifier = '~'
	QNeutral  Qualifier = '?'
)

// Code is the result word the qualifier gives.
func (q Qualifier) Code() Code {
	switch q {
	case QFail:
		return Fail
	case QSoftFail:
		return SoftFail
	case QNeutral:
		return Neutral
	}
	return Pass
}

// MarshalText writes the character.
func (q Qualifier) MarshalText() ([]byte, error) {
	if q == 0 {
		return nil, nil
	}
	return []byte{byte(q)}, nil
}

// Term is a directive or a modifier. Pos and End are byte offsets in Record.Raw.
type Term struct {
	Pos       int          `json:"pos"`
	End       int          `json:"end"`
	Text      string       `json:"text"`                // as written
	Modifier  bool         `json:"modifier,omitempty"`  //
	Qualifier Qualifier    `json:"qualifier,omitempty"` // directives: '+' where none is written
	Name      string       `json:"name"`                // lower case: "include", "ip4", "redirect", "v"
	Domain    string       `json:"domain,omitempty"`    // the domain-spec or modifier value as written, macros not expanded
	Prefix    netip.Prefix `json:"prefix,omitzero"`     // ip4, ip6
	Bits4     int          `json:"bits4,omitempty"`     // a, mx: prefix lengths; 32 and 128 where none is written
	Bits6     int          `json:"bits6,omitempty"`     //
	Bad       bool         `json:"bad,omitempty"`       // a Fault stands for it
	spec      macro
}

// Asks tells whether evaluating the term counts as a DNS look-up (section 4.6.4).
func (t *Term) Asks() bool {
	switch t.Name {
	case "include", "a", "mx", "ptr", "exists":
		return !t.Modifier
	case "redirect":
		return t.Modifier
	}
	return false
}

// FaultKind names a fault of syntax. Each makes the record a permerror.
type FaultKind string

// The faults of syntax.
const (
	UnknownMechanism  FaultKind = "unknown-mechanism"  //
	MissingValue      FaultKind = "missing-value"      // include, exists, ip4, ip6, redirect or exp without one
	UnexpectedValue   FaultKind = "unexpected-value"   // all with an argument
	BadIP             FaultKind = "bad-ip"             //
	BadPrefixLength   FaultKind = "bad-prefix-length"  //
	BadDomain         FaultKind = "bad-domain"         // not a domain-spec
	BadMacro          FaultKind = "bad-macro"          //
	BadModifierName   FaultKind = "bad-modifier-name"  //
	DuplicateModifier FaultKind = "duplicate-modifier" // redirect or exp twice
	BadCharacter      FaultKind = "bad-character"      // not printable US-ASCII: a tab, a no-break space, a curly quote
	TooManyTerms      FaultKind = "too-many-terms"     // beyond what is read here
)

// Fault is a fault of syntax. Pos and End are byte offsets in Record.Raw; Hint is what was likely meant, or "".
type Fault struct {
	Kind FaultKind `json:"kind"`
	Pos  int       `json:"pos"`
	End  int       `json:"end"`
	Text string    `json:"text"` // the faulty characters
	Term string    `json:"term"` // the term they stand in
	Hint string    `json:"hint,omitempty"`
}

// Record is a parsed record. Terms stand in the order written, faulty ones included.
type Record struct {
	Raw    string  `json:"raw"`
	Terms  []Term  `json:"terms"`
	Faults []Fault `json:"faults,omitempty"`
}

const maxTerms = 1000

// IsRecord tells whether a TXT value is an SPF record (section 4.5): the version alone or followed by a space.
func IsRecord(txt string) bool {
	if len(txt) < len(version) || !strings.EqualFold(txt[:len(version)], version) {
		return false
	}
	return len(txt) == len(version) || txt[len(version)] == ' '
}

// Parse reads a record. It never fails: what is wrong is in Faults, and the rest of the record is still read. A value
// that is no SPF record at all gives a record without terms.
func Parse(raw string) *Record {
	r := &Record{Raw: raw}
	if !IsRecord(raw) {
		return r
	}
	for pos := len(version); pos < len(raw); {
		if raw[pos] == ' ' {
			pos++
			continue
		}
		end := pos
		for end < len(raw) && raw[end] != ' ' {
			end++
		}
		if len(r.Terms) == maxTerms {
			r.fault(TooManyTerms, pos, end, raw[pos:end], "")
			break
		}
		r.term(pos, end)
		pos = end
	}
	r.duplicates()
	return r
}

// Valid tells whether the syntax is without fault.
func (r *Record) Valid() bool { return len(r.Faults) == 0 }

// Modifier gives the first modifier of that name, or nil.
func (r *Record) Modifier(name string) *Term { return r.find(name, true) }

// All gives the first all directive, or nil.
func (r *Record) All() *Term { return r.find("all", false) }

func (r *Record) find(name string, modifier bool) *Term {
	for i := range r.Terms {
		if t := &r.Terms[i]; t.Name == name && t.Modifier == modifier && !t.Bad {
			return t
		}
	}
	return nil
}

func (r *Record) fault(k FaultKind, pos, end int, term, hint string) {
	r.Faults = append(r.Faults, Fault{Kind: k, Pos: pos, End: end, Text: r.Raw[pos:end], Term: term, Hint: hint})
}

// term reads raw[pos:end], which holds no space.
func (r *Record) term(pos, end int) {
	text := r.Raw[pos:end]
	p := termParser{r: r, t: Term{Pos: pos, End: end, Text: text}}
	n := len(r.Faults)
	if i := strings.IndexFunc(text, func(c rune) bool { return c < 0x21 || c > 0x7E }); i >= 0 {
		j := i + 1
		for j < len(text) && (text[j] < 0x21 || text[j] > 0x7E) {
			j++
		}
		p.fault(BadCharacter, i, j, "")
	}
	p.read(text, len(r.Faults) == n)
	p.t.Bad = len(r.Faults) > n
	r.Terms = append(r.Terms, p.t)
}

func (r *Record) duplicates() {
	for _, name := range []string{"redirect", "exp"} {
		seen := false
		for i := range r.Terms {
			t := &r.Terms[i]
			if !t.Modifier || t.Name != name {
				continue
			}
			if seen {
				r.fault(DuplicateModifier, t.Pos, t.End, t.Text, "")
				t.Bad = true
			}
			seen = true
		}
	}
}

type termParser struct {
	r *Record
	t Term
}

// fault files a fault at offsets within the term.
func (p *termParser) fault(k FaultKind, from, to int, hint string) {
	p.r.fault(k, p.t.Pos+from, p.t.Pos+to, p.t.Text, hint)
}

// read cuts a term into its parts. report is false where a fault was already filed for it.
func (p *termParser) read(text string, report bool) {
	saved := len(p.r.Faults)
	defer func() {
		if !report {
			p.r.Faults = p.r.Faults[:saved]
		}
	}()
	sep := strings.IndexAny(text, ":/=%")
	if sep >= 0 && text[sep] == '=' {
		p.modifier(text[:sep], text[sep+1:], sep+1)
		return
	}
	p.t.Qualifier = QPass
	start := 0
	if strings.IndexByte("+-~?", text[0]) >= 0 {
		p.t.Qualifier = Qualifier(text[0])
		start = 1
	}
	if sep < 0 {
		sep = len(text)
	}
	sep = max(sep, start)
	p.t.Name = strings.ToLower(text[start:sep])
	p.mechanism(text[sep:], start, sep)
}

func (p *termParser) modifier(name, value string, at int) {
	p.t.Modifier, p.t.Name, p.t.Domain = true, strings.ToLower(name), value
	if !validName(name) {
		p.fault(BadModifierName, 0, max(len(name), 1), strings.TrimLeft(name, "+-~?"))
		return
	}
	if p.t.Name != "redirect" && p.t.Name != "exp" {
		if p.t.spec = parseMacro(value, false); p.t.spec.bad != nil {
			p.fault(BadMacro, at+p.t.spec.bad[0], at+p.t.spec.bad[1], "")
		}
		return
	}
	p.domainSpec(value, at)
}

func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isAlpha(c) && (i == 0 || !isDigit(c) && c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != ""
}

// mechanism reads what follows a name: rest begins with ':' or '/' or '%', or is empty. from and to are the offsets of
// the name.
func (p *termParser) mechanism(rest string, from, to int) {
	value, has := strings.CutPrefix(rest, ":")
	at := to + 1
	switch p.t.Name {
	case "all":
		if rest != "" {
			p.fault(UnexpectedValue, to, len(p.t.Text), "all")
		}
	case "include", "exists":
		if !has {
			p.missing(rest, to)
			return
		}
		p.domainSpec(value, at)
	case "ip4", "ip6":
		if !has || value == "" {
			p.missing(rest, to)
			return
		}
		p.network(value, at)
	case "a", "mx":
		p.withPrefix(rest, to)
	case "ptr":
		switch {
		case has:
			p.domainSpec(value, at)
		case rest != "":
			p.fault(UnexpectedValue, to, len(p.t.Text), "ptr")
		}
	default:
		if from == to { // a lone qualifier
			from = 0
		}
		p.fault(UnknownMechanism, from, max(to, 1), hintFor(p.t.Name, rest))
	}
}

func (p *termParser) missing(rest string, to int) {
	if rest == "" || rest == ":" {
		p.fault(MissingValue, 0, len(p.t.Text), "")
		return
	}
	p.fault(BadDomain, to, len(p.t.Text), "")
}

// network reads the address and prefix length of ip4 and ip6.
func (p *termParser) network(value string, at int) {
	host, bits, slash := strings.Cut(value, "/")
	ip, err := netip.ParseAddr(host)
	want4 := p.t.Name == "ip4"
	if err != nil || ip.Is4() != want4 || ip.Zone() != "" {
		hint := ""
		if err == nil && ip.Zone() == "" {
			hint = map[bool]string{true: "ip6:", false: "ip4:"}[want4] + value
		}
		p.fault(BadIP, at, at+max(len(host), 1), hint)
		return
	}
	n, ok := ip.BitLen(), true
	if slash {
		n, ok = prefixLength(bits, ip.BitLen())
	}
	if !ok {
		p.fault(BadPrefixLength, at+len(host), at+len(value), "")
		return
	}
	p.t.Prefix = netip.PrefixFrom(ip, n)
}

func prefixLength(s string, most int) (int, bool) {
	if s == "" || len(s) > 3 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= most
}

// withPrefix reads [":" domain-spec] ["/" bits4] ["//" bits6] of a and mx.
func (p *termParser) withPrefix(rest string, to int) {
	p.t.Bits4, p.t.Bits6 = 32, 128
	spec, cidr := cutDualCIDR(rest)
	at := to + len(spec)
	if cidr != "" && !p.dualCIDR(cidr, at) {
		return
	}
	if spec == "" {
		return
	}
	if spec[0] != ':' {
		k := BadDomain
		if spec[0] == '/' {
			k = BadPrefixLength
		}
		p.fault(k, to, len(p.t.Text), "")
		return
	}
	p.domainSpec(spec[1:], to+1)
}

// cutDualCIDR splits off a trailing "/digits", "//digits" or both.
func cutDualCIDR(s string) (spec, cidr string) {
	i := len(s)
	digits := func() int {
		j := i
		for j > 0 && isDigit(s[j-1]) {
			j--
		}
		return j
	}
	if j := digits(); j >= 2 && s[j-1] == '/' && s[j-2] == '/' {
		i = j - 2
	}
	if j := digits(); j >= 1 && s[j-1] == '/' && (j < 2 || s[j-2] != '/') {
		i = j - 1
	}
	return s[:i], s[i:]
}

func (p *termParser) dualCIDR(cidr string, at int) bool {
	four, six, dual := strings.Cut(cidr, "//")
	var ok4, ok6 = true, true
	if four != "" {
		p.t.Bits4, ok4 = prefixLength(four[1:], 32)
	}
	if dual {
		p.t.Bits6, ok6 = prefixLength(six, 128)
	}
	if !ok4 || !ok6 {
		p.fault(BadPrefixLength, at, at+len(cidr), "")
	}
	return ok4 && ok6
}

func (p *termParser) domainSpec(value string, at int) {
	p.t.Domain = value
	if value == "" {
		p.fault(MissingValue, 0, len(p.t.Text), "")
		return
	}
	p.t.spec = parseMacro(value, false)
	switch {
	case p.t.spec.bad != nil:
		p.fault(BadMacro, at+p.t.spec.bad[0], at+p.t.spec.bad[1], "")
	case !p.t.spec.domainEnd():
		p.fault(BadDomain, at, at+len(value), domainHint(value))
	}
}

// domainHint guesses what was meant by something that is no domain-spec.
func domainHint(value string) string {
	if ip, err := netip.ParseAddr(value); err == nil {
		return ipTerm(ip.Is4()) + value
	}
	if pre, err := netip.ParsePrefix(value); err == nil {
		return ipTerm(pre.Addr().Is4()) + value
	}
	for _, scheme := range []string{"http://", "https://", "mailto:"} {
		if rest, ok := strings.CutPrefix(strings.ToLower(value), scheme); ok {
			return strings.TrimRight(rest, "/")
		}
	}
	return ""
}

func ipTerm(four bool) string {
	if four {
		return "ip4:"
	}
	return "ip6:"
}

// hintFor guesses the mechanism that was meant.
func hintFor(name, rest string) string {
	switch name {
	case "ip", "ipv4", "ip4v", "ipv", "ip-4":
		return "ip4" + rest
	case "ipv6", "ip6v", "ip-6":
		return "ip6" + rest
	case "includes", "incude", "inlcude", "inclue", "includ", "inculde", "spf":
		return "include" + rest
	case "mx4", "mxs", "mail", "m":
		return "mx" + rest
	case "al", "alll", "any", "everything":
		return "all"
	case "exist":
		return "exists" + rest
	case "host", "domain", "aaaa":
		return "a" + rest
	}
	if pre, err := netip.ParsePrefix(name + rest); err == nil {
		return ipTerm(pre.Addr().Is4()) + name + rest
	}
	if ip, err := netip.ParseAddr(name + rest); err == nil {
		return ipTerm(ip.Is4()) + name + rest
	}
	if rest == "" && strings.Contains(name, ".") {
		return "a:" + name
	}
	return ""
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
