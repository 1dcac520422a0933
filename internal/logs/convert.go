package logs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// exportReader turns journald's export format into RFC 3339 syslog lines, a record each, in UTC.
type exportReader struct {
	r   *bufio.Reader
	buf []byte
	out []byte
	err error
	rec map[string][]byte
}

func newExport(r *bufio.Reader) io.Reader {
	return &exportReader{r: r, rec: map[string][]byte{}}
}

func (x *exportReader) Read(p []byte) (int, error) {
	for len(x.out) == 0 {
		if x.err != nil {
			return 0, x.err
		}
		x.out, x.err = x.record(x.buf[:0])
		x.buf = x.out[:0]
	}
	n := copy(p, x.out)
	x.out = x.out[n:]
	return n, nil
}

// record reads one record and writes it as a line.
func (x *exportReader) record(dst []byte) ([]byte, error) {
	clear(x.rec)
	for {
		line, err := x.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			rest, e := x.r.ReadBytes('\n')
			line, err = append(bytes.Clone(line), rest...), e
			if len(line) > MaxLine {
				line = line[:MaxLine]
			}
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) == 0 {
			if len(x.rec) > 0 || err != nil {
				return x.line(dst), err
			}
			continue
		}
		if k, v, ok := bytes.Cut(line, []byte("=")); ok {
			x.keep(string(k), v)
		} else if e := x.binaryField(string(line)); e != nil {
			return x.line(dst), e
		}
		if err != nil {
			return x.line(dst), err
		}
	}
}

// binaryField reads a value with a length of eight bytes in front, which is used where the text has line breaks.
func (x *exportReader) binaryField(key string) error {
	var size [8]byte
	if _, err := io.ReadFull(x.r, size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(size[:])
	keep := min(n, MaxLine)
	v := make([]byte, 0, min(keep, 1<<16))
	buf := bytes.NewBuffer(v)
	if _, err := io.CopyN(buf, x.r, int64(keep)); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, x.r, int64(min(n-keep, 1<<62))+1); err != nil {
		return err
	}
	x.keep(key, buf.Bytes())
	return nil
}

func (x *exportReader) keep(k string, v []byte) {
	switch k {
	case "MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_HOSTNAME", "SYSLOG_PID", "_PID", "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP":
		x.rec[k] = bytes.Clone(v)
	}
}

func (x *exportReader) line(dst []byte) []byte {
	msg, ident := x.rec["MESSAGE"], x.rec["SYSLOG_IDENTIFIER"]
	if ident == nil {
		ident = x.rec["_COMM"]
	}
	if msg == nil || ident == nil {
		return dst
	}
	stamp := x.rec["_SOURCE_REALTIME_TIMESTAMP"]
	if stamp == nil {
		stamp = x.rec["__REALTIME_TIMESTAMP"]
	}
	us, _ := strconv.ParseInt(string(stamp), 10, 64)
	dst = time.UnixMicro(us).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000-07:00")
	dst = append(dst, ' ')
	host := x.rec["_HOSTNAME"]
	if host == nil {
		host = []byte("-")
	}
	dst = append(append(append(dst, host...), ' '), ident...)
	pid := x.rec["SYSLOG_PID"]
	if pid == nil {
		pid = x.rec["_PID"]
	}
	if pid != nil {
		dst = append(append(append(dst, '['), pid...), ']')
	}
	dst = append(dst, ": "...)
	for _, c := range msg { // a record stays one line, so that a text with a line break cannot begin a line of its own
		if c == '\n' || c == '\r' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, '\n')
}

// utf16Reader turns UTF-16 with a byte order mark into UTF-8.
type utf16Reader struct {
	r     *bufio.Reader
	big   bool
	begun bool
	out   []byte
	buf   []byte
	err   error
}

func newUTF16(r *bufio.Reader) io.Reader { return &utf16Reader{r: r} }

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf16Reader) unit() (rune, error) {
	a, err := u.r.ReadByte()
	if err != nil {
		return 0, err
	}
	b, err := u.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if u.big {
		a, b = b, a
	}
	return rune(a) | rune(b)<<8, nil
}

func (u *utf16Reader) fill() {
	if !u.begun {
		bom, err := u.r.Peek(2)
		if u.begun = true; err != nil {
			u.err = err
			return
		}
		u.big = bom[0] == 0xfe
		u.unit()
	}
	u.buf = u.buf[:0]
	for len(u.buf) < 1<<15 && u.err == nil {
		r, err := u.unit()
		if err != nil {
			u.err = err
			break
		}
		if utf16.IsSurrogate(r) {
			low, err := u.unit()
			if err != nil {
				u.err = err
			}
			r = utf16.DecodeRune(r, low)
		}
		u.buf = utf8.AppendRune(u.buf, r)
	}
	u.out = u.buf
}
