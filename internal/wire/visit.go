package wire

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Bounds on one visit, whatever the server sends.
const (
	maxVisitLine  = 16 << 10
	maxVisitBytes = 2 << 20
	maxVisitLines = 20_000
	maxTranscript = 400 // lines kept
)

// Security says when TLS starts on a port of a mail program.
type Security string

// The ways to secure a visit.
const (
	Opportunistic Security = ""         // STARTTLS where it is offered
	Plain         Security = "plain"    // never
	Implicit      Security = "implicit" // TLS before the greeting
)

// VisitPlan is what to do in one session of IMAP, POP3 or ManageSieve, and the key of its recording.
type VisitPlan struct {
	Host     string     `json:"host"` // the server's name: SNI and the name its certificate is held against; may be empty
	Addr     netip.Addr `json:"addr"`
	Port     uint16     `json:"port"`
	Security Security   `json:"security,omitempty"`
	Login    *Login     `json:"login,omitempty"` // nil: look from outside only
	Newest   int        `json:"newest,omitempty"`
	Whole    int        `json:"whole,omitempty"`  // bytes to read of each of the newest messages, beside their headers
	Script   bool       `json:"script,omitempty"` // ManageSieve: read the active script
	Seek     *Seek      `json:"seek,omitempty"`
}

// Seek looks for one message by its Message-ID, in every folder that IMAP shows or among the newest of a POP3 maildrop,
// after the login and instead of everything else.
type Seek struct {
	ID     string        `json:"id"`               // without the angle brackets
	Wait   time.Duration `json:"wait,omitempty"`   // IMAP: how long to look again and again; 0 looks once
	Turn   int           `json:"turn,omitempty"`   // POP3: which of several visits, so that recordings keep them apart
	Remove bool          `json:"remove,omitempty"` // delete this one message, and nothing else, once it was read
}

// Sought is a message that Seek found.
type Sought struct {
	Folder  string        `json:"folder"`
	Use     string        `json:"use,omitempty"` // special use of the folder
	UID     string        `json:"uid"`
	Header  string        `json:"header"`            // as it stands, at most 64 kB
	Arrived string        `json:"arrived,omitempty"` // IMAP's INTERNALDATE
	Flags   string        `json:"flags,omitempty"`
	After   time.Duration `json:"after"` // since the visit began
	Removed bool          `json:"removed,omitempty"`
	Marked  bool          `json:"marked,omitempty"` // marked as deleted, but not expunged: the server cannot do that for one message
}

// VisitDoor is what a visit needs from the world. Dial is required.
type VisitDoor struct {
	Dial    Dialer
	Now     Clock          // nil: time.Now
	Tape    Tape           // nil: neither recorded nor replayed
	Roots   *x509.CertPool // nil: the system's
	Gate    *Gate          // nil: no bound on connections; a host's name there is address:port
	Timeout time.Duration  // to connect and for each answer; 0 means 10 s. The whole takes at most six times that
}

// Visit is a mail program's session as data.
type Visit struct {
	Plan       VisitPlan         `json:"plan"`
	Protocol   string            `json:"protocol"` // "imap", "pop3", "managesieve"
	Started    time.Time         `json:"started"`
	Took       time.Duration     `json:"took"`
	Greeting   string            `json:"greeting,omitempty"` // without the status word
	Steps      []Step            `json:"steps"`
	Caps       []string          `json:"caps,omitempty"`        // offered in the clear, or in TLS where it is implicit; upper case
	SecureCaps []string          `json:"secure_caps,omitempty"` // offered after STARTTLS
	Auth       []string          `json:"auth,omitempty"`        // SASL mechanisms in force at the end, upper case
	ClearLogin bool              `json:"clear_login,omitempty"` // a readable password is taken before TLS
	ID         map[string]string `json:"id,omitempty"`          // what the server tells of itself (IMAP ID, IMPLEMENTATION)
	TLS        *Handshake        `json:"tls,omitempty"`
	EarlyBytes int               `json:"early_bytes,omitempty"` // sent in the clear behind the yes to STARTTLS
	Mechanism  string            `json:"mechanism,omitempty"`   // how the login was tried
	LoggedIn   bool              `json:"logged_in,omitempty"`
	Folders    []Folder          `json:"folders,omitempty"`
	Quota      []Quota           `json:"quota,omitempty"`
	Count      int64             `json:"count,omitempty"` // messages in the INBOX
	Bytes      int64             `json:"bytes,omitempty"` // size of the INBOX where the server tells
	Unseen     int64             `json:"unseen,omitempty"`
	Newest     []Brief           `json:"newest,omitempty"` // newest messages, newest first
	Scripts    []Script          `json:"scripts,omitempty"`
	Sought     *Sought           `json:"sought,omitempty"`
	Transcript Transcript        `json:"transcript"`
	Fault      *Fault            `json:"fault,omitempty"` // what ended the session early, if anything
}

// Step is one step of a visit and what came of it.
type Step struct {
	Name   string        `json:"step"`             // connect, tls, greeting, capability, starttls, id, login, list, quota, select, fetch, stat, uidl, top, scripts, logout
	Status string        `json:"status,omitempty"` // the server's word: OK, NO, BAD, BYE, +OK, -ERR
	Code   string        `json:"code,omitempty"`   // response code out of brackets, upper case: AUTHENTICATIONFAILED
	Text   string        `json:"text,omitempty"`   // the server's text
	Took   time.Duration `json:"took"`
	Fault  *Fault        `json:"fault,omitempty"`
}

// OK tells that a step went well.
func (s *Step) OK() bool {
	return s.Fault == nil && (s.Status == "" || s.Status == "OK" || s.Status == "+OK" || s.Status == "PREAUTH")
}

// Folder is a mailbox of an account.
type Folder struct {
	Name  string   `json:"name"` // decoded from modified UTF-7
	Flags []string `json:"flags,omitempty"`
	Use   string   `json:"use,omitempty"` // special use of RFC 6154 without the backslash: Sent, Trash, Junk, Drafts, Archive

	Messages int64 `json:"messages,omitempty"` // asked for where the quota is nearly used up
	Bytes    int64 `json:"bytes,omitempty"`
}

// Quota is a limit of an account. Units are as RFC 9208 has them, storage in bytes here.
type Quota struct {
	Root     string `json:"root,omitempty"`
	Resource string `json:"resource"` // STORAGE, MESSAGE
	Used     int64  `json:"used"`
	Limit    int64  `json:"limit"`
}

// Brief is a message of a mailbox in short. Header values are as they stand.
type Brief struct {
	UID     string `json:"uid,omitempty"`
	Size    int64  `json:"size,omitempty"`
	Arrived string `json:"arrived,omitempty"`
	Flags   string `json:"flags,omitempty"`
	From    string `json:"from,omitempty"`
	Subject string `json:"subject,omitempty"`
	Date    string `json:"date,omitempty"`
	Raw     []byte `json:"raw,omitempty"` // the message, as much of it as VisitPlan.Whole asks for
}

// Script is a Sieve script on the server.
type Script struct {
	Name   string `json:"name"`
	Active bool   `json:"active,omitempty"`
	Text   string `json:"text,omitempty"` // where VisitPlan.Script asks for it
}

// Step finds the first step of that name, or nil.
func (v *Visit) Step(name string) *Step {
	for i := range v.Steps {
		if v.Steps[i].Name == name {
			return &v.Steps[i]
		}
	}
	return nil
}

// Connected tells that TCP came up.
func (v *Visit) Connected() bool { s := v.Step("connect"); return s != nil && s.Fault == nil }

// Offered are the capabilities in force at the end.
func (v *Visit) Offered() []string {
	if v.SecureCaps != nil {
		return v.SecureCaps
	}
	return v.Caps
}

// Talk is a visit under way: the line engine that the instruments of mail programs share.
type Talk struct {
	V     *Visit
	door  VisitDoor
	conn  net.Conn
	raw   net.Conn
	r     *bufio.Reader
	begun time.Time
	end   time.Time
	step  time.Time // start of the step under way
	bytes int
	lines int
	mask  func(string) string
	slow  bool // a login is under way: servers answer late after wrong passwords, on purpose
}

// Pay runs a visit: connects, has walk speak the protocol, and hangs up. The error is only for a plan that would
// smuggle in a second command, and for a replay without the observation.
func Pay(ctx context.Context, d VisitDoor, protocol string, p VisitPlan, walk func(ctx context.Context, t *Talk)) (*Visit, error) {
	if l := p.Login; l != nil && strings.ContainsAny(l.User+l.Secret+l.Mechanism, "\r\n\x00") {
		return nil, &Fault{Kind: Protocol, Op: "login", Text: "line ends or NUL in user name or password"}
	}
	return Observe(d.Tape, protocol, p, func() (*Visit, error) { return pay(ctx, d, protocol, p, walk), nil })
}

func pay(ctx context.Context, d VisitDoor, protocol string, p VisitPlan, walk func(ctx context.Context, t *Talk)) *Visit {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Timeout <= 0 {
		d.Timeout = 10 * time.Second
	}
	t := &Talk{V: &Visit{Plan: p, Protocol: protocol, Started: d.Now()}, door: d, mask: p.Login.MaskIn(), begun: time.Now(), step: time.Now()}
	where := netip.AddrPortFrom(p.Addr, p.Port).String()
	leave, err := d.Gate.Enter(ctx, where)
	if err != nil {
		t.Done("connect", "", "", "", err)
		return t.V
	}
	defer leave()
	t.begun, t.step = time.Now(), time.Now()
	t.end = t.begun.Add(6 * d.Timeout)
	if p.Seek != nil {
		t.end = t.end.Add(p.Seek.Wait)
	}
	ctx, cancel := context.WithDeadline(ctx, t.end)
	defer cancel()
	if t.connect(ctx, where) {
		stop := context.AfterFunc(ctx, func() { _ = t.raw.SetDeadline(time.Unix(1, 0)) })
		if p.Security != Implicit || t.Shake(ctx) {
			walk(ctx, t)
		}
		stop()
		_ = t.raw.Close()
		if t.V.Fault != nil && ctx.Err() != nil {
			t.V.Fault = Classify(t.V.Fault.Op, ctx.Err())
		}
	}
	t.V.Took = time.Since(t.begun)
	return t.V
}

func (t *Talk) connect(ctx context.Context, where string) bool {
	ctx, cancel := context.WithTimeout(ctx, t.door.Timeout)
	defer cancel()
	conn, err := t.door.Dial.DialContext(ctx, "tcp", where)
	if err == nil {
		t.conn, t.raw, t.r = conn, conn, bufio.NewReaderSize(conn, 4096)
		t.Note(Happened, "connected to "+where)
	}
	return t.Done("connect", "", "", "", err)
}

// Shake starts TLS. What the server had sent in the clear before is counted and thrown away.
func (t *Talk) Shake(ctx context.Context) bool {
	t.V.EarlyBytes = t.r.Buffered()
	_ = t.conn.SetDeadline(t.before())
	conn, h := ShakeHands(ctx, t.conn, HandshakeOptions{ServerName: t.V.Plan.Host, Roots: t.door.Roots, Now: t.door.Now})
	t.V.TLS = h
	if h.Fault != nil {
		return t.Done("tls", "", "", "", h.Fault)
	}
	t.Note(Happened, strings.TrimSpace(h.Version+" "+h.Suite+" "+h.Group))
	t.conn, t.r = conn, bufio.NewReaderSize(conn, 4096)
	return t.Done("tls", "", "", "", nil)
}

// Secure tells whether the connection is encrypted.
func (t *Talk) Secure() bool { return t.V.TLS != nil && t.V.TLS.Fault == nil }

// Note adds a line to the transcript; the secret is blotted out, and what is beyond the bound is left out.
func (t *Talk) Note(d Direction, text string) {
	switch n := len(t.V.Transcript); {
	case n == maxTranscript:
		text, d = "…", Happened
	case n > maxTranscript:
		return
	}
	t.V.Transcript = append(t.V.Transcript, Line{Dir: d, At: time.Since(t.begun), Text: t.mask(text)})
}

// Done ends a step; an error ends the session. The next step begins now.
func (t *Talk) Done(name, status, code, text string, err error) bool {
	s := Step{Name: name, Status: status, Code: code, Text: t.mask(text), Took: time.Since(t.step), Fault: Classify(name, err)}
	if s.Fault != nil {
		f := *s.Fault
		f.Op, f.After = name, s.Took
		s.Fault, t.V.Fault = &f, &f
		t.Note(Happened, f.Error())
	}
	t.V.Steps = append(t.V.Steps, s)
	t.slow = t.slow && name != "login"
	t.step = time.Now()
	return s.Fault == nil
}

// Say sends a line. shown is what the transcript gets instead, where the line holds a secret.
func (t *Talk) Say(line, shown string) error {
	if shown == "" {
		shown = line
	}
	t.Note(Sent, shown)
	_ = t.conn.SetWriteDeadline(t.before())
	_, err := io.WriteString(t.conn, line+"\r\n")
	return err
}

func (t *Talk) before() time.Time {
	span := t.door.Timeout
	if t.slow {
		span *= 3
	}
	at := time.Now().Add(span)
	if at.After(t.end) {
		return t.end
	}
	return at
}

// Wait sets the time until which the next lines must have come.
func (t *Talk) Wait() { _ = t.conn.SetReadDeadline(t.before()) }

// Line reads a line without its end, bounded in bytes, and notes it. Bytes that are no UTF-8 are written \xNN.
func (t *Talk) Line() (string, error) {
	var b strings.Builder
	for {
		c, err := t.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && b.Len() > 0 {
				err = io.ErrUnexpectedEOF
			}
			if b.Len() > 0 {
				t.Note(Received, Printable(b.String()))
			}
			return "", err
		}
		if c == '\n' {
			break
		}
		b.WriteByte(c)
		if b.Len() > maxVisitLine {
			t.Note(Received, Printable(b.String()[:200])+"…")
			return "", &Fault{Kind: Limit, Text: fmt.Sprintf("a line of more than %d bytes", maxVisitLine)}
		}
	}
	if t.bytes, t.lines = t.bytes+b.Len()+1, t.lines+1; t.bytes > maxVisitBytes || t.lines > maxVisitLines {
		return "", &Fault{Kind: Limit, Text: fmt.Sprintf("more than %d MB or %d lines in one session", maxVisitBytes>>20, maxVisitLines)}
	}
	line := Printable(strings.TrimSuffix(b.String(), "\r"))
	t.Note(Received, line)
	return line, nil
}

// Literal reads exactly n bytes; more than 64 kB are refused before a byte is read. Bytes that are no UTF-8 are written
// \xNN.
func (t *Talk) Literal(n int64) (string, error) {
	raw, err := t.Block(n)
	return Printable(string(raw)), err
}

// maxBlock is how long a literal may be.
const maxBlock = 64 << 10

// Block reads exactly n bytes as they are; more than 64 kB are refused before a byte is read.
func (t *Talk) Block(n int64) ([]byte, error) {
	if n < 0 || n > maxBlock || t.bytes+int(n) > maxVisitBytes {
		return nil, &Fault{Kind: Limit, Text: fmt.Sprintf("the server announces a literal of %d bytes; mailwhy reads at most 64 kB", n)}
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(t.r, raw); err != nil {
		return nil, err
	}
	t.bytes += int(n)
	t.Note(Received, fmt.Sprintf("[%d bytes]", n))
	return raw, nil
}

// Rest waits between two looks; false means that the time of the visit, or the context, is over.
func (t *Talk) Rest(ctx context.Context, d time.Duration) bool {
	if time.Now().Add(d).After(t.end) {
		return false
	}
	return Pause(ctx, d) == nil
}

// Since is the time since the visit began.
func (t *Talk) Since() time.Duration { return time.Since(t.begun) }

// Begin starts the login of the plan, or ends the step "login" with why not: nothing offered, or a readable secret
// without TLS. It gives nil then.
func (t *Talk) Begin(offered []string, own bool) *SASL {
	l := t.V.Plan.Login
	m := l.Pick(offered, own)
	t.V.Mechanism = m
	if why := t.withhold(m); why != "" {
		t.Done("login", "", "", "", &Fault{Kind: Protocol, Text: why})
		return nil
	}
	t.slow = true
	if m == "PASSWORD" {
		return &SASL{Mechanism: m}
	}
	s, err := NewSASL(m, l)
	if err != nil {
		t.Done("login", "", "", "", err)
		return nil
	}
	return s
}

func (t *Talk) withhold(mechanism string) string {
	return t.V.Plan.Login.Withhold(mechanism, t.V.TLS)
}

// Answer turns a challenge into the line that answers it. A JSON challenge (XOAUTH2 tells its errors so) is noted.
func (t *Talk) Answer(s *SASL, challenge string) (string, error) {
	raw, err := Challenge(challenge)
	if err != nil {
		return "", err
	}
	if s.Mechanism == "XOAUTH2" && len(raw) > 0 && raw[0] == '{' {
		t.Note(Happened, Printable(string(raw)))
	}
	out, err := s.Next(raw)
	return base64.StdEncoding.EncodeToString(out), err
}

// Initial is the first answer of the client in base64, "=" for an empty one; ok is false where the server begins.
func (t *Talk) Initial(s *SASL) (text string, ok bool, err error) {
	if !s.First {
		return "", false, nil
	}
	out, err := s.Next(nil)
	if len(out) == 0 {
		return "=", true, err
	}
	return base64.StdEncoding.EncodeToString(out), true, err
}

// HeaderInto reads From, Subject and Date out of a few header lines, unfolded; each is kept to 1000 bytes.
func HeaderInto(b *Brief, text string) {
	text = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ", "\n ", " ", "\n\t", " ").Replace(text)
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r"), ":")
		if !ok {
			continue
		}
		value = fmt.Sprintf("%.1000s", strings.TrimSpace(value))
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "from":
			b.From = value
		case "subject":
			b.Subject = value
		case "date":
			b.Date = value
		}
	}
}

// The reasons for which a login is not even tried.
const (
	WhyNoMethod     = "no login method is offered that mailwhy speaks"
	WhyNotEncrypted = "the password was not sent: the connection is not encrypted"
	WhyNotTrusted   = "the password was not sent: the certificate is not believed"
)

// Withhold tells why a login must not be tried, "" where it may: no method, a readable secret without TLS, or any secret
// for a server whose certificate is not believed. h is nil without TLS.
func (l *Login) Withhold(mechanism string, h *Handshake) string {
	secure := h != nil && h.Fault == nil
	switch {
	case mechanism == "":
		return WhyNoMethod
	case l.InClear:
		return ""
	case !secure && Readable(mechanism):
		return WhyNotEncrypted
	case secure && !h.Trusted():
		return WhyNotTrusted
	}
	return ""
}
