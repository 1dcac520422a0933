package server_test

import (
	"context"
	ctls "crypto/tls"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

const addr = "198.51.100.7"

// bed is a fake server at one address with a certificate for it.
type bed struct {
	w   *wiretest.World
	ca  *wiretest.CA
	env *check.Env
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{w: wiretest.NewWorld()}
	t.Cleanup(func() { _ = b.w.Close() })
	var err error
	if b.ca, err = wiretest.NewCA("Test Root", now); err != nil {
		t.Fatal(err)
	}
	b.env = &check.Env{Dial: b.w, Now: func() time.Time { return now }, Know: knowledge.Embedded(), Roots: b.ca.Pool(),
		Probe: check.Probe{HELO: "probe.test", Timeout: time.Minute}}
	return b
}

func (b *bed) config(t *testing.T, l wiretest.Leaf) *ctls.Config {
	t.Helper()
	if l.Names == nil {
		l.Names = []string{addr}
	}
	c, err := b.ca.Issue(l, now)
	if err != nil {
		t.Fatal(err)
	}
	return wiretest.Config(c)
}

func (b *bed) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// imap answers like a server whose account is li; reply is what it says to the login, "" lets in.
func imap(clear bool, reply string) func(string, bool) string {
	return func(line string, secure bool) string {
		tag, rest, _ := strings.Cut(line, " ")
		switch verb, _, _ := strings.Cut(strings.ToUpper(rest), " "); verb {
		case "CAPABILITY":
			caps := "IMAP4rev1 STARTTLS LOGINDISABLED"
			if secure || clear {
				caps = "IMAP4rev1 SASL-IR QUOTA AUTH=PLAIN"
			}
			return "* CAPABILITY " + caps + "\n" + tag + " OK"
		case "STARTTLS":
			return "TLS:" + tag + " OK go"
		case "AUTHENTICATE":
			if reply == "close" {
				return "close"
			}
			if reply != "" {
				return tag + " " + reply
			}
			return tag + " OK in"
		case "LIST":
			return "* LIST (\\Junk) \"/\" Spam\n" + tag + " OK"
		case "GETQUOTAROOT":
			return "* QUOTA \"\" (STORAGE 1024 1024)\n" + tag + " OK"
		case "EXAMINE":
			return "* 0 EXISTS\n" + tag + " OK"
		}
		return tag + " OK"
	}
}

func pop3(line string, _ bool) string {
	switch line {
	case "CAPA":
		return "+OK\nSTLS\n."
	case "STLS":
		return "TLS:+OK"
	}
	return "+OK"
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

// closed is a server that takes no foreign recipients.
var closed = map[string]string{"RCPT": "554 5.7.1 Relay access denied"}

func TestServer(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*testing.T, *bed)
		fail []string
		note string // of those that failed
	}{
		{name: "good", make: func(t *testing.T, b *bed) {
			cfg := b.config(t, wiretest.Leaf{})
			b.must(t, b.w.SMTP(addr+":25", &wiretest.SMTP{TLS: cfg, Replies: closed}))
			b.must(t, b.w.SMTP(addr+":465", &wiretest.SMTP{TLS: cfg, Implicit: true, Greeting: "220 mx.test ESMTP Exim 4.98"}))
			b.must(t, b.w.Lines(addr+":143", &wiretest.Lines{Greeting: "* OK Dovecot ready.", TLS: cfg, Answer: imap(false, "")}))
			b.must(t, b.w.Lines(addr+":993", &wiretest.Lines{Greeting: "* OK Dovecot ready.", TLS: cfg, Implicit: true, Answer: imap(false, "")}))
			b.must(t, b.w.Lines(addr+":110", &wiretest.Lines{Greeting: "+OK Dovecot ready.", TLS: cfg, Answer: pop3}))
		}, note: "server.version-told"},
		{name: "passwords in the clear", make: func(t *testing.T, b *bed) {
			b.must(t, b.w.Lines(addr+":143", &wiretest.Lines{Greeting: "* OK ready", Answer: imap(true, "")}))
		}, fail: []string{"server.login-in-clear", "server.no-tls"}, note: "server.no-implicit-tls"},
		{name: "expired on one port", make: func(t *testing.T, b *bed) {
			b.must(t, b.w.SMTP(addr+":25", &wiretest.SMTP{TLS: b.config(t, wiretest.Leaf{}), Replies: closed}))
			b.must(t, b.w.Lines(addr+":993", &wiretest.Lines{Greeting: "* OK ready", TLS: b.config(t, wiretest.Leaf{NotAfter: now.AddDate(0, 0, -3)}), Implicit: true, Answer: imap(false, "")}))
		}, fail: []string{"tls.expired"}, note: "server.certificates-differ"},
		{name: "all closed", make: func(*testing.T, *bed) {}, fail: []string{"server.no-port"}},
		{name: "another protocol", make: func(t *testing.T, b *bed) {
			b.must(t, b.w.SMTP(addr+":143", &wiretest.SMTP{}))
		}, fail: []string{"server.other-protocol"}},
		{name: "turned away", make: func(t *testing.T, b *bed) {
			b.must(t, b.w.SMTP(addr+":25", &wiretest.SMTP{Greeting: "554 5.7.1 no service for you"}))
		}, fail: []string{"server.turned-away"}},
		{name: "greylisted is no fault", make: func(t *testing.T, b *bed) {
			b.must(t, b.w.SMTP(addr+":25", &wiretest.SMTP{Greeting: "421 4.3.2 come again"}))
		}},
		{name: "open relay", make: func(t *testing.T, b *bed) {
			b.must(t, b.w.SMTP(addr+":25", &wiretest.SMTP{TLS: b.config(t, wiretest.Leaf{})}))
		}, fail: []string{"server.open-relay"}},
		{name: "mute", make: func(t *testing.T, b *bed) {
			b.env.Probe.Timeout = 2 * time.Second
			b.must(t, b.w.Lines(addr+":143", &wiretest.Lines{}))
		}, fail: []string{"server.mute"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			c.make(t, b)
			r, err := server.Report(context.Background(), b.env, addr, server.Options{Abuse: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := failed(r.Findings); !slices.Equal(got, c.fail) {
				t.Errorf("failed %v, want %v", got, c.fail)
			}
			if c.note != "" && !slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Rule.ID == c.note && f.Outcome == finding.Fail }) {
				t.Errorf("no %s", c.note)
			}
			if _, err := json.Marshal(r.Facts); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	for _, c := range []struct {
		name, reply string // of the IMAP server to the login
		leaf        wiretest.Leaf
		clear       bool
		method      string
		fail        []string
	}{
		{name: "in, and full", fail: []string{"login.quota-full"}},
		{name: "wrong password", reply: "NO [AUTHENTICATIONFAILED] Authentication failed.", fail: []string{"login.wrong-password"}},
		{name: "locked", reply: "NO [AUTHENTICATIONFAILED] Account is locked", fail: []string{"login.locked"}},
		{name: "server fault", reply: "NO [UNAVAILABLE] Temporary authentication failure.", fail: []string{"login.server-fault"}},
		{name: "too many", reply: "NO [LIMIT] Maximum number of connections exceeded", fail: []string{"login.too-many"}},
		{name: "app password", reply: "NO [ALERT] Application-specific password required", fail: []string{"login.app-password"}},
		{name: "blocked", reply: "NO Your IP is blocked", fail: []string{"login.address-blocked"}},
		{name: "method", reply: "NO Unsupported authentication mechanism.", fail: []string{"login.wrong-method"}},
		{name: "not known", reply: "NO Mondphase", fail: []string{"login.refused"}},
		{name: "hangs up", reply: "close", fail: []string{"login.broken-off"}},
		{name: "no TLS", clear: true, fail: []string{"login.not-encrypted"}},
		{name: "expired", leaf: wiretest.Leaf{NotAfter: now.AddDate(0, 0, -1)}, fail: []string{"login.certificate", "tls.expired"}},
		{name: "another name", leaf: wiretest.Leaf{Names: []string{"www.test"}}, fail: []string{"login.certificate", "tls.wrong-name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			if c.leaf.Names == nil {
				c.leaf.Names = []string{"localhost"}
			}
			l := &wiretest.Lines{Greeting: "* OK ready", TLS: b.config(t, c.leaf), Answer: imap(c.clear, c.reply)}
			b.must(t, b.w.Lines("127.0.0.1:143", l))
			r, err := server.Login(context.Background(), b.env, server.LoginOptions{Address: "li@mine.example", Server: "localhost", Protocols: []string{"imap"}, Secret: "geheim", Mechanism: c.method})
			if err != nil {
				t.Fatal(err)
			}
			if got := failed(r.Findings); !slices.Equal(got, c.fail) {
				t.Errorf("failed %v, want %v", got, c.fail)
			}
			raw, err := json.Marshal(r)
			if err != nil || strings.Contains(string(raw), "geheim") {
				t.Errorf("the password stands in the report (%v)", err)
			}
			if c.clear || c.leaf.NotAfter != (time.Time{}) || c.leaf.Names[0] == "www.test" {
				if slices.ContainsFunc(l.Heard(), func(h string) bool { return strings.Contains(h, "AUTHENTICATE") }) {
					t.Errorf("the password was sent: %q", l.Heard())
				}
			}
		})
	}
}

// TestOneWrongTryOnly holds that a refused password is not tried on other protocols.
func TestOneWrongTryOnly(t *testing.T) {
	b := newBed(t)
	cfg := b.config(t, wiretest.Leaf{Names: []string{"localhost"}})
	b.must(t, b.w.Lines("127.0.0.1:143", &wiretest.Lines{Greeting: "* OK ready", TLS: cfg, Answer: imap(false, "NO [AUTHENTICATIONFAILED] no")}))
	b.must(t, b.w.Lines("127.0.0.1:110", &wiretest.Lines{Greeting: "+OK ready", TLS: cfg, Answer: pop3}))
	r, err := server.Login(context.Background(), b.env, server.LoginOptions{Address: "li@mine.example", Server: "localhost", Secret: "geheim"})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.w.Dials("tcp", "127.0.0.1:110"); n != 0 || r.Facts.(*server.LoginSurvey).Stopped != "login.wrong-password" {
		t.Errorf("%d connections to POP3 after a wrong password, stopped %q", n, r.Facts.(*server.LoginSurvey).Stopped)
	}
}
