// Package wiretest is the fake internet: zones, scripted servers and certificates, all in this process and on loopback,
// so that tests and the demo need neither root nor a network.
//
// Promise: nothing here leaves the machine, and nothing here is used against real servers.
package wiretest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// SMTP is a scripted mail server. The zero value is a good-natured one that takes any recipient. Replies are whole,
// lines parted by "\n", code included ("250-a\n250 b").
type SMTP struct {
	Name       string        // in the greeting; "" means mx.test
	Greeting   string        // instead of "220 NAME ESMTP"
	GreetAfter time.Duration // tarpit
	Caps       []string      // of EHLO, beside STARTTLS; nil means PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES
	TLS        *tls.Config   // offers STARTTLS where set
	Implicit   bool          // TLS before the greeting
	Domain     string        // the only one it takes recipients of; "" takes any
	// Replies overrides the answer by command line ("RCPT TO:<a@b.test>"), by verb ("RCPT"), or by "EHLO2" for the
	// EHLO after STARTTLS and "." for the message; a line goes before a verb. The reply "close" hangs up, "stall" says
	// nothing until the peer leaves, "reset" breaks the connection with RST.
	Replies map[string]string
	// Raw takes the whole connection over.
	Raw func(net.Conn)

	mu   sync.Mutex
	said []string
	mail [][]byte
}

// Heard lists the command lines of all sessions so far.
func (s *SMTP) Heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.said...)
}

// Messages are the messages taken so far, dots still doubled.
func (s *SMTP) Messages() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.mail...)
}

// Serve talks to one client and closes the connection.
func (s *SMTP) Serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if s.Raw != nil {
		s.Raw(conn)
		return
	}
	c := &smtpConn{s: s, conn: conn, raw: conn}
	if s.Implicit && !c.secure() {
		return
	}
	c.r = bufio.NewReader(c.conn)
	time.Sleep(s.GreetAfter)
	name := s.Name
	if name == "" {
		name = "mx.test"
	}
	greeting := s.Greeting
	if greeting == "" {
		greeting = "220 " + name + " ESMTP"
	}
	if !c.reply(greeting) {
		return
	}
	for c.step(name) {
	}
}

type smtpConn struct {
	s     *SMTP
	conn  net.Conn
	raw   net.Conn
	r     *bufio.Reader
	inTLS bool
}

// step answers one command.
func (c *smtpConn) step(name string) bool {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return false
	}
	line = strings.TrimRight(line, "\r\n")
	c.s.mu.Lock()
	c.s.said = append(c.s.said, line)
	c.s.mu.Unlock()
	verb := strings.ToUpper(strings.Fields(line + " ?")[0])
	answer := c.answer(line, verb, name)
	if !c.reply(answer) {
		return false
	}
	switch {
	case verb == "QUIT":
		return false
	case verb == "STARTTLS" && strings.HasPrefix(answer, "220"):
		return c.secure()
	case verb == "DATA" && strings.HasPrefix(answer, "354"):
		return c.message()
	}
	return true
}

func (c *smtpConn) answer(line, verb, name string) string {
	if r, ok := c.s.Replies[line]; ok {
		return r
	}
	if verb == "EHLO" && c.inTLS {
		if r, ok := c.s.Replies["EHLO2"]; ok {
			return r
		}
	}
	if r, ok := c.s.Replies[verb]; ok {
		return r
	}
	switch verb {
	case "EHLO":
		return c.ehlo(name)
	case "RCPT":
		if c.s.Domain != "" && (!strings.Contains(strings.ToLower(line), "@"+c.s.Domain+">") || strings.ContainsAny(line, `%!"`)) {
			return "554 5.7.1 Relay access denied"
		}
		return "250 2.0.0 Ok"
	case "HELO", "MAIL", "RSET", "NOOP":
		return "250 2.0.0 Ok"
	case "VRFY":
		return "252 2.0.0 send it and see"
	case "DATA":
		return "354 End data with <CR><LF>.<CR><LF>"
	case "STARTTLS":
		if c.s.TLS != nil && !c.inTLS {
			return "220 2.0.0 Ready to start TLS"
		}
	case "QUIT":
		return "221 2.0.0 Bye"
	}
	return "502 5.5.2 Command not recognized"
}

func (c *smtpConn) ehlo(name string) string {
	caps := c.s.Caps
	if caps == nil {
		caps = []string{"PIPELINING", "SIZE 10240000", "8BITMIME", "ENHANCEDSTATUSCODES"}
	}
	if c.s.TLS != nil && !c.inTLS {
		caps = append([]string{"STARTTLS"}, caps...)
	}
	lines := append([]string{name}, caps...)
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + lines[i]
	}
	return strings.Join(lines, "\n")
}

// reply writes an answer, or does what the word says.
func (c *smtpConn) reply(answer string) bool {
	switch answer {
	case "close":
		return false
	case "reset":
		if t, ok := c.raw.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		return false
	case "stall":
		_, _ = io.Copy(io.Discard, c.conn)
		return false
	}
	_, err := c.conn.Write([]byte(strings.ReplaceAll(answer, "\n", "\r\n") + "\r\n"))
	return err == nil
}

func (c *smtpConn) secure() bool {
	if c.s.TLS == nil {
		return false
	}
	t := tls.Server(c.conn, c.s.TLS)
	if t.Handshake() != nil {
		return false
	}
	c.conn, c.r, c.inTLS = t, bufio.NewReader(t), true
	return true
}

func (c *smtpConn) message() bool {
	var body []byte
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil || len(body) > 64<<20 {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
		body = append(body, line...)
	}
	c.s.mu.Lock()
	c.s.mail = append(c.s.mail, body)
	c.s.mu.Unlock()
	if r, ok := c.s.Replies["."]; ok {
		return c.reply(r)
	}
	return c.reply("250 2.0.0 Ok: queued as TEST1")
}

// Listen serves conns on a free loopback port until stop is called, and gives its address.
func Listen(serve func(net.Conn)) (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go accept(l, serve)
	return l.Addr().String(), func() { _ = l.Close() }, nil
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go serve(conn)
	}
}

// SMTP serves a scripted server at an invented address ("198.51.100.7:25").
func (w *World) SMTP(fake string, s *SMTP) error {
	l, err := w.Listen(fake)
	if err != nil {
		return err
	}
	go accept(l, func(c net.Conn) {
		w.meet()
		s.Serve(c)
	})
	return nil
}
