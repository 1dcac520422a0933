package content

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/mimetree"
)

// Link is one link of the message.
type Link struct {
	URL       string `json:"url"` // hostile; shortened to 300 bytes
	Text      string `json:"text,omitempty"`
	Host      string `json:"host,omitempty"`
	Shown     string `json:"shown,omitempty"` // the host the text shows, where it is another
	IP        bool   `json:"ip,omitempty"`    // a bare address for a host
	Shortener bool   `json:"shortener,omitempty"`
	User      bool   `json:"user,omitempty"`   // a user part before the host
	Scheme    string `json:"scheme,omitempty"` // where it is none of http, https, mailto, tel
	Alike     *Alike `json:"lookalike,omitempty"`
}

// Alike says whose name a host imitates.
type Alike struct {
	Shown string `json:"shown,omitempty"` // as an address bar shows it
	Brand string `json:"brand"`
	Real  string `json:"real"`
}

type collector struct {
	f     *Facts
	table *knowledge.Content
	alike func(host string) *Alike
	seen  map[string]bool
}

var plainURL = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"'()\[\]{}，。；、）】》]+`)

func (c *collector) plainLinks(text string) {
	for _, u := range plainURL.FindAllString(text, maxLinks) {
		c.link(strings.TrimRight(u, ".,;:!?"), "")
	}
}

// link files a link, each URL with each text once.
func (c *collector) link(href, text string) {
	key := href + "\x00" + text
	if c.seen[key] {
		return
	}
	if len(c.f.Links) >= maxLinks {
		c.f.LinksMore++
		return
	}
	c.seen[key] = true
	l := Link{URL: clip(href, 300), Text: clip(text, 120)}
	u, err := url.Parse(strings.TrimSpace(href))
	if err != nil {
		l.Scheme = "?"
		c.f.Links = append(c.f.Links, l)
		return
	}
	switch scheme := strings.ToLower(u.Scheme); scheme {
	case "http", "https":
		c.host(&l, u)
	case "mailto", "tel", "sms", "cid", "", "callto", "geo", "webcal":
		if strings.HasPrefix(href, "#") || scheme != "" {
			return
		}
		if u.Host != "" {
			c.host(&l, u)
		}
	default:
		l.Scheme = scheme
	}
	c.f.Links = append(c.f.Links, l)
}

func (c *collector) host(l *Link, u *url.URL) {
	l.Host = strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	l.User = u.User != nil
	if _, err := netip.ParseAddr(strings.Trim(l.Host, "[]")); err == nil || strings.Trim(l.Host, "0123456789x") == "" && l.Host != "" {
		l.IP = true
	}
	org := orgOf(l.Host)
	l.Shortener = slices.Contains(c.table.Shorteners, l.Host) || slices.Contains(c.table.Shorteners, org)
	if !l.IP && !c.seen["host:"+l.Host] && len(c.seen) < 2000 {
		c.seen["host:"+l.Host] = true
		l.Alike = c.alike(l.Host)
	}
	if shown := hostIn(l.Text); shown != "" && orgOf(shown) != org {
		l.Shown = shown
	}
}

var shownHost = regexp.MustCompile(`(?i)^(?:https?://)?(?:www\.)?((?:[\p{L}\p{N}-]+\.)+[\p{L}]{2,18})(?:[/:?].*)?$`)

// hostIn is the host a link's text shows, where the text is an address of the web and nothing else.
func hostIn(text string) string {
	m := shownHost.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return ""
	}
	host := strings.ToLower(m[1])
	if suffix, icann := publicsuffix.PublicSuffix(host); !icann && !strings.Contains(suffix, ".") && !strings.Contains(text, "://") {
		return "" // "report.docx" is a file, not a host
	}
	return host
}

func orgOf(host string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}

// Domains lists the registrable domains of the links, each once, at most n.
func (f *Facts) Domains(n int) []string {
	var out []string
	for _, l := range f.Links {
		if d := orgOf(l.Host); l.Host != "" && !l.IP && !slices.Contains(out, d) && len(out) < n {
			out = append(out, d)
		}
	}
	return out
}

func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

func (c *collector) file(p *mimetree.Part) {
	if len(c.f.Files) < maxFiles {
		c.f.Files = append(c.f.Files, readFile(p, c.table))
	}
}
