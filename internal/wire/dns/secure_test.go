package dns_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/tape"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// tree is a root, a signed top level and children; knobs of the child are applied by change.
type tree struct {
	root, top, child wiretest.Signing
	ds               func(ds string) []string // what the parent publishes for the child; nil: the true one
	unsigned         bool                     // the child is not signed
	strip            bool                     // the resolver hands on no signatures
}

const childZone = `$ORIGIN mine.test.
@ NS ns1
@ MX 10 mx
ns1 A 198.51.100.53
mx A 198.51.100.1
alias CNAME mx
*.wild TXT "any"
a.b.c A 198.51.100.2
`

func fresh() wiretest.Signing {
	return wiretest.Signing{From: today.Add(-time.Hour), Until: today.Add(240 * time.Hour)}
}

func (tr tree) client(t *testing.T, rec *tape.Tape) *dns.Client {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := wiretest.ReadZone("$ORIGIN .\n@ SOA a.root h.root 1 7200 900 1209600 60\n@ NS a.root\na.root A 198.51.100.3\ntest NS ns.test\nns.test A 198.51.100.4\nopen NS ns.test\n")
	must(err)
	top, err := wiretest.ReadZone("$ORIGIN test.\n@ NS ns\nns A 198.51.100.4\nmine NS ns1.mine\nns1.mine A 198.51.100.53\nother NS ns1.mine\nzz A 198.51.100.5\n")
	must(err)
	child, err := wiretest.ReadZone(childZone)
	must(err)
	if !tr.unsigned {
		ds, err := child.Sign(tr.child)
		must(err)
		lines := []string{ds}
		if tr.ds != nil {
			lines = tr.ds(ds)
		}
		for _, l := range lines {
			must(top.Put(l))
		}
	}
	ds, err := top.Sign(tr.top)
	must(err)
	must(root.Put(ds))
	anchor, err := root.Sign(tr.root)
	must(err)
	w := wiretest.NewWorld()
	d, err := w.DNS([]string{"192.0.2.1"})
	must(err)
	d.Recursive = true
	for _, z := range []*wiretest.Zone{root, top, child} {
		d.Add(z)
	}
	must(d.Load("$ORIGIN open.\n@ TXT unsigned\n"))
	if tr.strip {
		d.Hook = func(q *miekg.Msg) *wiretest.Turn {
			q.IsEdns0().SetDo(false)
			return nil
		}
	}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Anchors: []string{anchor}, Timeout: 3 * time.Second,
		Now: func() time.Time { return today }})
	if rec != nil {
		c.Close()
		c = dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Anchors: []string{anchor}, Now: func() time.Time { return today }, Tape: rec})
	}
	t.Cleanup(func() { c.Close(); w.Close() })
	return c
}

func TestValidate(t *testing.T) {
	good := tree{root: fresh(), top: fresh(), child: fresh()}
	with := func(f func(*tree)) tree { tr := good; f(&tr); return tr }
	nsec3 := with(func(tr *tree) { tr.child.NSEC3, tr.top.NSEC3 = true, true; tr.child.Iterations = 5 })
	optout := with(func(tr *tree) { tr.top.NSEC3, tr.top.OptOut, tr.unsigned = true, true, true })
	spoil := func(what, how string) tree {
		return with(func(tr *tree) { tr.child.Spoil = map[string]string{what: how} })
	}
	tests := []struct {
		what  string
		tr    tree
		name  string
		t     mail.Type
		state dns.State
		brk   dns.BreakKind
		zone  string // of the break
	}{
		{"good", good, "mine.test", mail.TypeMX, dns.Secure, "", ""},
		{"good CNAME", good, "alias.mine.test", mail.TypeA, dns.Secure, "", ""},
		{"good NODATA", good, "mx.mine.test", mail.TypeTXT, dns.Secure, "", ""},
		{"good NXDOMAIN", good, "nope.mine.test", mail.TypeA, dns.Secure, "", ""},
		{"good empty non-terminal", good, "b.c.mine.test", mail.TypeA, dns.Secure, "", ""},
		{"good wildcard", good, "x.y.wild.mine.test", mail.TypeTXT, dns.Secure, "", ""},
		{"good wildcard NODATA", good, "x.wild.mine.test", mail.TypeA, dns.Secure, "", ""},
		{"unsigned child", good, "x.other.test", mail.TypeA, dns.Indeterminate, dns.NotReached, "other.test"},
		{"unsigned top", good, "open", mail.TypeTXT, dns.Insecure, "", ""},
		{"nsec3", nsec3, "mine.test", mail.TypeMX, dns.Secure, "", ""},
		{"nsec3 NODATA", nsec3, "mx.mine.test", mail.TypeTXT, dns.Secure, "", ""},
		{"nsec3 NXDOMAIN", nsec3, "nope.mine.test", mail.TypeA, dns.Secure, "", ""},
		{"nsec3 deep NXDOMAIN", nsec3, "q.w.e.mine.test", mail.TypeA, dns.Secure, "", ""},
		{"nsec3 wildcard", nsec3, "x.y.wild.mine.test", mail.TypeTXT, dns.Secure, "", ""},
		{"nsec3 unsigned child", with(func(tr *tree) { tr.top.NSEC3, tr.unsigned = true, true }), "mine.test", mail.TypeMX, dns.Insecure, "", ""},
		{"nsec unsigned child", with(func(tr *tree) { tr.unsigned = true }), "mine.test", mail.TypeMX, dns.Insecure, "", ""},
		{"opt-out", optout, "mine.test", mail.TypeMX, dns.Insecure, "", ""},
		{"too many iterations", with(func(tr *tree) { tr.child.NSEC3, tr.child.Iterations = true, 500 }), "nope.mine.test", mail.TypeA, dns.Insecure, "", ""},
		{"ed25519", with(func(tr *tree) { tr.child.Algorithm = miekg.ED25519 }), "mine.test", mail.TypeMX, dns.Secure, "", ""},
		{"rsasha256", with(func(tr *tree) { tr.child.Algorithm = miekg.RSASHA256 }), "mine.test", mail.TypeMX, dns.Secure, "", ""},
		{"wrong DS", with(func(tr *tree) {
			tr.ds = func(string) []string {
				return []string{"mine.test. DS 4711 13 2 0000000000000000000000000000000000000000000000000000000000000000"}
			}
		}), "mine.test", mail.TypeMX, dns.Bogus, dns.DSMismatch, "mine.test"},
		{"old DS beside the true one", with(func(tr *tree) {
			tr.ds = func(ds string) []string {
				return []string{ds, "mine.test. DS 4711 13 2 0000000000000000000000000000000000000000000000000000000000000000"}
			}
		}), "mine.test", mail.TypeMX, dns.Secure, "", ""},
		{"unknown algorithm", with(func(tr *tree) {
			tr.ds = func(string) []string {
				return []string{"mine.test. DS 4711 200 2 0000000000000000000000000000000000000000000000000000000000000000"}
			}
		}), "mine.test", mail.TypeMX, dns.Insecure, dns.AlgorithmTooNew, "mine.test"},
		{"DS, but the zone is unsigned", with(func(tr *tree) {
			tr.child.Spoil = map[string]string{}
			tr.unsigned = true
		}), "mine.test", mail.TypeMX, dns.Insecure, "", ""},
		{"MX expired", spoil("mine.test. MX", "expire"), "mine.test", mail.TypeMX, dns.Bogus, dns.SigExpired, "mine.test"},
		{"MX corrupt", spoil("mine.test. MX", "corrupt"), "mine.test", mail.TypeMX, dns.Bogus, dns.SigWrong, "mine.test"},
		{"MX unsigned", spoil("mine.test. MX", "drop"), "mine.test", mail.TypeMX, dns.Bogus, dns.SigMissing, "mine.test"},
		{"keys unsigned", spoil("mine.test. DNSKEY", "drop"), "mine.test", mail.TypeMX, dns.Bogus, dns.SigMissing, "mine.test"},
		{"keys expired", spoil("mine.test. DNSKEY", "expire"), "mine.test", mail.TypeMX, dns.Bogus, dns.SigExpired, "mine.test"},
		{"all expired", with(func(tr *tree) { tr.child.Until = today.Add(-time.Minute) }), "mine.test", mail.TypeMX, dns.Bogus, dns.SigExpired, "mine.test"},
		{"clock of the signer ahead", with(func(tr *tree) { tr.child.From = today.Add(time.Hour) }), "mine.test", mail.TypeMX, dns.Bogus, dns.SigEarly, "mine.test"},
		{"DS signature corrupt", with(func(tr *tree) { tr.top.Spoil = map[string]string{"mine.test. DS": "corrupt"} }), "mine.test", mail.TypeMX, dns.Bogus, dns.SigWrong, "test"},
		{"denial unsigned", spoil("mx.mine.test. NSEC", "drop"), "mx.mine.test", mail.TypeTXT, dns.Bogus, dns.SigMissing, "mine.test"},
		{"resolver strips", with(func(tr *tree) { tr.strip = true }), "mine.test", mail.TypeMX, dns.Indeterminate, dns.Stripped, ""},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			c := tt.tr.client(t, nil)
			p, err := c.Validate(context.Background(), tt.name, tt.t)
			if err != nil {
				t.Fatal(err)
			}
			var kind dns.BreakKind
			var zone string
			if p.Break != nil {
				kind, zone = p.Break.Kind, p.Break.Zone
			}
			if p.State != tt.state || kind != tt.brk || tt.brk != "" && zone != tt.zone {
				t.Errorf("%s, break %+v; want %s %s in %q", p.State, p.Break, tt.state, tt.brk, tt.zone)
			}
			if p.State == dns.Secure && len(p.Links) != 3 {
				t.Errorf("links %+v", p.Links)
			}
			a, err := c.Resolve(context.Background(), tt.name, tt.t)
			if err == nil && (a.Secure != (tt.state == dns.Secure) || a.Bogus && tt.state != dns.Bogus) {
				t.Errorf("Resolve says secure %v, bogus %v", a.Secure, a.Bogus)
			}
		})
	}
}

func TestValidateReplays(t *testing.T) {
	var buf bytes.Buffer
	rec := tape.NewRecorder(&buf, today, nil)
	c := tree{root: fresh(), top: fresh(), child: fresh()}.client(t, rec)
	live, err := c.Validate(context.Background(), "mine.test", mail.TypeMX)
	if err != nil {
		t.Fatal(err)
	}
	rec.Close()
	if live.State != dns.Secure {
		t.Fatalf("live %+v", live.Break)
	}
	player, err := tape.Open(&buf)
	if err != nil {
		t.Fatal(err)
	}
	// Without the anchor of the live run the replay must say so, which shows that it validates again.
	again := dns.New(dns.Options{Tape: player, Now: player.Started})
	p, err := again.Validate(context.Background(), "mine.test", mail.TypeMX)
	if err != nil || p.State != dns.Indeterminate || p.Break.Kind != dns.AnchorMismatch {
		t.Errorf("got %v %+v, %v", p.State, p.Break, err)
	}
}

func TestAnchors(t *testing.T) {
	if err := dns.CheckAnchors([]string{"example. DS 1 13 2 00"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"example. A 192.0.2.1", "not a record"} {
		if err := dns.CheckAnchors([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
