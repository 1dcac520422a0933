package tls_test

import (
	"context"
	ctls "crypto/tls"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

type bed struct {
	root, sub *wiretest.CA
	env       *check.Env
	w         *wiretest.World
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{w: wiretest.NewWorld()}
	t.Cleanup(func() { _ = b.w.Close() })
	var err error
	if b.root, err = wiretest.NewCA("Test Root", now); err != nil {
		t.Fatal(err)
	}
	if b.sub, err = b.root.Sub("Test Middle", now); err != nil {
		t.Fatal(err)
	}
	b.env = &check.Env{Dial: b.w, Now: func() time.Time { return now }, Know: knowledge.Embedded(), Roots: b.root.Pool(),
		Probe: check.Probe{HELO: "probe.test", Timeout: 2 * time.Second}}
	return b
}

func (b *bed) config(t *testing.T, l wiretest.Leaf) *ctls.Config {
	t.Helper()
	if l.Names == nil {
		l.Names = []string{"mx.test"}
	}
	c, err := b.sub.Issue(l, now)
	if err != nil {
		t.Fatal(err)
	}
	return wiretest.Config(c)
}

func failed(fs []finding.Finding) (out []string) {
	for i := range fs {
		if fs[i].Outcome == finding.Fail && fs[i].Level() > finding.Note {
			out = append(out, fs[i].Rule.ID)
		}
	}
	slices.Sort(out)
	return out
}

var cases = []struct {
	name   string
	leaf   wiretest.Leaf
	change func(*ctls.Config)
	fail   []string // warnings and errors
	note   []string
}{
	{name: "flawless"},
	{name: "expired", leaf: wiretest.Leaf{NotAfter: now.AddDate(0, 0, -3)}, fail: []string{"tls.expired"}},
	{name: "not yet", leaf: wiretest.Leaf{NotBefore: now.AddDate(0, 0, 3)}, fail: []string{"tls.not-yet-valid"}},
	{name: "29 days", leaf: wiretest.Leaf{NotAfter: now.AddDate(0, 0, 29)}, note: []string{"tls.expires-soon"}},
	{name: "13 days", leaf: wiretest.Leaf{NotAfter: now.AddDate(0, 0, 13)}, fail: []string{"tls.expires-soon"}},
	{name: "self-signed", leaf: wiretest.Leaf{SelfSigned: true}, fail: []string{"tls.self-signed"}},
	{name: "wrong name", leaf: wiretest.Leaf{Names: []string{"www.test"}}, fail: []string{"tls.wrong-name"}},
	{name: "short chain", leaf: wiretest.Leaf{Short: true}, fail: []string{"tls.missing-intermediate"}},
	{name: "small key", leaf: wiretest.Leaf{RSA: 1024}, fail: []string{"tls.key-small"}},
	{name: "old versions", change: func(c *ctls.Config) { c.MinVersion = ctls.VersionTLS10 }, note: []string{"tls.version-old"}},
	{name: "TLS 1.2 at most", change: func(c *ctls.Config) { c.MaxVersion = ctls.VersionTLS12 }, note: []string{"tls.no-tls13", "tls.no-post-quantum"}},
	{name: "TLS 1.1 at most", change: func(c *ctls.Config) { c.MinVersion, c.MaxVersion = ctls.VersionTLS10, ctls.VersionTLS11 }, fail: []string{"tls.version-only-old"}, note: []string{"tls.version-old"}},
	{name: "RC4", leaf: wiretest.Leaf{RSA: 2048}, change: func(c *ctls.Config) {
		c.CipherSuites = []uint16{ctls.TLS_RSA_WITH_RC4_128_SHA, ctls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	}, fail: []string{"tls.suite-broken"}},
	{name: "no post-quantum", change: func(c *ctls.Config) { c.CurvePreferences = []ctls.CurveID{ctls.X25519} }, note: []string{"tls.no-post-quantum"}},
}

// TestBothWays holds what a check with a few hellos and what a whole inventory say of the same server.
func TestBothWays(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			cfg := b.config(t, c.leaf)
			if c.change != nil {
				c.change(cfg)
			}
			if err := b.w.SMTP("198.51.100.7:25", &wiretest.SMTP{TLS: cfg, Replies: map[string]string{"RCPT": "550 no"}}); err != nil {
				t.Fatal(err)
			}
			addr := netip.MustParseAddr("198.51.100.7")
			servers := check.Servers{Domain: "test", Hosts: []check.MailServer{{Name: "mx.test", Addrs: []netip.Addr{addr}}}}
			quick := check.Run(context.Background(), b.env, servers, finding.Domain("test"), tls.Checks, nil)
			hold(t, "check", quick, c.fail, c.note)
			if n := b.w.Dials("tcp", "198.51.100.7:25"); n > 5 {
				t.Errorf("%d connections, one is left for the smtp pack", n)
			}
			inv, err := wiretls.Take(context.Background(), tls.Door(b.env), wiretls.Target{Host: "mx.test", Addr: addr, Port: 25, Start: "smtp"})
			if err != nil {
				t.Fatal(err)
			}
			th, _ := b.env.Know.Thresholds()
			hold(t, "inventory", tls.Judge(tls.Facts{Subject: finding.Host("mx.test"), Handshake: inv.Handshake, Inventory: inv}, th), c.fail, c.note)
		})
	}
}

func hold(t *testing.T, way string, fs []finding.Finding, fail, note []string) {
	t.Helper()
	if got := failed(fs); !slices.Equal(got, fail) {
		t.Errorf("%s failed %v, want %v", way, got, fail)
	}
	for _, n := range note {
		if !slices.ContainsFunc(fs, func(f finding.Finding) bool { return f.Rule.ID == n && f.Outcome == finding.Fail }) {
			t.Errorf("%s: no %s", way, n)
		}
	}
}

func TestWrongOrder(t *testing.T) {
	b := newBed(t)
	sub2, err := b.sub.Sub("Test Lower", now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sub2.Issue(wiretest.Leaf{Names: []string{"mx.test"}, Reversed: true}, now)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.w.SMTP("198.51.100.7:25", &wiretest.SMTP{TLS: wiretest.Config(c)})
	servers := check.Servers{Hosts: []check.MailServer{{Name: "mx.test", Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.7")}}}}
	hold(t, "check", check.Run(context.Background(), b.env, servers, finding.Domain("test"), tls.Checks, nil), nil, []string{"tls.chain-order"})
}

// TestNoTLSAtAll tells a server that cannot now from one that never can and one whose handshake breaks.
func TestNoTLSAtAll(t *testing.T) {
	for _, c := range []struct{ op, text, rule, verdict string }{
		{"starttls", "454 4.7.0 TLS not available", "tls.handshake-failed", "could-not-test"},
		{"starttls", "502 5.5.1 Error: command not implemented", "tls.not-offered", "warning"},
		{"starttls", "the server went on in the clear", "tls.handshake-failed", "error"},
		{"tls", "tls: internal error", "tls.handshake-failed", "error"},
	} {
		f := tls.Facts{Subject: finding.Host("mx.test"), Handshake: &wire.Handshake{Fault: &wire.Fault{Kind: wire.Protocol, Op: c.op, Text: c.text}}}
		fs := tls.Judge(f, nil)
		if len(fs) != 1 || fs[0].Rule.ID != c.rule || fs[0].Verdict().String() != c.verdict {
			t.Errorf("%s %q: %+v", c.op, c.text, fs)
		}
	}
}
