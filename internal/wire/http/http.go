// Package http fetches over HTTPS and HTTP as an observation: MTA-STS policies, BIMI pictures, RDAP and the like.
//
// Promise: bounded in time, bytes and redirects, whatever the server does; redirects are followed only when asked for
// (RFC 8461 section 3.3 forbids it for MTA-STS policies). Names are resolved through the run's own DNS door, so
// that --resolver, recordings and replays hold here too. An untrusted certificate is a fact in the response, not an
// error: the caller judges. Nothing here judges. RFCs: 9110, 9112.
package http

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds that hold whatever the caller asks.
const (
	DefaultBytes   = 64 << 10 // of a body, where Request.MaxBytes is 0
	headerBytes    = 64 << 10
	defaultTimeout = 10 * time.Second
	maxAddresses   = 4 // tried per host
)

// Options are what a client needs. Zero values mean the defaults in the comments.
type Options struct {
	Resolver mail.Resolver  // nil: hosts must be IP literals
	Dial     wire.Dialer    // nil: a net.Dialer
	Timeout  time.Duration  // for a whole fetch; 0 means 10 s
	Roots    *x509.CertPool // nil: the system's
	NoIPv6   bool
	Now      wire.Clock // nil: time.Now
	Tape     wire.Tape  // nil: neither recorded nor replayed
}

// Client fetches. It is safe for concurrent use and keeps no connections.
type Client struct{ opt Options }

// New makes a client. It opens nothing.
func New(opt Options) *Client {
	if opt.Dial == nil {
		opt.Dial = &net.Dialer{}
	}
	if opt.Timeout <= 0 {
		opt.Timeout = defaultTimeout
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Client{opt: opt}
}

// Request is one fetch.
type Request struct {
	URL       string            `json:"url"`
	Method    string            `json:"method,omitempty"` // "" is GET
	Body      []byte            `json:"body,omitempty"`
	Header    map[string]string `json:"-"`                   // may hold keys, so it is not recorded
	MaxBytes  int64             `json:"max_bytes,omitempty"` // of the body; 0 means DefaultBytes
	Redirects int               `json:"redirects,omitempty"` // how many are followed
	Trusted   bool              `json:"trusted,omitempty"`   // say nothing to a server whose certificate is not believed, nor in the clear except on this machine
}

// Response is what came of a fetch. Where Fault is set the rest is as far as known.
type Response struct {
	URL         string          `json:"url"`                 // the last one asked
	Addresses   []string        `json:"addresses,omitempty"` // of the host
	Remote      string          `json:"remote,omitempty"`    // address:port that answered
	TLS         *wire.Handshake `json:"tls,omitempty"`       // nil for http: and before a handshake
	Status      int             `json:"status,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
	Location    string          `json:"location,omitempty"`  // of a redirect that was not followed
	Via         []string        `json:"via,omitempty"`       // URLs redirected through
	Length      int64           `json:"length,omitempty"`    // as announced; -1 unknown
	Body        []byte          `json:"body,omitempty"`      // at most MaxBytes
	Truncated   bool            `json:"truncated,omitempty"` // there was more
	Took        time.Duration   `json:"took"`
	Fault       *wire.Fault     `json:"fault,omitempty"` // Op: "resolve", "connect", "tls", "http"
	NoAddress   bool            `json:"no_address,omitempty"`
}

// OK tells a complete answer of status 200.
func (r *Response) OK() bool { return r.Fault == nil && r.Status == nethttp.StatusOK && !r.Truncated }

// Get fetches a URL. The error is non-nil only where nothing could be observed: a URL that is none, a question to our
// resolver that failed, an interrupted run, a replay without this recording.
func (c *Client) Get(ctx context.Context, req Request) (*Response, error) {
	return wire.Observe(c.opt.Tape, "http", req, func() (*Response, error) { return c.get(ctx, req) })
}

func (c *Client) get(ctx context.Context, req Request) (*Response, error) {
	u, err := url.Parse(req.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("not an http or https URL: %.200q", req.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	start := c.opt.Now()
	res := &Response{URL: req.URL}
	f := &fetch{c: c, res: res}
	f.run(ctx, req, u)
	res.Took = c.opt.Now().Sub(start)
	if f.err != nil {
		return nil, f.err
	}
	if res.Fault != nil && res.Fault.Kind == wire.Canceled {
		return nil, res.Fault
	}
	return res, nil
}

// fetch is one Get under way.
type fetch struct {
	c   *Client
	res *Response
	err error // nothing could be observed
}

// run follows redirects as far as they are wanted. It speaks HTTP/1.1 on a connection of its own instead of using a
// transport of net/http, whose dials go on in the background after the caller has left.
func (f *fetch) run(ctx context.Context, req Request, u *url.URL) {
	for {
		next := f.one(ctx, req, u)
		if next == nil || len(f.res.Via) >= req.Redirects || next.Scheme != "https" && (u.Scheme == "https" || next.Scheme != "http") || next.Host == "" {
			return
		}
		f.res.Via = append(f.res.Via, u.String())
		*f.res = Response{URL: next.String(), Via: f.res.Via}
		u = next
	}
}

// one asks one URL and gives where it redirects to, or nil.
func (f *fetch) one(ctx context.Context, req Request, u *url.URL) *url.URL {
	conn := f.connect(ctx, u)
	if conn == nil {
		return nil
	}
	defer conn.Close()
	if why := f.doubt(conn); req.Trusted && why != "" {
		f.fail("tls", &wire.Fault{Kind: wire.TLSFault, Op: "tls", Text: why})
		return nil
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	resp, err := converse(ctx, conn, req, u)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		f.fail("http", err)
		return nil
	}
	f.read(ctx, resp, req.MaxBytes)
	if f.res.Location == "" {
		return nil
	}
	next, err := u.Parse(f.res.Location)
	if err != nil {
		return nil
	}
	return next
}

func converse(ctx context.Context, conn net.Conn, req Request, u *url.URL) (*nethttp.Response, error) {
	method := req.Method
	if method == "" {
		method = nethttp.MethodGet
	}
	hr, err := nethttp.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(req.Body))
	if err != nil {
		return nil, err
	}
	hr.Close = true
	hr.Header.Set("User-Agent", "mailwhy")
	for k, v := range req.Header {
		hr.Header.Set(k, v)
	}
	if err := hr.Write(conn); err != nil {
		return nil, err
	}
	limit := req.MaxBytes
	if limit <= 0 {
		limit = DefaultBytes
	}
	// One allowance for head and body together, so that no head is too long either. Chunks cost a few bytes each.
	in := bufio.NewReader(io.LimitReader(conn, headerBytes+2*limit+1))
	for range 5 { // interim answers
		resp, err := nethttp.ReadResponse(in, hr)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 != 1 {
			return resp, nil
		}
	}
	return nil, &wire.Fault{Kind: wire.Protocol, Op: "http", Text: "interim answers without end"}
}

func (f *fetch) read(ctx context.Context, resp *nethttp.Response, limit int64) {
	defer resp.Body.Close()
	if limit <= 0 {
		limit = DefaultBytes
	}
	r := f.res
	r.Status, r.ContentType, r.Length = resp.StatusCode, resp.Header.Get("Content-Type"), resp.ContentLength
	if resp.StatusCode/100 == 3 {
		r.Location = resp.Header.Get("Location")
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(b)) > limit {
		b, r.Truncated, err = b[:limit], true, nil
	}
	r.Body = b
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		f.fail("http", err)
	}
}

func (f *fetch) fail(op string, err error) {
	if f.res.Fault == nil && f.err == nil {
		f.res.Fault = wire.Classify(op, err)
	}
}

// connect gives a connection ready for HTTP, or nil after noting why not.
func (f *fetch) connect(ctx context.Context, u *url.URL) net.Conn {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	conn := f.dial(ctx, net.JoinHostPort(u.Hostname(), port))
	if conn == nil || u.Scheme == "http" {
		return conn
	}
	opt := wire.HandshakeOptions{ServerName: u.Hostname(), Name: u.Hostname(), Roots: f.c.opt.Roots, ALPN: []string{"http/1.1"}, Now: f.c.opt.Now}
	if _, err := netip.ParseAddr(opt.Name); err == nil {
		opt.ServerName = ""
	}
	sec, hs := wire.ShakeHands(ctx, conn, opt)
	f.res.TLS = hs
	if sec == nil {
		conn.Close()
		f.fail("tls", hs.Fault)
	}
	return sec
}

// doubt says why a secret must not be said on this connection, "" where it may.
func (f *fetch) doubt(conn net.Conn) string {
	hs := f.res.TLS
	switch {
	case hs == nil:
		if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && a.Addr().Unmap().IsLoopback() {
			return ""
		}
		return "no encryption, and the request holds a key"
	case hs.Trusted():
		return ""
	case hs.Trust != wire.TrustOK:
		return hs.TrustText
	}
	return "the certificate is not valid for " + hs.Name
}

// dial resolves through the run's own door and tries a few addresses in order.
func (f *fetch) dial(ctx context.Context, hostport string) net.Conn {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		f.err = err
		return nil
	}
	var last error
	for _, a := range f.addresses(ctx, host) {
		conn, err := f.c.opt.Dial.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port))
		if err == nil {
			f.res.Remote = net.JoinHostPort(a.String(), port)
			return conn
		}
		last = err
	}
	if last != nil {
		f.fail("connect", last)
	}
	return nil
}

func (f *fetch) addresses(ctx context.Context, host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	if f.c.opt.Resolver == nil {
		f.err = fmt.Errorf("no resolver to look up %s", host)
		return nil
	}
	var addrs []netip.Addr
	var faults []error
	kinds := []mail.Type{mail.TypeA, mail.TypeAAAA}
	if f.c.opt.NoIPv6 {
		kinds = kinds[:1]
	}
	for _, t := range kinds {
		a, err := f.c.opt.Resolver.Resolve(ctx, host, t)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, rr := range a.Records {
			addrs = append(addrs, rr.IP)
		}
	}
	for _, a := range addrs {
		f.res.Addresses = append(f.res.Addresses, a.String())
	}
	switch {
	case len(addrs) > 0:
	case len(faults) > 0: // our trouble, not a fact about the host
		f.err = errors.Join(faults...)
	default:
		f.res.NoAddress = true
		f.res.Fault = &wire.Fault{Kind: wire.OtherFault, Op: "resolve", Text: host + " has no address"}
	}
	return addrs[:min(len(addrs), maxAddresses)]
}

// StatusText is a status with its words, "404 Not Found"; "" for none.
func StatusText(status int) string {
	if status == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, nethttp.StatusText(status)))
}
