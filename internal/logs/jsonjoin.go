package logs

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"
)

// jsonReader mends lines of JSON on their way: what docker split over several records becomes one record again, and
// journald's array of numbers for a text that is no UTF-8 becomes a string, so that a search for it finds it. All other
// lines go through as they are.
type jsonReader struct {
	r       *bufio.Reader
	join    bool              // docker's records: text without "\n" at its end goes on in the next
	pending map[string][]byte // by stream: the text of records that go on
	tail    map[string][]byte // what stood behind the text in the last of them
	buf     []byte
	out     []byte
	err     error
}

var (
	dockerHead   = []byte(`{"log":"`)
	dockerEnd    = []byte(`\n","`)
	journalArray = []byte(`"MESSAGE":[`)
)

// newJSON reads lines of JSON; head is the beginning of the text. Where no record ends in "\n" there, the text was not
// written by docker, and nothing is joined.
func newJSON(r *bufio.Reader, head []byte) io.Reader {
	join := bytes.HasPrefix(head, dockerHead) && bytes.Contains(head, dockerEnd)
	return &jsonReader{r: r, join: join, pending: map[string][]byte{}, tail: map[string][]byte{}}
}

// brokenJSON tells whether a block of lines has any that newJSON would mend.
func brokenJSON(block []byte) bool {
	return bytes.Contains(block, journalArray) || bytes.Count(block, dockerHead) > bytes.Count(block, dockerEnd)
}

func (x *jsonReader) Read(p []byte) (int, error) {
	for len(x.out) == 0 {
		if x.err != nil {
			return 0, x.err
		}
		x.buf = x.buf[:0]
		for len(x.buf) < 1<<15 && x.err == nil {
			x.next()
		}
		x.out = x.buf
	}
	n := copy(p, x.out)
	x.out = x.out[n:]
	return n, nil
}

// next reads a line. One beyond all measure is cut.
func (x *jsonReader) next() {
	line, err := x.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := bytes.Clone(line)
		for err == bufio.ErrBufferFull {
			line, err = x.r.ReadSlice('\n')
			if len(long) < MaxLine {
				long = append(long, line...)
			}
		}
		line = long
	}
	x.err = err
	if len(line) > 0 {
		x.line(bytes.TrimSuffix(line, []byte("\n")))
	}
	if err != nil {
		for stream := range x.pending {
			x.flush(stream)
		}
	}
}

func (x *jsonReader) line(line []byte) {
	if x.join && bytes.HasPrefix(line, dockerHead) && x.docker(line) {
		return
	}
	if i := bytes.Index(line, journalArray); i >= 0 {
		if text, n := jsonBytes(line[i+len(journalArray)-1:], new([]byte)); n > 0 {
			x.buf = append(x.buf, line[:i+len(journalArray)-1]...)
			x.buf = append(appendJSON(x.buf, text), line[i+len(journalArray)-1+n:]...)
			x.buf = append(x.buf, '\n')
			return
		}
	}
	x.buf = append(append(x.buf, line...), '\n')
}

// docker takes in a record that goes on, or ends one that did; false for a line that is neither.
func (x *jsonReader) docker(line []byte) bool {
	end := len(dockerHead)
	for end < len(line) && line[end] != '"' {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(line) {
		return false
	}
	text, tail := line[len(dockerHead):end], line[end:]
	stream := ""
	if _, v, ok := bytes.Cut(tail, []byte(`"stream":"`)); ok {
		v, _, _ = bytes.Cut(v, []byte(`"`))
		stream = string(v[:min(len(v), 16)])
	}
	had, ended := x.pending[stream], lineEnd(text)
	switch {
	case ended && had == nil:
		return false
	case len(had)+len(text) > MaxLine || had == nil && len(x.pending) >= 4: // no line of a mail program: let it be
		x.flush(stream)
		return false
	}
	x.pending[stream], x.tail[stream] = append(had, text...), bytes.Clone(tail)
	if ended {
		x.flush(stream)
	}
	return true
}

func (x *jsonReader) flush(stream string) {
	if text, ok := x.pending[stream]; ok {
		x.buf = append(append(append(append(x.buf, dockerHead...), text...), x.tail[stream]...), '\n')
		delete(x.pending, stream)
	}
}

// lineEnd tells a JSON string's inside that ends in \n, and not in an escaped backslash and an n.
func lineEnd(b []byte) bool {
	if !bytes.HasSuffix(b, []byte(`\n`)) {
		return false
	}
	n := 0
	for i := len(b) - 2; i >= 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// appendJSON writes a string. Bytes that are no UTF-8 become the sign for that; a line break cannot begin a line.
func appendJSON(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = append(dst, ' ')
		default:
			dst = utf8.AppendRune(dst, r)
		}
		text = text[n:]
	}
	return append(dst, '"')
}
