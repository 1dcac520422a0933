package dsn

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// content is what the header of a part says about its body.
type content struct {
	typ      string // "text/plain", lower case
	boundary string
	charset  string
	report   string // report-type
	encoding string // lower case
}

func contentOf(ctype, encoding string) content {
	c := content{encoding: strings.ToLower(strings.TrimSpace(encoding))}
	typ, rest, _ := strings.Cut(ctype, ";")
	c.typ = strings.ToLower(strings.TrimSpace(typ))
	if i := strings.IndexAny(c.typ, " \t\r\n"); i > 0 { // the semicolon was forgotten
		rest = c.typ[i:] + ";" + rest
		c.typ = c.typ[:i]
	}
	c.boundary = param(rest, "boundary")
	c.charset = param(rest, "charset")
	c.report = strings.ToLower(param(rest, "report-type"))
	return c
}

// param finds a parameter of a Content-Type value, quoted or not.
func param(s, name string) string {
	for i := 0; i < len(s); {
		j := indexFold(s[i:], name)
		if j < 0 {
			return ""
		}
		i += j
		before := strings.TrimRight(s[:i], " \t\r\n")
		after := strings.TrimLeft(s[i+len(name):], " \t\r\n")
		i += len(name)
		if before != "" && before[len(before)-1] != ';' || !strings.HasPrefix(after, "=") {
			continue
		}
		v := strings.TrimLeft(after[1:], " \t\r\n")
		if strings.HasPrefix(v, "\"") {
			v, _, _ = strings.Cut(v[1:], "\"")
			return v
		}
		if k := strings.IndexAny(v, "; \t\r\n"); k >= 0 {
			v = v[:k]
		}
		return v
	}
	return ""
}

func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}

// walk sorts the parts of a body by what they are.
func (r *reader) walk(c content, body []byte, depth int) {
	r.parts++
	if r.parts > MaxParts {
		r.limit("parts")
		return
	}
	if depth > MaxDepth {
		r.limit("depth")
		return
	}
	if strings.HasPrefix(c.typ, "multipart/") && c.boundary != "" {
		if r.multipart(c, body, depth) {
			return
		}
		if b := guessBoundary(body); b != "" {
			c.boundary = b
			r.multipart(c, body, depth)
			return
		}
		c = content{typ: "text/plain", encoding: c.encoding} // the boundary never comes: it is plain text after all
	}
	switch {
	case c.typ == "message/delivery-status", c.typ == "message/global-delivery-status":
		r.status = append(r.status, r.text(c, body))
	case c.typ == "message/feedback-report", c.typ == "message/abuse-report":
		r.arf += r.text(c, body)
	case c.typ == "message/disposition-notification", c.typ == "message/global-disposition-notification":
		r.mdn = true
	case c.typ == "message/rfc822", c.typ == "message/global":
		r.nested = append(r.nested, decode(c, body))
		r.original(decode(c, body))
	case c.typ == "text/rfc822-headers", c.typ == "message/rfc822-headers", c.typ == "text/rfc822-header", c.typ == "message/global-headers", c.typ == "message/partial":
		r.original(decode(c, body))
	case c.typ == "text/html":
		r.html = append(r.html, strip(r.text(c, body)))
	case c.typ == "text/plain", c.typ == "", strings.HasPrefix(c.typ, "multipart/"), c.typ == "text", c.typ == "application/json":
		r.plain = append(r.plain, r.text(c, body))
	case strings.HasPrefix(c.typ, "text/") && c.typ != "text/calendar":
		r.plain = append(r.plain, r.text(c, body))
	}
}

// multipart walks the parts between the boundary lines; false where there is none.
func (r *reader) multipart(c content, body []byte, depth int) bool {
	mark := []byte("--" + c.boundary)
	start, found := -1, false
	for at := 0; at < len(body); {
		end := bytes.IndexByte(body[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(body)
		}
		line := body[at:next]
		if bytes.HasPrefix(line, mark) && boundaryTail(line[len(mark):]) {
			if start >= 0 {
				r.part(body[start:at], depth)
			}
			found = true
			start = next
			if bytes.HasPrefix(line[len(mark):], []byte("--")) {
				start = -1
			}
			if r.parts > MaxParts {
				r.limit("parts")
				return true
			}
		}
		at = next
	}
	if start >= 0 && start < len(body) {
		r.part(body[start:], depth)
	}
	return found
}

func boundaryTail(b []byte) bool {
	b = bytes.TrimRight(b, "\r\n \t")
	return len(b) == 0 || string(b) == "--"
}

// part reads the header of a part and walks its body.
func (r *reader) part(b []byte, depth int) {
	var ctype, enc string
	for len(b) > 0 {
		line, rest := cutLine(b)
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			b = rest
			break
		}
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			var more []byte
			more, rest = cutLine(rest)
			line = b[:len(line)+len(more)]
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || bytes.IndexByte(name, ' ') >= 0 {
			break // no header at all: a part without one
		}
		switch {
		case strings.EqualFold(string(name), "content-type"):
			ctype = header.Unfold(value)
		case strings.EqualFold(string(name), "content-transfer-encoding"):
			enc = header.Unfold(value)
		}
		b = rest
	}
	r.walk(contentOf(ctype, enc), b, depth+1)
}

func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], b[i+1:]
	}
	return b, nil
}

// decode undoes the transfer encoding.
func decode(c content, b []byte) []byte {
	switch c.encoding {
	case "base64":
		return unbase64(b)
	case "quoted-printable":
		return unquote(b)
	}
	return b
}

// text decodes a part to UTF-8 with LF line ends, cut at MaxText.
func (r *reader) text(c content, b []byte) string {
	if len(b) > 2*MaxText {
		b = b[:2*MaxText]
		r.limit("text")
	}
	b = decode(c, b)
	if len(b) > MaxText {
		b = b[:MaxText]
		r.limit("text")
	}
	s := ""
	if plainASCII(b) && !strings.Contains(c.charset, "2022") && !strings.Contains(strings.ToLower(c.charset), "utf-7") && !strings.HasPrefix(strings.ToLower(c.charset), "hz") && !bytes.Contains(b, []byte("\x1b$")) {
		s = string(b)
	} else if cs := c.charset; cs == "" && bytes.Contains(b, []byte("\x1b$B")) {
		s, _ = header.DecodeCharset("iso-2022-jp", b)
	} else {
		s, _ = header.DecodeCharset(cs, b)
	}
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
	}
	return s
}

func plainASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func unbase64(b []byte) []byte {
	clean := make([]byte, 0, len(b))
	for _, c := range b {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
			clean = append(clean, c)
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(out, clean) // what decodes before an error is kept
	return out[:n]
}

func unquote(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '=' {
			out = append(out, b[i])
			continue
		}
		if i+2 < len(b) {
			if h, l := unhex(b[i+1]), unhex(b[i+2]); h >= 0 && l >= 0 {
				out = append(out, byte(h<<4|l))
				i += 2
				continue
			}
		}
		j := i + 1
		for j < len(b) && (b[j] == ' ' || b[j] == '\t' || b[j] == '\r') {
			j++
		}
		if j < len(b) && b[j] == '\n' {
			i = j
			continue
		}
		out = append(out, '=')
	}
	return out
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", "\"", "&nbsp;", " ", "&#39;", "'", "&#64;", "@", "&#43;", "+", "&#46;", ".")

// strip takes the tags out of HTML: blocks become lines, scripts and styles go away. An address in angle brackets that
// was not escaped is kept.
func strip(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '<' {
			b.WriteByte(s[i])
			i++
			continue
		}
		end := strings.IndexByte(s[i:], '>')
		if end < 0 {
			b.WriteString(s[i:])
			break
		}
		tag := s[i+1 : i+end]
		name := strings.ToLower(tag[:min(len(tag), 7)])
		switch {
		case strings.HasPrefix(name, "style"), strings.HasPrefix(name, "script"):
			if k := indexFold(s[i:], "</"+name[:5]); k > 0 {
				end = k
			}
		case strings.HasPrefix(name, "br"), strings.HasPrefix(name, "p"), strings.HasPrefix(name, "/p"), strings.HasPrefix(name, "div"), strings.HasPrefix(name, "/div"),
			strings.HasPrefix(name, "tr"), strings.HasPrefix(name, "/tr"), strings.HasPrefix(name, "li"), strings.HasPrefix(name, "h"), strings.HasPrefix(name, "td"):
			b.WriteByte('\n')
		case strings.IndexByte(tag, '@') > 0 && !strings.ContainsAny(tag, " =\""):
			b.WriteString(s[i : i+end+1])
		}
		i += end + 1
	}
	return entities.Replace(b.String())
}

// original keeps what identifies the returned message.
func (r *reader) original(b []byte) {
	if r.orig {
		return
	}
	if len(b) > 64<<10 {
		b = b[:64<<10]
	}
	b = skipMboxLine(bytes.TrimLeft(b, "\r\n"))
	o := &r.rep.Original
	for n := 0; len(b) > 0 && n < 500; n++ {
		line, rest := cutLine(b)
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			var more []byte
			more, rest = cutLine(rest)
			line = b[:len(line)+len(more)]
		}
		o.field(line)
		b = rest
	}
	r.orig = o.To != "" || o.From != "" || o.Subject != ""
}

func (o *Original) field(line []byte) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) > 20 || len(name) < 2 {
		return
	}
	set := func(dst *string) {
		if *dst == "" {
			*dst = header.Decode(header.Unfold(value))
		}
	}
	switch strings.ToLower(strings.TrimSpace(string(name))) {
	case "from":
		set(&o.From)
	case "to":
		set(&o.To)
	case "subject":
		set(&o.Subject)
	case "message-id":
		set(&o.MessageID)
	case "date":
		set(&o.Date)
	case "return-path":
		set(&o.ReturnPath)
	case "x-failed-recipients", "delivered-to", "x-envelope-to", "envelope-to", "x-original-to", "apparently-to":
		if a := addressIn(header.Unfold(value)); a != "" && len(o.To2) < 20 {
			o.To2 = append(o.To2, a)
		}
	}
}

// guessBoundary finds a boundary that the header does not name rightly: a line of two dashes followed by a Content field.
func guessBoundary(body []byte) string {
	for n := 0; len(body) > 0 && n < 200; n++ {
		var line []byte
		line, body = cutLine(body)
		if len(line) > 5 && line[0] == '-' && line[1] == '-' && len(body) > 8 && strings.EqualFold(string(body[:8]), "content-") {
			return string(bytes.TrimRight(line[2:], "\r\n \t"))
		}
	}
	return ""
}
