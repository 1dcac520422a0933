package smtp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	wsmtp "github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/tape"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

const zone = `$ORIGIN test.
@ 300 SOA ns.test. root.test. 1 3600 900 86400 300
mx 300 A 198.51.100.7
other 300 A 198.51.100.99
`

const large = `$ORIGIN large.example.
@ 300 SOA ns.test. root.test. 1 3600 900 86400 300
a 300 A 203.0.113.1
b 300 A 203.0.113.2
`

// world is an Env over one DNS server and whatever listens.
func world(t *testing.T) (*wiretest.World, *check.Env) {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	if _, err := w.DNS([]string{"192.0.2.53"}, zone, large); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	env := &check.Env{
		Dial: w, Now: clock, Know: knowledge.Embedded(), Probe: check.Probe{HELO: "probe.test", Timeout: time.Second},
		DNS: dns.New(dns.Options{Servers: []string{"192.0.2.53"}, Dial: w, Now: clock, Timeout: time.Second}),
	}
	t.Cleanup(func() { _ = env.DNS.Close() })
	return w, env
}

func target(addrs ...string) check.Servers {
	h := check.MailServer{Name: "mx.test", Pref: 10}
	for _, a := range addrs {
		h.Addrs = append(h.Addrs, netip.MustParseAddr(a))
	}
	return check.Servers{Domain: "test", Hosts: []check.MailServer{h}}
}

func run(t *testing.T, env *check.Env, s check.Servers) []finding.Finding {
	t.Helper()
	return check.Run(context.Background(), env, s, finding.Domain("test"), smtp.Checks, nil)
}

// of lists the rules of an outcome.
func of(fs []finding.Finding, o finding.Outcome) []string {
	var out []string
	for _, f := range fs {
		if f.Outcome == o {
			out = append(out, f.Rule.ID)
		}
	}
	slices.Sort(out)
	return out
}

func TestFaults(t *testing.T) {
	cert := func(t *testing.T) *wiretest.SMTP {
		ca, err := wiretest.NewCA("Root", now)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ca.Issue(wiretest.Leaf{Names: []string{"mx.test"}}, now)
		if err != nil {
			t.Fatal(err)
		}
		return &wiretest.SMTP{Greeting: "220 mx.test ESMTP", TLS: wiretest.Config(c), Replies: map[string]string{"RCPT": "554 5.7.1 Relay access denied"}}
	}
	with := func(change func(*wiretest.SMTP)) func(*testing.T) *wiretest.SMTP {
		return func(t *testing.T) *wiretest.SMTP { s := cert(t); change(s); return s }
	}
	cases := []struct {
		name     string
		srv      func(*testing.T) *wiretest.SMTP
		fail     []string
		untested []string
	}{
		{"flawless", cert, nil, nil},
		{"open relay", with(func(s *wiretest.SMTP) { delete(s.Replies, "RCPT") }), []string{"smtp.open-relay"}, nil},
		{"relay refused for now", with(func(s *wiretest.SMTP) { s.Replies["RCPT"] = "454 4.7.1 <relay-probe@example.com>: Relay access denied" }), nil, nil},
		{"greylist", with(func(s *wiretest.SMTP) { s.Replies["RCPT"] = "450 4.2.0 Greylisted, try again in 300 seconds" }), nil, []string{"smtp.open-relay"}},
		{"busy", with(func(s *wiretest.SMTP) { s.Greeting = "421 4.3.2 too many connections" }), nil, []string{"smtp.not-smtp"}},
		{"blocks us", with(func(s *wiretest.SMTP) { s.Greeting = "554 5.7.1 blocked using zen.spamhaus.org" }), nil, []string{"smtp.not-smtp"}},
		{"hangs up", with(func(s *wiretest.SMTP) { s.Greeting = "close" }), nil, []string{"smtp.not-smtp"}},
		{"other protocol", with(func(s *wiretest.SMTP) { s.Greeting = "SSH-2.0-OpenSSH_9" }), []string{"smtp.not-smtp"}, nil},
		{"silent", with(func(s *wiretest.SMTP) { s.Greeting = "stall" }), []string{"smtp.not-smtp"}, nil},
		{"no STARTTLS", with(func(s *wiretest.SMTP) { s.TLS = nil }), []string{"smtp.starttls-missing"}, nil},
		{"STARTTLS refused", with(func(s *wiretest.SMTP) { s.Replies["STARTTLS"] = "454 4.7.0 TLS not available" }), []string{"smtp.starttls-broken"}, nil},
		{"handshake breaks", with(func(s *wiretest.SMTP) {
			s.TLS = nil
			s.Replies["EHLO"] = "250-mx.test\n250 STARTTLS"
			s.Replies["STARTTLS"] = "220 go"
		}), []string{"smtp.starttls-broken"}, nil},
		{"EHLO eaten", with(func(s *wiretest.SMTP) { s.Replies["EHLO"] = "500 5.5.1 unrecognized" }), []string{"smtp.ehlo-refused", "smtp.starttls-missing"}, nil},
		{"masked keyword", with(func(s *wiretest.SMTP) { s.Replies["EHLO"] = "250-mx.test\n250-SIZE 52428800\n250 XXXXXXXA" }), []string{"smtp.rewritten", "smtp.starttls-missing"}, nil},
		{"masked greeting", with(func(s *wiretest.SMTP) { s.Greeting = "220 ****************2****0*****" }), []string{"smtp.rewritten"}, nil},
		{"login in the clear", with(func(s *wiretest.SMTP) { s.Caps = []string{"AUTH PLAIN LOGIN CRAM-MD5"} }), []string{"smtp.plain-auth"}, nil},
		{"small", with(func(s *wiretest.SMTP) { s.Caps = []string{"SIZE 1000000"} }), []string{"smtp.size-small"}, nil},
		{"VRFY", with(func(s *wiretest.SMTP) {
			s.Replies["VRFY postmaster"] = "252 2.0.0 postmaster"
			s.Replies["VRFY"] = "550 5.1.1 User unknown"
		}), []string{"smtp.vrfy"}, nil},
		{"VRFY agrees with everything", with(func(s *wiretest.SMTP) { s.Replies["VRFY"] = "252 2.5.2 Try it" }), nil, nil},
		{"version", with(func(s *wiretest.SMTP) { s.Greeting = "220 mx.test ESMTP Exim 4.94.2 Sun" }), []string{"smtp.banner-version"}, nil},
		{"short name", with(func(s *wiretest.SMTP) { s.Greeting = "220 localhost ESMTP" }), []string{"smtp.banner-name"}, nil},
		{"unknown name", with(func(s *wiretest.SMTP) { s.Greeting = "220 nowhere.test ESMTP" }), []string{"smtp.banner-name-unknown"}, nil},
		{"other name", with(func(s *wiretest.SMTP) { s.Greeting = "220 other.test ESMTP" }), []string{"smtp.banner-name-other"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, env := world(t)
			if err := w.SMTP("198.51.100.7:25", c.srv(t)); err != nil {
				t.Fatal(err)
			}
			fs := run(t, env, target("198.51.100.7"))
			if got := of(fs, finding.Fail); !slices.Equal(got, c.fail) {
				t.Errorf("failed %v, want %v", got, c.fail)
			}
			if got := of(fs, finding.Unknown); !slices.Equal(got, c.untested) {
				t.Errorf("untested %v, want %v", got, c.untested)
			}
			if n := w.Dials("tcp", "198.51.100.7:25"); n > 6 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestGreylistSaysWhen(t *testing.T) {
	w, env := world(t)
	_ = w.SMTP("198.51.100.7:25", &wiretest.SMTP{Replies: map[string]string{"RCPT": "450 4.2.0 Greylisted, try again in 300 seconds"}})
	for _, f := range run(t, env, target("198.51.100.7")) {
		if f.Rule.ID == "smtp.open-relay" && !f.Cannot.Again.Equal(now.Add(300*time.Second)) {
			t.Errorf("again at %v", f.Cannot.Again)
		}
	}
}

func TestUnreachable(t *testing.T) {
	w, env := world(t)
	_ = w.SMTP("198.51.100.7:25", &wiretest.SMTP{Replies: map[string]string{"RCPT": "550 no"}})
	fs := run(t, env, target("198.51.100.7", "198.51.100.8", "2001:db8::8"))
	if got := of(fs, finding.Fail); !slices.Contains(got, "smtp.unreachable") || !slices.Contains(got, "smtp.ipv6-unreachable") || slices.Contains(got, "smtp.no-server-answers") {
		t.Errorf("failed %v", got)
	}
}

func TestWholeDomainDown(t *testing.T) {
	w, env := world(t)
	w.Else = wiretest.Drops
	fs := run(t, env, target("198.51.100.7"))
	if got := of(fs, finding.Fail); !slices.Contains(got, "smtp.no-server-answers") {
		t.Errorf("failed %v", got)
	}
}

// TestOutboundBlocked has a table of large providers that names two hosts of the test zone.
func TestOutboundBlocked(t *testing.T) {
	w, env := world(t)
	w.Else = wiretest.Drops
	dir := t.TempDir()
	writeFile(t, dir+"/outbound.toml", "checked = 2026-11-22\nhosts = [\"a.large.example\", \"b.large.example\"]\n")
	var err error
	if env.Know, err = knowledge.Open(dir); err != nil {
		t.Fatal(err)
	}
	fs := run(t, env, target("198.51.100.7"))
	if got := of(fs, finding.Fail); !slices.Contains(got, "smtp.outbound-blocked") || slices.Contains(got, "smtp.no-server-answers") {
		t.Errorf("failed %v", got)
	}
	_ = w.SMTP("203.0.113.2:25", &wiretest.SMTP{})
	fs = run(t, env, target("198.51.100.7"))
	if got := of(fs, finding.Fail); slices.Contains(got, "smtp.outbound-blocked") || !slices.Contains(got, "smtp.no-server-answers") {
		t.Errorf("with one open: failed %v", got)
	}
}

func TestReplayJudgesTheSame(t *testing.T) {
	w, env := world(t)
	_ = w.SMTP("198.51.100.7:25", &wiretest.SMTP{Greeting: "220 nowhere.test ESMTP"})
	var buf bytes.Buffer
	rec := tape.NewRecorder(&buf, now, nil)
	again := func(tp *tape.Tape) string {
		e := *env
		e.Tape = tp
		e.SMTP = &wsmtp.Prober{Door: e.SMTPDoor()}
		e.DNS = dns.New(dns.Options{Servers: []string{"192.0.2.53"}, Dial: w, Now: env.Now, Timeout: time.Second, Tape: tp})
		raw, err := json.Marshal(says(run(t, &e, target("198.51.100.7", "198.51.100.8"))))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	live := again(rec)
	_ = rec.Close()
	play, err := tape.Open(&buf)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if replayed := again(play); replayed != live {
		t.Errorf("live   %s\nreplay %s", live, replayed)
	}
}

func says(fs []finding.Finding) (out []string) {
	for i := range fs {
		out = append(out, fs[i].Rule.ID+" "+fs[i].Says().String())
	}
	return out
}
