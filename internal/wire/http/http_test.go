package http

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// server answers as example.com (the name in httptest's certificate) on a loopback port.
func server(t *testing.T, h nethttp.HandlerFunc) (*Client, string) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	zone := mail.Zone{Records: map[string][]mail.Record{"example.com": {{Type: mail.TypeA, IP: netip.MustParseAddr("127.0.0.1")}}}}
	return New(Options{Resolver: zone, Roots: pool, Timeout: 5 * time.Second}), "https://example.com:" + u.Port()
}

func TestGet(t *testing.T) {
	c, base := server(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		switch r.URL.Path {
		case "/ok":
			io.WriteString(w, "hello")
		case "/big":
			for range 1 << 14 { // a gigabyte is announced, reading stops long before
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/loop":
			nethttp.Redirect(w, r, "/loop", nethttp.StatusFound)
		case "/one":
			nethttp.Redirect(w, r, "/ok", nethttp.StatusFound)
		default:
			w.WriteHeader(404)
		}
	})
	get := func(path string, redirects int) *Response {
		t.Helper()
		r, err := c.Get(context.Background(), Request{URL: base + path, MaxBytes: 1000, Redirects: redirects})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := get("/ok", 0); !r.OK() || string(r.Body) != "hello" || r.TLS == nil || !r.TLS.Trusted() || r.Remote == "" {
		t.Errorf("/ok: %+v", r)
	}
	if r := get("/big", 0); !r.Truncated || len(r.Body) != 1000 {
		t.Errorf("/big: %d bytes, truncated %v", len(r.Body), r.Truncated)
	}
	if r := get("/one", 0); r.Status != 302 || r.Location != "/ok" {
		t.Errorf("/one without redirects: %+v", r)
	}
	if r := get("/one", 1); !r.OK() || len(r.Via) != 1 {
		t.Errorf("/one with one redirect: %+v", r)
	}
	if r := get("/loop", 10); r.Status != 302 || len(r.Via) != 10 {
		t.Errorf("/loop: status %d after %d", r.Status, len(r.Via))
	}
	if r := get("/none", 0); r.Status != 404 || r.OK() {
		t.Errorf("/none: %+v", r)
	}
}

func TestUntrustedIsAFact(t *testing.T) {
	c, base := server(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { io.WriteString(w, "x") })
	c.opt.Roots = x509.NewCertPool()
	r, err := c.Get(context.Background(), Request{URL: base + "/"})
	if err != nil || r.TLS == nil || r.TLS.Trusted() || r.Status != 200 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestFaults(t *testing.T) {
	zone := mail.Zone{
		Records: map[string][]mail.Record{"up.example": {{Type: mail.TypeA, IP: netip.MustParseAddr("127.0.0.1")}}},
		Fail:    map[string]error{"down.example": mail.ErrTemporary},
	}
	c := New(Options{Resolver: zone, Timeout: 2 * time.Second})
	if _, err := c.Get(context.Background(), Request{URL: "https://down.example/"}); !errors.Is(err, mail.ErrTemporary) {
		t.Errorf("a failing resolver is our trouble, got %v", err)
	}
	if r, err := c.Get(context.Background(), Request{URL: "https://none.example/"}); err != nil || !r.NoAddress {
		t.Errorf("no address is a fact, got %+v %v", r, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	if r, err := c.Get(context.Background(), Request{URL: "https://up.example:" + port + "/"}); err != nil || r.Fault.Kind != wire.Refused || r.Fault.Op != "connect" {
		t.Errorf("a closed port: %+v %v", r.Fault, err)
	}
	for _, bad := range []string{"", "ftp://x/", "https://", "::", "https://a b/"} {
		if _, err := c.Get(context.Background(), Request{URL: bad}); err == nil {
			t.Errorf("%q was fetched", bad)
		}
	}
}

func TestSilentServerEndsInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	c := New(Options{Timeout: 3 * time.Second})
	r, err := c.Get(context.Background(), Request{URL: "https://" + l.Addr().String() + "/"})
	if err != nil || r.Fault == nil || r.Fault.Kind != wire.Timeout || r.Fault.Op != "tls" {
		t.Errorf("%+v %v", r, err)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 301 M\r\nLocation: http://[::1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := New(Options{Timeout: time.Second, Dial: canned(raw)})
		r, err := c.Get(context.Background(), Request{URL: "http://127.0.0.1/", MaxBytes: 100, Redirects: 2})
		if err == nil && len(r.Body) > 100 {
			t.Fatal("the limit was passed")
		}
	})
}

type canned []byte

// DialContext gives a peer that reads the request and answers with fixed bytes.
func (b canned) DialContext(context.Context, string, string) (net.Conn, error) {
	a, z := net.Pipe()
	go func() {
		defer z.Close()
		buf := make([]byte, 4096)
		for n, got := 0, ""; !strings.Contains(got, "\r\n\r\n"); got += string(buf[:n]) {
			var err error
			if n, err = z.Read(buf); err != nil {
				return
			}
		}
		z.Write(b)
	}()
	return a, nil
}
