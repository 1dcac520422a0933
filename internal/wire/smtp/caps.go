package smtp

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Caps are the extensions a server offers in its answer to EHLO, keyword in upper case → parameters as written.
type Caps map[string]string

// ParseCaps reads the lines of an EHLO answer after the first (RFC 5321 section 4.1.1.1). The old form "AUTH=PLAIN" of
// broken servers is read as AUTH. At most 100 are kept.
func ParseCaps(lines []string) Caps {
	c := Caps{}
	for i, l := range lines {
		if i == 0 || len(c) == 100 {
			continue
		}
		key, arg, _ := strings.Cut(strings.TrimSpace(l), " ")
		key = strings.ToUpper(key)
		if rest, ok := strings.CutPrefix(key, "AUTH="); ok {
			key, arg = "AUTH", strings.TrimSpace(rest+" "+arg)
		}
		if key == "" {
			continue
		}
		if was, ok := c[key]; ok && was != "" {
			arg = was + " " + arg
		}
		c[key] = strings.TrimSpace(arg)
	}
	return c
}

// Has tells whether an extension is offered.
func (c Caps) Has(key string) bool { _, ok := c[key]; return ok }

// Size is the limit of SIZE (RFC 1870) in bytes; ok is false where none is named. Zero means no fixed limit.
func (c Caps) Size() (n int64, ok bool) {
	n, err := strconv.ParseInt(c["SIZE"], 10, 64)
	return n, err == nil && n >= 0
}

// Auth lists the SASL mechanisms offered, upper case, each once.
func (c Caps) Auth() []string {
	var out []string
	for _, m := range strings.Fields(strings.ToUpper(c["AUTH"])) {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// List gives the extensions as words in order: "8BITMIME", "SIZE=10240000", "STARTTLS".
func (c Caps) List() []string {
	out := make([]string, 0, len(c))
	for k, v := range c {
		if v != "" && !strings.Contains(v, " ") {
			k += "=" + v
		}
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Address finds the client address a server names in a reply ("mx.example at your service, [192.0.2.1]"): the first
// public address of the lines; the zero Addr where there is none.
func Address(r *Reply) netip.Addr {
	if r == nil {
		return netip.Addr{}
	}
	for _, l := range r.Lines[:min(len(r.Lines), 1)] {
		for _, w := range strings.FieldsFunc(l, func(c rune) bool { return strings.ContainsRune(" \t[]()<>,;=", c) }) {
			w = strings.TrimRight(strings.TrimPrefix(strings.TrimPrefix(w, "IPv6:"), "ipv6:"), ".:!")
			if ip, err := netip.ParseAddr(w); err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() {
				return ip.Unmap()
			}
		}
	}
	return netip.Addr{}
}
