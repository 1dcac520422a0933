package dmarcxml

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a document.
const (
	bufferSize = 64 << 10
	maxToken   = 1 << 20 // bytes of one tag, comment or text
	maxDepth   = 64
	maxName    = 256
)

type tokenKind uint8

const (
	tStart tokenKind = iota
	tEnd
	tText
)

// tokenizer cuts a document into tags and text. A token lies whole in buf until the next call.
type tokenizer struct {
	in    io.Reader
	buf   []byte
	pos   int // next byte to look at
	end   int // of what was read
	err   error
	lines int // line feeds before buf[0]
	col   int // bytes between the last of them and buf[0]

	names  []byte // names of the open elements, one after the other
	starts []int  // where each begins in names

	tag     []byte // the inside of a tag: name and attributes
	name    []byte // of the element that starts or ends
	text    []byte
	raw     bool // text is a CDATA section: no references in it
	pending bool // an empty element: its end comes next
	latin1  bool
	closed  bool // the root element has ended
	first   bool
}

func newTokenizer(r io.Reader) *tokenizer {
	return &tokenizer{in: r, buf: make([]byte, bufferSize), first: true}
}

// fill reads on, after moving what is not yet used (from keep on) to the front. It tells whether there is more.
func (t *tokenizer) fill(keep int) bool {
	if t.err != nil {
		return false
	}
	if keep > 0 {
		t.forget(keep)
	}
	if t.end == len(t.buf) {
		if len(t.buf) >= maxToken {
			return false
		}
		t.buf = append(t.buf, make([]byte, len(t.buf))...)
	}
	for range 100 {
		n, err := t.in.Read(t.buf[t.end:])
		t.end += n
		t.err = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	t.err = io.ErrNoProgress
	return false
}

func (t *tokenizer) forget(n int) {
	if k := bytes.Count(t.buf[:n], []byte{'\n'}); k > 0 {
		t.lines += k
		t.col = n - 1 - bytes.LastIndexByte(t.buf[:n], '\n')
	} else {
		t.col += n
	}
	copy(t.buf, t.buf[n:t.end])
	t.pos -= n
	t.end -= n
}

func (t *tokenizer) fault(at int, format string, args ...any) error {
	at = min(max(at, 0), t.end)
	line, col := t.lines+1+bytes.Count(t.buf[:at], []byte{'\n'}), t.col+at+1
	if i := bytes.LastIndexByte(t.buf[:at], '\n'); i >= 0 {
		col = at - i
	}
	return &SyntaxError{line, col, fmt.Sprintf(format, args...)}
}

// missing is the fault of a token without end, or the error of the source where that is why.
func (t *tokenizer) missing(format string, args ...any) error {
	if t.err != nil && t.err != io.EOF {
		return t.err
	}
	return t.fault(t.pos, format, args...)
}

// until gives the offset of what in buf at or after from, reading on as needed; -1 where the document ends first or the
// token gets too long.
func (t *tokenizer) until(from int, what string) int {
	for {
		if i := bytes.Index(t.buf[from:t.end], []byte(what)); i >= 0 {
			return from + i
		}
		back := max(from, t.end-len(what)+1)
		gone := t.pos
		if !t.fill(gone) {
			return -1
		}
		from = back - gone
	}
}

// next gives the next token; io.EOF at the end of the document.
func (t *tokenizer) next() (tokenKind, error) {
	if t.pending {
		t.pending = false
		return tEnd, t.pop(t.name)
	}
	for {
		if t.first {
			if err := t.begin(); err != nil {
				return 0, err
			}
		}
		if t.pos == t.end && !t.fill(t.pos) {
			return 0, t.atEnd()
		}
		if t.buf[t.pos] != '<' {
			return tText, t.readText()
		}
		kind, skip, err := t.markup()
		if err != nil || !skip {
			return kind, err
		}
	}
}

// begin passes over a byte order mark and reads the encoding.
func (t *tokenizer) begin() error {
	t.first = false
	for t.end < 4 && t.fill(0) {
	}
	b := t.buf[:t.end]
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		t.pos = 3
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return t.fault(0, "UTF-16 is not read")
	}
	return nil
}

func (t *tokenizer) atEnd() error {
	if t.err == io.EOF || t.err == nil {
		return io.EOF
	}
	return t.err
}

// complete judges the end of the document.
func (t *tokenizer) complete(begun bool) error {
	switch {
	case len(t.starts) > 0:
		return t.fault(t.pos, "the document ends inside <%s>", t.names[t.starts[len(t.starts)-1]:])
	case !begun:
		return t.fault(t.pos, "no element found")
	}
	return nil
}

func (t *tokenizer) readText() error {
	i := t.until(t.pos, "<")
	if i < 0 {
		i = t.end
		if t.err != nil && t.err != io.EOF {
			return t.err
		}
		if t.end-t.pos >= maxToken-1 {
			return t.fault(t.pos, "text longer than %d bytes", maxToken)
		}
	}
	t.text, t.raw = t.buf[t.pos:i], false
	t.pos = i
	if len(t.starts) == 0 && len(trim(t.text)) > 0 {
		return t.fault(i-len(t.text), "text outside the root element")
	}
	return t.valid(t.text, i-len(t.text))
}

func (t *tokenizer) valid(b []byte, at int) error {
	if t.latin1 || utf8.Valid(b) {
		return nil
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return t.fault(at+i, "the byte 0x%02x is no UTF-8", b[i])
		}
		i += n
	}
	return nil
}

// markup reads what begins with "<". skip tells that it was nothing a reader wants.
func (t *tokenizer) markup() (kind tokenKind, skip bool, err error) {
	for t.end-t.pos < 9 && t.fill(t.pos) {
	}
	rest := t.buf[t.pos:t.end]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		return 0, true, t.pass(4, "-->")
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		return tText, false, t.cdata()
	case bytes.HasPrefix(rest, []byte("<!")):
		return 0, false, t.fault(t.pos, "document type declarations are not read")
	case bytes.HasPrefix(rest, []byte("<?")):
		return 0, true, t.instruction()
	}
	return t.element()
}

func (t *tokenizer) pass(skip int, end string) error {
	i := t.until(t.pos+skip, end)
	if i < 0 {
		return t.missing("%s is missing", end)
	}
	t.pos = i + len(end)
	return nil
}

func (t *tokenizer) instruction() error {
	i := t.until(t.pos, "?>")
	if i < 0 {
		return t.missing("?> is missing")
	}
	pi := string(t.buf[t.pos:i])
	at := t.pos
	t.pos = i + 2
	if !strings.HasPrefix(pi, "<?xml") {
		return nil
	}
	switch enc := strings.ToLower(attr(pi, "encoding")); enc {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
	case "iso-8859-1", "latin1", "windows-1252", "iso-8859-15":
		t.latin1 = true
	default:
		return t.fault(at, "the encoding %.40s is not read", enc)
	}
	return nil
}

func (t *tokenizer) cdata() error {
	const open = len("<![CDATA[")
	if len(t.starts) == 0 {
		return t.fault(t.pos, "text outside the root element")
	}
	i := t.until(t.pos+open, "]]>")
	if i < 0 {
		return t.missing("]]> is missing")
	}
	t.text, t.raw = t.buf[t.pos+open:i], true
	at := t.pos + open
	t.pos = i + 3
	return t.valid(t.text, at)
}

func (t *tokenizer) element() (tokenKind, bool, error) {
	i := t.until(t.pos, ">")
	for i >= 0 && openQuote(t.buf[t.pos:i]) { // ">" may stand in an attribute
		i = t.until(i+1, ">")
	}
	if i < 0 {
		return 0, false, t.missing("> is missing")
	}
	at := t.pos
	in := t.buf[t.pos+1 : i]
	t.pos = i + 1
	if bytes.IndexByte(in, '<') >= 0 {
		return 0, false, t.fault(at, "a < inside a tag")
	}
	if len(in) > 0 && in[0] == '/' {
		t.name = trimRight(in[1:])
		if err := t.pop(t.name); err != nil {
			return 0, false, t.fault(at, "%s", err.Error())
		}
		return tEnd, false, nil
	}
	if n := len(in); n > 0 && in[n-1] == '/' {
		t.pending, in = true, in[:n-1]
	}
	t.tag, t.name = in, nameOf(in)
	if err := t.push(at); err != nil {
		return 0, false, err
	}
	return tStart, false, t.valid(in, at+1)
}

func openQuote(b []byte) bool {
	var q byte
	for _, c := range b {
		switch {
		case q == 0 && (c == '"' || c == '\''):
			q = c
		case c == q:
			q = 0
		}
	}
	return q != 0
}

func nameOf(in []byte) []byte {
	for i, c := range in {
		if c <= ' ' {
			return in[:i]
		}
	}
	return in
}

func (t *tokenizer) push(at int) error {
	switch {
	case len(t.name) == 0 || len(t.name) > maxName || !nameOK(t.name):
		return t.fault(at, "%.40q is no element name", t.name)
	case t.closed:
		return t.fault(at, "an element after the root element")
	case len(t.starts) >= maxDepth:
		return t.fault(at, "elements nested more than %d deep", maxDepth)
	}
	t.starts = append(t.starts, len(t.names))
	t.names = append(t.names, t.name...)
	return nil
}

func (t *tokenizer) pop(name []byte) error {
	n := len(t.starts) - 1
	if n < 0 {
		return fmt.Errorf("</%.40s> ends nothing", name)
	}
	open := t.names[t.starts[n]:]
	if !bytes.Equal(open, name) {
		return fmt.Errorf("</%.40s> where </%s> is expected", name, open)
	}
	t.names = t.names[:t.starts[n]]
	t.starts = t.starts[:n]
	t.closed = n == 0
	return nil
}

func nameOK(n []byte) bool {
	for i, c := range n {
		l := c | 0x20
		if (l < 'a' || l > 'z') && c != '_' && c < 0x80 && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.' && c != ':') {
			return false
		}
	}
	return true
}

// local is the name of the element without its prefix.
func (t *tokenizer) local() []byte {
	if i := bytes.IndexByte(t.name, ':'); i >= 0 {
		return t.name[i+1:]
	}
	return t.name
}

func (t *tokenizer) attribute(name string) string { return attr(string(t.tag), name) }

// attr finds an attribute in the inside of a tag; "" for none.
func attr(tag, name string) string {
	for {
		i := strings.Index(tag, name)
		if i < 0 {
			return ""
		}
		rest := strings.TrimLeft(tag[i+len(name):], " \t\r\n")
		if i > 0 && strings.IndexByte(" \t\r\n", tag[i-1]) >= 0 && strings.HasPrefix(rest, "=") {
			rest = strings.TrimLeft(rest[1:], " \t\r\n")
			if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
				v, _, _ := strings.Cut(rest[1:], rest[:1])
				return v
			}
		}
		tag = tag[i+len(name):]
	}
}

// appendText adds the text of the token, references resolved.
func (t *tokenizer) appendText(dst []byte) ([]byte, error) {
	if len(dst) > maxToken {
		return dst, t.fault(t.pos, "text longer than %d bytes", maxToken)
	}
	if t.latin1 {
		for _, c := range t.text {
			dst = utf8.AppendRune(dst, rune(c))
		}
		return dst, nil
	}
	s := t.text
	for !t.raw {
		i := bytes.IndexByte(s, '&')
		if i < 0 {
			break
		}
		dst = append(dst, s[:i]...)
		s = s[i:]
		j := bytes.IndexByte(s[:min(len(s), 12)], ';')
		if j < 0 {
			return dst, t.fault(t.pos-len(s), "a bare &")
		}
		r, ok := reference(string(s[1:j]))
		if !ok {
			return dst, t.fault(t.pos-len(s), "the entity &%s; is not read", s[1:j])
		}
		dst = utf8.AppendRune(dst, r)
		s = s[j+1:]
	}
	return append(dst, s...), nil
}

func reference(s string) (rune, bool) {
	switch s {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	num, ok := strings.CutPrefix(s, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(num, "x"); ok {
		num, base = hex, 16
	}
	n, err := strconv.ParseUint(num, base, 32)
	if err != nil || n > utf8.MaxRune || n == 0 || n >= 0xd800 && n < 0xe000 {
		return 0, false
	}
	return rune(n), true
}

func trim(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	return trimRight(b)
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}
