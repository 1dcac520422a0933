package sieve

import (
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

func itoa(n int) string { return strconv.Itoa(n) }

// matcher compares values with keys (RFC 5228 section 2.7, RFC 5231).
type matcher struct {
	kind       string // is, contains, matches, regex, value, count
	relation   string
	comparator string
}

func newMatcher(k *call) matcher {
	m := matcher{kind: "is", comparator: "i;ascii-casemap"}
	for _, kind := range []string{"contains", "matches", "regex", "value", "count"} {
		if k.has(kind) {
			m.kind, m.relation = kind, strings.ToLower(k.str(kind))
		}
	}
	if c := k.str("comparator"); c != "" {
		m.comparator = c
	}
	return m
}

// fold brings a value to the form in which equal means the same under the comparator.
func (m matcher) fold(s string) string {
	switch m.comparator {
	case "i;octet":
		return s
	case "i;unicode-casemap":
		return strings.Map(unicode.ToTitle, s)
	}
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// numeric is the value under i;ascii-numeric (RFC 4790 section 9.1): leading digits without zeros in front; what
// begins with none is greater than every number, and ok is false.
func numeric(s string) (string, bool) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return strings.TrimLeft(s[:n], "0"), n > 0
}

func (m matcher) compare(a, b string) int {
	if m.comparator != "i;ascii-numeric" {
		return strings.Compare(m.fold(a), m.fold(b))
	}
	x, okx := numeric(a)
	y, oky := numeric(b)
	switch {
	case !okx && !oky:
		return 0
	case !okx:
		return 1
	case !oky:
		return -1
	case len(x) != len(y):
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}

func holds(relation string, c int) bool {
	switch relation {
	case "gt":
		return c > 0
	case "ge":
		return c >= 0
	case "lt":
		return c < 0
	case "le":
		return c <= 0
	case "ne":
		return c != 0
	}
	return c == 0
}

// one compares one value with one key; groups are the match variables, the whole first.
func (m matcher) one(value, key string) (ok bool, groups []string) {
	switch m.kind {
	case "is":
		return m.compare(value, key) == 0, nil
	case "contains":
		return strings.Contains(m.fold(value), m.fold(key)), nil
	case "value":
		return holds(m.relation, m.compare(value, key)), nil
	case "matches":
		return submatch(globRegex(key, m.comparator), value)
	case "regex":
		re, err := compileRegex(key, m.comparator)
		if err != nil {
			return false, nil
		}
		return submatch(re, value)
	}
	return false, nil
}

func submatch(re *regexp.Regexp, value string) (bool, []string) {
	if re == nil {
		return false, nil
	}
	g := re.FindStringSubmatch(value)
	return g != nil, g
}

// globRegex turns a :matches pattern into an expression whose wildcards take as little as they can (RFC 5229 section
// 3.2). It is nil for a pattern too big for the engine.
func globRegex(key, comparator string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s`)
	if comparator != "i;octet" {
		b.WriteByte('i')
	}
	b.WriteString(`)\A`)
	for i := 0; i < len(key); {
		r, n := utf8.DecodeRuneInString(key[i:])
		switch {
		case r == '*':
			b.WriteString(`(.*?)`)
		case r == '?':
			b.WriteString(`(.)`)
		case r == '\\' && i+1 < len(key):
			i++
			r, n = utf8.DecodeRuneInString(key[i:])
			fallthrough
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
		i += n
	}
	b.WriteString(`\z`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil
	}
	return re
}

// compileRegex compiles a POSIX extended expression. The engine knows no back-references and takes time linear in the
// input, whatever the expression.
func compileRegex(key, comparator string) (*regexp.Regexp, error) {
	flags := "(?s)"
	if comparator != "i;octet" {
		flags = "(?si)"
	}
	return regexp.Compile(flags + key)
}

// mailbox is an address of a header or of the envelope, taken apart.
type mailbox struct{ all, local, domain string }

func (m mailbox) part(k *call) (string, bool) {
	user, detail, has := strings.Cut(m.local, "+")
	switch {
	case k.has("localpart"):
		return m.local, true
	case k.has("domain"):
		return m.domain, true
	case k.has("user"):
		return user, true
	case k.has("detail"):
		return detail, has // without a separator there is no detail: the test fails (RFC 5233 section 4)
	}
	return m.all, true
}

func plainAddress(s string) bool {
	b, ok := parseMailbox(s)
	return ok && !strings.ContainsAny(s, " <>,;()") && b.domain != ""
}

func parseMailbox(s string) (mailbox, bool) {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		if j := strings.IndexByte(s[i:], '>'); j > 0 {
			s = s[i+1 : i+j]
		}
	}
	s = strings.TrimSpace(s)
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || i == len(s)-1 || strings.ContainsAny(s[i:], " \t\"<>") {
		return mailbox{all: s}, false
	}
	return mailbox{s, strings.Trim(s[:i], `"`), s[i+1:]}, true
}

// addresses takes the addresses out of a header value: by the grammar, or else piece by piece.
func addresses(value string) []mailbox {
	var out []mailbox
	if list, err := mail.ParseAddressList(value); err == nil {
		for _, a := range list {
			if b, ok := parseMailbox(a.Address); ok {
				out = append(out, b)
			}
		}
		return out
	}
	for _, piece := range pieces(value) {
		if b, ok := parseMailbox(piece); ok {
			out = append(out, b)
		}
	}
	return out
}

// pieces cuts a list of addresses at its commas, those in quotes, brackets and comments apart.
func pieces(s string) []string {
	var out []string
	from, depth, quoted, angle := 0, 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth = max(depth-1, 0)
		case c == '<' || c == '>':
			angle = c == '<'
		case (c == ',' || c == ';') && depth == 0 && !angle:
			out = append(out, s[from:i])
			from = i + 1
		case c == ':' && depth == 0 && !angle:
			from = i + 1
		}
	}
	return append(out, s[from:])
}

// values gives the decoded values of the fields with these names (RFC 5228 section 2.4.2.2), in order.
func values(h *header.Block, names []string) []string {
	var out []string
	for _, n := range names {
		for _, f := range h.All(n) {
			out = append(out, f.Text())
		}
	}
	return out
}
