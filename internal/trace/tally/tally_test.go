package tally

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/dovecot"
	"github.com/mailwhy/mailwhy/internal/logs/postfix"
)

var dialects = []logs.Dialect{postfix.Dialect{}}

func scan(t *testing.T, opt Options, name string) (*Tally, logs.Counts) {
	t.Helper()
	in, err := logs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ta := New(opt)
	var c logs.Counts
	if err := ta.Scan(context.Background(), in, in.Reader(time.UTC, dialects), 0, &c); err != nil {
		t.Fatal(err)
	}
	return ta, c
}

func write(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mail.log")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const story = `Nov 22 01:00:01 mx postfix/submission/smtpd[1]: 4A1B2C3D4E: client=c.office.example[198.51.100.7], sasl_method=PLAIN, sasl_username=li@mine.example
Nov 22 01:00:01 mx postfix/cleanup[2]: 4A1B2C3D4E: message-id=<1@mine.example>
Nov 22 01:00:01 mx postfix/qmgr[3]: 4A1B2C3D4E: from=<li@mine.example>, size=1000, nrcpt=2 (queue active)
Nov 22 01:00:02 mx postfix/smtp[4]: 4A1B2C3D4E: to=<a@Partner.example>, relay=mx1.partner.example[192.0.2.1]:25, delay=1.5, delays=0.1/0/0.4/1, dsn=2.0.0, status=sent (250 ok)
Nov 22 01:00:02 mx postfix/smtp[4]: 4A1B2C3D4E: to=<b@partner.example>, relay=mx1.partner.example[192.0.2.1]:25, delay=1, delays=0.1/0/0.4/0.5, dsn=4.2.1, status=deferred (host mx1.partner.example[192.0.2.1] said: 450 4.2.1 <b@partner.example> busy (in reply to RCPT TO command))
Nov 22 02:00:02 mx postfix/qmgr[3]: 4A1B2C3D4E: from=<li@mine.example>, size=1000, nrcpt=2 (queue active)
Nov 22 02:00:03 mx postfix/smtp[4]: 4A1B2C3D4E: to=<b@partner.example>, relay=mx1.partner.example[192.0.2.1]:25, delay=3602, delays=3600/0/1/1, dsn=5.1.1, status=bounced (host mx1.partner.example[192.0.2.1] said: 550 5.1.1 <b@partner.example> unknown (in reply to RCPT TO command))
Nov 22 02:00:03 mx postfix/qmgr[3]: 4A1B2C3D4E: removed
Nov 22 02:10:00 mx postfix/smtpd[9]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <x@other.example>: Relay access denied; from=<s@spam.example> to=<x@other.example> proto=ESMTP helo=<h>
Nov 22 02:10:01 mx postfix/smtpd[9]: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=li
Nov 22 02:11:00 mx sshd[1]: not mail`

func TestStory(t *testing.T) {
	ta, counts := scan(t, Options{}, write(t, story))
	s := ta.Stats(0)
	want := Totals{Received: 1, Delivered: 1, Deferred: 1, Deferrals: 1, Bounced: 1, Rejected: 1, BytesReceived: 1000, BytesDelivered: 1000,
		LoginsOK: 1, LoginsFailed: 1, Senders: 1, SenderDomains: 1, Recipients: 1, RecipientDoms: 1}
	if s.Totals != want {
		t.Errorf("totals\n got %+v\nwant %+v", s.Totals, want)
	}
	if counts.Foreign != 1 || counts.Unparsed != 0 {
		t.Errorf("lines %+v", counts)
	}
	if len(s.Hours) != 2 || s.Hours[0].InQueue != 1 || s.Hours[1].InQueue != 0 {
		t.Errorf("hours %+v", s.Hours)
	}
	dom := s.RecipientDomains.Rows[0]
	if dom.Key != "partner.example" || dom.Val.Messages != 1 || dom.Val.Deferrals != 1 || dom.Val.Bounces != 1 {
		t.Errorf("domain %+v", dom)
	}
	if len(s.Reasons) != 3 {
		t.Errorf("reasons %+v", s.Reasons)
	}
	if a := s.Accounts.Rows[1]; a.Key != "li@mine.example" || a.Val.Messages != 1 || len(a.Val.Networks) != 1 {
		t.Errorf("account %+v", a)
	}
	if n := ta.msgs.len(); n != 0 {
		t.Errorf("%d messages are kept after they left the queue", n)
	}
}

func TestReasonHasStage(t *testing.T) {
	ta, _ := scan(t, Options{}, write(t, strings.Split(story, "\n")...))
	for _, r := range ta.Stats(0).Reasons {
		if want := "RCPT TO"; (r.Kind == "bounced" || r.Kind == "deferred") && r.Stage != want {
			t.Errorf("%s: stage %q, want %q", r.Example, r.Stage, want)
		}
	}
}

func TestSinceUntil(t *testing.T) {
	name := write(t, story)
	ta, _ := scan(t, Options{Since: time.Date(time.Now().Year(), 11, 22, 0, 0, 0, 0, time.UTC).AddDate(-5, 0, 0), Until: time.Unix(0, 0)}, name)
	if s := ta.Stats(0); s.Totals.Received != 0 {
		t.Errorf("events out of the span are counted: %+v", s.Totals)
	}
}

// Beyond its limit a table forgets the light keys, keeps the heavy ones and estimates how many there were.
func TestTableIsBounded(t *testing.T) {
	ta := New(Options{Keys: 1000})
	for i := range 50_000 {
		key := fmt.Appendf(nil, "u%d@d.example", i)
		ta.rcpts.at(ta.hash(key), key).Messages++
		heavy := []byte("heavy@d.example")
		ta.rcpts.at(ta.hash(heavy), heavy).Messages++
	}
	tab := head(ta.rcpts, 10)
	if len(ta.rcpts.ents) > 1000 || tab.Cut == 0 || tab.Exact {
		t.Errorf("%d entries, cut %d, exact %v", len(ta.rcpts.ents), tab.Cut, tab.Exact)
	}
	if tab.Rows[0].Key != "heavy@d.example" || tab.Rows[0].Val.Messages != 50_000 {
		t.Errorf("heaviest %+v", tab.Rows[0])
	}
	again := New(Options{Keys: 1000})
	for i := range 50_000 {
		key := fmt.Appendf(nil, "u%d@d.example", i)
		again.rcpts.at(again.hash(key), key)
	}
	heavy := []byte("heavy@d.example")
	again.rcpts.at(again.hash(heavy), heavy)
	if n, _ := again.rcpts.distinct(); n != tab.Distinct {
		t.Errorf("the same keys are estimated as %d and as %d", n, tab.Distinct)
	}
	if tab.Distinct < 48_500 || tab.Distinct > 51_500 {
		t.Errorf("50,001 keys are estimated as %d", tab.Distinct)
	}
}

// TestSilentMessagesAreLetGo: what left without a line is not remembered for ever, what is tried again is.
func TestSilentMessagesAreLetGo(t *testing.T) {
	day := int64(24 * time.Hour)
	var m messages
	m.clock(20_000 * day)
	m.put(1, message{size: 1})
	m.put(2, message{size: 2})
	for d := int64(20_001); d < 20_010; d++ {
		m.clock(d * day)
		if m.get(2).size != 2 {
			t.Fatalf("a message told of every day is forgotten on day %d", d)
		}
	}
	if m.len() != 1 || m.get(1).size != 0 {
		t.Errorf("%d messages, the silent one of size %d", m.len(), m.get(1).size)
	}
	m.clock(10_000 * day) // a clock that is set back
	m.clock(20_010 * day)
	if m.get(2).size != 2 {
		t.Error("a clock that was set back makes messages forgotten")
	}
	if m.remove(2); m.len() != 0 {
		t.Error("a message that left is kept")
	}
}

func TestNormalise(t *testing.T) {
	same := [][2]string{
		{"host a.b.example[192.0.2.1] said: 550 5.1.1 <x@y.example>: unknown (in reply to RCPT TO command)", "host c.d.example[192.0.2.9] said: 550 5.1.1 <z@q.example>: unknown (in reply to DATA)"},
		{"connect to mx1.a.example[192.0.2.1]:25: Connection refused", "connect to mx.b.example[198.51.100.77]:25: Connection refused"},
	}
	for _, p := range same {
		if a, b := normalise(nil, "x", []byte(p[0])), normalise(nil, "x", []byte(p[1])); string(a) != string(b) {
			t.Errorf("%q and %q differ", a, b)
		}
	}
	if a, b := normalise(nil, "x", []byte("550 5.1.1 unknown")), normalise(nil, "x", []byte("550 5.7.1 refused")); string(a) == string(b) {
		t.Errorf("different reasons fall together: %q", a)
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add([]byte("host x[1.2.3.4] said: 550 <a@b> no (in reply to x)"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := normalise(nil, "k", b); len(n) > 3+300+len(b) {
			t.Errorf("%d bytes", len(n))
		}
	})
}

// Equal to pflogsumm on real logs, where both define a number the same (docs/logs.md).
func TestEqualToPflogsumm(t *testing.T) {
	prog, err := exec.LookPath("pflogsumm")
	if err != nil {
		t.Skip("pflogsumm is not installed")
	}
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	for _, gz := range []string{"postfix-dovecot.syslog.log.gz", "postfix-dovecot.rfc3339.log.gz"} {
		packed := filepath.Join(dir, "logs", gz)
		if _, err := os.Stat(packed); err != nil {
			t.Skipf("no real logs: looked for %s", packed)
		}
		plain := filepath.Join(t.TempDir(), "mail.log")
		if out, err := exec.Command("sh", "-c", "zcat \"$1\" > \"$2\"", "sh", packed, plain).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		out, err := exec.Command(prog, plain).Output()
		if err != nil {
			t.Fatal(err)
		}
		ta, _ := scan(t, Options{}, packed)
		s := ta.Stats(0).Totals
		for what, have := range map[string]int64{
			"received": s.Received, "delivered": s.Delivered, "forwarded": s.Forwarded, "deferred": s.Deferred, "bounced": s.Bounced,
			"rejected": s.Rejected, "reject warnings": s.RejectWarnings, "held": s.Held, "discarded": s.Discarded, "senders": s.Senders,
			"sending hosts/domains": s.SenderDomains, "recipients": s.Recipients, "recipient hosts/domains": s.RecipientDoms,
		} {
			m := regexp.MustCompile(`(?m)^\s*(\d+)\s+` + what + `\b`).FindSubmatch(out)
			if m == nil || string(m[1]) != fmt.Sprint(have) {
				t.Errorf("%s: %s: pflogsumm says %s, we say %d", gz, what, m, have)
			}
		}
		if m := regexp.MustCompile(`(\d+)k\s+bytes received`).FindSubmatch(out); m == nil || string(m[1]) != fmt.Sprint(s.BytesReceived/1024) {
			t.Errorf("%s: bytes received: pflogsumm says %s, we say %d", gz, m, s.BytesReceived)
		}
	}
}

func BenchmarkPart(b *testing.B) {
	ta := New(Options{})
	p := ta.Part()
	r := logs.NewReader(logs.Clock{Local: time.UTC, Latest: time.Now()}, dialects)
	block := []byte(story + "\n")
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		p.Reset()
		r.Block(block, 0, 0, p)
	}
}

var _ event.Sink = (*Part)(nil)

// A failed login that the password daemon and the program that was logged in to both tell is one.
func TestFailedLoginsOnce(t *testing.T) {
	lines := []string{
		"Nov 22 02:10:00 mx dovecot: auth: sql(li,203.0.113.9,<abc>): Password mismatch",
		"Nov 22 02:10:02 mx dovecot: auth: sql(li,203.0.113.9,<abc>): Password mismatch",
		"Nov 22 02:10:03 mx dovecot: auth: sql(li,203.0.113.9,<abc>): Password mismatch",
		"Nov 22 02:10:09 mx dovecot: imap-login: Disconnected (auth failed, 3 attempts in 9 secs): user=<li>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, TLS, session=<abc>",
		"Nov 22 02:11:00 mx dovecot: auth: sql(wang,203.0.113.10): unknown user",
		"Nov 22 02:11:01 mx postfix/smtpd[9]: warning: unknown[203.0.113.10]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
		"Nov 22 02:12:09 mx dovecot: imap-login: Disconnected (auth failed, 2 attempts in 9 secs): user=<zhao>, method=PLAIN, rip=203.0.113.11, lip=192.0.2.1, TLS, session=<abc>",
	}
	for _, c := range []struct {
		lines []string
		want  int64
	}{{lines[:4], 3}, {lines[3:4], 3}, {lines[:3], 3}, {lines[4:6], 1}, {lines[5:6], 1}, {lines, 6}} {
		in, err := logs.Open(write(t, c.lines...))
		if err != nil {
			t.Fatal(err)
		}
		ta := New(Options{})
		var counts logs.Counts
		if err := ta.Scan(t.Context(), in, in.Reader(time.UTC, []logs.Dialect{postfix.Dialect{}, dovecot.Dialect{}}), 0, &counts); err != nil {
			t.Fatal(err)
		}
		in.Close()
		if s := ta.Stats(0); s.Totals.LoginsFailed != c.want {
			t.Errorf("%d failed logins, want %d in\n%s", s.Totals.LoginsFailed, c.want, strings.Join(c.lines, "\n"))
		}
	}
}

// TestNoQueueIDs: software that names no queue id has senders and sizes, and nothing in a queue.
func TestNoQueueIDs(t *testing.T) {
	ta := New(Options{})
	p := ta.Part()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixNano()
	for i, from := range []string{"a@b.example", "c@d.example"} {
		e := event.Event{Kind: event.Received, From: []byte(from), Size: 500, ClientIP: []byte("192.0.2.12")}
		e.At, e.TimeSet = at+int64(i), true
		p.Event(&e)
	}
	ta.Join(p)
	if got := ta.Stats(0).Totals; got.Received != 2 || got.BytesReceived != 1000 || got.Senders != 2 || got.InQueue != 0 {
		t.Errorf("%+v", got)
	}
}
