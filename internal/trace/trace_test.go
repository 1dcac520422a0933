package trace

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// world is a small set of logs: a message submitted on mx1, re-injected by a filter, refused by the partner and bounced
// to a mailbox; another one that goes on to mx2 and into a folder there; and strangers that share nothing with them but
// the id a server elsewhere gave.
var world = map[string][]string{
	"bounced": {
		"Nov 22 10:00:00 mx1 postfix/submission/smtpd[11]: A00000000001: client=pc.mine.example[192.0.2.5], sasl_method=PLAIN, sasl_username=li@mine.example",
		"Nov 22 10:00:00 mx1 postfix/cleanup[12]: A00000000001: message-id=<m1@mine.example>",
		"Nov 22 10:00:00 mx1 postfix/qmgr[13]: A00000000001: from=<li@mine.example>, size=1000, nrcpt=1 (queue active)",
		"Nov 22 10:00:01 mx1 postfix/smtpd[14]: A00000000002: client=localhost[127.0.0.1]",
		"Nov 22 10:00:01 mx1 postfix/cleanup[12]: A00000000002: message-id=<m1@mine.example>",
		"Nov 22 10:00:01 mx1 postfix/qmgr[13]: A00000000002: from=<li@mine.example>, size=1200, nrcpt=1 (queue active)",
		"Nov 22 10:00:01 mx1 postfix/smtp[15]: A00000000001: to=<wang@partner.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as A00000000002)",
		"Nov 22 10:00:01 mx1 postfix/qmgr[13]: A00000000001: removed",
		"Nov 22 10:00:02 mx1 postfix/smtp[16]: A00000000002: to=<wang@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.partner.example[198.51.100.9] said: 550 5.1.1 <wang@partner.example>: Recipient address rejected: User unknown (in reply to RCPT TO command))",
		"Nov 22 10:00:02 mx1 postfix/cleanup[12]: A00000000003: message-id=<20261122100002.A00000000003@mx1.mine.example>",
		"Nov 22 10:00:02 mx1 postfix/bounce[17]: A00000000002: sender non-delivery notification: A00000000003",
		"Nov 22 10:00:02 mx1 postfix/qmgr[13]: A00000000003: from=<>, size=3000, nrcpt=1 (queue active)",
		"Nov 22 10:00:02 mx1 postfix/qmgr[13]: A00000000002: removed",
		"Nov 22 10:00:03 mx1 postfix/lmtp[18]: A00000000003: to=<li@mine.example>, relay=mx1[private/dovecot-lmtp], delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <li@mine.example> SESSIONABCDEF12 Saved)",
		"Nov 22 10:00:03 mx1 dovecot: lmtp(li@mine.example)<19><SESSIONABCDEF12>: sieve: msgid=<20261122100002.A00000000003@mx1.mine.example>: stored mail into mailbox 'INBOX'",
		"Nov 22 10:00:03 mx1 postfix/qmgr[13]: A00000000003: removed",
	},
	"passed on": {
		"Nov 22 10:01:00 mx1 postfix/smtpd[21]: B00000000001: client=out.sender.example[203.0.113.4]",
		"Nov 22 10:01:00 mx1 postfix/cleanup[22]: B00000000001: message-id=<m2@sender.example>",
		"Nov 22 10:01:00 mx1 postfix/qmgr[13]: B00000000001: from=<zhao@sender.example>, size=1000, nrcpt=1 (queue active)",
		"Nov 22 10:01:01 mx1 postfix/smtp[23]: B00000000001: to=<chen@mine.example>, relay=mx2.mine.example[192.0.2.7]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as C00000000001)",
		"Nov 22 10:01:01 mx1 postfix/qmgr[13]: B00000000001: removed",
		"Nov 22 10:01:01 mx2 postfix/smtpd[31]: C00000000001: client=mx1.mine.example[192.0.2.6]",
		"Nov 22 10:01:01 mx2 postfix/cleanup[32]: C00000000001: message-id=<rewritten@mx2.mine.example>",
		"Nov 22 10:01:01 mx2 postfix/qmgr[33]: C00000000001: from=<zhao@sender.example>, size=1100, nrcpt=1 (queue active)",
		"Nov 22 10:01:02 mx2 postfix/lmtp[34]: C00000000001: to=<chen@mine.example>, relay=mx2[private/dovecot-lmtp], delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <chen@mine.example> SESSIONABCDEF34 Saved)",
		"Nov 22 10:01:02 mx2 dovecot: lmtp(chen@mine.example)<35><SESSIONABCDEF34>: sieve: msgid=<rewritten@mx2.mine.example>: stored mail into mailbox 'Work'",
		"Nov 22 10:01:02 mx2 postfix/qmgr[33]: C00000000001: removed",
	},
	"stranger": {
		"Nov 22 10:02:00 mx1 postfix/cleanup[22]: D00000000001: message-id=<m3@other.example>",
		"Nov 22 10:02:00 mx1 postfix/smtp[23]: D00000000001: to=<sun@far.example>, relay=mx.far.example[198.51.100.77]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 77777777)",
	},
	"other stranger": {
		"Nov 22 10:02:00 mx1 postfix/cleanup[22]: E00000000001: message-id=<m4@other.example>",
		"Nov 22 10:02:00 mx1 postfix/smtp[23]: E00000000001: to=<qian@far.example>, relay=mx.far.example[198.51.100.77]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 77777777)",
		"Nov 22 10:02:01 mx1 sshd[99]: Accepted publickey for li from 192.0.2.5",
	},
}

// scatter writes all lines of the world into n files, shuffled.
func scatter(t *testing.T, rnd *rand.Rand, n int) (names []string) {
	t.Helper()
	var keys []string
	for k := range world {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	files := make([]bytes.Buffer, n)
	var all []string
	for _, k := range keys {
		all = append(all, world[k]...)
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, l := range all {
		fmt.Fprintln(&files[rnd.IntN(n)], l)
	}
	dir := t.TempDir()
	for i := range files {
		if files[i].Len() == 0 {
			continue
		}
		name, text := filepath.Join(dir, fmt.Sprint("f", i)), files[i].Bytes()
		if i%2 == 1 { // every other one packed
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			w.Write(text)
			w.Close()
			name, text = name+".gz", z.Bytes()
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// open opens the files anew: a packed one can be read once.
func open(t *testing.T, names []string) (out []*logs.Input) {
	t.Helper()
	for _, name := range names {
		in, err := logs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close() })
		out = append(out, in)
	}
	return out
}

func look(t testing.TB, inputs []*logs.Input, what string, workers int) *Found {
	t.Helper()
	q, err := ParseQuery(what)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Scan(context.Background(), inputs, q, Options{Dialects: dialects.All(), Workers: workers, MemSpill: 512})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	for _, e := range f.Errors {
		t.Error(e)
	}
	return f
}

// Whatever the files and their order, and wherever the search begins, the journey is the same and whole.
func TestClosureIsComplete(t *testing.T) {
	asks := map[string][]string{
		"bounced": {"m1@mine.example", "A00000000001", "A00000000002", "A00000000003", "wang@partner.example", "*@partner.example", "192.0.2.5", "198.51.100.0/24", "mx.partner.example",
			"20261122100002.A00000000003@mx1.mine.example", "SESSIONABCDEF12", "from:li@mine.example", "WANG@Partner.Example"},
		"passed on": {"m2@sender.example", "B00000000001", "C00000000001", "rewritten@mx2.mine.example", "zhao@sender.example", "to:chen@mine.example", "203.0.113.4", "SESSIONABCDEF34", "*@sender.example"},
		"stranger":  {"m3@other.example", "sun@far.example"},
	}
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		files := scatter(t, rnd, 1+int(seed)%5)
		for want, whats := range asks {
			what := whats[rnd.IntN(len(whats))]
			if what == "198.51.100.0/24" && want == "bounced" {
				what = "198.51.100.9"
			}
			f := look(t, open(t, files), what, 1+int(seed)%3)
			var lines []string
			for _, l := range f.RawLines(context.Background()) {
				lines = append(lines, string(l))
			}
			slices.Sort(lines)
			expect := slices.Sorted(slices.Values(world[want]))
			if !slices.Equal(lines, expect) {
				t.Fatalf("seed %d, %s from %q: %d lines, want %d\nmissing %v\nextra %v", seed, want, what, len(lines), len(expect), minus(expect, lines), minus(lines, expect))
			}
			n := 0
			for j := range f.Journeys(context.Background()) {
				n++
				if want == "bounced" && (j.State != BouncedSt || len(j.Notices) != 1 || j.Direction != "out") {
					t.Errorf("%q: state %s, notices %v, direction %q", what, j.State, j.Notices, j.Direction)
				}
				if want == "passed on" && (j.State != Delivered || len(j.Recipients) != 1 || j.Recipients[0].Folder != "Work" || j.Direction != "in") {
					t.Errorf("%q: state %s, recipients %+v", what, j.State, j.Recipients)
				}
			}
			if n != 1 {
				t.Errorf("%q: %d journeys", what, n)
			}
		}
	}
}

func minus(a, b []string) (out []string) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// Two messages that a server elsewhere queued under one id stay two.
func TestForeignIDsDoNotJoin(t *testing.T) {
	files := scatter(t, rand.New(rand.NewPCG(1, 1)), 2)
	f := look(t, open(t, files), "*@far.example", 2)
	n := 0
	for j := range f.Journeys(context.Background()) {
		n++
		if len(j.Steps) != 2 {
			t.Errorf("journey %v has %d steps", j.QueueIDs, len(j.Steps))
		}
	}
	if n != 2 {
		t.Errorf("%d journeys, want 2", n)
	}
}

// A queue id that is used again later is another message.
func TestQueueIDReuse(t *testing.T) {
	line := func(at, rest string) string { return "Nov 22 " + at + " mx1 postfix/" + rest + "\n" }
	text := line("10:00:00", "cleanup[1]: ABCDEF12: message-id=<first@a.example>") + line("10:00:01", "local[1]: ABCDEF12: to=<li@mine.example>, relay=local, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to mailbox)") +
		line("10:00:02", "qmgr[1]: ABCDEF12: removed") + line("12:00:00", "cleanup[1]: ABCDEF12: message-id=<second@a.example>") +
		line("12:00:01", "local[1]: ABCDEF12: to=<wang@mine.example>, relay=local, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to mailbox)")
	in, err := logs.FromReader("x", strings.NewReader(text), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	f := look(t, []*logs.Input{in}, "first@a.example", 1)
	for j := range f.Journeys(context.Background()) {
		if len(j.Steps) != 3 || len(j.MessageIDs) != 1 {
			t.Errorf("%d steps, message-ids %v", len(j.Steps), j.MessageIDs)
		}
	}
}

func TestRedaction(t *testing.T) {
	r := &Redactor{Key: []byte("k")}
	a := string(r.Line([]byte("x: to=<li@mine.example>, sasl_username=li@mine.example, message-id=<z@mine.example>"), nil))
	if strings.Contains(a, "mine.example") || strings.Contains(a, "<li@") || !strings.Contains(a, "sasl_username=u") {
		t.Error(a)
	}
	if i, j := strings.Index(a, "<u"), strings.Index(a, "=u"); a[i+1:i+15] != a[j+1:j+15] {
		t.Errorf("one address, two pseudonyms: %s", a)
	}
	line := `Nov 22 01:45:23 mx.mine.example postfix/cleanup[7]: 4ABCDEF123: warning: header Subject: Offer 7 from h.b.example[192.0.2.7]:4711; from=<a@b.example> helo=<[IPv6:2001:db8:7::9]>`
	a = string(r.Line([]byte(line), []byte("Offer 7")))
	for _, secret := range []string{"mine.example", "b.example", "192.0.2", "db8:7", "Offer"} {
		if strings.Contains(a, secret) {
			t.Errorf("%s in %s", secret, a)
		}
	}
	for _, kept := range []string{"Nov 22 01:45:23 h", " postfix/cleanup[7]: 4ABCDEF123: warning: header Subject: subject-", "]:4711; from=<u", "helo=<[IPv6:2001:db8:"} {
		if !strings.Contains(a, kept) {
			t.Errorf("no %s in %s", kept, a)
		}
	}
	if x, y := r.Text("192.0.2.7"), r.Text("192.0.2.8"); x == y || x[:strings.LastIndex(x, ".")] != y[:strings.LastIndex(y, ".")] {
		t.Errorf("neighbours became %s and %s", x, y)
	}
	if d := r.Text("li@mine.example"); !strings.HasSuffix(r.Text("mx.mine.example"), d[strings.Index(d, "@")+1:]) {
		t.Error("a host lost its domain")
	}
	if same := "2026-11-22T01:45:23.000Z delay=0.31/0/0/5.3 dsn=5.1.1 127.0.0.1 ::1 status=sent (250 2.0.0 Ok)"; r.Text(same) != same {
		t.Error(r.Text(same))
	}
}

// mailboxLines are lines of Dovecot's deliveries in forms that are read in place, and in some that only look like them.
var mailboxLines = []string{
	"Nov 22 10:24:27 vm dovecot: lmtp(li@mine.example)<14692><gIL5IU5LAmtkOQAAg+zDdQ>: msgid=<m1@mine.example>: saved mail to INBOX",
	"Nov 22 10:24:27 vm dovecot: lmtp(li@mine.example)<14692><gIL5IU5LAmtkOQAAg+zDdQ:T2>: sieve: msgid=<m1@mine.example>: stored mail into mailbox 'Work'",
	"2026-11-22T10:24:27.123456+08:00 vm dovecot: lmtp(li)<14692><gIL5IU5LAmtkOQAAg+zDdQ:R2>: msgid=<\"a b\"@mine.example>: saved mail to INBOX",
	"Nov 22 10:24:27 vm dovecot: lmtp(li)<14692><gIL5IU5LAmtkOQAAg+zDdQ>: sieve: msgid=<>: forwarded to <wang@partner.example>",
	"Nov 22 10:24:27 vm dovecot: lmtp(li)<14692><gIL5IU5LAmtkOQAAg+zDdQ>: Error: msgid=<m1@mine.example>: save failed to INBOX: no room",
	"Nov 22 10:24:27 vm dovecot: lmtp(li(x)<y>)<14692><gIL5IU5LAmtkOQAAg+zDdQ>: msgid=<m1@mine.example>: saved mail to INBOX",
	"Nov 22 10:24:27 vm dovecot: lmtp(14692): Connect from local",
	"Nov 22 10:24:27 vm dovecot: lmtp(14692): gIL5IU5LAmtkOQAAg+zDdQ: sieve: msgid=<m1@mine.example>: stored mail into mailbox 'INBOX'",
	"Nov 22 10:24:27 dovecot: lmtp(li)<14692><gIL5IU5LAmtkOQAAg+zDdQ>: msgid=<m1@mine.example>: saved mail to INBOX",
	"2026-11-22 10:24:27 lmtp(li)<14692><gIL5IU5LAmtkOQAAg+zDdQ>: Info: msgid=<m1@mine.example>: saved mail to INBOX",
	"Nov 22 10:24:27 vm rspamd: dovecot: lmtp(14692): Connect from <m1@mine.example>",
}

// probe never says no to a line of which a dialect gives the id.
func TestProbeAgreesWithParsers(t *testing.T) {
	check := func(line []byte, r *logs.Reader) {
		r.Line(line, 0, 0, event.SinkFunc(func(e *event.Event) {
			ids := [][]byte{e.QueueID, e.MessageID, e.Ref}
			if e.QueueID == nil && len(e.MessageID) <= 4 {
				ids = append(ids, base(e.Session))
			}
			for _, id := range ids {
				if len(id) < 5 {
					continue
				}
				s := idTable{room: &room{left: 1 << 20}}
				s.add(hash(id), 0)
				if !s.probe(line) {
					t.Errorf("probe misses %s in %s", id, line)
				}
				if !printed(id, line) {
					t.Errorf("the fingerprints miss %s in %s", id, line)
				}
			}
		}))
	}
	r := logs.NewReader(logs.Clock{}, dialects.All())
	for _, l := range mailboxLines {
		check([]byte(l), r)
	}
	for _, lines := range world {
		for _, l := range lines {
			check([]byte(l), r)
		}
	}
	for _, name := range realLogs(t) {
		in, err := logs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		in.Each(func(b []byte, _ int64) error {
			for line := range bytes.Lines(b) {
				if n++; n%7 == 0 && !t.Failed() {
					check(bytes.TrimSuffix(line, []byte("\n")), r)
				}
			}
			return nil
		})
		in.Close()
	}
}

func realLogs(t testing.TB) []string {
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "logs", "*.gz"))
	if len(files) == 0 {
		t.Skipf("no logs under %s/logs: set MAILWHY_DATA", dir)
	}
	return files
}

// On logs of real servers, every queue id with a delivery is in a journey that knows its sender, and every id a server
// of these logs gave is in the journey of the message it was given to.
func TestRealLogsAreLinked(t *testing.T) {
	for _, name := range realLogs(t) {
		in, err := logs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		delivered := map[string]bool{}
		first := map[string]bool{} // ids in front of a line
		next := map[string]string{}
		r := in.Reader(time.UTC, dialects.All())
		in.Each(func(b []byte, base int64) error {
			r.Block(b, 0, base, event.SinkFunc(func(e *event.Event) {
				if e.QueueID == nil {
					return
				}
				first[string(e.QueueID)] = true
				if e.Kind == event.Delivery {
					delivered[string(e.QueueID)] = true
				}
				if e.Ref != nil {
					next[string(e.QueueID)+" "+string(e.Ref)] = string(e.Ref)
				}
			}))
			return nil
		})
		in.Close()
		if in, err = logs.Open(name); err != nil {
			t.Fatal(err)
		}
		f := look(t, []*logs.Input{in}, "*.example", 2)
		journey := map[string]*Journey{}
		n := 0
		for j := range f.Journeys(context.Background()) {
			n++
			j.Steps = nil
			for _, q := range j.QueueIDs {
				journey[q] = j
			}
		}
		lost, blind, torn := 0, 0, 0
		for q := range delivered {
			if journey[q] == nil {
				lost++
			} else if journey[q].From == nil {
				blind++
			}
		}
		for pair, to := range next {
			from, _, _ := strings.Cut(pair, " ")
			if first[to] && journey[from] != journey[to] {
				torn++
			}
		}
		in.Close()
		t.Logf("%s: %d queue ids with a delivery in %d journeys, %d passes", filepath.Base(name), len(delivered), n, f.Passes)
		if lost+blind+torn > 0 {
			t.Errorf("%s: %d queue ids with a delivery in no journey, %d without a sender, %d links torn", filepath.Base(name), lost, blind, torn)
		}
	}
}
