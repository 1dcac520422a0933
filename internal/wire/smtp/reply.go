package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds on one reply. RFC 5321 section 4.5.3.1.5 gives a line 512 octets; real servers exceed it, so we read more.
const (
	maxLine  = 4096
	maxLines = 200
	maxReply = 64 << 10
)

// Reply is an SMTP reply, every line kept.
type Reply struct {
	Code     int      `json:"code"`               // 250
	Enhanced string   `json:"enhanced,omitempty"` // "5.7.1" of RFC 3463, where the first line bears one
	Lines    []string `json:"lines"`              // the text after the code of each line; bytes that are no UTF-8 as \xNN
	Bare     bool     `json:"bare,omitempty"`     // some line ended in LF alone
}

// OK tells a positive completion (2yz).
func (r *Reply) OK() bool { return r != nil && r.Code >= 200 && r.Code < 300 }

// Temporary tells a transient negative reply (4yz).
func (r *Reply) Temporary() bool { return r != nil && r.Code >= 400 && r.Code < 500 }

// Permanent tells a permanent negative reply (5yz).
func (r *Reply) Permanent() bool { return r != nil && r.Code >= 500 && r.Code < 600 }

// Text is the lines joined by a space.
func (r *Reply) Text() string { return strings.Join(r.Lines, " ") }

// String is the reply on one line: code and text, the enhanced status once, as the first line bears it.
func (r *Reply) String() string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%03d %s", r.Code, r.Text())
}

// errNotSMTP marks a line that is no SMTP reply.
var errNotSMTP = errors.New("not an SMTP reply")

// ReadReply reads one reply of RFC 5321 section 4.2 from r, at most 64 kB and 200 lines, and passes each line as it came
// to seen. A reply that is broken off or is not SMTP comes back as far as it was read, beside the error: a *wire.Fault of
// kind protocol or limit, or the reader's own. It does not bound time: set a deadline on the connection.
func ReadReply(r *bufio.Reader, seen func(line string)) (*Reply, error) {
	rep := &Reply{}
	total := 0
	for range maxLines {
		raw, bare, err := readLine(r)
		if raw != "" || err == nil {
			seen(wire.Printable(raw))
		}
		if err != nil {
			if raw != "" {
				rep.Lines = append(rep.Lines, wire.Printable(raw))
			}
			return rep, err
		}
		if total += len(raw); total > maxReply {
			return rep, &wire.Fault{Kind: wire.Limit, Text: fmt.Sprintf("a reply of more than %d bytes", maxReply)}
		}
		rep.Bare = rep.Bare || bare
		more, err := rep.add(raw)
		if err != nil || !more {
			return rep, err
		}
	}
	return rep, &wire.Fault{Kind: wire.Limit, Text: fmt.Sprintf("a reply of more than %d lines", maxLines)}
}

// add takes in one line without its end.
func (r *Reply) add(raw string) (more bool, err error) {
	code, sep, text, ok := cutLine(raw)
	if !ok {
		r.Lines = append(r.Lines, wire.Printable(raw))
		return false, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("%v: %.80q", errNotSMTP, raw)}
	}
	if len(r.Lines) == 0 {
		r.Code = code
		r.Enhanced = enhancedOf(code, text)
	}
	r.Lines = append(r.Lines, wire.Printable(text))
	if code != r.Code {
		return false, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("the code changes from %d to %d within a reply", r.Code, code)}
	}
	return sep == '-', nil
}

// cutLine takes "250-text", "250 text" or "250" apart.
func cutLine(s string) (code int, sep byte, text string, ok bool) {
	if len(s) < 3 || s[0] < '1' || s[0] > '5' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0, 0, "", false
	}
	code, _ = strconv.Atoi(s[:3])
	if len(s) == 3 {
		return code, ' ', "", true
	}
	if s[3] != ' ' && s[3] != '-' {
		return 0, 0, "", false
	}
	return code, s[3], s[4:], true
}

// enhancedOf finds the status of RFC 2034 at the start of the text: its class must agree with the code.
func enhancedOf(code int, text string) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return ""
	}
	for _, p := range parts[1:] {
		if len(p) == 0 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// readLine reads up to LF, at most maxLine bytes; the end of line is cut off.
func readLine(r *bufio.Reader) (line string, bare bool, err error) {
	var b strings.Builder
	for b.Len() <= maxLine {
		c, err := r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && b.Len() > 0 {
				err = io.ErrUnexpectedEOF
			}
			return b.String(), false, err
		}
		if c == '\n' {
			s := b.String()
			cut, crlf := strings.CutSuffix(s, "\r")
			return cut, !crlf, nil
		}
		b.WriteByte(c)
	}
	return b.String()[:256], false, &wire.Fault{Kind: wire.Limit, Text: fmt.Sprintf("a line of more than %d bytes", maxLine)}
}
