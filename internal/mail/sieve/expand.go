package sieve

import (
	"strconv"
	"strings"
)

func (r *run) expandAll(in []string) []string {
	if !r.varsOn && !r.encoded {
		return in
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = r.expand(s)
	}
	return out
}

// expand puts in variables (RFC 5229 section 3) and encoded characters (RFC 5228 section 2.4.2.4). What is no reference
// stands as it is written; an unknown variable is empty.
func (r *run) expand(s string) string {
	if !strings.Contains(s, "${") || !r.varsOn && !r.encoded {
		return s
	}
	var b strings.Builder
	for s != "" && b.Len() <= MaxValue {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		j := strings.IndexByte(s, '}')
		v, ok := "", false
		if j > 0 {
			v, ok = r.reference(s[2:j])
		}
		if !ok {
			b.WriteString("${")
			s = s[2:]
			continue
		}
		b.WriteString(v)
		s = s[j+1:]
	}
	out := b.String()
	if len(out) > 2*MaxValue {
		out = strings.ToValidUTF8(out[:2*MaxValue], "")
	}
	return out
}

func (r *run) reference(name string) (string, bool) {
	if kind, codes, ok := strings.Cut(name, ":"); ok && r.encoded {
		return encoded(strings.ToLower(kind), strings.Fields(codes))
	}
	if !r.varsOn {
		return "", false
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && len(name) < 6 {
		if n < len(r.groups) {
			return r.groups[n], true
		}
		return "", true
	}
	for _, part := range strings.Split(name, ".") {
		if !variableName.MatchString(part) {
			return "", false
		}
	}
	return r.vars[strings.ToLower(name)], true
}

// encoded reads ${hex: 40 41} and ${unicode: 4e2d}.
func encoded(kind string, codes []string) (string, bool) {
	if kind != "hex" && kind != "unicode" || len(codes) == 0 {
		return "", false
	}
	var b []byte
	for _, c := range codes {
		bits := 32
		if kind == "hex" {
			bits = 8
		}
		n, err := strconv.ParseUint(c, 16, bits)
		if err != nil || n > 0x10ffff || n >= 0xd800 && n < 0xe000 {
			return "", false
		}
		if kind == "hex" {
			b = append(b, byte(n))
		} else {
			b = append(b, string(rune(n))...)
		}
	}
	return string(b), true
}
