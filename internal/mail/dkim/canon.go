package dkim

import (
	"bytes"
	"hash"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Canon is a canonicalisation (RFC 6376 section 3.4).
type Canon bool

// The canonicalisations.
const (
	Simple  Canon = false
	Relaxed Canon = true
)

// String gives the word of c=.
func (c Canon) String() string {
	if c {
		return "relaxed"
	}
	return "simple"
}

// MarshalText writes the word of c=.
func (c Canon) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// AppendHeader appends a field in canonical form, with its line end. raw is the field byte for byte; bare LF counts as
// CRLF.
func (c Canon) AppendHeader(dst, raw []byte) []byte {
	if c == Simple {
		return appendCRLF(dst, raw)
	}
	colon := bytes.IndexByte(raw, ':')
	if colon < 0 {
		return append(dst, '\r', '\n')
	}
	for _, b := range bytes.TrimRight(raw[:colon], " \t") {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		dst = append(dst, b)
	}
	dst = append(dst, ':')
	start, blank := len(dst), false
	for _, b := range raw[colon+1:] {
		switch b {
		case ' ', '\t':
			blank = true
		case '\r', '\n':
		default:
			if blank && len(dst) > start {
				dst = append(dst, ' ')
			}
			blank = false
			dst = append(dst, b)
		}
	}
	return append(dst, '\r', '\n')
}

// appendCRLF copies raw with every bare LF made CRLF, and a CRLF at the end.
func appendCRLF(dst, raw []byte) []byte {
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			dst = append(dst, bytes.TrimSuffix(raw, []byte("\r"))...)
			break
		}
		dst = append(dst, bytes.TrimSuffix(raw[:i], []byte("\r"))...)
		raw = raw[i+1:]
		dst = append(dst, '\r', '\n')
	}
	if !bytes.HasSuffix(dst, []byte("\r\n")) {
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// StripB gives a signature field without the value of its b= tag, byte for byte otherwise (section 3.7).
func StripB(raw []byte) []byte {
	at := bytes.IndexByte(raw, ':') + 1
	for at > 0 && at < len(raw) {
		end := bytes.IndexByte(raw[at:], ';')
		if end < 0 {
			end = len(raw)
		} else {
			end += at
		}
		if eq := bytes.IndexByte(raw[at:end], '='); eq >= 0 && string(bytes.Trim(raw[at:at+eq], " \t\r\n")) == "b" {
			out := append([]byte{}, raw[:at+eq+1]...)
			return append(out, raw[end:]...)
		}
		at = end + 1
	}
	return raw
}

// Picker gives, for each name of h=, the next field of that name from the bottom of the header (section 5.4.2).
type Picker struct {
	b    *header.Block
	next map[string]int // by lower-case name: fields at and above this index are used
}

// NewPicker starts at the bottom of a header.
func NewPicker(b *header.Block) *Picker { return &Picker{b: b} }

// Pick gives the index of the next field of the name, or -1.
func (p *Picker) Pick(name string) int {
	key := strings.ToLower(name)
	from, ok := p.next[key]
	if !ok {
		from = len(p.b.Fields)
	}
	if p.next == nil {
		p.next = make(map[string]int, 16)
	}
	for i := from - 1; i >= 0; i-- {
		if p.b.Fields[i].Is(name) {
			p.next[key] = i
			return i
		}
	}
	p.next[key] = 0
	return -1
}

// BodyHash hashes a body in canonical form as it streams by.
type BodyHash struct {
	h       hash.Hash
	relaxed bool
	limit   int64 // bytes hashed at most; -1 for all
	n       int64 // canonical bytes so far, hashed or not
	blank   int   // line ends held back, for they may be the last
	space   bool  // white space held back (relaxed)
	line    bool  // the line at hand has bytes
	cr      bool  // a CR held back, for LF may follow
	buf     []byte
}

// flushAt is how many canonical bytes are gathered before they are hashed.
const flushAt = 2048

// NewBodyHash makes a hasher; limit -1 hashes all.
func NewBodyHash(h hash.Hash, c Canon, limit int64) *BodyHash {
	return &BodyHash{h: h, relaxed: bool(c), limit: limit, buf: make([]byte, 0, flushAt+1024)}
}

func (b *BodyHash) flush() {
	b.sum(b.buf)
	b.buf = b.buf[:0]
}

func (b *BodyHash) sum(p []byte) {
	if b.limit >= 0 {
		room := max(b.limit-b.n, 0)
		b.h.Write(p[:min(int64(len(p)), room)])
	} else {
		b.h.Write(p)
	}
	b.n += int64(len(p))
}

// text puts bytes of a line that hold no line end.
func (b *BodyHash) text(p []byte) {
	if len(p) == 0 {
		return
	}
	if !b.relaxed {
		b.begin()
		b.buf = append(b.buf, p...)
		return
	}
	if !b.space && !isBlank(p[0]) && !isBlank(p[len(p)-1]) && bytes.IndexByte(p, '\t') < 0 && !bytes.Contains(p, twoSpaces) {
		b.begin() // nothing to reduce: the common case
		b.buf = append(b.buf, p...)
		return
	}
	for len(p) > 0 {
		if isBlank(p[0]) {
			b.space = true
			p = p[1:]
			continue
		}
		i := 0
		for i < len(p) && !isBlank(p[i]) {
			i++
		}
		b.begin()
		if b.space {
			b.buf = append(b.buf, ' ')
			b.space = false
		}
		b.buf = append(b.buf, p[:i]...)
		p = p[i:]
	}
}

var twoSpaces = []byte("  ")

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// begin writes the line ends held back, now that something follows them.
func (b *BodyHash) begin() {
	for ; b.blank > 0; b.blank-- {
		b.buf = append(b.buf, '\r', '\n')
	}
	b.line = true
}

func (b *BodyHash) newline() {
	b.space, b.line = false, false
	b.blank++
}

// Write takes the next bytes of the body. It never fails.
func (b *BodyHash) Write(p []byte) (int, error) {
	n := len(p)
	if b.cr && n > 0 {
		b.cr = false
		if p[0] != '\n' {
			b.text([]byte{'\r'})
		}
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if p[len(p)-1] == '\r' {
				b.cr = true
				p = p[:len(p)-1]
			}
			b.text(p)
			break
		}
		end := i
		if end > 0 && p[end-1] == '\r' {
			end--
		}
		b.text(p[:end])
		b.newline()
		p = p[i+1:]
		if len(b.buf) >= flushAt {
			b.flush()
		}
	}
	return n, nil
}

// Sum ends the body and gives the hash; n is the length of the whole canonical body in bytes.
func (b *BodyHash) Sum() (sum []byte, n int64) {
	if b.cr {
		b.cr = false
		b.text([]byte{'\r'})
	}
	// What is held back: the end of the last line with text, then empty lines that do not count.
	some := b.n > 0 || len(b.buf) > 0
	if some || !b.relaxed {
		b.buf = append(b.buf, '\r', '\n')
	}
	b.flush()
	return b.h.Sum(nil), b.n
}
