package imap

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxDepth bounds the nesting of lists.
const maxDepth = 20

// node is a value of IMAP's grammar: an atom, a string, or a list.
type node struct {
	text string
	list []node
	kind byte // 'a' atom, 's' string, 'l' list
}

// parse takes a response apart into values; what is beyond the depth or broken ends it. Literals stand as "\x00LEN\x00"
// followed by their bytes: the reader puts them so.
func parse(s string) []node {
	p := parser{s: s}
	return p.values(0)
}

type parser struct {
	s string
	i int
}

func (p *parser) values(depth int) (out []node) {
	for p.i < len(p.s) && len(out) < 10_000 {
		switch c := p.s[p.i]; {
		case c == ' ':
			p.i++
		case c == ')':
			p.i++
			return out
		case c == '(' && depth < maxDepth:
			p.i++
			out = append(out, node{kind: 'l', list: p.values(depth + 1)})
		case c == '"':
			out = append(out, node{kind: 's', text: p.quoted()})
		case c == 0:
			out = append(out, node{kind: 's', text: p.literal()})
		default:
			out = append(out, node{kind: 'a', text: p.atom()})
		}
	}
	return out
}

func (p *parser) quoted() string {
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return b.String()
		case '\\':
			if p.i+1 < len(p.s) {
				p.i++
			}
			b.WriteByte(p.s[p.i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *parser) literal() string {
	size, _, ok := strings.Cut(p.s[p.i+1:], "\x00")
	n, err := strconv.Atoi(size)
	start := p.i + 1 + len(size) + 1
	if !ok || err != nil || n < 0 || start+n > len(p.s) {
		p.i = len(p.s)
		return ""
	}
	p.i = start + n
	return p.s[start:p.i]
}

// atom reads up to a space or a bracket; a section like BODY[HEADER.FIELDS (FROM)] is one atom.
func (p *parser) atom() string {
	start, square := p.i, 0
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c == '[' {
			square++
		}
		if c == ']' && square > 0 {
			square--
		}
		if square == 0 && (c == ' ' || c == '(' && p.i > start || c == ')' || c == '"' && p.i > start || c == 0) {
			break
		}
		p.i++
	}
	if p.i == start {
		p.i++ // a '(' beyond the depth
	}
	return p.s[start:p.i]
}

// textCode takes "[CODE arg] text" apart; code is upper case with its argument.
func textCode(s string) (code, text string) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "[") {
		if c, rest, ok := strings.Cut(s[1:], "]"); ok {
			return c, strings.TrimSpace(rest)
		}
	}
	return "", s
}

// decodeName reads a mailbox name out of modified UTF-7 (RFC 3501 section 5.1.3); what is broken is left as it is.
func decodeName(s string) string {
	var b strings.Builder
	for {
		plain, rest, ok := strings.Cut(s, "&")
		b.WriteString(plain)
		if !ok {
			return b.String()
		}
		enc, after, ok := strings.Cut(rest, "-")
		raw, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(enc, ",", "/"))
		switch {
		case ok && enc == "":
			b.WriteByte('&')
		case !ok || err != nil || len(raw)%2 != 0:
			b.WriteString("&" + rest)
			return b.String()
		default:
			units := make([]uint16, len(raw)/2)
			for i := range units {
				units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
			}
			b.WriteString(string(utf16.Decode(units)))
		}
		s = after
	}
}
