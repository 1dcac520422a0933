// Package tls asks a server what TLS it can do: a handshake as it stands, and an inventory of versions, suites and
// groups made with ClientHellos of our own, because libraries refuse to offer what ought to be refused.
//
// Promise: observes, never judges. An inventory opens at most Door.Most connections, each bounded in time and in bytes
// (256 kB), and completes no handshake with weak suites: it reads what the server picks and hangs up. RFCs: 6101 (SSL
// 3.0), 2246, 4346, 5246, 8446 (TLS 1.0 to 1.3), 6066 (SNI), 8422, 7919, and the IANA registries.
package tls

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Target is a port that speaks TLS, and how to get there.
type Target struct {
	Host  string     `json:"host,omitempty"` // SNI and the name to hold; may be empty
	Addr  netip.Addr `json:"addr"`
	Port  uint16     `json:"port"`
	Start string     `json:"start,omitempty"` // protocol whose STARTTLS goes first ("smtp"); empty: TLS at once
}

// Upgrade talks a fresh connection up to the point where TLS begins. The connection has a deadline.
type Upgrade func(conn net.Conn, start string) error

// Door is what the instrument needs from the world. Dial is required; Upgrade where a target has a Start.
type Door struct {
	Dial    wire.Dialer
	Upgrade Upgrade
	Now     wire.Clock
	Tape    wire.Tape
	Roots   *x509.CertPool
	Gate    *wire.Gate
	Timeout time.Duration // per connection; 0 means 10 s
	Most    int           // connections of one inventory; 0 means 160
	AtOnce  int           // connections of one inventory at once; 0 means 4
}

func (d *Door) timeout() time.Duration {
	if d.Timeout <= 0 {
		return 10 * time.Second
	}
	return d.Timeout
}

// open connects and upgrades; the connection bears a deadline.
func (d *Door) open(ctx context.Context, t Target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	conn, err := d.Dial.DialContext(ctx, "tcp", netip.AddrPortFrom(t.Addr, t.Port).String())
	if err != nil {
		return nil, wire.Classify("connect", err)
	}
	_ = conn.SetDeadline(time.Now().Add(d.timeout()))
	if t.Start == "" {
		return conn, nil
	}
	if d.Upgrade == nil {
		_ = conn.Close()
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "starttls", Text: "no way to start TLS in " + t.Start}
	}
	if err := d.Upgrade(conn, t.Start); err != nil {
		_ = conn.Close()
		return nil, wire.Classify("starttls", err)
	}
	return conn, nil
}

// Shake does one whole handshake. What broke, connecting included, is in Handshake.Fault.
func Shake(ctx context.Context, d Door, t Target) (*wire.Handshake, error) {
	return wire.Observe(d.Tape, "tls", t, func() (*wire.Handshake, error) {
		leave, err := d.Gate.Enter(ctx, t.Addr.String())
		if err != nil {
			return &wire.Handshake{ServerName: t.Host, Fault: wire.Classify("connect", err)}, nil
		}
		defer leave()
		conn, err := d.open(ctx, t)
		if err != nil {
			return &wire.Handshake{ServerName: t.Host, Fault: wire.Classify("connect", err)}, nil
		}
		defer func() { _ = conn.Close() }()
		_, h := wire.ShakeHands(ctx, conn, wire.HandshakeOptions{ServerName: t.Host, Roots: d.Roots, Now: d.Now})
		return h, nil
	})
}

// Answer is what a server says to one Hello.
type Answer struct {
	Hello  *ServerHello `json:"hello,omitempty"`
	Group  Group        `json:"group,omitempty"`   // of the key exchange
	DHBits int          `json:"dh_bits,omitempty"` // size of the prime of a finite-field key exchange
	Alert  string       `json:"alert,omitempty"`   // the server refused, and says why
	Fault  *wire.Fault  `json:"fault,omitempty"`   // nothing usable came back
}

// Refused tells that the server understood and said no, which is an answer: an alert, or hanging up on the hello.
func (a *Answer) Refused() bool {
	return a.Alert != "" || a.Fault != nil && a.Fault.Op == "hello" && (a.Fault.Kind == wire.Closed || a.Fault.Kind == wire.Reset)
}

// Ask sends one hello and reads what the server picks.
func Ask(ctx context.Context, d Door, t Target, h Hello) (*Answer, error) {
	req := struct {
		Target
		Hello Hello `json:"hello"`
	}{t, h}
	return wire.Observe(d.Tape, "tlshello", req, func() (*Answer, error) { return ask(ctx, &d, t, h), nil })
}

func ask(ctx context.Context, d *Door, t Target, h Hello) *Answer {
	leave, err := d.Gate.Enter(ctx, t.Addr.String())
	if err != nil {
		return &Answer{Fault: wire.Classify("connect", err)}
	}
	defer leave()
	conn, err := d.open(ctx, t)
	if err != nil {
		return &Answer{Fault: wire.Classify("connect", err)}
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	if _, err := conn.Write(h.Marshal(random)); err != nil {
		return &Answer{Fault: wire.Classify("hello", err)}
	}
	return ReadAnswer(bufio.NewReader(conn))
}

// Bounds on what is read of one answer.
const (
	maxRecords = 64
	maxAnswer  = 256 << 10
)

// ReadAnswer reads the server's flight up to what tells the suite and the key exchange.
func ReadAnswer(r io.Reader) *Answer {
	a := &Answer{}
	var hs []byte
	for range maxRecords {
		kind, body, err := readRecord(r)
		if err != nil {
			if a.Hello == nil {
				a.Fault = wire.Classify("hello", err)
			}
			return a
		}
		switch kind {
		case 21:
			if a.Hello == nil {
				a.Alert = alertName(body)
			}
			return a
		case 22:
			if hs = append(hs, body...); len(hs) > maxAnswer {
				a.Fault = &wire.Fault{Kind: wire.Limit, Op: "hello", Text: "a handshake of more than 256 kB"}
				return a
			}
			var done bool
			if hs, done = a.take(hs); done {
				return a
			}
		}
	}
	return a
}

// take consumes whole handshake messages; done tells that nothing more is wanted.
func (a *Answer) take(hs []byte) (rest []byte, done bool) {
	for len(hs) >= 4 {
		n := int(hs[1])<<16 | int(hs[2])<<8 | int(hs[3])
		if len(hs) < 4+n {
			return hs, n > maxAnswer
		}
		kind, body := hs[0], hs[4:4+n]
		hs = hs[4+n:]
		switch kind {
		case 2:
			h, err := ParseServerHello(body)
			if err != nil {
				a.Fault = &wire.Fault{Kind: wire.Protocol, Op: "hello", Text: err.Error()}
				return nil, true
			}
			a.Hello, a.Group = h, h.Group
			if h.Version >= TLS13 || !ephemeral(h.Suite) {
				return nil, true
			}
		case 12:
			if a.Hello != nil {
				a.Group, a.DHBits = parseKeyExchange(a.Hello.Suite, body)
			}
			return nil, true
		case 14:
			return nil, true
		}
	}
	return hs, false
}

func ephemeral(s Suite) bool { n := s.String(); return has(n, "DHE_") || has(n, "_anon_") }

func has(s, sub string) bool { return strings.Contains(s, sub) }

var errNotTLS = errors.New("not TLS")

func readRecord(r io.Reader) (kind byte, body []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(head[3:]))
	if head[0] < 20 || head[0] > 24 || head[1] != 3 || n > 16384+2048 {
		return 0, nil, &wire.Fault{Kind: wire.Protocol, Op: "hello", Text: fmt.Sprintf("%v: %.20q", errNotTLS, head)}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

// alertName gives the words of RFC 8446 section 6 (and of its forerunners) for an alert.
func alertName(b []byte) string {
	if len(b) < 2 {
		return "broken alert"
	}
	names := map[byte]string{0: "close notify", 10: "unexpected message", 20: "bad record MAC", 22: "record overflow", 40: "handshake failure", 47: "illegal parameter",
		49: "access denied", 50: "decode error", 51: "decrypt error", 70: "protocol version", 71: "insufficient security", 80: "internal error",
		86: "inappropriate fallback", 90: "user canceled", 109: "missing extension", 110: "unsupported extension", 112: "unrecognized name",
		116: "certificate required", 120: "no application protocol"}
	if n, ok := names[b[1]]; ok {
		return n
	}
	return fmt.Sprintf("alert %d", b[1])
}
