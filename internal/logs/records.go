package logs

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

// recordReader turns records of several lines into a line each.
type recordReader struct {
	r    *bufio.Reader
	out  []byte
	buf  []byte
	err  error
	line func(dst, line []byte) []byte // takes in a line of the input, nil at its end; gives what is ready
}

func (x *recordReader) Read(p []byte) (int, error) {
	for len(x.out) == 0 {
		if x.err != nil {
			return 0, x.err
		}
		x.buf = x.buf[:0]
		for len(x.buf) < 1<<15 && x.err == nil {
			var line []byte
			line, x.err = x.r.ReadSlice('\n')
			if x.err == bufio.ErrBufferFull {
				long := bytes.Clone(line)
				for x.err == bufio.ErrBufferFull {
					if line, x.err = x.r.ReadSlice('\n'); len(long) < MaxLine {
						long = append(long, line...)
					}
				}
				line = long
			}
			if len(line) > 0 {
				x.buf = x.line(x.buf, bytes.TrimRight(line, "\r\n"))
			}
		}
		if x.err != nil {
			x.buf = x.line(x.buf, nil)
		}
		x.out = x.buf
	}
	n := copy(p, x.out)
	x.out = x.out[n:]
	return n, nil
}

// newPretty joins JSON objects that are printed over several lines, as journalctl -o json-pretty does.
func newPretty(r *bufio.Reader) io.Reader {
	var record []byte
	return &recordReader{r: r, line: func(dst, line []byte) []byte {
		switch {
		case line == nil:
			return dst // an object that does not end is none
		case string(line) == "{":
			record = append(record[:0], '{')
		case len(line) > 0 && line[0] == '}':
			dst = append(append(append(dst, record...), '}'), '\n')
			record = record[:0]
		case len(record) > 0 && len(record) < MaxLine:
			record = append(record, bytes.TrimSpace(line)...)
		}
		return dst
	}}
}

// newObjects gives each object of a list of JSON a line, whatever lines the list is printed over.
func newObjects(r *bufio.Reader) io.Reader {
	var object []byte
	depth, quoted, escaped := 0, false, false
	return &recordReader{r: r, line: func(dst, line []byte) []byte {
		for _, c := range line {
			if depth > 0 && len(object) < MaxLine {
				object = append(object, c)
			}
			switch {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted && depth > 0
			case quoted:
			case c == '{':
				if depth++; depth == 1 {
					object = append(object[:0], '{')
				}
			case c == '}' && depth > 0:
				if depth--; depth == 0 {
					dst = append(append(dst, object...), '\n')
				}
			}
		}
		quoted, escaped = quoted && line == nil, false // no string goes over the end of a line
		return dst
	}}
}

// listedJSON tells the beginning of a list of objects.
func listedJSON(b []byte) bool {
	if len(b) == 0 || b[0] != '[' {
		return false
	}
	b = bytes.TrimLeft(b[1:], " \t\r\n")
	return len(b) > 1 && b[0] == '{' && (b[1] == '"' || b[1] == '\n' || b[1] == '\r' || b[1] == ' ')
}

// prettyJSON tells the beginning of such a text.
func prettyJSON(b []byte) bool {
	return bytes.HasPrefix(b, []byte("{\n")) || bytes.HasPrefix(b, []byte("{\r\n"))
}

// newVerbose turns journalctl -o verbose into RFC 3339 syslog lines.
func newVerbose(r *bufio.Reader) io.Reader {
	x := &exportReader{rec: map[string][]byte{}}
	return &recordReader{r: r, line: func(dst, line []byte) []byte {
		if at, ok := verboseHead(line); ok || line == nil {
			dst = x.line(dst)
			clear(x.rec)
			if ok {
				x.rec["__REALTIME_TIMESTAMP"] = at
			}
			return dst
		}
		if k, v, ok := bytes.Cut(bytes.TrimLeft(line, " "), []byte("=")); ok && len(line) > 4 && line[0] == ' ' && string(k) != "_SOURCE_REALTIME_TIMESTAMP" {
			x.keep(string(k), v)
		}
		return dst
	}}
}

// verboseHead reads "Sun 2026-11-22 10:00:00.123456 CET [s=…;t=63a…;…]", whose t is the time in microseconds, in
// hexadecimal. It gives them in decimal.
func verboseHead(b []byte) (us []byte, ok bool) {
	if len(b) < 40 || b[3] != ' ' || b[8] != '-' || b[len(b)-1] != ']' {
		return nil, false
	}
	_, fields, ok := bytes.Cut(b, []byte(" [s="))
	if !ok {
		return nil, false
	}
	_, t, ok := bytes.Cut(fields, []byte(";t="))
	if !ok {
		return nil, false
	}
	var v uint64
	for _, c := range t[:min(len(t), 15)] {
		d := hexDigit(c)
		if d < 0 {
			break
		}
		v = v<<4 | uint64(d)
	}
	return strconv.AppendUint(nil, v, 10), v > 0
}
