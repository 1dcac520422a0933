// Package provoke says to a mail server what a sound one must not put up with: commands slipped in behind STARTTLS, ends
// of a message that are none, pieces of a message it offered to take. What it does is kept as data.
//
// Promise: nothing here judges. Each try is one connection, bounded in time, lines and bytes. Injection and Extensions
// hand over nothing. Smuggling and SmugglingBDAT give a sound server no message, for it never ends; one that takes a false
// end gets a message of a few lines for the address given. Chunking delivers one such message to a sound server. These
// three are for servers of one's own. RFCs: 3207 section 4.2 and 2595 (what stands behind STARTTLS is forgotten), 5321
// section 2.3.8 and 4.1.1.4 (lines end in CRLF), 3030 (BDAT), 1870, 2920, 6152, 6531 (what EHLO promises).
package provoke

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds on one try.
const (
	maxLine  = 4 << 10
	maxLines = 500
)

// Plan is one try, and the key of its recording.
type Plan struct {
	Try      Try        `json:"try"`
	Protocol string     `json:"protocol"` // smtp, imap, pop3, managesieve
	Addr     netip.Addr `json:"addr"`
	Port     uint16     `json:"port"`
	HELO     string     `json:"helo,omitempty"`
	To       string     `json:"to,omitempty"`   // whom the message would be for
	Form     string     `json:"form,omitempty"` // of the end of the message, out of Forms
}

// Try says what is tried.
type Try string

// The tries.
const (
	Injection     Try = "starttls-injection"
	Smuggling     Try = "smuggling"
	SmugglingBDAT Try = "smuggling-bdat" // the end stands inside a counted piece
	Chunking      Try = "chunking"
	Extensions    Try = "extensions" // what EHLO promised; says in Steps what was answered
)

// Outcome is what came of a try.
type Outcome string

// The outcomes.
const (
	Sound   Outcome = "sound"
	Fooled  Outcome = "fooled"
	Unclear Outcome = "unclear" // the try did not come that far
)

// Result is a try as data.
type Result struct {
	Plan       Plan            `json:"plan"`
	Outcome    Outcome         `json:"outcome"`
	Text       string          `json:"text,omitempty"` // what the server said that decided
	Steps      []Step          `json:"steps,omitempty"`
	Took       time.Duration   `json:"took"`
	Transcript wire.Transcript `json:"transcript"`
	Fault      *wire.Fault     `json:"fault,omitempty"`
}

// Forms are ends of a message that are none, by name; only CR LF . CR LF is one. They are those that servers were found
// to take since SMTP smuggling became known, and their neighbours.
func Forms() []string {
	return []string{
		"LF.LF", "LF.CRLF", "CRLF.LF", "CR.CR", "CR.CRLF", "CRLF.CR", "CR.LF", "LF.CR", // line ends that are half
		"CRLF NUL.CRLF", "CRLF.NUL CRLF", "CRLF.CR NUL LF", // with a NUL in between
		"CR CRLF.CR CRLF", "CRLF.CR CRLF", // with a CR too many
		"CRLF..CRLF", "CRLF.SP CRLF", "CRLF SP.CRLF", // a dot that is doubled, or not alone
	}
}

// ChunkForms are those to be tried inside a counted piece, where the true end is none, either.
func ChunkForms() []string { return append([]string{"CRLF.CRLF"}, Forms()...) }

func bytesOf(form string) string {
	return strings.NewReplacer("NUL", "\x00", "SP", "\x20", " ", "", "CR", "\r", "LF", "\n").Replace(form)
}

// Door is what a try needs from the world. Dial is required.
type Door struct {
	Dial    wire.Dialer
	Tape    wire.Tape
	Timeout time.Duration // to connect and for each answer; 0 means 10 s
	Silence time.Duration // how long no answer counts as none; 0 means 3 s
}

// Run does one try. Whatever the peer does ends up in the Result.
func Run(ctx context.Context, d Door, p Plan) (*Result, error) {
	if strings.ContainsAny(p.To+p.HELO, "\r\n\x00<>") {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: string(p.Try), Text: fmt.Sprintf("control characters or brackets in %q", p.To+p.HELO)}
	}
	return wire.Observe(d.Tape, "provoke", p, func() (*Result, error) { return run(ctx, d, p), nil })
}

func run(ctx context.Context, d Door, p Plan) *Result {
	if d.Timeout <= 0 {
		d.Timeout = 10 * time.Second
	}
	if d.Silence <= 0 {
		d.Silence = 3 * time.Second
	}
	t := &talk{r: &Result{Plan: p, Outcome: Unclear}, d: d, begun: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, 6*d.Timeout)
	defer cancel()
	conn, err := t.connect(ctx)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		switch {
		case p.Try == Injection:
			err = t.inject(ctx)
		case p.Try == Smuggling:
			err = t.smuggle()
		case p.Try == SmugglingBDAT:
			err = t.chunkSmuggle()
		case p.Try == Extensions:
			err = t.extensions()
		default:
			err = t.chunk()
		}
		stop()
		_ = conn.Close()
	}
	if err != nil {
		t.r.Fault = wire.Classify(string(p.Try), err)
		t.note(wire.Happened, t.r.Fault.Error())
	}
	t.r.Took = time.Since(t.begun)
	return t.r
}

type talk struct {
	r     *Result
	d     Door
	begun time.Time
	conn  net.Conn
	in    *bufio.Reader
	lines int
}

func (t *talk) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.d.Timeout)
	defer cancel()
	conn, err := t.d.Dial.DialContext(ctx, "tcp", netip.AddrPortFrom(t.r.Plan.Addr, t.r.Plan.Port).String())
	if err == nil {
		t.conn, t.in = conn, bufio.NewReaderSize(conn, maxLine)
	}
	return conn, err
}

func (t *talk) note(d wire.Direction, text string) {
	if len(t.r.Transcript) < 200 {
		t.r.Transcript = append(t.r.Transcript, wire.Line{Dir: d, At: time.Since(t.begun), Text: text})
	}
}

func (t *talk) put(text string) error {
	t.note(wire.Sent, fmt.Sprintf("%.300q", text))
	_ = t.conn.SetWriteDeadline(time.Now().Add(t.d.Timeout))
	_, err := io.WriteString(t.conn, text)
	return err
}

// line reads a line without its end.
func (t *talk) line(span time.Duration) (string, error) {
	if t.lines++; t.lines > maxLines {
		return "", &wire.Fault{Kind: wire.Limit, Text: fmt.Sprintf("more than %d lines", maxLines)}
	}
	_ = t.conn.SetReadDeadline(time.Now().Add(span))
	raw, err := t.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", &wire.Fault{Kind: wire.Limit, Text: fmt.Sprintf("a line of more than %d bytes", maxLine)}
	}
	if err != nil {
		return "", err
	}
	text := strings.ToValidUTF8(strings.TrimRight(string(raw), "\r\n"), "\ufffd")
	t.note(wire.Received, text)
	return text, nil
}

// errRefused is a no of the server on the way to what is tried.
func refused(line string) error {
	return &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("%.200s", line)}
}

// reply reads an SMTP reply, its lines joined; multi tells that it had more than one.
func (t *talk) reply(span time.Duration) (text string, multi bool, err error) {
	for n := 0; ; n++ {
		l, err := t.line(span)
		if err != nil {
			return "", false, err
		}
		code, more, ok := cutReply(l)
		if !ok {
			return "", false, refused(l)
		}
		if n > 0 {
			text += " "
			l = l[len(code):]
		}
		text += strings.TrimSpace(l)
		if !more {
			return text, n > 0, nil
		}
	}
}

// cutReply takes a line of an SMTP reply apart: its code, and whether more lines follow.
func cutReply(l string) (code string, more, ok bool) {
	if len(l) < 3 || strings.Trim(l[:3], "0123456789") != "" || len(l) > 3 && l[3] != ' ' && l[3] != '-' {
		return "", false, false
	}
	return l[:3], len(l) > 3 && l[3] == '-', true
}

// command puts a command of SMTP and wants a reply that begins with good.
func (t *talk) command(line, good string) (string, error) {
	if line != "" {
		if err := t.put(line + "\r\n"); err != nil {
			return "", err
		}
	}
	text, _, err := t.reply(t.d.Timeout)
	if err == nil && !strings.HasPrefix(text, good) {
		err = refused(text)
	}
	return text, err
}

// silent tells a time-out from other ends of a conversation.
func silent(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
