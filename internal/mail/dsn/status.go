package dsn

import "strings"

// statusPart reads the fields of a delivery-status part (RFC 3464 section 2), also where it stands in plain text, where
// blank lines are missing or too many, and where a long diagnostic goes on without indentation.
func (r *reader) statusPart(s string) {
	var cur Recipient
	var have, seen map[string]bool
	flush := func() {
		if cur.Address != "" || cur.Original != "" || cur.Action != "" && (cur.Status != "" || cur.Diagnostic != "") {
			r.add(cur)
		}
		cur, have = Recipient{Named: true}, map[string]bool{}
	}
	flush()
	seen = map[string]bool{}
	last := ""
	n := 0
	for s != "" && n < 100000 {
		var line string
		line, s, _ = strings.Cut(s, "\n")
		n++
		raw := strings.TrimRight(line, " \t")
		line = strings.TrimLeft(raw, "> ")
		if strings.TrimSpace(raw) == "" {
			if have["final-recipient"] && (have["action"] || have["status"]) {
				flush()
			}
			last = ""
			continue
		}
		name, value, ok := cutField(line)
		if raw[0] == ' ' || raw[0] == '\t' || !ok {
			if last == "diagnostic-code" && len(cur.Diagnostic) < 8<<10 {
				cur.Diagnostic = join(cur.Diagnostic, strings.TrimSpace(raw))
				cur.Evidence = append(cur.Evidence, Line{Text: raw})
			}
			continue
		}
		last = name
		if name == "final-recipient" && have[name] {
			flush()
		}
		have[name] = true
		cur.field(r, name, value, seen)
		if recipientField[name] && len(cur.Evidence) < 20 {
			cur.Evidence = append(cur.Evidence, Line{Text: line})
		}
	}
	flush()
}

var recipientField = map[string]bool{"final-recipient": true, "original-recipient": true, "x-actual-recipient": true, "action": true, "status": true, "diagnostic-code": true, "remote-mta": true}

func (c *Recipient) field(r *reader, name, value string, seen map[string]bool) {
	switch name {
	case "reporting-mta":
		if r.rep.ReportingMTA == "" {
			r.rep.ReportingMTA = hostIn(afterType(value))
		}
	case "final-recipient":
		if a := addressIn(afterType(value)); a != "" {
			c.Address = a
		} else if v := strings.Trim(afterType(value), "<> "); v != "" && strings.IndexByte(v, ' ') < 0 {
			c.Address = v
		}
	case "original-recipient", "x-actual-recipient":
		a := addressIn(afterType(value))
		if c.Original == "" || name == "original-recipient" && a != "" {
			c.Original = a
		}
	case "action":
		w, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(value)), " ")
		c.Action = strings.Trim(w, "();,.")
		switch c.Action {
		case "failure", "fail", "undelivered", "denied":
			c.Action = "failed"
		case "expired":
			c.Action = "delayed"
		case "deliverable":
			c.Action = "delivered"
		}
	case "status":
		c.Status = statusIn(value)
	case "diagnostic-code":
		t, v := splitType(value)
		if c.Diagnostic == "" || len(v) > len(c.Diagnostic) {
			c.DiagType, c.Diagnostic = t, v
		}
	case "remote-mta":
		c.RemoteMTA = hostIn(afterType(value))
	}
}

// cutField splits "Name: value"; names of delivery-status fields hold letters and dashes only.
func cutField(line string) (name, value string, ok bool) {
	i := strings.IndexByte(line, ':')
	if i < 2 || i > 40 {
		return "", "", false
	}
	for j := range i {
		if c := line[j]; !(c|0x20 >= 'a' && c|0x20 <= 'z') && c != '-' {
			return "", "", false
		}
	}
	return strings.ToLower(line[:i]), strings.TrimSpace(line[i+1:]), true
}

func splitType(v string) (typ, rest string) {
	t, rest, ok := strings.Cut(v, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	if !ok || len(t) > 30 || strings.ContainsAny(t, " <@") {
		return "", v
	}
	return t, strings.TrimSpace(rest)
}

func afterType(v string) string { _, rest := splitType(v); return rest }

// statusIn finds an enhanced status: "5.1.1", "5.1.1 (reason)".
func statusIn(v string) string {
	for i := 0; i+5 <= len(v); i++ {
		if (v[i] == '2' || v[i] == '4' || v[i] == '5') && v[i+1] == '.' && (i == 0 || !digit(v[i-1])) {
			j := i + 2
			for j < len(v) && (digit(v[j]) || v[j] == '.') {
				j++
			}
			if s := strings.TrimRight(v[i:j], "."); strings.Count(s, ".") == 2 && len(s) >= 5 {
				return s
			}
		}
	}
	return ""
}

// hostIn takes a host name or address out of "mx.example.org (192.0.2.1, the server for …)" or "[192.0.2.1]".
func hostIn(v string) string {
	v = strings.TrimSpace(v)
	if i := strings.IndexAny(v, " \t(;,"); i > 0 {
		v = v[:i]
	}
	return strings.Trim(v, "[]<>().")
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// addressIn takes the first address out of a text: "<a@b>", "a@b", "\"a b\"@c", "rfc822;a@b", "=?…?= <a@b>".
func addressIn(s string) string {
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		if j := strings.IndexByte(s[i:], '>'); j > 0 {
			if a := clean(s[i+1 : i+j]); strings.IndexByte(a, '@') > 0 {
				return a
			}
		}
	}
	s = wide.Replace(s)
	at := strings.IndexByte(s, '@')
	for at > 0 {
		i := at
		if s[i-1] == '"' {
			if q := strings.LastIndexByte(s[:i-1], '"'); q >= 0 {
				i = q
			}
		}
		for i > 0 && addrByte(s[i-1]) {
			i--
		}
		j := at + 1
		for j < len(s) && (addrByte(s[j]) && s[j] != '\'' && s[j] != '=' && s[j] != '/') {
			j++
		}
		if a := clean(s[i:j]); len(a) > 3 && a[0] != '@' && a[len(a)-1] != '@' {
			return a
		}
		k := strings.IndexByte(s[at+1:], '@')
		if k < 0 {
			return ""
		}
		at += 1 + k
	}
	return ""
}

// wide turns the punctuation of Chinese and Japanese text, which no address holds, into spaces.
var wide = strings.NewReplacer("：", " ", "，", " ", "。", " ", "；", " ", "、", " ", "（", " ", "）", " ", "“", " ", "”", " ", "《", " ", "》", " ", "【", " ", "】", " ", "「", " ", "」", " ")

func clean(a string) string {
	a = strings.TrimSpace(a)
	if len(a) > 7 && strings.EqualFold(a[:7], "mailto:") {
		a = a[7:]
	}
	if i := strings.LastIndexByte(a, ';'); i >= 0 {
		a = a[i+1:]
	}
	return strings.Trim(a, "<>.,:;'()[]{} \t")
}

func addrByte(c byte) bool {
	return c >= 0x80 || c > ' ' && !strings.ContainsRune("<>()[],;:\"\\", rune(c)) && c != 0x7f
}
