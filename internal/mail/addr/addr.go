// Package addr takes mail addresses apart: local part and domain, quoted and internationalised ones, address literals.
//
// Promise: pure. An address that is broken comes back with what is wrong and where; what people paste (angle brackets,
// a display name, full-width signs of a Chinese input method) is put right and told. RFCs: 5321 sections 4.1.2 and
// 4.5.3.1 (syntax and limits), 5322 section 3.4, 6531 (SMTPUTF8), 5890 to 5893 (IDNA), 6532.
package addr

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Code names what is wrong with an address.
type Code string

// What can be wrong.
const (
	Empty        Code = "empty"
	NoAt         Code = "no-at"
	EmptyLocal   Code = "empty-local"
	EmptyDomain  Code = "empty-domain"
	LongLocal    Code = "long-local"    // more than 64 octets
	LongDomain   Code = "long-domain"   // more than 255 octets, or a label above 63
	LongAddress  Code = "long-address"  // more than 254 octets
	Dots         Code = "dots"          // a dot at the start or end of the local part, or two in a row
	BadCharacter Code = "bad-character" // a character that must be quoted or may not stand there at all
	BadQuote     Code = "bad-quote"     // a quoted string that does not end, or text around it
	BadDomain    Code = "bad-domain"    // not a domain name, or not valid in IDNA
	BadLiteral   Code = "bad-literal"   // a broken address literal
	SingleLabel  Code = "single-label"  // no dot in the domain: never routable
	Invalid      Code = "invalid-utf8"  //
)

// Error is what is wrong, at a byte of the input.
type Error struct {
	Code Code
	At   int    // byte offset in the address as it was read, after clean-up
	Text string // the offending part
	In   string // the address
}

// Error tells the fault in English, for logs; reports have sentences of their own.
func (e *Error) Error() string {
	return fmt.Sprintf("%q: %s at byte %d: %q", e.In, e.Code, e.At, e.Text)
}

// Mend is something that was put right before reading.
type Mend string

// What is put right.
const (
	Trimmed   Mend = "trimmed"    // white space, invisible characters, angle brackets, mailto:
	Name      Mend = "name"       // a display name
	FullWidth Mend = "full-width" // ＠ ． 。 and full-width letters
)

// Address is a mailbox taken apart.
type Address struct {
	Local   string     // as it stands in SMTP: quoted where it must be
	Domain  string     // as people read it: U-labels; empty for a literal
	ASCII   string     // as the DNS is asked: A-labels, lower case; empty for a literal
	Literal netip.Addr // of [192.0.2.1] or [IPv6:…]
	UTF8    bool       // the local part is not ASCII: SMTPUTF8 is needed
	Mended  []Mend     // what was put right
}

// String is the address as people write it.
func (a *Address) String() string {
	if a.Literal.IsValid() {
		return a.Local + "@" + literal(a.Literal)
	}
	return a.Local + "@" + a.Domain
}

// SMTP is the address as it goes into MAIL and RCPT: with A-labels, so that a server without SMTPUTF8 understands it
// wherever that is possible (RFC 6531 section 3.2).
func (a *Address) SMTP() string {
	if a.Literal.IsValid() {
		return a.Local + "@" + literal(a.Literal)
	}
	return a.Local + "@" + a.ASCII
}

func literal(ip netip.Addr) string {
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// Parse reads one address. The error is an *Error.
func Parse(in string) (*Address, error) {
	a := &Address{}
	if !utf8.ValidString(in) {
		return nil, &Error{Code: Invalid, In: in, Text: in}
	}
	s := a.mend(in)
	fail := func(c Code, at int, text string) (*Address, error) {
		return nil, &Error{Code: c, At: at, Text: text, In: s}
	}
	if s == "" {
		return fail(Empty, 0, "")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return fail(NoAt, len(s), "")
	}
	if err := a.local(s[:at]); err != nil {
		err.In = s
		return nil, err
	}
	if err := a.domain(s[at+1:]); err != nil {
		err.In, err.At = s, err.At+at+1
		return nil, err
	}
	if n := len(a.SMTP()); n > 254 {
		return fail(LongAddress, 254, "")
	}
	return a, nil
}

// mend cleans up what people paste.
func (a *Address) mend(in string) string {
	s := strings.TrimFunc(in, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == 0xFEFF })
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "mailto:"); ok {
		s = s[len(s)-len(rest):]
		s, _, _ = strings.Cut(s, "?")
	}
	if i, j := strings.LastIndexByte(s, '<'), strings.LastIndexByte(s, '>'); i >= 0 && j == len(s)-1 && i < j {
		if strings.TrimSpace(s[:i]) != "" {
			a.Mended = append(a.Mended, Name)
		}
		s = s[i+1 : j]
	}
	s = strings.TrimSpace(s)
	if s != in && len(a.Mended) == 0 {
		a.Mended = append(a.Mended, Trimmed)
	}
	if wide := narrow(s); wide != s {
		a.Mended = append(a.Mended, FullWidth)
		s = wide
	}
	return s
}

// narrow folds the full-width forms of ASCII and the ideographic full stop; other characters stay as they are.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E:
			return r - 0xFF01 + '!'
		case r == 0x3002 || r == 0xFF61:
			return '.'
		}
		return r
	}, s)
}

const atext = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"

func (a *Address) local(s string) *Error {
	switch {
	case s == "":
		return &Error{Code: EmptyLocal}
	case len(s) > 64:
		return &Error{Code: LongLocal, At: 64, Text: s}
	}
	a.Local, a.UTF8 = norm.NFC.String(s), !isASCII(s)
	if s[0] == '"' {
		return quoted(s)
	}
	for i, r := range s {
		switch {
		case r == '.':
			if i == 0 || i == len(s)-1 || s[i-1] == '.' {
				return &Error{Code: Dots, At: i, Text: s}
			}
		case r == '"':
			return &Error{Code: BadQuote, At: i, Text: s}
		case r < utf8.RuneSelf && !strings.ContainsRune(atext, r), r >= utf8.RuneSelf && (unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)):
			return &Error{Code: BadCharacter, At: i, Text: string(r)}
		}
	}
	return nil
}

// quoted checks a quoted string (RFC 5321: QcontentSMTP).
func quoted(s string) *Error {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s)-1:
			if i++; s[i] < ' ' || s[i] == 0x7f {
				return &Error{Code: BadCharacter, At: i, Text: s[i : i+1]}
			}
		case c == '"' && i == len(s)-1:
			return nil
		case c == '"':
			return &Error{Code: BadQuote, At: i, Text: s}
		case c < ' ' || c == 0x7f:
			return &Error{Code: BadCharacter, At: i, Text: s[i : i+1]}
		}
	}
	return &Error{Code: BadQuote, At: len(s), Text: s}
}

func (a *Address) domain(s string) *Error {
	s = strings.TrimSuffix(s, ".")
	switch {
	case s == "":
		return &Error{Code: EmptyDomain}
	case len(s) > 255:
		return &Error{Code: LongDomain, At: 255}
	case s[0] == '[':
		return a.literal(s)
	}
	for i, r := range s {
		if r < utf8.RuneSelf && r != '.' && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return &Error{Code: BadCharacter, At: i, Text: string(r)}
		}
	}
	ascii, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false)).ToASCII(s)
	if err != nil {
		return &Error{Code: BadDomain, Text: s}
	}
	ascii = strings.ToLower(ascii)
	at := 0
	for l := range strings.SplitSeq(ascii, ".") {
		switch {
		case l == "":
			return &Error{Code: BadDomain, At: min(at, len(s)-1), Text: s}
		case len(l) > 63:
			return &Error{Code: LongDomain, Text: l}
		case l[0] == '-' || l[len(l)-1] == '-':
			return &Error{Code: BadDomain, Text: l}
		}
		at += len(l) + 1
	}
	if len(ascii) > 253 {
		return &Error{Code: LongDomain, At: 253}
	}
	if !strings.Contains(ascii, ".") {
		return &Error{Code: SingleLabel, Text: s}
	}
	a.ASCII = ascii
	if a.Domain, err = idna.Lookup.ToUnicode(ascii); err != nil {
		a.Domain = ascii // punycode that decodes to something invalid is shown as it is asked
	}
	return nil
}

func (a *Address) literal(s string) *Error {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return &Error{Code: BadLiteral, Text: s}
	}
	if v6, ok := cutFold(inner, "IPv6:"); ok {
		inner = v6
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" {
		return &Error{Code: BadLiteral, Text: s}
	}
	a.Literal = ip
	return nil
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
