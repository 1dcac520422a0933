// Package content looks at what a message says: its text, its HTML, its links, its files, and whether a reader can get
// rid of it.
//
// Promise: Read gathers facts from the bytes alone, Judge is pure. Nothing is fetched, followed, run or unpacked: of
// archives only the list of names is read, of Office files only whether a macro project is in them. HTML is cut into
// tokens, never rendered. RFC 2045 to 2049, RFC 2369, RFC 8058, HTML Living Standard for the tokens.
package content

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/mail/mimetree"
)

// Facts are what the content shows.
type Facts struct {
	Parts     []*mimetree.Part `json:"parts"`
	Faults    []mimetree.Fault `json:"faults,omitempty"`
	Size      int              `json:"size"` // bytes of the whole message
	Text      int              `json:"text_chars"`
	HasText   bool             `json:"has_text"` // a text/plain part
	HTML      *HTML            `json:"html,omitempty"`
	Subject   string           `json:"subject"`
	Capitals  int              `json:"capitals_percent"`
	Phrases   []Phrase         `json:"phrases,omitempty"`
	Links     []Link           `json:"links,omitempty"`
	LinksMore int              `json:"links_not_read,omitempty"`
	Files     []File           `json:"files,omitempty"`
	List      List             `json:"list"`
	Blocked   []string         `json:"blocked_domains,omitempty"` // set by who may ask the network
}

// Phrase is a phrase of the table that was found.
type Phrase struct {
	Text   string         `json:"text"`
	Group  knowledge.Text `json:"group"`
	Points float64        `json:"points"`
}

// List is what the header says about getting off a list (RFC 2369, RFC 8058).
type List struct {
	Bulk        bool   `json:"bulk"` // the message says it is a mailing
	Unsubscribe string `json:"unsubscribe,omitempty"`
	HTTPS       bool   `json:"https"`
	Mailto      bool   `json:"mailto"`
	OneClick    bool   `json:"one_click"`
}

const (
	maxText  = 256 << 10 // characters of text that are searched for phrases
	maxLinks = 300
	maxFiles = 200
)

// Read gathers the facts of a message. size is the number of bytes of the whole message; alike says whose name the host
// of a link imitates, nil for none.
func Read(h *header.Block, body []byte, size int, table *knowledge.Content, alike func(host string) *Alike) *Facts {
	tree := mimetree.Parse(h, body, mimetree.Limits{})
	f := &Facts{Parts: tree.Parts, Faults: tree.Faults, Size: size, Subject: h.Text("Subject"), List: readList(h)}
	var text strings.Builder
	add := func(s string) {
		if room := maxText - text.Len(); room > 0 {
			text.WriteString(s[:min(len(s), room)])
			text.WriteByte('\n')
		}
	}
	add(f.Subject)
	c := collector{f: f, table: table, alike: alike, seen: map[string]bool{}}
	for _, p := range tree.Parts {
		switch {
		case p.Multipart || p.Nested:
		case p.Attachment():
			c.file(p)
		case p.Type == "text/plain":
			f.HasText = true
			f.Text += len([]rune(strings.TrimSpace(p.Text)))
			add(p.Text)
			c.plainLinks(p.Text)
		case p.Type == "text/html":
			x := readHTML(p.Text)
			add(x.visible)
			for _, l := range x.links {
				c.link(l.href, l.text)
			}
			f.HTML = x.merge(f.HTML)
		case !strings.HasPrefix(p.Type, "text/") && p.Size > 0:
			c.file(p)
		}
	}
	f.Capitals = capitals(text.String())
	f.Phrases = phrases(text.String(), table)
	return f
}

func readList(h *header.Block) List {
	l := List{Unsubscribe: h.Get("List-Unsubscribe")}
	low := strings.ToLower(l.Unsubscribe)
	l.HTTPS, l.Mailto = strings.Contains(low, "<https:"), strings.Contains(low, "<mailto:")
	l.OneClick = strings.EqualFold(strings.ReplaceAll(h.Get("List-Unsubscribe-Post"), " ", ""), "List-Unsubscribe=One-Click")
	precedence := strings.ToLower(h.Get("Precedence"))
	l.Bulk = l.Unsubscribe != "" || precedence == "bulk" || precedence == "list" || h.First("List-Id") != nil || h.First("Feedback-ID") != nil ||
		h.First("X-Campaign-ID") != nil || h.First("X-Mailer-Campaign") != nil
	return l
}

// capitals is the share of capital letters among the letters of scripts that have them, in percent; short texts give 0.
func capitals(s string) int {
	upper, all := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			upper++
			all++
		case c >= 'a' && c <= 'z':
			all++
		}
	}
	if all < 60 {
		return 0
	}
	return 100 * upper / all
}

// phrases finds the phrases of the table, each once.
func phrases(text string, table *knowledge.Content) []Phrase {
	low := " " + strings.Join(strings.Fields(strings.ToLower(text)), " ") + " "
	dense := strings.ReplaceAll(low, " ", "")
	var out []Phrase
	for _, g := range table.Phrases {
		for _, w := range g.Words {
			if g.Lang == "zh" && strings.Contains(dense, w) || g.Lang == "en" && wholeWord(low, w) {
				out = append(out, Phrase{w, g.Group, g.Points})
			}
		}
	}
	return out
}

func wholeWord(s, w string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], w)
		if i < 0 {
			return false
		}
		at := from + i
		end := at + len(w)
		if (at == 0 || !letter(s[at-1])) && (end >= len(s) || !letter(s[end])) {
			return true
		}
		from = at + 1
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80 }
