// Package mimetree takes the body of a message apart: RFC 2045 to 2047, 2183, 2231, and the breaches of them that mail
// programs live with.
//
// Promise: tolerant and bounded in parts, depth and decoded bytes; each limit that was reached is named in Faults. Parts
// hold decoded content up to a limit; nothing is executed, fetched or written. It must not judge.
package mimetree

import (
	"bytes"
	"encoding/base64"
	"mime"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Limits bound the work. Zero values take the defaults.
type Limits struct {
	Parts int // in all; 0 means 1,000
	Depth int // of nested multiparts and messages; 0 means 20
	Text  int // bytes kept of one text part, after decoding; 0 means 1 MiB
	Data  int // bytes kept of one other part; 0 means 8 MiB
	Total int // bytes decoded in all; 0 means 64 MiB
}

// Fault is something wrong with the structure.
type Fault string

// The faults.
const (
	TooManyParts Fault = "too-many-parts"
	TooDeep      Fault = "too-deep"
	TooBig       Fault = "too-big"      // decoding stopped at the limit in all
	NoBoundary   Fault = "no-boundary"  // multipart without a boundary parameter
	NotClosed    Fault = "not-closed"   // the last boundary is missing
	BadType      Fault = "bad-type"     // a Content-Type nobody can read
	BadEncoding  Fault = "bad-encoding" // an unknown transfer encoding, or bytes that are not of it
	BadCharset   Fault = "bad-charset"  // an unknown charset, or text that is not of it
	NulBytes     Fault = "nul-bytes"    // NUL in text
	EmptyPart    Fault = "empty-part"   // a multipart without parts
)

// Part is one node of the tree, in the order of the message.
type Part struct {
	Path        string            `json:"path"` // "1", "1.2"
	Depth       int               `json:"depth"`
	Type        string            `json:"type"` // lower case: "text/html"
	Params      map[string]string `json:"-"`
	Charset     string            `json:"charset,omitempty"`
	Disposition string            `json:"disposition,omitempty"`
	Filename    string            `json:"filename,omitempty"` // decoded; hostile
	ContentID   string            `json:"content_id,omitempty"`
	Encoding    string            `json:"encoding,omitempty"`
	Size        int               `json:"size"`             // bytes after decoding, as far as decoded
	Text        string            `json:"-"`                // text/*: UTF-8
	Data        []byte            `json:"-"`                // other leaves: decoded bytes
	Nested      bool              `json:"nested,omitempty"` // inside an attached message
	Multipart   bool              `json:"multipart,omitempty"`
	Faults      []Fault           `json:"faults,omitempty"`
}

// Attachment tells whether a reader sees the part as a file.
func (p *Part) Attachment() bool {
	return !p.Multipart && (p.Disposition == "attachment" || p.Filename != "" && p.Disposition != "inline" || p.Filename != "" && !strings.HasPrefix(p.Type, "image/"))
}

// Tree is a body taken apart.
type Tree struct {
	Parts  []*Part `json:"parts"`
	Faults []Fault `json:"faults,omitempty"`
}

// Parse takes a body apart by the fields of its header.
func Parse(h *header.Block, body []byte, lim Limits) *Tree {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&lim.Parts, 1000)
	def(&lim.Depth, 20)
	def(&lim.Text, 1<<20)
	def(&lim.Data, 8<<20)
	def(&lim.Total, 64<<20)
	w := walker{lim: lim, t: &Tree{}}
	w.entity(h, body, "1", 0, false, "text/plain")
	return w.t
}

type walker struct {
	lim   Limits
	t     *Tree
	total int
}

func (w *walker) fault(f Fault) {
	for _, x := range w.t.Faults {
		if x == f {
			return
		}
	}
	w.t.Faults = append(w.t.Faults, f)
}

// entity reads one header and body; typ is the type where the header names none.
func (w *walker) entity(h *header.Block, body []byte, path string, depth int, nested bool, typ string) {
	if len(w.t.Parts) >= w.lim.Parts {
		w.fault(TooManyParts)
		return
	}
	p := &Part{Path: path, Depth: depth, Type: typ, Nested: nested}
	w.t.Parts = append(w.t.Parts, p)
	p.describe(h)
	switch {
	case depth >= w.lim.Depth && (strings.HasPrefix(p.Type, "multipart/") || p.Type == "message/rfc822"):
		w.fault(TooDeep)
	case strings.HasPrefix(p.Type, "multipart/"):
		p.Multipart = true
		w.multipart(p, body)
	case p.Type == "message/rfc822" || p.Type == "message/global":
		data := body
		if p.Encoding == "base64" || p.Encoding == "quoted-printable" {
			data = w.decode(p, body)
		}
		p.Size = len(data)
		inner, rest, _ := header.ParseBytes(data, header.Limits{})
		w.entity(inner, rest, path+".1", depth+1, true, "text/plain")
	default:
		w.leaf(p, body)
	}
}

// describe reads the fields that say what a part is.
func (p *Part) describe(h *header.Block) {
	if v := h.Get("Content-Type"); v != "" {
		typ, params, ok := mediaType(v)
		if !ok {
			p.Faults = append(p.Faults, BadType)
		}
		if strings.Contains(typ, "/") {
			p.Type = typ
		}
		p.Params = params
	}
	disp, dp, _ := mediaType(h.Get("Content-Disposition"))
	p.Disposition = disp
	p.Filename = header.Decode(first(dp["filename"], p.Params["name"]))
	p.Charset = strings.ToLower(p.Params["charset"])
	p.ContentID = strings.Trim(h.Get("Content-ID"), "<> ")
	p.Encoding = strings.ToLower(strings.TrimSpace(cut(h.Get("Content-Transfer-Encoding"), ";( ")))
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func cut(s, at string) string {
	if i := strings.IndexAny(s, at); i >= 0 {
		return s[:i]
	}
	return s
}

// mediaType reads "type/sub; k=v" tolerantly: what the standard library refuses is cut by hand.
func mediaType(v string) (typ string, params map[string]string, ok bool) {
	if v == "" {
		return "", nil, true
	}
	typ, params, err := mime.ParseMediaType(v)
	if err == nil {
		return typ, params, true
	}
	parts := strings.Split(v, ";")
	typ = strings.ToLower(strings.TrimSpace(parts[0]))
	params = map[string]string{}
	for _, p := range parts[1:min(len(parts), 50)] {
		if k, val, found := strings.Cut(p, "="); found {
			params[strings.ToLower(strings.TrimSpace(k))] = strings.Trim(strings.TrimSpace(val), "\"'")
		}
	}
	return typ, params, false
}

// multipart cuts the body at the lines of the boundary.
func (w *walker) multipart(p *Part, body []byte) {
	b := p.Params["boundary"]
	if b == "" {
		p.Faults = append(p.Faults, NoBoundary)
		return
	}
	delim := []byte("--" + b)
	def := "text/plain"
	if p.Type == "multipart/digest" {
		def = "message/rfc822"
	}
	start, n, closed := -1, 0, false
	for at := 0; at <= len(body) && !closed; {
		i, after, last := boundaryLine(body, at, delim)
		if i < 0 {
			break
		}
		if start >= 0 {
			n++
			w.part(p, body[start:trimEOL(body, start, i)], n, def)
		}
		start, at, closed = after, after, last
		if len(w.t.Parts) >= w.lim.Parts {
			w.fault(TooManyParts)
			return
		}
	}
	if !closed {
		p.Faults = append(p.Faults, NotClosed)
		if start >= 0 && start < len(body) {
			n++
			w.part(p, body[start:], n, def)
		}
	}
	if n == 0 {
		p.Faults = append(p.Faults, EmptyPart)
	}
}

func (w *walker) part(parent *Part, raw []byte, n int, def string) {
	h, rest, _ := header.ParseBytes(raw, header.Limits{Bytes: 256 << 10, Fields: 200})
	w.entity(h, rest, parent.Path+"."+itoa(n), parent.Depth+1, parent.Nested, def)
}

// boundaryLine finds the next line that is the boundary: where it starts, where the part behind it starts, and whether
// it closes the multipart.
func boundaryLine(body []byte, from int, delim []byte) (at, after int, last bool) {
	for from <= len(body) {
		i := bytes.Index(body[from:], delim)
		if i < 0 {
			return -1, 0, false
		}
		at = from + i
		end := len(body)
		if nl := bytes.IndexByte(body[at:], '\n'); nl >= 0 {
			end = at + nl + 1
		}
		rest := bytes.TrimRight(body[at+len(delim):end], " \t\r\n")
		if (at == 0 || body[at-1] == '\n') && (len(rest) == 0 || bytes.Equal(rest, []byte("--"))) {
			return at, end, len(rest) == 2
		}
		from = at + len(delim)
	}
	return -1, 0, false
}

// trimEOL leaves the line end before a boundary out of the part: it belongs to the boundary.
func trimEOL(body []byte, start, end int) int {
	if end > start && body[end-1] == '\n' {
		end--
		if end > start && body[end-1] == '\r' {
			end--
		}
	}
	return max(start, end)
}

func (w *walker) leaf(p *Part, body []byte) {
	data := w.decode(p, body)
	p.Size = len(data)
	if !strings.HasPrefix(p.Type, "text/") && p.Type != "message/delivery-status" {
		p.Data = data[:min(len(data), w.lim.Data)]
		return
	}
	if bytes.IndexByte(data, 0) >= 0 && p.Charset != "utf-16" {
		p.Faults = append(p.Faults, NulBytes)
	}
	data = data[:min(len(data), w.lim.Text)]
	text, ok := header.DecodeCharset(p.Charset, data)
	if (!ok && p.Charset != "") || strings.ContainsRune(text, '\uFFFD') && len(data) < w.lim.Text {
		p.Faults = append(p.Faults, BadCharset)
	}
	p.Text = text
}

// decode undoes the transfer encoding as far as the limit in all allows.
func (w *walker) decode(p *Part, body []byte) []byte {
	room := w.lim.Total - w.total
	if len(body) > room*4/3+4 {
		w.fault(TooBig)
		body = body[:max(room, 0)]
	}
	var out []byte
	switch p.Encoding {
	case "base64":
		var ok bool
		if out, ok = lenientBase64(body); !ok {
			p.Faults = append(p.Faults, BadEncoding)
		}
	case "quoted-printable":
		out = quotedPrintable(body)
	case "", "7bit", "8bit", "binary":
		out = body
	default:
		p.Faults = append(p.Faults, BadEncoding)
		out = body
	}
	w.total += len(out)
	return out
}

// lenientBase64 skips what is not of the alphabet; ok is false where anything but line ends had to be skipped.
func lenientBase64(b []byte) ([]byte, bool) {
	clean := make([]byte, 0, len(b))
	ok := true
	for _, c := range b {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			clean = append(clean, c)
		case c == '\r', c == '\n', c == ' ', c == '\t', c == '=':
		default:
			ok = false
		}
	}
	if len(clean)%4 == 1 {
		clean, ok = clean[:len(clean)-1], false
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, err := base64.RawStdEncoding.Decode(out, clean)
	return out[:n], ok && err == nil
}

// quotedPrintable decodes what is encoded and keeps what is not.
func quotedPrintable(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '=' {
			out = append(out, b[i])
			continue
		}
		switch {
		case i+2 < len(b) && unhex(b[i+1]) < 16 && unhex(b[i+2]) < 16:
			out = append(out, unhex(b[i+1])<<4|unhex(b[i+2]))
			i += 2
		case i+1 < len(b) && b[i+1] == '\n':
			i++
		case i+2 < len(b) && b[i+1] == '\r' && b[i+2] == '\n':
			i += 2
		default:
			out = append(out, '=')
		}
	}
	return out
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func itoa(n int) string {
	var b [12]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
