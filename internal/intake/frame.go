package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// framer cuts a syslog stream into messages: octet counting ("123 <22>…") and lines, as RFC 6587 describes both; each
// message may come in either way.
type framer struct {
	r    *bufio.Reader
	line []byte
	long int64         // messages longer than MaxLine
	big  chan struct{} // a token is taken for a message beyond smallLine, so that many connections cannot fill the memory; nil: no bound
	took bool
}

// smallLine is the length of a message that any connection may hold, in bytes.
const smallLine = 64 << 10

// errFraming tells a stream that cannot be read on: where the next message begins is not known.
var errFraming = errors.New("a syslog message of an impossible length")

// maxCounted is the longest length that octet counting may announce, in bytes.
const maxCounted = 64 << 20

// next gives a message without its end, valid until the next call. What a broken connection left of a message by octet
// counting is dropped (io.ErrUnexpectedEOF); a last line without an end is given.
func (f *framer) next() ([]byte, error) {
	f.small()
	for {
		c, err := f.r.Peek(1)
		if err != nil {
			return nil, err
		}
		if c[0] != '\n' && c[0] != '\r' && c[0] != 0 && c[0] != ' ' {
			break
		}
		if _, err := f.r.Discard(1); err != nil { // between messages
			return nil, err
		}
	}
	if n, skip, err := f.counted(); err != nil {
		return nil, err
	} else if skip > 0 {
		return f.octets(n, skip)
	}
	return f.untilEnd()
}

// counted looks for "LEN <" in front; skip is the length of "LEN ", 0 where the message is not counted.
func (f *framer) counted() (n int64, skip int, err error) {
	for i := 1; i <= 12; i++ {
		b, err := f.r.Peek(i)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return 0, 0, nil
			}
			return 0, 0, err
		}
		switch c := b[i-1]; {
		case c >= '0' && c <= '9' && (i > 1 || c != '0'):
			n = min(n*10+int64(c-'0'), 1<<40)
		case c == ' ' && i > 1:
			if b, err = f.r.Peek(i + 1); err != nil || b[i] != '<' {
				return 0, 0, nil // a line that begins with a number
			}
			if n > maxCounted {
				return 0, 0, errFraming
			}
			return n, i, nil
		default:
			return 0, 0, nil
		}
	}
	return 0, 0, nil
}

func (f *framer) octets(n int64, skip int) ([]byte, error) {
	if _, err := f.r.Discard(skip); err != nil {
		return nil, err
	}
	f.line = f.line[:0]
	for left := n; left > 0; {
		b, err := f.r.Peek(1)
		if err == nil {
			b, err = f.r.Peek(int(min(left, int64(f.r.Buffered()))))
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		f.keep(b)
		left -= int64(len(b))
		if _, err := f.r.Discard(len(b)); err != nil {
			return nil, err
		}
	}
	if n > MaxLine {
		f.long++
	}
	return trimEnd(f.line), nil
}

func (f *framer) keep(b []byte) {
	if len(f.line)+len(b) > smallLine && !f.took && f.big != nil {
		f.big <- struct{}{} // those who have one are done within messageTime
		f.took = true
	}
	f.line = append(f.line, b[:min(len(b), MaxLine-len(f.line))]...)
}

// small gives the token and the room of a long message back.
func (f *framer) small() {
	if f.took {
		<-f.big
		f.took, f.line = false, nil
	}
}

// untilEnd reads up to a line feed or a NUL, which some senders use.
func (f *framer) untilEnd() ([]byte, error) {
	f.line = f.line[:0]
	total := 0
	for {
		_, err := f.r.Peek(1)
		b, _ := f.r.Peek(f.r.Buffered())
		if err != nil {
			if errors.Is(err, io.EOF) && total > 0 {
				return trimEnd(f.line), nil
			}
			return nil, err
		}
		end := bytes.IndexAny(b, "\n\x00")
		piece := b
		if end >= 0 {
			piece = b[:end]
		}
		f.keep(piece)
		total += len(piece)
		if _, err := f.r.Discard(len(piece)); err != nil {
			return nil, err
		}
		if end >= 0 {
			if total > MaxLine {
				f.long++
			}
			_, err := f.r.Discard(1)
			return trimEnd(f.line), err
		}
	}
}

func trimEnd(b []byte) []byte { return bytes.TrimRight(b, "\r\n\x00 ") }

// syslogLine makes of a message the line to store: without line ends inside, and with the time and the host that
// RFC 3164 section 4.3 lets a receiver add where the sender left them out. It is appended to dst.
func syslogLine(dst, msg []byte, peer netip.Addr, now time.Time) []byte {
	start := len(dst)
	var o event.Origin
	clock := logs.Clock{Latest: now}
	known := logs.Prefix(&clock, msg, &o)
	pri := priOf(msg)
	body := msg[len(pri):]
	switch {
	case known && o.TimeSet && len(o.Host) > 0, len(msg) > 0 && msg[0] == '{':
		dst = append(dst, msg...)
	case known && len(pri) > 0 && bytes.HasPrefix(body, []byte("1 ")):
		dst = fill5424(append(dst, pri...), body, peer, now)
	case known && o.TimeSet && len(body) > 16 && body[3] == ' ' && body[15] == ' ': // "Nov 22 01:45:23 tag: …"
		dst = append(append(dst, pri...), body[:16]...)
		dst = append(peer.AppendTo(dst), ' ')
		dst = append(dst, body[16:]...)
	case known && o.TimeSet:
		dst = append(dst, msg...)
	default:
		dst = append(dst, pri...)
		dst = append(now.AppendFormat(dst, time.RFC3339), ' ')
		dst = append(peer.AppendTo(dst), ' ')
		dst = append(dst, body...)
	}
	for i := start; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// fill5424 copies a message of RFC 5424 and fills in the time and the host where they are "-".
func fill5424(dst, body []byte, peer netip.Addr, now time.Time) []byte {
	f := bytes.SplitN(body, []byte(" "), 4) // "1", time, host, the rest
	if len(f) < 4 {
		return append(dst, body...)
	}
	dst = append(dst, "1 "...)
	if string(f[1]) == "-" {
		dst = now.AppendFormat(dst, time.RFC3339)
	} else {
		dst = append(dst, f[1]...)
	}
	dst = append(dst, ' ')
	if string(f[2]) == "-" {
		dst = peer.AppendTo(dst)
	} else {
		dst = append(dst, f[2]...)
	}
	return append(append(dst, ' '), f[3]...)
}

// priOf is "<22>" in front of a message, or nothing.
func priOf(b []byte) []byte {
	if len(b) < 3 || b[0] != '<' {
		return nil
	}
	i := bytes.IndexByte(b[:min(len(b), 5)], '>')
	if i < 2 {
		return nil
	}
	if _, err := strconv.ParseUint(string(b[1:i]), 10, 8); err != nil {
		return nil
	}
	return b[:i+1]
}
