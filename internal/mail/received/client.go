package received

import (
	"net/netip"
	"strconv"
	"strings"
)

// client reads what a line says of the client besides the name behind "from": address, port, reverse name, greeting,
// ident. bare tells that the text stood outside brackets, where only an address counts.
func (h *Hop) client(text string, bare bool) {
	ws := fields(text)
	for i := 0; i < len(ws); i++ {
		w, low := ws[i], strings.ToLower(ws[i])
		next := ""
		if i+1 < len(ws) {
			next = ws[i+1]
		}
		switch {
		case h.setAddress(w):
		case bare:
		case low == "helo" || low == "ehlo" || low == "lhlo":
			h.setHELO(next)
			i++
		case low == "account":
			h.Auth, h.AuthUser = "yes", next
			i++
		case low == "with" && h.Ident != "" && next != "":
			h.Auth, h.AuthUser = strings.ToUpper(next), h.Ident
			i++
		case low == "may" && strings.EqualFold(next, "be"):
			h.MayBeForged = true
			i += 2
		case low == "rdns" || low == "softdnserr" || low == "unknown" || low == "unverified":
			h.noRDNS = true
		case low == "verified":
			h.RDNS = "verified"
		case low == "failed" || low == "forged" || low == "using" || low == "socket]" || low == "or":
		case low == "[unix" || low == "[local]" || low == "[unix socket]":
			h.unixed = true
			if low == "[unix" {
				i++
			}
		default:
			h.clientWord(w)
		}
	}
}

// clientWord reads key=value pairs, IDENT:user@host, user@host and plain names.
func (h *Hop) clientWord(w string) {
	if k, v, ok := strings.Cut(w, "="); ok && len(k) < 24 {
		switch strings.ToLower(k) {
		case "helo", "ehlo", "lhlo":
			h.setHELO(v)
		case "ident":
			h.Ident = v
		case "port":
			h.Port, _ = strconv.Atoi(v)
		case "ip":
			h.setAddress(v)
		default:
			h.keyValue(w)
		}
		return
	}
	if k, v, ok := strings.Cut(w, ":"); ok {
		switch strings.ToLower(k) {
		case "ident":
			w = v
		case "mailfrom":
			h.EnvelopeFrom = v
			return
		case "ip", "client-ip":
			h.setAddress(v)
			return
		case "fp", "cluster", "port":
			return
		}
	}
	if at := strings.LastIndexByte(w, '@'); at >= 0 {
		if h.Ident == "" {
			h.Ident = w[:at]
		}
		if w = w[at+1:]; h.setAddress(w) {
			return
		}
	}
	if hostname(w) && (h.RDNS == "" || h.RDNS == "verified") && (strings.Contains(w, ".") || h.Ident != "") {
		h.RDNS = strings.TrimSuffix(w, ".")
	}
}

func (h *Hop) setHELO(s string) {
	if s = strings.Trim(s, "()"); s == "" {
		h.mute = h.HELO == ""
	} else if h.HELO == "" {
		h.HELO, _ = literal(s)
	}
}

// setAddress takes the word for the client's address when it is one: [1.2.3.4], 1.2.3.4:25, name[1.2.3.4],
// [IPv6:::1], /1.2.3.4, fe80::1%6. Only the first address of a line counts.
func (h *Hop) setAddress(w string) bool {
	name := ""
	if at := strings.IndexByte(w, '['); at > 0 {
		if name, w = w[:at], w[at:]; strings.Contains(name, "=") {
			return false
		}
	}
	ip, port, ok := parseAddress(w)
	if !ok {
		return false
	}
	if !h.IP.IsValid() {
		h.IP = ip
		if port > 0 {
			h.Port = port
		}
	}
	if user, isUser := strings.CutSuffix(name, "@"); isUser {
		h.Ident = user
	} else if name != "" {
		h.clientWord(name)
	}
	return true
}

// parseAddress reads an address in any of its dresses, with the port where one is given.
func parseAddress(w string) (ip netip.Addr, port int, ok bool) {
	w = strings.TrimPrefix(strings.Trim(w, "!?,"), "/")
	if rest, isLit := strings.CutPrefix(w, "["); isLit {
		in, after, closed := strings.Cut(rest, "]")
		if !closed {
			return ip, 0, false
		}
		if p, has := strings.CutPrefix(after, ":"); has {
			port, _ = strconv.Atoi(p)
		}
		w = in
	}
	if len(w) < 2 || len(w) > 64 || !strings.ContainsAny(w, ".:") {
		return ip, 0, false
	}
	if len(w) > 5 && strings.EqualFold(w[:5], "ipv6:") {
		w = w[5:]
	}
	if a, err := netip.ParseAddr(w); err == nil {
		return a.WithZone("").Unmap(), port, true
	}
	if ap, err := netip.ParseAddrPort(w); err == nil {
		return ap.Addr().WithZone("").Unmap(), int(ap.Port()), true
	}
	// Exim 3 wrote the port as a fifth number.
	if dot := strings.LastIndexByte(w, '.'); strings.Count(w, ".") == 4 {
		if a, err := netip.ParseAddr(w[:dot]); err == nil {
			port, err = strconv.Atoi(w[dot+1:])
			return a, port, err == nil && port < 65536
		}
	}
	return ip, 0, false
}

// literal takes the brackets of an address literal off and tells the address.
func literal(s string) (string, netip.Addr) {
	ip, _, ok := parseAddress(s)
	if !ok {
		return strings.Trim(s, "[]"), ip
	}
	if in, after, has := strings.Cut(strings.TrimPrefix(s, "["), "]"); has && s[0] == '[' {
		_ = after
		return in, ip
	}
	return s, ip
}

// fields splits at blanks and commas; [ ] hold together.
func fields(s string) []string {
	var out []string
	start, depth := -1, 0
	for i := 0; i <= len(s) && len(out) < 64; i++ {
		end := i == len(s)
		if !end {
			switch s[i] {
			case '[':
				depth++
			case ']':
				depth = max(depth-1, 0)
			case ' ', ',', '(', ')', '\t':
				end = depth == 0 || i-start > 64
			}
		}
		switch {
		case end && start >= 0:
			out = append(out, s[start:i])
			start, depth = -1, 0
		case !end && start < 0:
			start = i
		}
	}
	return out
}

// hostname tells whether the word could be a host's name: letters, digits, dot, dash, underscore; a letter at least.
func hostname(s string) bool {
	letter := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= 0x80:
			letter = true
		case c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return letter && len(s) < 256
}
