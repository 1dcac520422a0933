// Package whois asks WHOIS servers (TCP port 43) and reads what can be read of their answers: who holds a name or a
// network, since and until when, where abuse is to be reported, and which server knows more.
//
// Promise: bounded whatever a server does: one deadline for a whole answer (a server that drips a byte a second ends
// there), MaxAnswer bytes, MaxReferrals servers, none of them twice. The text is free-form and hostile; what is not
// recognised is left out, never guessed. RFC: 3912.
//
// It must not judge, and it must not be asked in bulk.
package whois

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds.
const (
	MaxAnswer    = 256 << 10 // bytes of one answer
	MaxReferrals = 4         // servers asked for one object
	maxQuery     = 300
	maxAddresses = 3 // tried per server
)

// Options are what a client needs.
type Options struct {
	Resolver mail.Resolver // nil: servers must be addresses
	Dial     wire.Dialer   // nil: a net.Dialer
	Timeout  time.Duration // for a whole answer; 0 means 10 s
	NoIPv6   bool
	Tape     wire.Tape
}

// Client asks. It is safe for concurrent use and keeps no connections.
type Client struct{ opt Options }

// New makes a client. It opens nothing.
func New(opt Options) *Client {
	if opt.Dial == nil {
		opt.Dial = &net.Dialer{}
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 10 * time.Second
	}
	return &Client{opt}
}

// Answer is what one server said.
type Answer struct {
	Server    string        `json:"server"` // host, or host:port where that is not 43
	Query     string        `json:"query"`
	Text      string        `json:"text,omitempty"` // hostile
	Truncated bool          `json:"truncated,omitempty"`
	Took      time.Duration `json:"took"`
	Fault     *wire.Fault   `json:"fault,omitempty"`
}

// Ask puts one query to one server. The error is for a query that cannot be put and for a replay without it.
func (c *Client) Ask(ctx context.Context, server, query string) (*Answer, error) {
	if query == "" || len(query) > maxQuery || strings.ContainsAny(query, "\r\n\x00") {
		return nil, fmt.Errorf("not a WHOIS query: %.100q", query)
	}
	req := struct {
		Server string `json:"server"`
		Query  string `json:"query"`
	}{server, query}
	return wire.Observe(c.opt.Tape, "whois", req, func() (*Answer, error) { return c.ask(ctx, server, query), nil })
}

func (c *Client) ask(ctx context.Context, server, query string) *Answer {
	a := &Answer{Server: server, Query: query}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	conn, err := c.connect(ctx, server)
	if err != nil {
		a.Fault, a.Took = wire.Classify("connect", err), time.Since(start)
		return a
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err = io.WriteString(conn, query+"\r\n"); err == nil {
		var b []byte
		b, err = io.ReadAll(io.LimitReader(conn, MaxAnswer+1))
		if len(b) > MaxAnswer {
			b, a.Truncated = b[:MaxAnswer], true
		}
		a.Text = strings.ToValidUTF8(string(b), "\uFFFD")
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		a.Fault = wire.Classify("whois", err)
	}
	a.Took = time.Since(start)
	return a
}

func (c *Client) connect(ctx context.Context, server string) (net.Conn, error) {
	host, port := server, "43"
	if h, p, err := net.SplitHostPort(server); err == nil {
		host, port = h, p
	}
	addrs, err := c.addresses(ctx, host)
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		var conn net.Conn
		if conn, err = c.opt.Dial.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	if err == nil {
		err = &wire.Fault{Kind: wire.OtherFault, Op: "resolve", Text: host + " has no address"}
	}
	return nil, err
}

func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if c.opt.Resolver == nil {
		return nil, fmt.Errorf("no resolver to look up %s", host)
	}
	var out []netip.Addr
	var faults []error
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		if t == mail.TypeAAAA && c.opt.NoIPv6 {
			continue
		}
		a, err := c.opt.Resolver.Resolve(ctx, host, t)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, r := range a.Records {
			out = append(out, r.IP)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, errors.Join(faults...)
}

// Follow asks about an object and goes on to the servers the answers name: the registry, the registrar. The last answer
// knows most. Fewer than MaxReferrals servers are asked, none twice; a server that fails ends the walk.
func (c *Client) Follow(ctx context.Context, start, object string) ([]*Answer, error) {
	var out []*Answer
	asked := map[string]bool{}
	for server := start; server != "" && len(out) < MaxReferrals && !asked[strings.ToLower(server)]; {
		asked[strings.ToLower(server)] = true
		a, err := c.Ask(ctx, server, QueryFor(server, object))
		if err != nil {
			return out, err
		}
		out = append(out, a)
		if a.Fault != nil && a.Text == "" {
			break
		}
		server = Parse(a.Text).Refer
	}
	return out, nil
}

// QueryFor is the query a server wants for an object: some want flags to say all, or to say it in English.
func QueryFor(server, object string) string {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		host = server
	}
	_, perr := netip.ParseAddr(object)
	switch host := strings.ToLower(host); {
	case host == "whois.arin.net" && perr == nil:
		return "n + " + object
	case host == "whois.denic.de":
		return "-T dn,ace " + object
	case host == "whois.jprs.jp":
		return object + "/e"
	case host == "whois.verisign-grs.com":
		return "domain " + object
	}
	return object
}
