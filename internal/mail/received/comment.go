package received

import (
	"regexp"
	"strconv"
	"strings"
)

// comment reads a comment for what it says, whatever clause it stands in: TLS, login, envelope sender, the client's
// address and greeting, the software.
func (c *clauses) comment(s string) {
	h, low := c.hop, strings.ToLower(s)
	switch {
	case s == "":
	case c.now == "" && !c.seen["from"] && !c.seen["by"] && h.opening(s, low):
	case strings.Contains(low, "envelope-from") || strings.Contains(low, "envelope-sender"):
		h.envelope(s)
	case strings.Contains(low, "authenticated") || strings.HasPrefix(low, "auth:") || strings.Contains(low, "mech=") || strings.HasPrefix(low, "smtp-auth "):
		h.login(s)
		h.tlsWords(s)
		if c.now == "from" {
			h.greeting(s)
		}
	case tlsTalk(s, low):
		h.tlsWords(s)
	case strings.HasPrefix(low, "via http"):
		h.With, h.WithText = "HTTP", s
	case c.now == "from" || c.now == "" && c.seen["from"] && !c.seen["by"]:
		h.client(s, false)
	case c.now == "by" || c.now == "with" || c.now == "again" || c.now == "via" || c.now == "":
		c.host(s, low)
	}
}

// host reads a comment behind "by" or "with": the receiving host's address, or its software.
func (c *clauses) host(s, low string) {
	h := c.hop
	if ip, _, ok := parseAddress(strings.Fields(s + " ")[0]); ok && c.now == "by" {
		h.ByIP = ip
		return
	}
	if name, lit, ok := strings.Cut(s, " ["); ok && c.now == "by" && hostname(name) {
		if ip, _, ok := parseAddress("[" + lit); ok {
			h.ByIP = ip
			return
		}
	}
	switch {
	case c.now == "by" && len(c.words) == 1 && len(low) > 0 && strings.HasPrefix(strings.ToLower(c.words[0]), low):
		// The host's short name once more.
	case c.now == "via" && strings.HasPrefix(low, "for "), strings.HasPrefix(low, "peer "), strings.HasPrefix(low, "original mail from"):
	case c.now == "with" && len(c.words) > 0 && strings.EqualFold(c.words[len(c.words)-1], "SMTPSVC"):
		h.Software = "Microsoft SMTPSVC " + s
	case h.Software == "" || !strings.Contains(strings.ToLower(h.Software), "exim") && strings.HasPrefix(low, "exim"):
		h.Software = s
	}
}

// opening reads a comment that stands alone at the start: the notes of qmail, nullmailer, ofmipd and Sendmail's
// submission.
func (h *Hop) opening(s, low string) bool {
	switch {
	case strings.HasPrefix(low, "qmail "), strings.HasPrefix(low, "nullmailer "), strings.HasPrefix(low, "simscan"):
		h.Software, _, _ = strings.Cut(s, " ")
		h.Kind = Local
		if at := strings.Index(low, "network"); at >= 0 {
			h.Kind = Handover
			if in, _, ok := strings.Cut(s[at+len("network"):], "]"); ok {
				if ip, name, ok := strings.Cut(strings.TrimPrefix(in, "["), "/"); ok {
					h.setAddress(ip)
					h.RDNS = name
				}
			}
		}
	case strings.HasPrefix(low, "ofmipd "):
		h.Software, h.Kind = "ofmipd", Handover
		h.setAddress(strings.TrimSpace(s[7:]))
	case strings.HasPrefix(low, "from "):
		h.From, h.Kind = strings.TrimSpace(s[5:]), Local
	default:
		return false
	}
	return true
}

// envelope reads "envelope-from <a@b>, uid 5" and comments that hold more beside.
func (h *Hop) envelope(s string) {
	for _, key := range []string{"envelope-from", "envelope-sender"} {
		at := strings.Index(strings.ToLower(s), key)
		if at < 0 {
			continue
		}
		v := strings.TrimLeft(s[at+len(key):], " =:")
		if strings.HasPrefix(v, "<") {
			v, _, _ = strings.Cut(v[1:], ">")
		} else {
			v, _, _ = strings.Cut(v, " ")
		}
		if h.EnvelopeFrom == "" {
			h.EnvelopeFrom = address(v)
		}
		if before := strings.TrimRight(s[:at], " ,;"); before != "" {
			h.client(before, false)
		}
	}
}

var loginForms = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^auth:\s*(?P<mech>[A-Z0-9-]+)\s+(?P<user>[^\s,;)]+)`),
	regexp.MustCompile(`(?i)^auth:\s*(?P<user>[^\s,;)]+)`),
	regexp.MustCompile(`(?i)^smtp-auth\s+username\s+(?P<user>[^\s,;)]+)(?:,\s*mechanism\s+(?P<mech>[A-Za-z0-9-]+))?`),
	regexp.MustCompile(`(?i)\buser[=: ]\s*(?P<user>[^\s,;)]+)(?:.*\bmech=(?P<mech>[A-Za-z0-9-]+))?`),
	regexp.MustCompile(`(?i)\bmech=(?P<mech>[A-Za-z0-9-]+)`),
	regexp.MustCompile(`(?i)authenticated[ -]?(?:sender|user|as|id)?\s*[:=]?\s*<?(?P<user>[^\s,;)>=]+)>?(?:\s+(?:with|via|mech)\s+(?P<mech>[A-Za-z0-9-]+))?`),
}

// login reads who logged in and how, from the forms of Postfix, Sendmail, Courier, CriticalPath and webmail.
func (h *Hop) login(s string) {
	h.Auth = "yes"
	if strings.Contains(strings.ToLower(s), "authenticated bits=") {
		return
	}
	for _, re := range loginForms {
		m := re.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		for i, name := range re.SubexpNames() {
			switch {
			case m[i] == "":
			case name == "user" && !strings.EqualFold(m[i], "bits"):
				h.AuthUser = m[i]
			case name == "mech":
				h.Auth = strings.ToUpper(m[i])
			}
		}
		return
	}
}

// greeting takes the address and greeting out of a comment that speaks of a login too.
func (h *Hop) greeting(s string) {
	ws := fields(s)
	for i, w := range ws {
		low := strings.ToLower(w)
		switch {
		case strings.HasPrefix(low, "helo="):
			h.setHELO(w[5:])
		case (low == "helo" || low == "ehlo") && i+1 < len(ws):
			h.setHELO(ws[i+1])
		case strings.ContainsAny(w, "[.:") && !strings.Contains(w, "@"):
			h.setAddress(w)
		}
	}
}

// keyValue reads the pairs that stand outside comments: auth=yes user=bob, cipher=…, bits=….
func (h *Hop) keyValue(w string) bool {
	k, v, _ := strings.Cut(w, "=")
	switch strings.ToLower(k) {
	case "auth":
		if !strings.EqualFold(v, "no") && v != "" {
			h.Auth = v
		}
	case "user", "sasl_username":
		h.AuthUser = v
		if h.Auth == "" {
			h.Auth = "yes"
		}
	case "mailfrom", "smtp.mailfrom":
		h.EnvelopeFrom = address(v)
	case "cipher", "version", "bits", "tls", "verify", "tls_cipher":
		h.tlsWords(w)
	case "helo":
		h.setHELO(v)
	default:
		return false
	}
	return true
}

var (
	tlsVersion = regexp.MustCompile(`(?i)^(TLS|SSL)[v_-]?([1-3])(?:[._-]?([0-3]))?(?:/SSLv3)?$`)
	tlsCipher  = regexp.MustCompile(`^[A-Z0-9]+(?:[-_]+[A-Z0-9]+)+$`)
	cipherPart = regexp.MustCompile(`AES|RC4|3DES|DES|CHACHA20|ARCFOUR|CAMELLIA|IDEA|SEED|ARIA|NULL`)
)

// tlsTalk tells whether a comment is about TLS and nothing else.
func tlsTalk(s, low string) bool {
	if strings.HasPrefix(low, "using tls") || strings.HasPrefix(low, "using ssl") || low == "tls" || low == "ssl" || strings.HasPrefix(low, "tls:") ||
		strings.Contains(low, "cipher") || strings.HasSuffix(low, " encrypted") || strings.HasPrefix(low, "version=") ||
		strings.Contains(low, "client certificate") || strings.HasPrefix(low, "client did not present") {
		return true
	}
	first, _, _ := strings.Cut(strings.ReplaceAll(s, " ", ":"), ":")
	return tlsVersion.MatchString(first)
}

// tlsWords finds version, cipher and key length wherever they stand in a text.
func (h *Hop) tlsWords(s string) {
	s = strings.ReplaceAll(s, `TLS\Tls1`, "TLSv1.") // SmarterMail
	ws := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,:;()=\t", r) })
	for i, w := range ws {
		if m := tlsVersion.FindStringSubmatch(w); m != nil && h.TLSVersion == "" {
			h.TLSVersion = versionName(m)
			h.TLS = true
		}
		if h.TLSCipher == "" && len(w) > 5 && tlsCipher.MatchString(w) && cipherPart.MatchString(w) {
			h.TLSCipher = w
			h.TLS = true
		}
		low := strings.ToLower(w)
		switch {
		case low == "tls" || low == "ssl":
			h.TLS = true
		case strings.HasSuffix(low, "bits") && len(low) > 4:
			h.setBits(w[:len(w)-4])
		case low == "bits" && i+1 < len(ws) && h.TLSBits == 0:
			if h.setBits(ws[i+1]); h.TLSBits == 0 && i > 0 {
				h.setBits(ws[i-1])
			}
		}
	}
}

func (h *Hop) setBits(s string) {
	s, _, _ = strings.Cut(s, "/")
	if n, err := strconv.Atoi(s); err == nil && n >= 40 && n <= 512 && h.TLSBits == 0 {
		h.TLSBits = n
	}
}

// versionName writes "TLSv1.2" for TLS1_2, TLSv1.2, TLS-1.2; "TLSv1/SSLv3", as old OpenSSL put it, is TLSv1.0.
func versionName(m []string) string {
	minor := m[3]
	if minor == "" {
		minor = "0"
	}
	name := strings.ToUpper(m[1]) + "v" + m[2]
	if name == "SSLv3" || name == "SSLv2" {
		return name
	}
	return name + "." + minor
}
