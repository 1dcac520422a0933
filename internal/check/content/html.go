package content

import (
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// HTML is what the markup shows.
type HTML struct {
	Bytes     int  `json:"bytes"`
	Chars     int  `json:"text_chars"`   // visible text
	Hidden    int  `json:"hidden_chars"` // text styled away
	Tiny      int  `json:"tiny_chars"`   // text too small to read
	Images    int  `json:"images"`
	Remote    int  `json:"remote_images"` // would be fetched from the net when shown
	NoAlt     int  `json:"images_without_alt"`
	Pixels    int  `json:"tracking_pixels"`
	Forms     int  `json:"forms"`
	Scripts   int  `json:"scripts"` // script elements and event handlers
	Objects   int  `json:"objects"` // iframe, object, embed, applet
	Refresh   bool `json:"meta_refresh,omitempty"`
	Unclosed  int  `json:"unclosed"` // elements never closed
	Misnested int  `json:"misnested"`
	Stray     int  `json:"stray_ends"` // end tags that close nothing
	Links     int  `json:"links"`

	visible string
	links   []anchor
}

type anchor struct{ href, text string }

const (
	maxDepth  = 300
	maxTokens = 500000
)

type element struct {
	name         string
	hidden, tiny bool
}

type scanner struct {
	h     *HTML
	stack []element
	text  strings.Builder
	open  *anchor // the link whose text is being read
	label strings.Builder
}

// readHTML runs over the tokens once.
func readHTML(s string) *HTML {
	sc := scanner{h: &HTML{Bytes: len(s)}}
	z := html.NewTokenizer(strings.NewReader(s))
	z.SetMaxBuf(1 << 20)
	for range maxTokens {
		tt := z.Next()
		if tt == html.ErrorToken {
			break
		}
		switch tt {
		case html.TextToken:
			sc.chars(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			sc.start(z.Token(), tt == html.SelfClosingTagToken)
		case html.EndTagToken:
			name, _ := z.TagName()
			sc.end(string(name))
		}
	}
	sc.closeLink()
	for _, e := range sc.stack {
		if !optionalEnd[e.name] {
			sc.h.Unclosed++
		}
	}
	sc.h.visible = sc.text.String()
	return sc.h
}

func (sc *scanner) state() (hidden, tiny bool) {
	if n := len(sc.stack); n > 0 {
		return sc.stack[n-1].hidden, sc.stack[n-1].tiny
	}
	return false, false
}

func (sc *scanner) chars(s string) {
	s = strings.Join(strings.Fields(html.UnescapeString(s)), " ")
	n := len([]rune(s))
	if n == 0 {
		return
	}
	if k := len(sc.stack); k > 0 && (sc.stack[k-1].name == "style" || sc.stack[k-1].name == "script" || sc.stack[k-1].name == "title") {
		return
	}
	hidden, tiny := sc.state()
	switch {
	case hidden:
		sc.h.Hidden += n
	case tiny:
		sc.h.Tiny += n
	default:
		sc.h.Chars += n
		if sc.text.Len() < maxText {
			sc.text.WriteString(s)
			sc.text.WriteByte(' ')
		}
	}
	if sc.open != nil && sc.label.Len() < 500 {
		sc.label.WriteString(s + " ")
	}
}

func (sc *scanner) start(t html.Token, selfClosed bool) {
	hidden, tiny := sc.state()
	attr := map[string]string{}
	for _, a := range t.Attr {
		attr[strings.ToLower(a.Key)] = a.Val
		if len(a.Key) > 2 && strings.HasPrefix(strings.ToLower(a.Key), "on") {
			sc.h.Scripts++
		}
	}
	style := strings.ToLower(strings.Join(strings.Fields(attr["style"]), ""))
	_, hid := attr["hidden"]
	hidden = hidden || hid || hides(style)
	tiny = tiny || tinyFont.MatchString(style)
	sc.element(t.Data, attr, style)
	if void[t.Data] || selfClosed {
		return
	}
	// An element whose end is optional ends where the next of its kind begins.
	if n := len(sc.stack); n > 0 && sc.stack[n-1].name == t.Data && optionalEnd[t.Data] {
		sc.stack = sc.stack[:n-1]
	}
	if len(sc.stack) < maxDepth {
		sc.stack = append(sc.stack, element{t.Data, hidden, tiny})
	}
}

// element counts what an element is.
func (sc *scanner) element(name string, attr map[string]string, style string) {
	h := sc.h
	switch name {
	case "img":
		sc.image(attr, style)
	case "form":
		h.Forms++
	case "script":
		h.Scripts++
	case "iframe", "object", "embed", "applet", "frame":
		h.Objects++
	case "meta":
		h.Refresh = h.Refresh || strings.EqualFold(attr["http-equiv"], "refresh")
	case "a", "area":
		sc.closeLink()
		if href := strings.TrimSpace(attr["href"]); href != "" {
			h.Links++
			if len(h.links) < maxLinks {
				sc.open = &anchor{href: href}
			}
		}
	}
}

func (sc *scanner) image(attr map[string]string, style string) {
	h := sc.h
	h.Images++
	src := strings.ToLower(strings.TrimSpace(attr["src"]))
	if strings.HasPrefix(src, "http:") || strings.HasPrefix(src, "https:") || strings.HasPrefix(src, "//") {
		h.Remote++
	}
	if small(attr["width"]) && small(attr["height"]) || strings.Contains(style, "width:1px") && strings.Contains(style, "height:1px") {
		h.Pixels++
		return
	}
	if strings.TrimSpace(attr["alt"]) == "" {
		h.NoAlt++
	}
}

func small(v string) bool {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), "px"))
	return err == nil && n <= 1
}

func (sc *scanner) end(name string) {
	if name == "a" {
		sc.closeLink()
	}
	for i := len(sc.stack) - 1; i >= 0 && i >= len(sc.stack)-50; i-- {
		if sc.stack[i].name != name {
			continue
		}
		for _, e := range sc.stack[i+1:] {
			if !optionalEnd[e.name] {
				sc.h.Misnested++
			}
		}
		sc.stack = sc.stack[:i]
		return
	}
	if !void[name] && name != "p" {
		sc.h.Stray++
	}
}

func (sc *scanner) closeLink() {
	if sc.open == nil {
		return
	}
	sc.open.text = strings.TrimSpace(sc.label.String())
	sc.h.links = append(sc.h.links, *sc.open)
	sc.open = nil
	sc.label.Reset()
}

// merge adds the counts of a second HTML part.
func (h *HTML) merge(o *HTML) *HTML {
	if o == nil {
		return h
	}
	h.Bytes += o.Bytes
	h.Chars += o.Chars
	h.Hidden += o.Hidden
	h.Tiny += o.Tiny
	h.Images += o.Images
	h.Remote += o.Remote
	h.NoAlt += o.NoAlt
	h.Pixels += o.Pixels
	h.Forms += o.Forms
	h.Scripts += o.Scripts
	h.Objects += o.Objects
	h.Refresh = h.Refresh || o.Refresh
	h.Unclosed += o.Unclosed
	h.Misnested += o.Misnested
	h.Stray += o.Stray
	h.Links += o.Links
	return h
}

var (
	tinyFont  = regexp.MustCompile(`font-size:(?:[1-4](?:\.\d+)?(?:px|pt)|0?\.[0-3]\d*em|[1-3]?\d%)`)
	zeroStyle = regexp.MustCompile(`(?:^|;)(?:font-size:0(?:px|pt|em|%)?|opacity:0(?:\.0+)?|max-height:0(?:px)?|text-indent:-\d{3,}px|left:-\d{3,}px)(?:;|!|$)`)
	colors    = regexp.MustCompile(`(?:^|;)color:([^;!]+)`)
	grounds   = regexp.MustCompile(`(?:^|;)background(?:-color)?:([^;!]+)`)
)

// hides tells whether a style, lower case and without blanks, takes text out of sight.
func hides(style string) bool {
	if style == "" {
		return false
	}
	if strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden") || zeroStyle.MatchString(style) {
		return true
	}
	c, g := colors.FindStringSubmatch(style), grounds.FindStringSubmatch(style)
	return c != nil && g != nil && color(c[1]) == color(g[1])
}

// color writes the usual names of white and black and short hex colours alike.
func color(s string) string {
	switch s {
	case "white", "#fff", "rgb(255,255,255)":
		return "#ffffff"
	case "black", "#000", "rgb(0,0,0)":
		return "#000000"
	}
	return s
}

var void = words("area base br col embed hr img input link meta source track wbr frame param")

// optionalEnd are elements whose end tag may be left out.
var optionalEnd = words("html head body p li dt dd option optgroup tr td th thead tbody tfoot colgroup rt rp")

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
