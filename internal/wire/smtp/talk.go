package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// talker is a session under way.
type talker struct {
	door   Door
	limits Limits
	s      *Session
	conn   net.Conn
	r      *bufio.Reader
	start  time.Time // monotonic
	end    time.Time // the session's bound
	part   int
	over   bool // the server said 421: it closes, and nothing more is said
}

func talk(ctx context.Context, d Door, p Plan) *Session {
	now := d.Now
	if now == nil {
		now = time.Now
	}
	t := &talker{door: d, limits: d.Limits.filled(), s: &Session{Plan: p, Started: now()}, start: time.Now()}
	leave, err := d.Gate.Enter(ctx, p.Addr.String())
	if err != nil {
		t.stage(Connect, p.Addr.String(), t.start, nil, err)
		return t.s
	}
	defer leave()
	t.start = time.Now() // waiting for our turn is no fault of the server's
	t.end = t.start.Add(t.limits.Session)
	ctx, cancel := context.WithDeadline(ctx, t.end)
	defer cancel()
	if t.connect(ctx) {
		raw := t.conn // t.conn becomes the TLS layer over it
		stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
		t.walk(ctx)
		stop()
		_ = raw.Close()
		if t.s.Fault != nil && ctx.Err() != nil {
			t.s.Fault = wire.Classify(t.s.Fault.Op, ctx.Err())
		}
	}
	t.s.Took = time.Since(t.start)
	return t.s
}

// walk goes through the stages until one ends the session.
func (t *talker) walk(ctx context.Context) {
	if t.s.Plan.Security == Implicit && !t.handshake(ctx) {
		return
	}
	if !t.greeting() || t.done(Greeting) {
		return
	}
	if !t.hello(Ehlo, &t.s.Caps) || t.done(Ehlo) {
		return
	}
	if t.wantsTLS() {
		if !t.startTLS(ctx) {
			return
		}
	}
	if t.done(StartTLS) || t.done(Ehlo2) {
		return
	}
	if t.s.Plan.Login != nil && (!t.login() || t.done(Auth)) {
		return
	}
	for _, v := range t.s.Plan.Verify {
		if t.say(Vrfy, v, "VRFY "+v) == nil {
			return
		}
	}
	t.transactions()
}

// done says goodbye after the stage where the plan wants that.
func (t *talker) done(n StageName) bool {
	if t.s.Plan.StopAfter != n {
		return false
	}
	t.quit()
	return true
}

func (t *talker) note(d wire.Direction, text string) {
	if t.s.Plan.Login != nil {
		text = t.s.Plan.Login.MaskIn()(text)
	}
	t.s.Transcript = append(t.s.Transcript, wire.Line{Dir: d, At: time.Since(t.start), Text: text})
}

// stage adds a stage; a fault ends the session.
func (t *talker) stage(n StageName, arg string, since time.Time, rep *Reply, err error) *Stage {
	rep = t.masked(rep)
	st := Stage{Name: n, Arg: arg, Part: t.part, Took: time.Since(since), Reply: rep, Fault: wire.Classify(string(n), err)}
	if st.Fault != nil {
		f := *st.Fault
		f.Op, f.After = string(n), st.Took
		st.Fault = &f
		t.s.Fault = &f
		t.note(wire.Happened, f.Error())
	}
	t.over = t.over || rep != nil && rep.Code == 421
	t.s.Stages = append(t.s.Stages, st)
	return &t.s.Stages[len(t.s.Stages)-1]
}

// masked is a reply without our password: there are servers that repeat it.
func (t *talker) masked(rep *Reply) *Reply {
	if rep == nil || t.s.Plan.Login == nil {
		return rep
	}
	mask, out := t.s.Plan.Login.MaskIn(), *rep
	out.Lines = make([]string, len(rep.Lines))
	for i, l := range rep.Lines {
		out.Lines[i] = mask(l)
	}
	return &out
}

func (t *talker) connect(ctx context.Context) bool {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.limits.Connect)
	defer cancel()
	where := netip.AddrPortFrom(t.s.Plan.Addr, t.s.Plan.Port).String()
	conn, err := t.door.Dial.DialContext(ctx, "tcp", where)
	if err == nil {
		t.conn, t.r = conn, bufio.NewReaderSize(conn, 4096)
		t.s.Local = conn.LocalAddr().String()
		t.note(wire.Happened, "connected to "+where)
	}
	return t.stage(Connect, where, start, nil, err).Fault == nil
}

func (t *talker) greeting() bool {
	start := time.Now()
	rep, err := t.read(t.limits.Greeting)
	st := t.stage(Greeting, "", start, rep, err)
	if st.Fault != nil {
		return false
	}
	if rep.Code >= 400 {
		t.quit()
		return false
	}
	return true
}

// hello says EHLO, and HELO where EHLO is not understood.
func (t *talker) hello(n StageName, caps *Caps) bool {
	helo := t.s.Says()
	rep := t.say(n, helo, "EHLO "+helo)
	switch {
	case rep == nil:
		return false
	case rep.OK():
		*caps = ParseCaps(rep.Lines)
		return true
	case rep.Permanent() && n == Ehlo:
		rep = t.say(Helo, helo, "HELO "+helo)
		if rep.OK() {
			*caps = Caps{}
			return true
		}
	}
	if rep != nil {
		t.quit()
	}
	return false
}

func (t *talker) wantsTLS() bool {
	switch t.s.Plan.Security {
	case Plain, Implicit:
		return false
	case Require:
		return true
	}
	return t.s.Caps.Has("STARTTLS")
}

// startTLS upgrades. Where the server refuses, an opportunistic session goes on in the clear, as a mail server would.
func (t *talker) startTLS(ctx context.Context) bool {
	if !t.s.Caps.Has("STARTTLS") { // Require
		t.stage(StartTLS, "", time.Now(), nil, &wire.Fault{Kind: wire.Protocol, Text: "STARTTLS is not offered"})
		t.quit()
		return false
	}
	rep := t.say(StartTLS, "", "STARTTLS")
	switch {
	case rep == nil:
		return false
	case !rep.OK():
		if t.s.Plan.Security == Require {
			t.quit()
		}
		return t.s.Plan.Security != Require
	}
	t.s.EarlyBytes = t.r.Buffered()
	return t.handshake(ctx) && t.hello(Ehlo2, &t.s.SecureCaps)
}

func (t *talker) handshake(ctx context.Context) bool {
	start := time.Now()
	_ = t.conn.SetDeadline(t.before(t.limits.Reply))
	conn, h := wire.ShakeHands(ctx, t.conn, wire.HandshakeOptions{
		ServerName: t.s.Plan.Host, Name: t.s.Plan.NameToHold, Roots: t.door.Roots, Now: t.door.Now,
	})
	t.s.TLS = h
	if h.Fault != nil {
		t.stage(TLS, t.s.Plan.Host, start, nil, h.Fault)
		return false
	}
	t.stage(TLS, t.s.Plan.Host, start, nil, nil)
	t.note(wire.Happened, strings.TrimSpace(h.Version+" "+h.Suite+" "+h.Group))
	t.conn, t.r = conn, bufio.NewReaderSize(conn, 4096)
	return true
}

// transactions runs the envelopes and leaves with QUIT.
func (t *talker) transactions() {
	for i, m := range t.s.Plan.Envelope {
		t.part = i
		if i > 0 && t.say(Rset, "", "RSET") == nil {
			return
		}
		last := i == len(t.s.Plan.Envelope)-1
		if !t.transaction(m, last) {
			return
		}
	}
	t.part = 0
	t.quit()
}

// transaction gives false where the session is over.
func (t *talker) transaction(m Mail, last bool) bool {
	line, err := t.mailLine(m)
	if err != nil {
		t.stage(MailFrom, m.From, time.Now(), nil, err)
		t.quit()
		return false
	}
	rep := t.say(MailFrom, m.From, line)
	if rep == nil || !rep.OK() {
		return rep != nil
	}
	accepted := 0
	for _, to := range m.To {
		if rep = t.say(RcptTo, to, "RCPT TO:<"+to+">"); rep == nil {
			return false
		}
		if rep.OK() {
			accepted++
		}
	}
	switch {
	case last && t.s.Plan.Message != nil && accepted > 0:
		return t.data()
	case last:
		return t.say(Rset, "", "RSET") != nil
	}
	return true
}

// mailLine builds MAIL FROM with the parameters the server offers and the message needs.
func (t *talker) mailLine(m Mail) (string, error) {
	line := "MAIL FROM:<" + m.From + ">"
	caps := t.s.Offered()
	if t.s.Plan.Message != nil && caps.Has("SIZE") {
		line += fmt.Sprintf(" SIZE=%d", wireSize(t.s.Plan.Message))
	}
	if n := t.s.Plan.Message; !ascii(n) && caps.Has("8BITMIME") {
		line += " BODY=8BITMIME"
	}
	if m.UTF8 {
		if !caps.Has("SMTPUTF8") {
			return "", &wire.Fault{Kind: wire.Protocol, Text: "the address needs SMTPUTF8, which is not offered"}
		}
		line += " SMTPUTF8"
	}
	return line, nil
}

// data hands over the message (RFC 5321 section 4.5.2: dots are doubled, lines end in CRLF).
func (t *talker) data() bool {
	rep := t.say(Data, "", "DATA")
	if rep == nil || rep.Code != 354 {
		return rep != nil
	}
	start := time.Now()
	_ = t.conn.SetWriteDeadline(t.before(t.limits.Session))
	body := Dotted(t.s.Plan.Message)
	t.note(wire.Sent, fmt.Sprintf("[%d bytes]", len(body)))
	t.note(wire.Sent, ".")
	if _, err := t.conn.Write(body); err != nil {
		t.stage(Message, "", start, nil, err)
		return false
	}
	rep, err := t.read(t.limits.Session)
	return t.stage(Message, "", start, rep, err).Fault == nil
}

func (t *talker) quit() {
	fault := t.s.Fault
	t.say(Quit, "", "QUIT")
	t.s.Fault = fault // whether a server waits for our goodbye says nothing
}

// say sends a command and reads the reply; nil means that the session is over.
func (t *talker) say(n StageName, arg, line string) *Reply {
	return t.speak(n, arg, line, line)
}

// speak is say with what the transcript gets instead of the line, where that holds a secret.
func (t *talker) speak(n StageName, arg, line, shown string) *Reply {
	if t.over {
		return nil
	}
	start := time.Now()
	t.note(wire.Sent, shown)
	_ = t.conn.SetWriteDeadline(t.before(t.limits.Reply))
	if _, err := t.conn.Write([]byte(line + "\r\n")); err != nil {
		// The server may have said why it closes before we wrote.
		if rep, rerr := t.read(time.Second); rerr == nil {
			t.stage(n, arg, start, rep, err)
			return nil
		}
		t.stage(n, arg, start, nil, err)
		return nil
	}
	rep, err := t.read(t.limits.Reply)
	st := t.stage(n, arg, start, rep, err)
	if st.Fault != nil {
		return nil
	}
	return rep
}

// read reads a reply within the span, counted from now for the whole reply: a byte a second does not prolong it.
func (t *talker) read(span time.Duration) (*Reply, error) {
	_ = t.conn.SetReadDeadline(t.before(span))
	rep, err := ReadReply(t.r, func(line string) { t.note(wire.Received, line) })
	if err != nil && len(rep.Lines) == 0 {
		rep = nil
	}
	return rep, err
}

// before is the deadline of a span, never after the session's end.
func (t *talker) before(span time.Duration) time.Time {
	at := time.Now().Add(span)
	if at.After(t.end) {
		return t.end
	}
	return at
}

// Dotted makes a message ready for DATA: CRLF line ends, dots doubled, the final dot added.
func Dotted(msg []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(msg) + len(msg)/40 + 8)
	for len(msg) > 0 {
		line, rest, _ := bytes.Cut(msg, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if bytes.HasPrefix(line, []byte(".")) {
			b.WriteByte('.')
		}
		b.Write(line)
		b.WriteString("\r\n")
		msg = rest
	}
	b.WriteString(".\r\n")
	return b.Bytes()
}

// wireSize is the size RFC 1870 section 3 counts: with CRLF line ends, without doubled dots and the final one.
func wireSize(msg []byte) int {
	n := len(msg) + bytes.Count(msg, []byte("\n")) - bytes.Count(msg, []byte("\r\n"))
	if len(msg) > 0 && msg[len(msg)-1] != '\n' {
		n += 2
	}
	return n
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func sum(msg []byte) string {
	if msg == nil {
		return ""
	}
	h := sha256.Sum256(msg)
	return hex.EncodeToString(h[:])
}
