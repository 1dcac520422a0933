// Package http fetches over HTTPS and HTTP as an observation: MTA-STS policies, BIMI pictures, RDAP and the like.
//
// Promise: bounded in time, bytes and redirects, whatever the server does; redirects are followed only when asked for
// (RFC 8461 section 3.3 forbids it for MTA-STS policies). Names are resolved through the run's own DNS door, so
// that --resolver, recordings and replays hold here too. An untrusted certificate is a fact in the response, not an
// error: the caller judges. Nothing here judges. RFCs: 9110, 9112.
package http

import (
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
	"sync"
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
	mu  sync.Mutex
}

func (f *fetch) run(ctx context.Context, req Request, u *url.URL) {
	tr := &nethttp.Transport{
		DialContext:            f.dial,
		DialTLSContext:         f.dialTLS,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a small answer must not unfold into a large one
		MaxResponseHeaderBytes: headerBytes,
	}
	defer tr.CloseIdleConnections()
	cl := &nethttp.Client{Transport: tr, CheckRedirect: func(next *nethttp.Request, via []*nethttp.Request) error {
		if len(via) > req.Redirects || next.URL.Scheme != "https" && u.Scheme == "https" {
			return nethttp.ErrUseLastResponse
		}
		f.res.Via = append(f.res.Via, via[len(via)-1].URL.String())
		f.res.URL = next.URL.String()
		return nil
	}}
	method := req.Method
	if method == "" {
		method = nethttp.MethodGet
	}
	hr, err := nethttp.NewRequestWithContext(ctx, method, req.URL, strings.NewReader(string(req.Body)))
	if err != nil {
		f.err = err
		return
	}
	hr.Header.Set("User-Agent", "mailwhy")
	for k, v := range req.Header {
		hr.Header.Set(k, v)
	}
	resp, err := cl.Do(hr)
	if err != nil {
		f.fail("http", err)
		return
	}
	defer resp.Body.Close()
	f.read(resp, req.MaxBytes)
}

func (f *fetch) read(resp *nethttp.Response, limit int64) {
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
		b, r.Truncated = b[:limit], true
	}
	r.Body = b
	if err != nil {
		f.fail("http", err)
	}
}

func (f *fetch) fail(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.res.Fault == nil && f.err == nil {
		f.res.Fault = wire.Classify(op, unwrapURL(err))
	}
}

// unwrapURL drops the method and URL that net/http puts before an error: the report shows them elsewhere.
func unwrapURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

func (f *fetch) dialTLS(ctx context.Context, network, hostport string) (net.Conn, error) {
	conn, err := f.dial(ctx, network, hostport)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(hostport)
	opt := wire.HandshakeOptions{ServerName: host, Name: host, Roots: f.c.opt.Roots, ALPN: []string{"http/1.1"}, Now: f.c.opt.Now}
	if _, err := netip.ParseAddr(host); err == nil {
		opt.ServerName = ""
	}
	sec, hs := wire.ShakeHands(ctx, conn, opt)
	f.mu.Lock()
	f.res.TLS = hs
	f.mu.Unlock()
	if sec == nil {
		conn.Close()
		f.fail("tls", hs.Fault)
		return nil, hs.Fault
	}
	return sec, nil
}

// dial resolves through the run's own door and tries a few addresses in order.
func (f *fetch) dial(ctx context.Context, _, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	addrs, err := f.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, a := range addrs {
		conn, err := f.c.opt.Dial.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port))
		if err == nil {
			f.mu.Lock()
			f.res.Remote = net.JoinHostPort(a.String(), port)
			f.mu.Unlock()
			return conn, nil
		}
		last = err
	}
	f.fail("connect", last)
	return nil, last
}

func (f *fetch) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if f.c.opt.Resolver == nil {
		f.err = fmt.Errorf("no resolver to look up %s", host)
		return nil, f.err
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
	if len(addrs) == 0 {
		return nil, f.nowhere(host, errors.Join(faults...))
	}
	f.mu.Lock()
	for _, a := range addrs {
		f.res.Addresses = append(f.res.Addresses, a.String())
	}
	f.mu.Unlock()
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// nowhere tells a host without addresses, a fact, from a look-up that failed, which is our trouble.
func (f *fetch) nowhere(host string, lookup error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if lookup != nil {
		f.err = lookup
		return lookup
	}
	f.res.NoAddress = true
	f.res.Fault = &wire.Fault{Kind: wire.OtherFault, Op: "resolve", Text: host + " has no address"}
	return f.res.Fault
}
