package tls_test

import (
	"bytes"
	"context"
	ctls "crypto/tls"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/tls"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func serve(t *testing.T, s *wiretest.SMTP) tls.Target {
	t.Helper()
	addr, stop, err := wiretest.Listen(s.Serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	ap := netip.MustParseAddrPort(addr)
	return tls.Target{Host: "mx.test", Addr: ap.Addr(), Port: ap.Port()}
}

func door() tls.Door {
	return tls.Door{Dial: &net.Dialer{}, Now: func() time.Time { return now }, Timeout: 2 * time.Second,
		Upgrade: func(c net.Conn, _ string) error { return smtp.Upgrade(c, "probe.test") }}
}

func config(t *testing.T, l wiretest.Leaf) *ctls.Config {
	t.Helper()
	ca, err := wiretest.NewCA("Root", now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Issue(l, now)
	if err != nil {
		t.Fatal(err)
	}
	return wiretest.Config(c)
}

func TestInventory(t *testing.T) {
	cfg := config(t, wiretest.Leaf{Names: []string{"mx.test"}, RSA: 2048})
	cfg.MinVersion, cfg.MaxVersion = ctls.VersionTLS11, ctls.VersionTLS13
	cfg.CipherSuites = []uint16{ctls.TLS_RSA_WITH_RC4_128_SHA, ctls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ctls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
	for _, start := range []string{"", "smtp"} {
		target := serve(t, &wiretest.SMTP{TLS: cfg, Implicit: start == ""})
		target.Start = start
		inv, err := tls.Take(context.Background(), door(), target)
		if err != nil {
			t.Fatal(err)
		}
		got := map[tls.Version][]string{}
		for _, v := range inv.Versions {
			if v.Fault != nil {
				t.Errorf("%v: %v", v.Version, v.Fault)
			}
			if !v.Supported {
				continue
			}
			var names []string
			for _, s := range v.Suites {
				names = append(names, s.Suite.String())
			}
			slices.Sort(names)
			got[v.Version] = names
		}
		want := map[tls.Version][]string{
			tls.TLS13: {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
			tls.TLS12: {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA"},
			tls.TLS11: {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_RC4_128_SHA"},
		}
		for v, names := range want {
			if !slices.Equal(got[v], names) {
				t.Errorf("%q %v: %v, want %v", start, v, got[v], names)
			}
		}
		if len(got) != len(want) {
			t.Errorf("versions %v", got)
		}
		if len(inv.Groups) == 0 || inv.Groups[0] != 0x11EC {
			t.Errorf("groups %v", inv.Groups)
		}
		if inv.Handshake.Version != "TLS 1.3" || inv.NoSNI == nil || inv.NoSNI.Fault != nil {
			t.Errorf("handshakes %+v %+v", inv.Handshake, inv.NoSNI)
		}
		if inv.ServerOrder == nil {
			t.Error("the order of suites was not found out")
		}
		if inv.Connections > 60 {
			t.Errorf("%d connections", inv.Connections)
		}
	}
}

func TestNotTLS(t *testing.T) {
	target := serve(t, &wiretest.SMTP{Raw: func(c net.Conn) { _, _ = c.Write([]byte("220 plain SMTP here\r\n")) }})
	a, err := tls.Ask(context.Background(), door(), target, tls.Hello{Version: tls.TLS12, Suites: tls.Suites(tls.TLS12)})
	if err != nil || a.Fault == nil || a.Fault.Kind != wire.Protocol || a.Refused() {
		t.Errorf("%+v %v", a, err)
	}
}

func TestNoStartTLS(t *testing.T) {
	target := serve(t, &wiretest.SMTP{})
	target.Start = "smtp"
	inv, err := tls.Take(context.Background(), door(), target)
	if err != nil || inv.Stopped == nil || inv.Stopped.Op != "starttls" || inv.Connections != 1 {
		t.Errorf("%+v %v", inv, err)
	}
}

func TestBoundOnConnections(t *testing.T) {
	d := door()
	d.Most = 3
	inv, err := tls.Take(context.Background(), d, serve(t, &wiretest.SMTP{TLS: config(t, wiretest.Leaf{Names: []string{"mx.test"}}), Implicit: true}))
	if err != nil || inv.Stopped == nil || inv.Stopped.Kind != wire.Limit {
		t.Errorf("%+v %v", inv.Stopped, err)
	}
}

func TestNamesRoundTrip(t *testing.T) {
	for _, v := range []tls.Version{tls.SSL30, tls.TLS10, tls.TLS13} {
		for _, s := range append(tls.Suites(v), 0x4A4A) {
			b, _ := s.MarshalText()
			var back tls.Suite
			if err := back.UnmarshalText(b); err != nil || back != s {
				t.Errorf("%v came back as %v, %v", s, back, err)
			}
		}
	}
	for _, g := range append(tls.Groups(), 0x4A4A) {
		b, _ := g.MarshalText()
		var back tls.Group
		if err := back.UnmarshalText(b); err != nil || back != g {
			t.Errorf("%v came back as %v, %v", g, back, err)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte{21, 3, 1, 0, 2, 2, 40})
	f.Add([]byte("220 not TLS\r\n"))
	f.Add([]byte{22, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0xc0, 0x2f, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		a := tls.ReadAnswer(bytes.NewReader(in))
		if a.Hello == nil && a.Alert == "" && a.Fault == nil && len(in) < 5 {
			t.Errorf("%x: nothing said", in)
		}
	})
}

func FuzzParseServerHello(f *testing.F) {
	f.Add(make([]byte, 38))
	f.Fuzz(func(_ *testing.T, in []byte) { _, _ = tls.ParseServerHello(in) })
}

// TestExtra holds resumption and ALPN. With TLS 1.2 the ticket is part of the handshake, so that nothing depends on time.
func TestExtra(t *testing.T) {
	for _, c := range []struct {
		name            string
		make            func(*ctls.Config)
		alpn            string
		resumed, refuse bool
		picked          string
	}{
		{"resumes", func(*ctls.Config) {}, "", true, false, ""},
		{"does not", func(c *ctls.Config) { c.SessionTicketsDisabled = true }, "imap", false, false, ""},
		{"picks", func(c *ctls.Config) { c.NextProtos = []string{"imap"} }, "imap", true, false, "imap"},
		{"refuses", func(c *ctls.Config) { c.NextProtos = []string{"h2"} }, "imap", true, true, ""},
	} {
		cfg := config(t, wiretest.Leaf{Names: []string{"mx.test"}})
		cfg.MaxVersion = ctls.VersionTLS12
		c.make(cfg)
		d := door()
		d.Timeout = time.Minute
		e, err := tls.Extra(context.Background(), d, serve(t, &wiretest.SMTP{TLS: cfg, Implicit: true}), c.alpn)
		if err != nil || e.Fault != nil || e.Resumed != c.resumed || e.Refused != c.refuse || e.ALPN != c.picked {
			t.Errorf("%s: %+v %v", c.name, e, err)
		}
	}
}
