package received

import (
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/date"
)

// clauses walks over the tokens. A keyword opens a clause; the tokens up to the next keyword belong to it.
type clauses struct {
	hop   *Hop
	toks  []token
	text  string
	i     int
	now   string   // the open clause: "", "from", "by", "with", "via", "id", "for"
	words []string // plain words of the open clause
	seen  map[string]bool
}

var keywords = map[string]bool{"from": true, "by": true, "with": true, "via": true, "id": true, "for": true}

func (c *clauses) run() {
	c.seen = map[string]bool{}
	for c.i < len(c.toks) {
		t := c.toks[c.i]
		switch {
		case t.kind == semi:
			c.close()
			c.now = ""
			if !c.date(t.end) {
				c.i++
			}
		case t.kind == word && c.dated(t):
			// A date without a semicolon before it.
		case t.kind == word && keywords[strings.ToLower(t.text)] && c.opens(strings.ToLower(t.text)):
			c.close()
			c.now, c.seen[strings.ToLower(t.text)] = strings.ToLower(t.text), true
			c.i++
		case t.kind == comment:
			c.comment(t.text)
			c.i++
		case t.kind == angle:
			c.angle(t.text)
			c.i++
		default:
			c.word(t)
			c.i++
		}
	}
	c.close()
}

// opens tells whether the keyword starts a clause here: a name may itself be a keyword ("from by by host"), and a
// second "from" names the envelope sender or where a program read from.
func (c *clauses) opens(k string) bool {
	prev := ""
	if c.i > 0 {
		prev = strings.ToLower(c.toks[c.i-1].text)
	}
	if prev == c.now && keywords[c.now] && len(c.words) == 0 && k == c.now {
		return false
	}
	if k == "from" && c.seen["from"] || k == "from" && c.seen["by"] {
		c.close()
		c.now = "again"
		return false
	}
	return !(k == "for" && c.now == "with" && prev == "service")
}

// date reads a date at the offset and skips its tokens; false when there is none.
func (c *clauses) date(at int) bool {
	d, n, err := date.Prefix(c.text[at:])
	if err != nil {
		return false
	}
	c.hop.setDate(c.text[at:at+n], d)
	for c.i < len(c.toks) && c.toks[c.i].start < at+n {
		c.i++
	}
	return true
}

// dated notices a date that follows a clause without a semicolon: it starts with the name of a day and a comma, or the
// number of the day before the name of a month.
func (c *clauses) dated(t token) bool {
	if c.now == "" || c.now == "from" || len(c.words) == 0 {
		return false
	}
	first := t.text[0] | 0x20
	if len(t.text) > 4 || !(first >= '0' && first <= '9' || strings.IndexByte("mtwfs", first) >= 0) {
		return false
	}
	if !c.date(t.start) {
		return false
	}
	c.close()
	c.now = ""
	return true
}

func (c *clauses) word(t token) {
	low := strings.ToLower(t.text)
	h := c.hop
	switch {
	case low == "tls" && c.i+1 < len(c.toks) && h.With != "" || low == "tls" && c.now == "with" && len(c.words) > 0:
		// RFC 8314: tls CIPHER, behind the protocol.
		if c.i+1 < len(c.toks) && c.toks[c.i+1].kind == word {
			c.i++
			h.tlsWords(c.toks[c.i].text)
			if h.TLSCipher == "" && h.TLSVersion == "" {
				h.TLSCipher = c.toks[c.i].text
			}
		}
		h.TLS = true
	case low == "envelope-from" || low == "envelope-sender":
		if c.i+1 < len(c.toks) {
			c.i++
			h.EnvelopeFrom = address(c.toks[c.i].text)
		}
	case strings.Contains(low, "=") && c.now != "from" && (c.now != "id" && c.now != "for" || len(c.words) > 0) && h.keyValue(t.text):
	default:
		c.words = append(c.words, t.text)
		if c.now == "from" && len(c.words) > 1 {
			h.client(t.text, true)
		}
	}
}

func (c *clauses) angle(s string) {
	h := c.hop
	switch c.now {
	case "again":
		if strings.Contains(s, "@") && h.EnvelopeFrom == "" {
			h.EnvelopeFrom = s
		}
	case "by":
		if len(c.words) > 0 && h.ID == "" {
			h.ID = s
		}
	default:
		c.words = append(c.words, s)
	}
}

// close stores what the open clause said.
func (c *clauses) close() {
	h, w := c.hop, c.words
	c.words = nil
	if len(w) == 0 {
		return
	}
	if i := slices.IndexFunc(w, func(s string) bool { return strings.EqualFold(s, "encrypted") }); i > 0 {
		h.tlsWords(w[i-1]) // qmail: with AES256-SHA encrypted SMTP
	}
	switch c.now {
	case "from":
		h.setFrom(w)
	case "by":
		if h.By == "" {
			h.By, h.ByIP = literal(w[0])
			if !h.ByIP.IsValid() {
				h.By = strings.TrimSuffix(h.By, ":")
			}
			h.byWords = strings.Join(w[1:], " ")
			h.tlsWords(strings.Join(w[1:], " "))
			if h.Software == "" && len(w) > 1 && !strings.HasPrefix(w[1], "[") {
				h.Software = h.byWords
			}
		}
	case "with":
		h.setWith(w)
	case "via":
		if h.Via == "" {
			h.Via = strings.Join(w, " ")
		}
	case "id":
		if h.ID == "" {
			h.ID = w[0]
			c.gluedFor(w)
		}
	case "for":
		if h.For == "" {
			h.For = address(w[0])
		}
	default:
		h.tlsWords(strings.Join(w, " "))
	}
}

// gluedFor takes apart "id 846CF2117for <user@host>".
func (c *clauses) gluedFor(w []string) {
	id, ok := strings.CutSuffix(w[0], "for")
	if ok && len(w) == 2 && strings.Contains(w[1], "@") && c.hop.For == "" && strings.Trim(id, "0123456789ABCDEF") == "" {
		c.hop.ID, c.hop.For = id, w[1]
	}
}

// setFrom stores the name behind "from".
func (h *Hop) setFrom(w []string) {
	switch {
	case strings.EqualFold(strings.Join(w, " "), "mail pickup service"):
		h.From, h.Kind = "mail pickup service", Local
		return
	case strings.HasPrefix(w[0], "[<") || strings.Contains(w[0], "@") && strings.Contains(w[0], "["):
		return
	}
	h.From, h.fromIP = literal(w[0])
}

func (h *Hop) setWith(w []string) {
	if h.With != "" {
		return
	}
	text := strings.Join(w, " ")
	h.With, h.WithText = protocol(text), text
	if h.With == text {
		h.WithText = ""
	}
	h.tlsWords(strings.ReplaceAll(text, "/", " "))
}

// address takes the brackets and a trailing comma off.
func address(s string) string { return strings.Trim(s, "<>,; ") }
