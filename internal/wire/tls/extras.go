package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Extras are what two ordinary handshakes in a row tell beside the inventory.
type Extras struct {
	Resumed bool        `json:"resumed"`        // the second connection took up the session of the first
	ALPN    string      `json:"alpn,omitempty"` // what the server picked of the offer
	Offered string      `json:"alpn_offered,omitempty"`
	Refused bool        `json:"alpn_refused,omitempty"` // it ends the handshake over a name that is not its own, as RFC 7301 wants
	Fault   *wire.Fault `json:"fault,omitempty"`
}

// patience is how long a session ticket is waited for behind the first handshake.
const patience = 300 * time.Millisecond

// Extra makes the handshakes. alpn is the protocol's registered name (RFC 7301), "" for none.
func Extra(ctx context.Context, d Door, t Target, alpn string) (*Extras, error) {
	req := struct {
		Target
		ALPN string `json:"alpn,omitempty"`
	}{t, alpn}
	return wire.Observe(d.Tape, "tlsextra", req, func() (*Extras, error) { return extra(ctx, &d, t, alpn), nil })
}

func extra(ctx context.Context, d *Door, t Target, alpn string) *Extras {
	e := &Extras{Offered: alpn}
	leave, err := d.Gate.Enter(ctx, t.Addr.String())
	if err != nil {
		e.Fault = wire.Classify("connect", err)
		return e
	}
	defer leave()
	// Whether the certificate is believed is judged elsewhere; nothing is said on these connections.
	conf := &tls.Config{ServerName: t.Host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if t.Host == "" {
		conf.ServerName = t.Addr.String() // the key of the session cache; an address is not sent
	}
	if alpn != "" {
		conf.NextProtos = []string{alpn}
	}
	for turn := range 2 {
		state, err := d.shakeOnce(ctx, t, conf, turn == 0)
		if err != nil && alpn != "" && strings.Contains(err.Error(), alertName([]byte{2, 120})) { // crypto/tls keeps a peer's alerts to itself
			e.Refused, conf.NextProtos = true, nil
			state, err = d.shakeOnce(ctx, t, conf, turn == 0)
		}
		if err != nil {
			e.Fault = wire.Classify("tls", err)
			return e
		}
		e.Resumed = state.DidResume
		if state.NegotiatedProtocol != "" {
			e.ALPN = state.NegotiatedProtocol
		}
	}
	return e
}

// shakeOnce does a handshake; wait stays for the ticket that may follow it.
func (d *Door) shakeOnce(ctx context.Context, t Target, conf *tls.Config, wait bool) (tls.ConnectionState, error) {
	raw, err := d.open(ctx, t)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = raw.Close() }()
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, err
	}
	if wait {
		_ = raw.SetReadDeadline(time.Now().Add(min(patience, d.timeout())))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			var ne net.Error
			if !errors.As(err, &ne) {
				return conn.ConnectionState(), nil // it hung up: there may be a ticket all the same
			}
		}
	}
	return conn.ConnectionState(), nil
}
