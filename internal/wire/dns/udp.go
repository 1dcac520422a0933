package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

const (
	maxSockets   = 32               // UDP sockets per server
	perSocket    = 64               // questions under way on one before the next is opened; keeps the kernel's buffer from overflowing
	maxQuestions = 20_000           // on one socket: then its port changes (RFC 5452 section 9.2)
	idleSocket   = 10 * time.Second // an unused socket is closed after one to two of these
	udpBuffer    = 8 << 10          // more than we offered: a longer answer is cut and asked again over TCP
)

type delivery struct {
	msg []byte
	err error
}

type waiter struct {
	sent []byte
	ch   chan delivery
}

// socket is a connected UDP socket shared by many questions, told apart by id and question.
type socket struct {
	conn net.Conn
	mu   sync.Mutex
	wait map[uint16]*waiter
	sent int
	last time.Time
	gone bool
}

// udp asks one question over UDP and waits for its answer until the context ends.
func (c *Client) udp(ctx context.Context, s *server, msg []byte) ([]byte, error) {
	w := &waiter{sent: msg, ch: make(chan delivery, 1)}
	k, id, err := c.enlist(ctx, s, w)
	if err != nil {
		return nil, wire.Classify("dns", err)
	}
	if _, err := k.conn.Write(msg); err != nil {
		k.forget(id)
		return nil, wire.Classify("dns", err)
	}
	select {
	case d := <-w.ch:
		return d.msg, d.err
	case <-ctx.Done():
		k.forget(id)
		return nil, wire.Classify("dns", ctx.Err())
	}
}

// enlist finds a socket with room, opens one if need be, and books a free id on it.
func (c *Client) enlist(ctx context.Context, s *server, w *waiter) (*socket, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *socket
	least := perSocket
	for _, k := range s.socks {
		if n := k.load(); n >= 0 && n < least {
			best, least = k, n
			if n == 0 {
				break
			}
		}
	}
	if best != nil {
		if id, ok := best.book(w, c.now()); ok {
			return best, id, nil
		}
	}
	if len(s.socks) >= maxSockets {
		for range 8 { // all full: any living one will do
			k := s.socks[rand.IntN(len(s.socks))]
			if id, ok := k.book(w, c.now()); ok {
				return k, id, nil
			}
		}
	}
	conn, err := c.dial.DialContext(ctx, "udp", s.addr)
	if err != nil {
		return nil, 0, err
	}
	k := &socket{conn: conn, wait: map[uint16]*waiter{}, last: c.now()}
	s.socks = append(s.socks, k)
	id, _ := k.book(w, c.now())
	go c.listen(s, k)
	return k, id, nil
}

// load is the number of questions under way, or -1 where the socket takes no more.
func (k *socket) load() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone || k.sent >= maxQuestions {
		return -1
	}
	return len(k.wait)
}

// book gives the waiter's message an id that no question under way on this socket has.
func (k *socket) book(w *waiter, now time.Time) (uint16, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return 0, false
	}
	id := binary.BigEndian.Uint16(w.sent)
	for n := 0; k.wait[id] != nil; n++ {
		if n > 64 {
			return 0, false
		}
		id = uint16(rand.Uint32())
	}
	binary.BigEndian.PutUint16(w.sent, id)
	k.wait[id] = w
	k.sent++
	k.last = now
	return id, true
}

func (k *socket) forget(id uint16) {
	k.mu.Lock()
	delete(k.wait, id)
	k.mu.Unlock()
}

// listen is the one reader of a socket. It ends when the socket is closed, broken or long unused.
func (c *Client) listen(s *server, k *socket) {
	buf := make([]byte, udpBuffer)
	for {
		k.conn.SetReadDeadline(time.Now().Add(idleSocket))
		n, err := k.conn.Read(buf)
		switch {
		case err == nil:
			if !k.deliver(buf[:n]) {
				s.mu.Lock()
				s.stats.strays++
				s.mu.Unlock()
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			if k.retire(c.now()) {
				s.drop(k)
				return
			}
		case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
			k.abort(&wire.Fault{Kind: wire.Closed, Op: "dns", Text: "socket closed"})
			return
		default: // an ICMP answer: port unreachable and the like
			k.abort(wire.Classify("dns", err))
			s.drop(k)
			return
		}
	}
}

// deliver hands a packet to the question it answers. A packet that answers none is ignored: the true answer may still
// come.
func (k *socket) deliver(b []byte) bool {
	if len(b) < headerLen {
		return false
	}
	id := binary.BigEndian.Uint16(b)
	k.mu.Lock()
	w := k.wait[id]
	ok := w != nil && answers(w.sent, b)
	if ok {
		delete(k.wait, id)
	}
	k.mu.Unlock()
	if ok {
		w.ch <- delivery{msg: append([]byte(nil), b...)}
	}
	return ok
}

// abort tells all who wait that the socket broke.
func (k *socket) abort(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	for id, w := range k.wait {
		w.ch <- delivery{err: err}
		delete(k.wait, id)
	}
}

// retire marks an idle socket as gone.
func (k *socket) retire(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.wait) == 0 {
		k.gone = true
	}
	return k.gone
}

// drop closes a socket and takes it out of the server's list.
func (s *server) drop(k *socket) {
	k.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.socks {
		if s.socks[i] == k {
			s.socks = append(s.socks[:i], s.socks[i+1:]...)
			return
		}
	}
}
