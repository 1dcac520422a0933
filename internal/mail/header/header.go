// Package header reads the header block of a message as it lies: fields in order with their raw bytes, offsets and line
// numbers, the text of a value decoded, and the place where the body begins.
//
// Promise: tolerant and bounded. A broken line never loses the rest: it is kept, and a Fault names it. Raw bytes are
// those of the input, byte for byte, so that signatures can be checked over them. RFCs: 5322 (with the obsolete
// syntax of its section 4), 2047, 6532, 2152 (UTF-7). It must not interpret what a field means.
package header

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits bound what is read. Zero values take the defaults.
type Limits struct {
	Bytes  int // of the whole header block; 0 means 1 MiB
	Fields int // 0 means 2,000
}

const (
	defaultBytes  = 1 << 20
	defaultFields = 2000
)

// ErrTooBig is wrapped by the error of Parse when the header block goes beyond a limit. What was read until then is
// given back with it.
var ErrTooBig = errors.New("header too big")

// Field is one field of a header. Its slices point into the block and must not be changed.
type Field struct {
	Name   string // as written, without the colon; "" for a line that is no field
	Raw    []byte // the whole field with its folding and its last line end
	Offset int    // of Raw[0] in the input
	Line   int    // number of its first line in the input, from 1
	value  int    // offset in Raw of what follows the colon
}

// Is tells whether the field has the name, in any case.
func (f *Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// RawValue is what follows the colon, byte for byte, with folding and the last line end.
func (f *Field) RawValue() []byte { return f.Raw[f.value:] }

// Value is the value unfolded and trimmed (RFC 5322 section 2.2.3), not decoded.
func (f *Field) Value() string { return Unfold(f.RawValue()) }

// Text is the value unfolded, with encoded words and raw 8-bit text decoded to UTF-8. It is for people: addresses and
// parameters are to be cut from Value first.
func (f *Field) Text() string { return Decode(f.Value()) }

// FaultKind names what is wrong with the form of a header.
type FaultKind string

// The kinds of fault.
const (
	NotAField     FaultKind = "not-a-field"     // a line without a colon, or with an impossible name
	SpaceInName   FaultKind = "space-in-name"   // white space before the colon (obsolete, RFC 5322 section 4.5)
	EmptyFolding  FaultKind = "empty-folding"   // a folded line of white space only (obsolete, section 4.2)
	NoBlankLine   FaultKind = "no-blank-line"   // the body begins without a blank line before it
	EnvelopeLine  FaultKind = "envelope-line"   // an mbox "From " line stands before or among the fields
	LeadingBlank  FaultKind = "leading-blank"   // blank lines before the first field
	ByteOrderMark FaultKind = "byte-order-mark" // the file begins with a UTF-8 byte order mark
	LineTooLong   FaultKind = "line-too-long"   // over 998 bytes (section 2.1.1)
	NulByte       FaultKind = "nul-byte"        //
	BareCR        FaultKind = "bare-cr"         // a CR that no LF follows
	MixedLineEnds FaultKind = "mixed-line-ends" // CRLF and bare LF in one header
	RawEightBit   FaultKind = "raw-8-bit"       // bytes above 127 that are not UTF-8
	RawUTF8       FaultKind = "raw-utf-8"       // UTF-8 without encoding: fine only with SMTPUTF8 (RFC 6532)
	OrphanFolding FaultKind = "orphan-folding"  // the header begins with a folded line
	EndsInHeader  FaultKind = "ends-in-header"  // the input ends before a blank line
	TooManyFaults FaultKind = "too-many-faults" // further faults are not listed
	maxFaults               = 100
)

// Fault is something wrong with the form of a header, and where.
type Fault struct {
	Kind   FaultKind `json:"kind"`
	Line   int       `json:"line"`   // number in the input, from 1
	Offset int       `json:"offset"` // of the line in the input
}

// Block is a parsed header.
type Block struct {
	Fields []Field
	Faults []Fault
	Raw    []byte // all bytes before the body, the blank line included
	Lines  int    // number of lines in Raw
}

// All gives the fields of that name in order, top of the message first.
func (b *Block) All(name string) []*Field {
	var out []*Field
	for i := range b.Fields {
		if b.Fields[i].Is(name) {
			out = append(out, &b.Fields[i])
		}
	}
	return out
}

// Count tells how many fields have the name.
func (b *Block) Count(name string) (n int) {
	for i := range b.Fields {
		if b.Fields[i].Is(name) {
			n++
		}
	}
	return n
}

// First gives the topmost field of that name, or nil.
func (b *Block) First(name string) *Field {
	for i := range b.Fields {
		if b.Fields[i].Is(name) {
			return &b.Fields[i]
		}
	}
	return nil
}

// Get gives the unfolded value of the topmost field of that name, or "".
func (b *Block) Get(name string) string {
	if f := b.First(name); f != nil {
		return f.Value()
	}
	return ""
}

// Text gives the decoded value of the topmost field of that name, or "".
func (b *Block) Text(name string) string {
	if f := b.First(name); f != nil {
		return f.Text()
	}
	return ""
}

// Has tells whether there is a fault of the kind.
func (b *Block) Has(k FaultKind) bool {
	for _, f := range b.Faults {
		if f.Kind == k {
			return true
		}
	}
	return false
}

// Parse reads a header and gives back the block and a reader that stands at the first byte of the body. The error is
// that of the reader, or wraps ErrTooBig; the block then holds what was read, and the reader goes on where the header
// was left.
func Parse(r io.Reader, lim Limits) (*Block, *bufio.Reader, error) {
	if lim.Bytes <= 0 {
		lim.Bytes = defaultBytes
	}
	if lim.Fields <= 0 {
		lim.Fields = defaultFields
	}
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 4096)
	}
	p := parser{b: &Block{}, lim: lim, buf: make([]byte, 0, 2048), ends: make([]span, 0, 24)}
	rest, err := p.run(br)
	p.finish()
	if rest != nil {
		br = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), br), 4096)
	}
	return p.b, br, err
}

// ParseBytes is Parse over bytes in memory; it gives back the body too.
func ParseBytes(msg []byte, lim Limits) (*Block, []byte, error) {
	b, _, err := Parse(bytes.NewReader(msg), lim)
	return b, msg[len(b.Raw):], err
}

// span is a field while the buffer may still move.
type span struct{ start, colon, name, end, line int }

type parser struct {
	b    *Block
	lim  Limits
	buf  []byte
	ends []span
	line int  // number of the line at hand
	crlf int  // lines that end in CRLF
	lf   int  // lines that end in a bare LF
	junk bool // the last line was no field
}

// run reads line by line until the blank line. rest is what was read but belongs to the body.
func (p *parser) run(br *bufio.Reader) (rest []byte, err error) {
	for {
		start := len(p.buf)
		err := p.readLine(br)
		line := p.buf[start:]
		if len(line) == 0 {
			if err == io.EOF {
				if p.line > 0 {
					p.fault(EndsInHeader, start)
				}
				err = nil
			}
			return nil, err
		}
		p.line++
		if err != nil && err != io.EOF {
			p.take(start, line)
			return nil, err
		}
		if done, rest := p.step(br, start, line); done {
			return rest, nil
		}
		if len(p.ends) > p.lim.Fields {
			return nil, fmt.Errorf("%w: more than %d fields", ErrTooBig, p.lim.Fields)
		}
	}
}

// readLine appends a line to the buffer, its LF included.
func (p *parser) readLine(br *bufio.Reader) error {
	for {
		s, err := br.ReadSlice('\n')
		if room := p.lim.Bytes - len(p.buf); len(s) > room {
			p.buf = append(p.buf, s[:room]...)
			return fmt.Errorf("%w: more than %d bytes", ErrTooBig, p.lim.Bytes)
		}
		p.buf = append(p.buf, s...)
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

// step looks at one line. done tells that the header ends here; rest is then what belongs to the body.
func (p *parser) step(br *bufio.Reader, start int, line []byte) (done bool, rest []byte) {
	text := p.lineEnd(start, line)
	switch {
	case len(text) == 0:
		if len(p.ends) == 0 && p.line <= 10 && fieldAhead(br) {
			p.fault(LeadingBlank, start)
			return false, nil
		}
		return true, nil
	case p.junk && (text[0] == ' ' || text[0] == '\t' || colonAt(text) < 0):
		// Two lines in a row that are no fields: the body began at the first of them.
		last := p.ends[len(p.ends)-1]
		p.ends = p.ends[:len(p.ends)-1]
		p.b.Faults = p.b.Faults[:len(p.b.Faults)-1]
		p.line = last.line
		p.fault(NoBlankLine, last.start)
		p.line--
		rest = bytes.Clone(p.buf[last.start:])
		p.buf = p.buf[:last.start]
		return true, rest
	}
	p.take(start, line)
	return false, nil
}

// fieldAhead tells whether a field or an envelope line comes next, so that blank lines before it are a slip and not
// the end of an empty header.
func fieldAhead(br *bufio.Reader) bool {
	next, _ := br.Peek(80)
	next = bytes.TrimLeft(next, "\r\n")
	return colonAt(next) > 0 || bytes.HasPrefix(next, []byte("From "))
}

// lineEnd strips the line end, counts it, and notes faults of the line's bytes.
func (p *parser) lineEnd(start int, line []byte) []byte {
	text := line
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			text = text[:n-2]
			p.crlf++
		} else {
			p.lf++
		}
	}
	if len(text) > 998 {
		p.fault(LineTooLong, start)
	}
	p.bytes(start, text)
	return text
}

func (p *parser) bytes(start int, text []byte) {
	high := false
	var nul, cr bool
	for _, c := range text {
		switch {
		case c >= 0x80:
			high = true
		case c == 0:
			nul = true
		case c == '\r':
			cr = true
		}
	}
	if nul {
		p.fault(NulByte, start)
	}
	if cr {
		p.fault(BareCR, start)
	}
	if high {
		kind := RawEightBit
		if validUTF8(text) {
			kind = RawUTF8
		}
		p.fault(kind, start)
	}
}

// take files a line as a field, as the continuation of one, or as junk.
func (p *parser) take(start int, line []byte) {
	end := start + len(line)
	if p.line == 1 && bytes.HasPrefix(line, []byte("\xef\xbb\xbf")) {
		p.fault(ByteOrderMark, start)
		start += 3
		line = line[3:]
	}
	p.junk = false
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		if len(bytes.TrimSpace(line)) == 0 {
			p.fault(EmptyFolding, start)
		}
		if n := len(p.ends); n > 0 {
			p.ends[n-1].end = end
			return
		}
		p.fault(OrphanFolding, start)
		p.ends = append(p.ends, span{start: start, colon: -1, end: end, line: p.line})
		return
	}
	if bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From ")) {
		p.fault(EnvelopeLine, start)
		p.ends = append(p.ends, span{start: start, colon: -1, end: end, line: p.line})
		return
	}
	c := colonAt(line)
	s := span{start: start, colon: c, name: c, end: end, line: p.line}
	if c < 0 {
		p.fault(NotAField, start)
		p.junk = true
	} else if t := bytes.TrimRight(line[:c], " \t"); len(t) != c {
		s.name = len(t)
		p.fault(SpaceInName, start)
	}
	p.ends = append(p.ends, s)
}

// colonAt finds the colon that ends a field name (printable US-ASCII but the colon, then white space at most), or -1.
func colonAt(line []byte) int {
	blank := false
	for i, c := range line {
		switch {
		case c == ':':
			if i == 0 {
				return -1
			}
			return i
		case c == ' ' || c == '\t':
			blank = true
		case c <= 32 || c >= 127 || blank:
			return -1
		}
	}
	return -1
}

func (p *parser) fault(k FaultKind, offset int) {
	if len(p.b.Faults) < maxFaults {
		p.b.Faults = append(p.b.Faults, Fault{k, max(p.line, 1), offset})
	} else if len(p.b.Faults) == maxFaults {
		p.b.Faults = append(p.b.Faults, Fault{TooManyFaults, p.line, offset})
	}
}

// finish turns spans into fields, now that the buffer stays where it is.
func (p *parser) finish() {
	b := p.b
	if p.crlf > 0 && p.lf > 0 {
		p.fault(MixedLineEnds, 0)
	}
	b.Raw = p.buf
	b.Lines = p.line
	b.Fields = make([]Field, len(p.ends))
	for i, s := range p.ends {
		f := Field{Raw: p.buf[s.start:s.end:s.end], Offset: s.start, Line: s.line}
		if s.colon >= 0 {
			f.Name = string(p.buf[s.start : s.start+s.name])
			f.value = s.colon + 1
		}
		b.Fields[i] = f
	}
}

// Unfold joins folded lines and trims (RFC 5322 section 2.2.3). Bare CR and LF become spaces.
func Unfold(raw []byte) string {
	raw = bytes.Trim(raw, " \t\r\n")
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\r' || c == '\n' {
			if c == '\r' && i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			if i+1 < len(raw) && (raw[i+1] == ' ' || raw[i+1] == '\t') {
				continue
			}
			c = ' '
		}
		out = append(out, c)
	}
	return string(out)
}
