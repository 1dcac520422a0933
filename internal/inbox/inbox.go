// Package inbox is a small SMTP receiver that gives out one-time addresses and hands over what arrives there: RFC 5321,
// by the go-smtp library.
//
// Promise: it relays nothing and stores nothing; only addresses it gave out and that are still open are accepted. Size,
// recipients, connections, messages per client and lifetime are bounded. What arrives is handed over with a Received
// line of its own on top, so that the client's address is on record.
//
// It must not send mail, and it must not answer beyond SMTP replies.
package inbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Options of a receiver. Zero values take the defaults.
type Options struct {
	Domain      string        // right side of the addresses and our name in the greeting; "" means the listener's address as a literal
	MaxBytes    int64         // of a message; 0 means 25 MiB
	Lifetime    time.Duration // of an address; 0 means 1 h
	Uses        int           // messages an address takes; 0 means 1
	MaxClients  int           // connections at once; 0 means 20
	PerMinute   int           // connections of one client per minute; 0 means 30
	Now         func() time.Time
	Handle      func(Message) // called for one message after the other; nil: dropped
	MaxAddress  int           // open addresses at once; 0 means 1,000
	ReadTimeout time.Duration // of one command; 0 means 1 min
}

// Message is one message that arrived. Raw begins with our Return-Path and Received lines.
type Message struct {
	Address string     `json:"address"` // the one-time address
	Client  netip.Addr `json:"client"`
	HELO    string     `json:"helo"`
	From    string     `json:"from"` // envelope sender; "" is the null sender
	At      time.Time  `json:"at"`
	Raw     []byte     `json:"-"`
}

// Server receives mail. Make it with New.
type Server struct {
	o       Options
	smtp    *smtp.Server
	mu      sync.Mutex
	open    map[string]*box       // by lower-case address
	rates   map[netip.Addr]window // bounded by sweep
	clients int
	queue   chan Message
	done    chan struct{}
}

type box struct {
	until time.Time
	left  int
}

type window struct {
	start time.Time
	n     int
}

// New makes a receiver.
func New(o Options) *Server {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Uses, 1)
	def(&o.MaxClients, 20)
	def(&o.PerMinute, 30)
	def(&o.MaxAddress, 1000)
	if o.MaxBytes <= 0 {
		o.MaxBytes = 25 << 20
	}
	if o.Lifetime <= 0 {
		o.Lifetime = time.Hour
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, open: map[string]*box{}, rates: map[netip.Addr]window{}, queue: make(chan Message, 16), done: make(chan struct{})}
	b := smtp.NewServer(smtp.BackendFunc(s.session))
	b.Domain = o.Domain
	b.MaxMessageBytes = o.MaxBytes
	b.MaxRecipients = 5
	b.MaxLineLength = 4000
	b.ReadTimeout, b.WriteTimeout = o.ReadTimeout, o.ReadTimeout
	b.EnableSMTPUTF8 = true
	b.ErrorLog = quiet{}
	s.smtp = b
	return s
}

// quiet keeps the library from writing to the log: clients that break off are no news.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// ErrFull tells that too many addresses are open.
var ErrFull = errors.New("too many open addresses")

// Open gives out a new address.
func (s *Server) Open() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	if len(s.open) >= s.o.MaxAddress {
		return "", ErrFull
	}
	// 50 bits of chance in lower-case letters and digits: enough that nobody finds an open one by trying.
	addr := "test-" + strings.ToLower(rand.Text()[:10]) + "@" + s.o.Domain
	s.open[strings.ToLower(addr)] = &box{s.o.Now().Add(s.o.Lifetime), s.o.Uses}
	return addr, nil
}

// sweep drops what is over. The caller holds the lock.
func (s *Server) sweep() {
	now := s.o.Now()
	for a, b := range s.open {
		if now.After(b.until) || b.left <= 0 {
			delete(s.open, a)
		}
	}
	if len(s.rates) > 10000 {
		clear(s.rates)
	}
	for a, w := range s.rates {
		if now.Sub(w.start) > time.Minute {
			delete(s.rates, a)
		}
	}
}

// Serve receives on the listener until the context ends, and returns when the last message has been handled.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	go s.handle()
	stop := context.AfterFunc(ctx, func() { s.smtp.Close() })
	defer stop()
	err := s.smtp.Serve(l)
	close(s.done)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// handle hands messages over one after the other.
func (s *Server) handle() {
	for {
		select {
		case m := <-s.queue:
			if s.o.Handle != nil {
				s.o.Handle(m)
			}
		case <-s.done:
			return
		}
	}
}

// session admits a client.
func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	client := addrOf(c.Conn().RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	s.sweep()
	w := s.rates[client]
	if now.Sub(w.start) > time.Minute {
		w = window{start: now}
	}
	w.n++
	s.rates[client] = w
	if w.n > s.o.PerMinute || s.clients >= s.o.MaxClients {
		return nil, &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too many connections, come again in a minute"}
	}
	s.clients++
	return &session{s: s, conn: c, client: client}, nil
}

func addrOf(a net.Addr) netip.Addr {
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

type session struct {
	s      *Server
	conn   *smtp.Conn
	client netip.Addr
	from   string
	to     []string
}

var (
	errRelay   = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Relaying denied"}
	errUnknown = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such address, or it is used up"}
	errBusy    = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "Busy, come again"}
)

// Mail begins a message.
func (x *session) Mail(from string, _ *smtp.MailOptions) error { x.from = from; return nil }

// Rcpt accepts open addresses only.
func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	low := strings.ToLower(to)
	if !strings.HasSuffix(low, "@"+strings.ToLower(x.s.o.Domain)) {
		return errRelay
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	b := x.s.open[low]
	if b == nil || b.left <= 0 || x.s.o.Now().After(b.until) {
		return errUnknown
	}
	x.to = append(x.to, low)
	return nil
}

// Data takes the message and uses the address up.
func (x *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(r, x.s.o.MaxBytes+1))
	if err != nil {
		return err
	}
	if int64(len(raw)) > x.s.o.MaxBytes {
		return smtp.ErrDataTooLarge
	}
	now := x.s.o.Now()
	for _, to := range x.to {
		m := Message{Address: to, Client: x.client, HELO: x.conn.Hostname(), From: x.from, At: now}
		m.Raw = append(x.lines(to, now), raw...)
		x.s.mu.Lock()
		b := x.s.open[to]
		ok := b != nil && b.left > 0
		if ok {
			select {
			case x.s.queue <- m:
				b.left--
			default:
				ok = false
			}
		}
		x.s.mu.Unlock()
		if !ok {
			return errBusy
		}
	}
	return nil
}

// lines are the trace lines a final host adds (RFC 5321 section 4.4). What the client said is stripped of what could
// break a header.
func (x *session) lines(to string, now time.Time) []byte {
	proto := "ESMTP"
	tls := ""
	if _, ok := x.conn.TLSConnectionState(); ok {
		proto, tls = "ESMTPS", " (TLS)"
	}
	client := x.client.String()
	if x.client.Is6() {
		client = "IPv6:" + client
	}
	return fmt.Appendf(nil, "Return-Path: <%s>\r\nReceived: from %s ([%s])%s by %s (mailwhy inbox) with %s id %s for <%s>; %s\r\n",
		clean(x.from), clean(x.conn.Hostname()), client, tls, x.s.o.Domain, proto, strings.ToLower(rand.Text()[:12]), clean(to), now.Format(time.RFC1123Z))
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("<>();\"", r) {
			return -1
		}
		return r
	}, s)
}

// Reset forgets the message under way.
func (x *session) Reset() { x.from, x.to = "", nil }

// Logout ends the session.
func (x *session) Logout() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.clients--
	return nil
}
