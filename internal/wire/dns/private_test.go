package dns_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// encrypted serves the zone over DoT and DoH at 192.0.2.9 with a certificate for dns.test, and gives a client maker.
func encrypted(t *testing.T) func(server string, opt dns.Options) *dns.Client {
	t.Helper()
	now := time.Now()
	ca, err := wiretest.NewCA("test CA", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"dns.test"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	w := wiretest.NewWorld()
	backend, err := w.DNS([]string{"192.0.2.8"}, zone)
	if err != nil {
		t.Fatal(err)
	}
	backend.Recursive = true
	dot, err := w.Listen("192.0.2.9:853")
	if err != nil {
		t.Fatal(err)
	}
	s := &miekg.Server{Listener: tls.NewListener(dot, &tls.Config{Certificates: []tls.Certificate{cert}}), Handler: backend}
	go s.ActivateAndServe()
	doh, err := w.Listen("192.0.2.9:443")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(tls.NewListener(doh, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		c, err := net.Dial("udp", backend.Addr())
		if err != nil || r.Header.Get("Content-Type") != "application/dns-message" {
			http.Error(rw, "no", http.StatusBadRequest)
			return
		}
		defer c.Close()
		c.Write(raw)
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		rw.Header().Set("Content-Type", "application/dns-message")
		rw.Write(b[:n])
	}))
	w.Map("tcp", "dns.test:853", dot.Addr().String())
	w.Map("tcp", "dns.test:443", doh.Addr().String())
	w.Map("tcp", "other.test:853", dot.Addr().String())
	t.Cleanup(func() { w.Close() })
	return func(server string, opt dns.Options) *dns.Client {
		opt.Servers, opt.Dial, opt.Timeout, opt.Roots509 = []string{server}, w, time.Second, ca.Pool()
		c := dns.New(opt)
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func TestEncrypted(t *testing.T) {
	client := encrypted(t)
	for server, want := range map[string]string{
		"tls://192.0.2.9#dns.test":   "tls://192.0.2.9:853#dns.test",
		"tls://dns.test":             "tls://dns.test:853",
		"tls://192.0.2.9":            "tls://192.0.2.9:853", // opportunistic: no name to hold it to
		"https://dns.test/dns-query": "https://dns.test/dns-query",
		"https://dns.test":           "https://dns.test/dns-query",
	} {
		c := client(server, dns.Options{})
		var wg sync.WaitGroup
		for _, ty := range []mail.Type{mail.TypeMX, mail.TypeTXT, mail.TypeNS, mail.TypeA, mail.TypeCAA} {
			wg.Go(func() {
				a, err := c.Resolve(context.Background(), "a.example", ty)
				if err != nil || a.Server != want {
					t.Errorf("%s: %+v, %v", server, a, err)
				}
			})
		}
		wg.Wait()
	}
}

func TestEncryptedWrongName(t *testing.T) {
	client := encrypted(t)
	for _, server := range []string{"tls://192.0.2.9#other.test", "tls://other.test"} {
		_, err := client(server, dns.Options{Tries: 1}).Resolve(context.Background(), "a.example", mail.TypeMX)
		if f := wire.Classify("", err); err == nil || f.Kind != wire.TLSFault {
			t.Errorf("%s: %v", server, err)
		}
	}
}

func TestParseServer(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]:5353": "[2001:db8::1]:5353",
		"udp://192.0.2.1": "192.0.2.1:53", "": "", "dns.test": "", "192.0.2.1:x y": "", "https://": "", "tls://": "", "fe80::1%eth0": "[fe80::1%eth0]:53",
	} {
		got, err := dns.ParseServer(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// TestTrustAD holds that the flag is believed only where the way to the resolver is safe, and only when asked to.
func TestTrustAD(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	d, err := w.DNS([]string{"192.0.2.1", "127.0.0.1"}, zone)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive, d.Authentic = true, true
	for _, tt := range []struct {
		server string
		trust  bool
		want   bool
	}{{"127.0.0.1", true, true}, {"127.0.0.1", false, false}, {"192.0.2.1", true, false}} {
		c := dns.New(dns.Options{Servers: []string{tt.server}, Dial: w, TrustAD: tt.trust, Timeout: 3 * time.Second})
		a, err := c.Resolve(context.Background(), "a.example", mail.TypeMX)
		if err != nil || a.Secure != tt.want || a.Secure && a.Validator != "resolver" {
			t.Errorf("%+v: %+v, %v", tt, a, err)
		}
		c.Close()
	}
}

// TestWindowSurvivesABurst sends far more questions at once than a receive buffer holds; all are answered.
func TestWindowSurvivesABurst(t *testing.T) {
	c, _ := world(t, dns.Options{Timeout: 5 * time.Second}, 1)
	var wg sync.WaitGroup
	for i := range 3000 {
		wg.Go(func() {
			if _, err := c.Resolve(context.Background(), "n"+string(rune('a'+i%26))+"."+time.Duration(i).String()+".a.example", mail.TypeA); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
