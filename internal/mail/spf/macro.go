package spf

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// macro is a parsed macro-string (RFC 7208 section 7.1).
type macro struct {
	parts []part
	bad   *[2]int // where the fault is, as offsets in the string
}

// part is literal text or one macro.
type part struct {
	literal string
	letter  byte // 0: literal
	escape  bool // upper-case letter: URL-escaped
	digits  int  // 0: all labels
	reverse bool
	delim   string // "" means "."
}

// parseMacro reads a macro-string. inText also takes spaces and the letters c, r, t, as an explanation may hold.
func parseMacro(s string, inText bool) macro {
	var m macro
	fail := func(from, to int) macro { m.bad = &[2]int{from, min(to, len(s))}; return m }
	lit := 0
	for i := 0; i < len(s); {
		if s[i] != '%' {
			if s[i] > 0x7E || s[i] < 0x21 && !(inText && s[i] == ' ') {
				return fail(i, i+1)
			}
			i++
			continue
		}
		m.literal(s[lit:i])
		if i+1 >= len(s) {
			return fail(i, i+1)
		}
		switch s[i+1] {
		case '%':
			m.parts = append(m.parts, part{literal: "%", letter: '%'})
		case '_':
			m.parts = append(m.parts, part{literal: " ", letter: '%'})
		case '-':
			m.parts = append(m.parts, part{literal: "%20", letter: '%'})
		case '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return fail(i, len(s))
			}
			p, ok := parsePart(s[i+2:i+end], inText)
			if !ok {
				return fail(i, i+end+1)
			}
			m.parts = append(m.parts, p)
			i += end - 1
		default:
			return fail(i, i+2)
		}
		i += 2
		lit = i
	}
	m.literal(s[lit:])
	return m
}

func (m *macro) literal(s string) {
	if s != "" {
		m.parts = append(m.parts, part{literal: s})
	}
}

// parsePart reads what stands between "%{" and "}".
func parsePart(s string, inText bool) (p part, ok bool) {
	if s == "" {
		return p, false
	}
	p.letter = s[0] | 0x20
	p.escape = s[0] >= 'A' && s[0] <= 'Z'
	letters := "slodiphv"
	if inText {
		letters += "crt"
	}
	if strings.IndexByte(letters, p.letter) < 0 || !isAlpha(s[0]) {
		return p, false
	}
	s = s[1:]
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n > 0 {
		v, err := strconv.Atoi(s[:min(n, 4)])
		if err != nil || v == 0 {
			return p, false
		}
		p.digits = v
	}
	s = s[n:]
	if s != "" && s[0]|0x20 == 'r' {
		p.reverse = true
		s = s[1:]
	}
	p.delim = s
	return p, strings.Trim(s, ".-+,/_=") == ""
}

// domainEnd tells whether the string ends as a domain-spec must: in a macro, or in a dot and a top label.
func (m *macro) domainEnd() bool {
	if len(m.parts) == 0 {
		return false
	}
	last := m.parts[len(m.parts)-1]
	if last.letter != 0 {
		return true
	}
	s := strings.TrimSuffix(last.literal, ".")
	dot := strings.LastIndexByte(s, '.')
	return dot >= 0 && topLabel(s[dot+1:])
}

// topLabel is letters, digits and inner hyphens, and not digits alone.
func topLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	digits := true
	for i := 0; i < len(s); i++ {
		if !isAlpha(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
		digits = digits && isDigit(s[i])
	}
	return !digits
}

// uses tells whether one of the letters stands in the string.
func (m *macro) uses(letters string) bool {
	return slices.ContainsFunc(m.parts, func(p part) bool { return p.letter != 0 && strings.IndexByte(letters, p.letter) >= 0 })
}

// values are what the letters stand for.
type values struct {
	sender, local, senderDomain, domain, helo string
	ip                                        netip.Addr
	receiver                                  string
	now                                       time.Time
	validated                                 func() string // %{p}, asked only where it is used
}

func (m *macro) expand(v *values) string {
	var b strings.Builder
	for _, p := range m.parts {
		if p.letter == 0 || p.letter == '%' {
			b.WriteString(p.literal)
			continue
		}
		s := p.transform(v.letter(p.letter))
		if p.escape {
			s = escapeURL(s)
		}
		b.WriteString(s)
	}
	return b.String()
}

func (v *values) letter(c byte) string {
	switch c {
	case 's':
		return v.sender
	case 'l':
		return v.local
	case 'o':
		return v.senderDomain
	case 'd':
		return v.domain
	case 'i':
		return dotted(v.ip)
	case 'p':
		return v.validated()
	case 'h':
		return v.helo
	case 'v':
		if v.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'c':
		return v.ip.String()
	case 'r':
		if v.receiver == "" {
			return "unknown"
		}
		return v.receiver
	case 't':
		return strconv.FormatInt(v.now.Unix(), 10)
	}
	return ""
}

// dotted writes an address as the macro i wants it: IPv6 as 32 nibbles with dots.
func dotted(ip netip.Addr) string {
	if !ip.Is6() {
		return ip.String()
	}
	b := make([]byte, 0, 63)
	for i, c := range ip.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, "0123456789ABCDEF"[c>>4], '.', "0123456789ABCDEF"[c&15])
	}
	return string(b)
}

func (p *part) transform(s string) string {
	delim := p.delim
	if delim == "" {
		delim = "."
	}
	if !p.reverse && p.digits == 0 && delim == "." {
		return s
	}
	var labels []string
	start := 0
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(delim, s[i]) >= 0 {
			labels = append(labels, s[start:i])
			start = i + 1
		}
	}
	labels = append(labels, s[start:])
	if p.reverse {
		slices.Reverse(labels)
	}
	if p.digits > 0 && p.digits < len(labels) {
		labels = labels[len(labels)-p.digits:]
	}
	return strings.Join(labels, ".")
}

func escapeURL(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if isAlpha(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[c>>4])
		b.WriteByte("0123456789ABCDEF"[c&15])
	}
	return b.String()
}

// fit drops labels from the left until a name is at most 253 bytes (section 7.3).
func fit(name string) string {
	name = strings.TrimSuffix(name, ".")
	for len(name) > 253 {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return name[:0]
		}
		name = rest
	}
	return name
}

// validDomain tells whether a name can be asked of the DNS: labels of 1 to 63 bytes, 253 in all.
func validDomain(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for l := range strings.SplitSeq(name, ".") {
		if l == "" || len(l) > 63 {
			return false
		}
	}
	return true
}
