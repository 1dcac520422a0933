package inbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// start runs a receiver on loopback and gives its address and what arrives.
func start(t *testing.T, o Options) (*Server, string, chan Message) {
	t.Helper()
	got := make(chan Message, 10)
	o.Handle = func(m Message) { got <- m }
	if o.Domain == "" {
		o.Domain = "inbox.mine.example"
	}
	s := New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String(), got
}

// talk sends commands one after the other and gives the last line of each reply, the greeting first.
func talk(t *testing.T, addr string, cmds ...string) []string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	reply := func() string {
		for {
			line, err := r.ReadString('\n')
			if err != nil || len(line) < 4 || line[3] == ' ' {
				return strings.TrimSpace(line)
			}
		}
	}
	out := []string{reply()}
	for _, cmd := range cmds {
		fmt.Fprintf(c, "%s\r\n", cmd)
		out = append(out, reply())
		if cmd == "QUIT" {
			// The server forgets a client before it closes: only the end of the stream says that it has.
			_, _ = io.Copy(io.Discard, r)
		}
	}
	return out
}

func codes(replies []string) string {
	var out []string
	for _, r := range replies {
		out = append(out, r[:min(3, len(r))])
	}
	return strings.Join(out, " ")
}

func TestOneTimeAddress(t *testing.T) {
	s, addr, got := start(t, Options{})
	to, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	say := []string{"EHLO pc.mine.example", "MAIL FROM:<li@mine.example>", "RCPT TO:<" + strings.ToUpper(to) + ">", "DATA", "Subject: x\r\n\r\n..dot\r\n.", "QUIT"}
	if c := codes(talk(t, addr, say...)); c != "220 250 250 250 354 250 221" {
		t.Errorf("replies %s", c)
	}
	m := <-got
	if m.From != "li@mine.example" || m.HELO != "pc.mine.example" || m.Client.String() != "127.0.0.1" ||
		!strings.HasPrefix(string(m.Raw), "Return-Path: <li@mine.example>\r\nReceived: from pc.mine.example ([127.0.0.1]) by inbox.mine.example") || !strings.HasSuffix(string(m.Raw), "Subject: x\r\n\r\n.dot\r\n") {
		t.Errorf("%+v\n%s", m, m.Raw)
	}
	// The address is used up.
	if c := codes(talk(t, addr, say[:3]...)); c != "220 250 250 550" {
		t.Errorf("second time: %s", c)
	}
}

func TestNoRelayNoGuessing(t *testing.T) {
	_, addr, _ := start(t, Options{})
	r := talk(t, addr, "EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<wang@partner.example>", "RCPT TO:<test-aaaaaaaaaa@inbox.mine.example>", "VRFY test")
	if codes(r[:5]) != "220 250 250 550 550" || !strings.Contains(r[3], "5.7.1") || !strings.Contains(r[4], "5.1.1") {
		t.Errorf("%q", r)
	}
}

func TestExpires(t *testing.T) {
	now := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC)
	s := New(Options{Domain: "d.example", Now: func() time.Time { return now }, MaxAddress: 1})
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(); err != ErrFull {
		t.Errorf("second address: %v", err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := s.Open(); err != nil {
		t.Errorf("after the first is over: %v", err)
	}
}

func TestTooBig(t *testing.T) {
	s, addr, _ := start(t, Options{MaxBytes: 100})
	to, _ := s.Open()
	r := talk(t, addr, "EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<"+to+">", "DATA", strings.Repeat("x\r\n", 100)+".")
	if r[5][:3] != "552" {
		t.Errorf("%q", r)
	}
}

func TestRate(t *testing.T) {
	_, addr, _ := start(t, Options{PerMinute: 3})
	for range 3 {
		talk(t, addr, "EHLO x", "QUIT")
	}
	if c := codes(talk(t, addr, "EHLO x")); !strings.Contains(c, "421") {
		t.Errorf("fourth connection: %s", c)
	}
}

func TestClientsAreCountedOff(t *testing.T) {
	s, addr, _ := start(t, Options{MaxClients: 2, PerMinute: 100})
	for range 10 {
		if c := codes(talk(t, addr, "EHLO x", "EHLO y", "RSET", "QUIT")); c != "220 250 250 250 221" {
			t.Fatalf("replies %s", c)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients < 0 || s.clients > 1 {
		t.Errorf("%d clients are counted after all have gone", s.clients)
	}
}

func TestHeaderInjection(t *testing.T) {
	s, addr, got := start(t, Options{})
	to, _ := s.Open()
	talk(t, addr, "EHLO a(b)", "MAIL FROM:<\"a b\"@c.example>", "RCPT TO:<"+to+">", "DATA", "x\r\n.", "QUIT")
	select {
	case m := <-got:
		head, _, _ := strings.Cut(string(m.Raw), "x\r\n")
		if strings.Count(head, "\r\n") != 2 || strings.Contains(head, "a(b)") {
			t.Errorf("%q", head)
		}
	case <-time.After(5 * time.Second):
		t.Skip("the library refused the strange names already")
	}
}
