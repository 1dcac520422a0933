package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// scripts are the servers that no real program can be: each is one fault of a peer. They end when the peer closes, the
// lab stops, or after a minute.
var scripts = map[string]func(c net.Conn, name string){
	// Takes the connection and never says a word.
	"silent": func(c net.Conn, _ string) { hang(c) },
	// A byte a second.
	"drip": func(c net.Conn, name string) {
		for _, b := range []byte("220 " + name + " ESMTP who has patience for this greeting\r\n") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
		hang(c)
	},
	// A greeting of ten megabytes without an end.
	"flood": func(c net.Conn, _ string) {
		block := bytes.Repeat([]byte("220-flood flood flood flood flood\r\n"), 1000)
		for range 300 {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
		hang(c)
	},
	// One line that never ends.
	"long-line": func(c net.Conn, _ string) {
		_, _ = c.Write(append([]byte("220 "), bytes.Repeat([]byte("A"), 4<<20)...))
		hang(c)
	},
	// Not SMTP.
	"binary": func(c net.Conn, _ string) {
		_, _ = c.Write([]byte{0x16, 0x03, 0x01, 0x00, 0xff, 0x00, 0x1b, '[', '3', '1', 'm', 0x07, '\r', '\n'})
		hang(c)
	},
	"http":  func(c net.Conn, _ string) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
	"close": func(net.Conn, string) {},
	"reset": func(c net.Conn, _ string) {
		time.Sleep(100 * time.Millisecond) // or the client's connect itself would fail
		reset(c)
	},
	"421": func(c net.Conn, name string) {
		say(c, "421 4.3.2 "+name+" Service not available, too many connections\r\n")
	},
	"554": func(c net.Conn, name string) { say(c, "554 5.7.1 "+name+" No SMTP service here\r\n") },
	"escape": func(c net.Conn, name string) {
		converse(c, "220 "+name+" ESMTP \x1b[31m\x1b]0;owned\x07<script>alert(1)</script>\r\n", nil)
	},
	// Greets after eleven seconds.
	"slow": func(c net.Conn, name string) {
		time.Sleep(11 * time.Second)
		converse(c, "220 "+name+" ESMTP\r\n", nil)
	},
	// Knows HELO only.
	"helo-only": func(c net.Conn, name string) {
		converse(c, "220 "+name+" SMTP\r\n", map[string]string{"EHLO": "502 5.5.2 Error: command not recognized\r\n"})
	},
	// A middlebox wrote over the STARTTLS line.
	"stripped": func(c net.Conn, name string) {
		converse(c, "220 ****************************\r\n", map[string]string{"EHLO": "250-" + name + "\r\n250-PIPELINING\r\n250-XXXXXXXA\r\n250 8BITMIME\r\n"})
	},
	// Offers STARTTLS and cannot do it.
	"no-tls-now": func(c net.Conn, name string) {
		converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"EHLO": offer(name), "STARTTLS": "454 4.7.0 TLS not available due to local problem\r\n"})
	},
	// Says go ahead, then speaks no TLS.
	"broken-tls": func(c net.Conn, name string) {
		converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"EHLO": offer(name), "STARTTLS": "220 2.0.0 Ready\r\n500 what?\r\n"})
	},
	"closes-at-ehlo": func(c net.Conn, name string) { converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"EHLO": ""}) },
	"closes-at-mail": func(c net.Conn, name string) { converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"MAIL": ""}) },
	"closes-at-rcpt": func(c net.Conn, name string) { converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"RCPT": ""}) },
	// Its name belongs to nobody.
	"wrong-banner": func(c net.Conn, _ string) { converse(c, "220 localhost.localdomain ESMTP\r\n", nil) },
	// Plain passwords before TLS, and no TLS.
	"plain-auth": func(c net.Conn, name string) {
		converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"EHLO": "250-" + name + "\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 10240000\r\n"})
	},
	// NetEase's words for a client it does not like.
	"netease": func(c net.Conn, name string) {
		converse(c, "220 "+name+" ESMTP\r\n", map[string]string{"MAIL": "554 DT:SPM " + name + ", please see https://mail.example/help?code=DT:SPM\r\n"})
	},
}

func offer(name string) string {
	return "250-" + name + "\r\n250-STARTTLS\r\n250 SIZE 10240000\r\n"
}

func say(c net.Conn, text string) { _, _ = c.Write([]byte(text)) }

func hang(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

// converse is a plain server; replies overrides the answer to a verb, "" closes the connection.
func converse(c net.Conn, greeting string, replies map[string]string) {
	say(c, greeting)
	in := bufio.NewReaderSize(c, 4096)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		reply, ok := replies[verb]
		switch {
		case ok && reply == "":
			return
		case ok:
		case verb == "EHLO":
			reply = "250-hello\r\n250 SIZE 10240000\r\n"
		case verb == "QUIT":
			say(c, "221 2.0.0 Bye\r\n")
			return
		case verb == "RCPT" && !strings.Contains(strings.ToLower(line), ".example>"):
			reply = "550 5.7.1 Relaying denied\r\n"
		case verb == "DATA":
			reply = "354 go on\r\n"
		default:
			reply = "250 2.0.0 Ok\r\n"
		}
		say(c, reply)
	}
}

// scripted are the running scripts.
type scripted struct {
	mu    sync.Mutex
	open  map[net.Conn]bool
	lists []net.Listener
	wg    sync.WaitGroup
}

func (s *scripted) serve(l net.Listener, h *Host) error {
	f, ok := scripts[h.Script]
	if !ok {
		return fmt.Errorf("host %s: no script %q", h.Name, h.Script)
	}
	s.handle(l, func(c net.Conn) { f(c, h.Name) })
	return nil
}

// handle gives every connection to f.
func (s *scripted) handle(l net.Listener, f func(net.Conn)) {
	s.mu.Lock()
	s.lists = append(s.lists, l)
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.keep(c, true)
			s.wg.Go(func() {
				defer s.keep(c, false)
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				f(c)
			})
		}
	})
}

// keep remembers the open connections, so that stop can end them, and closes those that are done.
func (s *scripted) keep(c net.Conn, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[net.Conn]bool{}
	}
	if on {
		s.open[c] = true
		return
	}
	delete(s.open, c)
	_ = c.Close()
}

func (s *scripted) stop() {
	for _, l := range s.lists {
		_ = l.Close()
	}
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
