// Package smtp is a client of our own that walks through one SMTP session and keeps everything: each reply line, the
// time of each stage, the TLS handshake, what broke and how.
//
// Promise: a Session is plain data that can be recorded, replayed and judged again; nothing here judges. A session ends
// within Limits.Session whatever the peer does, and never reads more than 64 kB per reply. Nothing is delivered unless
// Plan.Message is set: without it the conversation stops after RCPT with RSET and QUIT. RFCs: 5321 (SMTP), 2920 (read
// one reply per command: no pipelining), 3207 (STARTTLS), 8314 (implicit TLS), 1870 (SIZE), 2034 and 3463 (enhanced
// status), 6531 (SMTPUTF8), 6152 (8BITMIME).
//
// RFC 4954 (AUTH): a login is tried where Plan.Login says so; the secret stands in no transcript. It must not retry or
// choose servers: that is the caller's part.
package smtp

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Security says when TLS starts.
type Security string

// The ways to secure a session.
const (
	Opportunistic Security = ""         // STARTTLS where it is offered
	Plain         Security = "plain"    // never
	Require       Security = "require"  // STARTTLS, and stop where it is not offered or fails
	Implicit      Security = "implicit" // TLS before the greeting (port 465)
)

// Plan is what to do in one session. It is also the key of a recording, so it holds nothing that differs between two
// runs over the same world.
type Plan struct {
	Host       string     `json:"host"`                 // the server's name: SNI and the name its certificate is held against; may be empty
	Addr       netip.Addr `json:"addr"`                 // where to connect
	Port       uint16     `json:"port"`                 // 0 means 25
	HELO       string     `json:"helo"`                 // our name
	Security   Security   `json:"security,omitempty"`   //
	Envelope   []Mail     `json:"envelope,omitempty"`   // transactions, RSET between them; empty: QUIT after EHLO
	Verify     []string   `json:"verify,omitempty"`     // VRFY arguments, asked before the first transaction
	Message    []byte     `json:"-"`                    // DATA after the last transaction, where RCPT was accepted; any line ends
	MessageSum string     `json:"message,omitempty"`    // set by Run: SHA-256 of Message
	NameToHold string     `json:"name,omitempty"`       // the certificate's expected name where it is not Host
	StopAfter  StageName  `json:"stop_after,omitempty"` // QUIT after this stage

	Login *wire.Login `json:"login,omitempty"` // AUTH before the transactions; a refusal ends the session
}

// Mail is the envelope of one transaction.
type Mail struct {
	From string   `json:"from"` // "" is the null sender
	To   []string `json:"to"`   // asked in order
	UTF8 bool     `json:"utf8,omitempty"`
}

// Limits bound a session in time. Zero fields take the defaults.
type Limits struct {
	Connect  time.Duration // 10 s
	Greeting time.Duration // 30 s: tarpits and postscreen make strangers wait
	Reply    time.Duration // 30 s for each other reply
	Session  time.Duration // 120 s
}

func (l Limits) filled() Limits {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&l.Connect, 10*time.Second)
	set(&l.Greeting, 30*time.Second)
	set(&l.Reply, 30*time.Second)
	set(&l.Session, 120*time.Second)
	return l
}

// Door is what a session needs from the world. Dial is required.
type Door struct {
	Dial   wire.Dialer
	Now    wire.Clock     // nil: time.Now
	Tape   wire.Tape      // nil: neither recorded nor replayed
	Roots  *x509.CertPool // nil: the system's
	Gate   *wire.Gate     // nil: no bound on connections
	Limits Limits
}

// StageName names a stage of a session.
type StageName string

// The stages, in the order in which they come.
const (
	Connect  StageName = "connect"
	TLS      StageName = "tls" // the handshake, wherever it is
	Greeting StageName = "greeting"
	Ehlo     StageName = "ehlo"
	Helo     StageName = "helo" // after an EHLO that was refused
	StartTLS StageName = "starttls"
	Ehlo2    StageName = "ehlo2" // after STARTTLS
	Auth     StageName = "auth"  // the end of the login
	Vrfy     StageName = "vrfy"
	MailFrom StageName = "mail"
	RcptTo   StageName = "rcpt"
	Data     StageName = "data"    // the DATA command
	Message  StageName = "message" // the reply to the final dot
	Rset     StageName = "rset"
	Quit     StageName = "quit"
)

// Stage is one step of a session and what came of it: a reply, a fault, or for connect and tls neither.
type Stage struct {
	Name  StageName     `json:"stage"`
	Arg   string        `json:"arg,omitempty"`  // the name, the address
	Part  int           `json:"part,omitempty"` // which transaction of the plan, from 0
	Took  time.Duration `json:"took"`
	Reply *Reply        `json:"reply,omitempty"`
	Fault *wire.Fault   `json:"fault,omitempty"`
}

// OK tells that the stage went well: no fault, and a reply that is not negative.
func (s *Stage) OK() bool { return s.Fault == nil && (s.Reply == nil || s.Reply.Code < 400) }

// Session is one conversation as data.
type Session struct {
	Plan       Plan            `json:"plan"`
	Local      string          `json:"local,omitempty"` // our side of the socket, address:port
	Started    time.Time       `json:"started"`
	Took       time.Duration   `json:"took"`
	Stages     []Stage         `json:"stages"`
	Caps       Caps            `json:"caps,omitempty"`        // offered in the clear, or in TLS where it is implicit
	SecureCaps Caps            `json:"secure_caps,omitempty"` // offered after STARTTLS
	TLS        *wire.Handshake `json:"tls,omitempty"`
	EarlyBytes int             `json:"early_bytes,omitempty"` // sent by the server behind its reply to STARTTLS, in the clear
	Mechanism  string          `json:"mechanism,omitempty"`   // how the login was tried
	LoggedIn   bool            `json:"logged_in,omitempty"`
	Transcript wire.Transcript `json:"transcript"`
	Fault      *wire.Fault     `json:"fault,omitempty"` // what ended the session before QUIT, if anything
}

// Stage finds the first stage of that name, or nil.
func (s *Session) Stage(n StageName) *Stage {
	for i := range s.Stages {
		if s.Stages[i].Name == n {
			return &s.Stages[i]
		}
	}
	return nil
}

// Reply finds the reply of the first stage of that name, or nil.
func (s *Session) Reply(n StageName) *Reply {
	if st := s.Stage(n); st != nil {
		return st.Reply
	}
	return nil
}

// Failed finds the first stage that went wrong, or nil. Answers to VRFY, RSET and QUIT do not count, nor does a
// refused EHLO after which HELO was accepted.
func (s *Session) Failed() *Stage {
	for i := range s.Stages {
		st := &s.Stages[i]
		switch {
		case st.OK(), st.Name == Vrfy, st.Name == Rset, st.Name == Quit:
		case st.Name == Ehlo && st.Fault == nil && s.Stage(Helo) != nil:
		case st.Name == StartTLS && st.Fault == nil && s.Plan.Security == Opportunistic:
		default:
			return st
		}
	}
	return nil
}

// Connected tells that TCP came up.
func (s *Session) Connected() bool { c := s.Stage(Connect); return c != nil && c.Fault == nil }

// Offered are the extensions in force at the end: those after STARTTLS where it was done.
func (s *Session) Offered() Caps {
	if s.SecureCaps != nil {
		return s.SecureCaps
	}
	return s.Caps
}

// LocalAddr is our side's address; the zero Addr where the connection never came up.
func (s *Session) LocalAddr() netip.Addr {
	ap, err := netip.ParseAddrPort(s.Local)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// Says is our name as this session says it: the plan's, but where that is an address literal of the other family than
// the connection's, the literal of our own side (RFC 5321 section 4.1.3).
func (s *Session) Says() string {
	literal, isIt := strings.CutPrefix(s.Plan.HELO, "[")
	local := s.LocalAddr()
	if !isIt || !local.IsValid() || strings.HasPrefix(literal, "IPv6:") == local.Is6() {
		return s.Plan.HELO
	}
	if local.Is6() {
		return "[IPv6:" + local.WithZone("").String() + "]"
	}
	return "[" + local.String() + "]"
}

// Run walks through the plan. Whatever the peer does ends up in the Session; the error is only for an observation that
// could not be made at all: a replay without it, or a plan that would smuggle in a second command. Cancelling ctx ends
// it.
func Run(ctx context.Context, d Door, p Plan) (*Session, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Port == 0 {
		p.Port = 25
	}
	p.MessageSum = sum(p.Message)
	return wire.Observe(d.Tape, "smtp", p, func() (*Session, error) { return talk(ctx, d, p), nil })
}

// check refuses words that would break out of their command line.
func (p *Plan) check() error {
	words := append([]string{p.HELO}, p.Verify...)
	for _, m := range p.Envelope {
		words = append(append(words, m.From), m.To...)
	}
	if l := p.Login; l != nil {
		words = append(words, l.User, l.Mechanism)
		if strings.ContainsAny(l.Secret, "\r\n\x00") {
			return &wire.Fault{Kind: wire.Protocol, Op: "smtp", Text: "line ends or NUL in the password"}
		}
	}
	for _, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return &wire.Fault{Kind: wire.Protocol, Op: "smtp", Text: fmt.Sprintf("control characters in %q", w)}
		}
	}
	return nil
}
