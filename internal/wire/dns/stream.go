package dns

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

const maxMessage = 65535

// tcp asks one question on a connection of its own (RFC 7766); authoritative servers are asked so rarely over TCP that
// keeping connections would only hold theirs.
func (c *Client) tcp(ctx context.Context, s *server, msg []byte) ([]byte, error) {
	conn, err := c.dial.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, wire.Classify("dns over tcp", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := writeFrame(conn, msg); err != nil {
		return nil, wire.Classify("dns over tcp", err)
	}
	for range 4 {
		got, err := readFrame(conn)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return nil, wire.Classify("dns over tcp", err)
		}
		if answers(msg, got) {
			return got, nil
		}
	}
	return nil, &wire.Fault{Kind: wire.Protocol, Op: "dns over tcp", Text: "answers something else"}
}

func writeFrame(w io.Writer, msg []byte) error {
	b := make([]byte, 2, 2+len(msg))
	binary.BigEndian.PutUint16(b, uint16(len(msg)))
	_, err := w.Write(append(b, msg...))
	return err
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// pipe is a DoT connection shared by many questions at once (RFC 7766 section 6.2.1.1).
type pipe struct {
	conn net.Conn
	wmu  sync.Mutex
	mu   sync.Mutex
	wait map[uint16]*waiter
	gone bool
}

func (c *Client) dot(ctx context.Context, s *server, msg []byte) ([]byte, error) {
	p, err := c.pipe(ctx, s)
	if err != nil {
		return nil, wire.Classify("dns over tls", err)
	}
	w := &waiter{sent: msg, ch: make(chan delivery, 1)}
	id, ok := p.book(w)
	if !ok {
		return nil, &wire.Fault{Kind: wire.Closed, Op: "dns over tls", Text: "connection closed by the server"}
	}
	p.wmu.Lock()
	p.conn.SetWriteDeadline(time.Now().Add(c.opt.Timeout))
	err = writeFrame(p.conn, msg)
	p.wmu.Unlock()
	if err != nil {
		p.conn.Close()
		return nil, wire.Classify("dns over tls", err)
	}
	select {
	case d := <-w.ch:
		return d.msg, d.err
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.wait, id)
		p.mu.Unlock()
		return nil, wire.Classify("dns over tls", ctx.Err())
	}
}

// pipe gives the living connection to a DoT server, or opens one. A name given after # or a host name must be in the
// certificate (RFC 8310 strict profile); for a bare IP address any chain is taken, as there is no name to hold it to.
func (c *Client) pipe(ctx context.Context, s *server) (*pipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pipe != nil && !s.pipe.dead() {
		return s.pipe, nil
	}
	raw, err := c.dial.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{ServerName: s.name, RootCAs: c.opt.Roots509, NextProtos: []string{"dot"}}
	if net.ParseIP(s.name) != nil {
		cfg.InsecureSkipVerify = true // the opportunistic profile: no name is known, and no answer is trusted for it
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	p := &pipe{conn: conn, wait: map[uint16]*waiter{}}
	s.pipe = p
	go p.listen()
	return p, nil
}

func (p *pipe) dead() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.gone }

func (p *pipe) book(w *waiter) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || len(p.wait) > 1<<15 {
		return 0, false
	}
	id := binary.BigEndian.Uint16(w.sent)
	for p.wait[id] != nil {
		id = uint16(rand.Uint32())
	}
	binary.BigEndian.PutUint16(w.sent, id)
	p.wait[id] = w
	return id, true
}

// listen is the one reader of the connection.
func (p *pipe) listen() {
	for {
		p.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		b, err := readFrame(p.conn)
		if err != nil {
			p.conn.Close()
			p.mu.Lock()
			p.gone = true
			for id, w := range p.wait {
				w.ch <- delivery{err: wire.Classify("dns over tls", err)}
				delete(p.wait, id)
			}
			p.mu.Unlock()
			return
		}
		if len(b) < headerLen {
			continue
		}
		id := binary.BigEndian.Uint16(b)
		p.mu.Lock()
		w := p.wait[id]
		if w != nil && answers(w.sent, b) {
			delete(p.wait, id)
			w.ch <- delivery{msg: b}
		}
		p.mu.Unlock()
	}
}

// doh asks by POST (RFC 8484 section 4.1); the id is zero, as the standard advises.
func (c *Client) doh(ctx context.Context, s *server, msg []byte) ([]byte, error) {
	s.mu.Lock()
	if s.http == nil {
		s.http = &http.Client{
			Transport: &http.Transport{
				DialContext:       c.dial.DialContext,
				TLSClientConfig:   &tls.Config{RootCAs: c.opt.Roots509},
				ForceAttemptHTTP2: true,
				MaxConnsPerHost:   16,
				IdleConnTimeout:   30 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	client := s.http
	s.mu.Unlock()
	msg[0], msg[1] = 0, 0
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.spec, bytes.NewReader(msg))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/dns-message")
	req.Header.Set("Accept", "application/dns-message")
	resp, err := client.Do(req)
	if err != nil {
		return nil, wire.Classify("dns over https", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "dns over https", Text: fmt.Sprintf("HTTP status %d", resp.StatusCode)}
	}
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	switch {
	case err != nil:
		return nil, wire.Classify("dns over https", err)
	case len(got) > maxMessage:
		return nil, &wire.Fault{Kind: wire.Limit, Op: "dns over https", Text: "an answer of more than 65535 bytes"}
	case !answers(msg, got):
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "dns over https", Text: "answers something else"}
	}
	return got, nil
}
