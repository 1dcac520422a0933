package wiretest

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"time"
)

// Lines is a scripted server of any line protocol.
type Lines struct {
	Greeting string      // sent at once; "" for none
	Implicit bool        // TLS before the greeting
	TLS      *tls.Config // for Implicit and for answers that begin with "TLS:"
	// Answer gives the answer to a line, its lines parted by "\n". "close" hangs up, "stall" says nothing until the peer
	// leaves, "TLS:…" says the rest and then starts TLS, after which AfterTLS is sent; "flood:…" repeats the rest until
	// the peer leaves.
	Answer   func(line string, secure bool) string
	AfterTLS string

	mu   sync.Mutex
	said []string
}

// Heard lists the lines of all sessions so far.
func (l *Lines) Heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.said...)
}

// Lines has a scripted server reached by the invented address.
func (w *World) Lines(fake string, l *Lines) error {
	ln, err := w.Listen(fake)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go l.Serve(c)
		}
	}()
	return nil
}

// Serve talks to one client and closes the connection.
func (l *Lines) Serve(conn net.Conn) {
	raw := conn
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	secure := false
	if l.Implicit {
		conn, secure = tls.Server(conn, l.TLS), true
	}
	if l.Greeting != "" && !put(conn, l.Greeting) {
		return
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		l.mu.Lock()
		l.said = append(l.said, line)
		l.mu.Unlock()
		answer := l.Answer(line, secure)
		start, up := strings.CutPrefix(answer, "TLS:")
		flood, on := strings.CutPrefix(answer, "flood:")
		switch {
		case answer == "close":
			return
		case answer == "stall":
			_, _ = r.ReadString(0)
			return
		case on:
			flood = strings.Repeat(strings.ReplaceAll(flood, "\n", "\r\n"), 100)
			for {
				if _, err := conn.Write([]byte(flood)); err != nil {
					return
				}
			}
		case up:
			if !put(conn, start) {
				return
			}
			conn, secure = tls.Server(conn, l.TLS), true
			r = bufio.NewReader(conn)
			if l.AfterTLS != "" && !put(conn, l.AfterTLS) {
				return
			}
		case !put(conn, answer):
			return
		}
	}
}

func put(conn net.Conn, text string) bool {
	_, err := conn.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"))
	return err == nil
}
