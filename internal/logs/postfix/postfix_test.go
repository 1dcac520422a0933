package postfix

import (
	"bytes"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// read parses lines and gives a copy of every event as text-friendly struct.
func read(t testing.TB, lines ...string) []event.Event {
	t.Helper()
	var out []event.Event
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{Dialect{}})
	r.Unread = func(o *event.Origin) { t.Errorf("not understood: %s", o.Line) }
	for _, l := range lines {
		r.Line([]byte(l), 0, 0, event.SinkFunc(func(e *event.Event) { out = append(out, *e) }))
	}
	return out
}

func one(t *testing.T, program, msg string) event.Event {
	t.Helper()
	evs := read(t, "Nov 22 01:45:23 mx1 "+program+"[123]: "+msg)
	if len(evs) != 1 {
		t.Fatalf("%d events from %q", len(evs), msg)
	}
	return evs[0]
}

func eq(t *testing.T, what string, got, want any) {
	t.Helper()
	if b, ok := got.([]byte); ok {
		got = string(b)
	}
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestDelivery(t *testing.T) {
	e := one(t, "postfix/lmtp", "4jXBw64jhnz1SGM3: to=<wang@partner.example>, orig_to=<info@mine.example>, relay=mx1.mine.example[private/dovecot-lmtp], conn_use=3, delay=0.09, delays=0.08/0.01/0/2.5, dsn=2.0.0, status=sent (250 2.0.0 <wang@partner.example> WOdNLGZLAmt2fAAAg+zDdQ Saved)")
	eq(t, "kind", e.Kind, event.Delivery)
	eq(t, "status", e.Status, event.Sent)
	eq(t, "to", e.To, "wang@partner.example")
	eq(t, "orig", e.OrigTo, "info@mine.example")
	eq(t, "relay", e.Relay, "mx1.mine.example")
	eq(t, "socket", e.RelayIP, "private/dovecot-lmtp")
	eq(t, "reused", e.Retrans, true)
	eq(t, "delay", e.Delay, 90*time.Millisecond)
	eq(t, "d", e.Delays.Transfer, 2500*time.Millisecond)
	eq(t, "session", e.Session, "WOdNLGZLAmt2fAAAg+zDdQ")
	eq(t, "code", e.Code, int16(250))
	eq(t, "host", e.Host, "mx1")
	eq(t, "pid", e.PID, int32(123))
	eq(t, "time", e.Time().Format(time.RFC3339), "2026-11-22T01:45:23Z")
}

func TestDeferredNamesTheReply(t *testing.T) {
	e := one(t, "postfix/smtp", "3F742986768: to=<a@b.example>, relay=mx.b.example[192.0.2.28]:25, delay=0.02, delays=0/0/0.01/0, dsn=4.2.0, status=deferred (host mx.b.example[192.0.2.28] said: 450 4.2.0 <a@b.example>: Recipient address rejected: Greylisted (in reply to RCPT TO command))")
	eq(t, "status", e.Status, event.Deferred)
	eq(t, "code", e.Code, int16(450))
	eq(t, "stage", e.Stage, "RCPT TO")
	eq(t, "port", e.RelayPort, uint16(25))
}

// A sender or a recipient may put anything between quotes, and a header may hold any text.
func TestInjectionForgesNothing(t *testing.T) {
	e := one(t, "postfix/smtp", `3F742986768: to=<"x>, relay=evil[192.0.2.66]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok"@b.example>, relay=mx.b.example[192.0.2.28]:25, delay=2, delays=0/0/0/0, dsn=5.1.1, status=bounced (host mx.b.example[192.0.2.28] said: 550 5.1.1 no (in reply to RCPT TO command))`)
	eq(t, "status", e.Status, event.Bounced)
	eq(t, "relay", e.Relay, "mx.b.example")

	e = one(t, "postfix/cleanup", `3F742986768: warning: header Subject: x; from=<evil@x.example> to=<y@x.example> status=sent (250 2.0.0 Ok: queued as ABCDEF1) removed from mx.b.example[192.0.2.28]; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<h>`)
	eq(t, "kind", e.Kind, event.Subject)
	eq(t, "status", e.Status, event.NoStatus)
	eq(t, "from", e.From, "a@b.example")
	eq(t, "client", e.ClientIP, "192.0.2.28")

	e = one(t, "postfix/smtpd", `NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 504 5.5.2 <x>: y; from=<e@e> to=<e@e> proto=SMTP helo=<z>: Helo command rejected: need fully-qualified hostname; from=<a@b.example> to=<c@d.example> proto=SMTP helo=<x>: y; from=<e@e> to=<e@e> proto=SMTP helo=<z>`)
	eq(t, "kind", e.Kind, event.Reject)
	eq(t, "from", e.From, "a@b.example")
	eq(t, "to", e.To, "c@d.example")

	e = one(t, "postfix/smtpd", `NOQUEUE: reject: RCPT from b.example[192.0.2.1]: 452 4.1.1 <li@mine.example>: Recipient address rejected: undeliverable address: host mx[192.0.2.3] said: 550 5.1.1 no; from=<x@y.example> to=<z@y.example> (in reply to RCPT TO command); from=<a@b.example> to=<li@mine.example> proto=ESMTP helo=<x>`)
	eq(t, "from", e.From, "a@b.example")
	eq(t, "to", e.To, "li@mine.example")

	e = one(t, "postfix/cleanup", `3F742986768: message-id=<x@y> to=<z@y>, relay=r, status=sent (250 ok)`)
	eq(t, "kind", e.Kind, event.MessageID)
}

func TestLines(t *testing.T) {
	cases := []struct {
		program, msg string
		kind         event.Kind
		check        func(e event.Event) (any, any)
	}{
		{"postfix/qmgr", "4jXBw64jhnz1SGM3: from=<>, size=3141, nrcpt=1 (queue active)", event.Active, func(e event.Event) (any, any) { return e.From != nil && len(e.From) == 0 && e.Size == 3141, true }},
		{"postfix/qmgr", "4jXBw64jhnz1SGM3: removed", event.Removed, nil},
		{"postfix/qmgr", "4jXBw64jhnz1SGM3: from=<a@b.example>, status=expired, returned to sender", event.Delivery, func(e event.Event) (any, any) { return e.Status, event.Expired }},
		{"postfix/bounce", "98EE69867FB: sender non-delivery notification: 9BAC3986096", event.Notification, func(e event.Event) (any, any) { return string(e.Ref), "9BAC3986096" }},
		{"postfix/submission/smtpd", "4jXBw6546nz1SGM4: client=unknown[192.0.2.6], sasl_method=PLAIN, sasl_username=user28@corp.example", event.Received, func(e event.Event) (any, any) { return string(e.User), "user28@corp.example" }},
		{"postfix-out/smtpd", "warning: unknown[192.0.2.6]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=x@y.example", event.AuthFailed, func(e event.Event) (any, any) { return string(e.User) + " " + string(e.Method), "x@y.example LOGIN" }},
		{"postfix/smtpd", "Anonymous TLS connection established from a.example[192.0.2.6]: TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits) key-exchange X25519", event.TLS, func(e event.Event) (any, any) {
			return string(e.TLSVersion) + " " + string(e.Cipher), "TLSv1.3 TLS_AES_128_GCM_SHA256"
		}},
		{"postfix/smtpd", "lost connection after DATA (12 bytes) from a.example[192.0.2.6]", event.Lost, func(e event.Event) (any, any) { return string(e.Stage), "DATA" }},
		{"postfix/smtp", "Verified TLS connection reused to mx.a.example[192.0.2.6]:25: TLSv1.2 with cipher X (256/256 bits)", event.TLS, func(e event.Event) (any, any) { return string(e.Relay), "mx.a.example" }},
		{"postfix/smtp", "connect to mx.a.example[2001:db8::1]:25: Network is unreachable", event.ConnectError, func(e event.Event) (any, any) { return string(e.RelayIP), "2001:db8::1" }},
		{"postfix/postscreen", "PREGREET 14 after 0.15 from [192.0.2.9]:4711: EHLO x.example\\r\\n", event.Screen, func(e event.Event) (any, any) { return string(e.ClientIP), "192.0.2.9" }},
		{"postfix/postscreen", "NOQUEUE: reject: RCPT from [192.0.2.9]:4711: 550 5.7.1 Service unavailable; client [192.0.2.9] blocked using zen.example; from=<a@b.example>, to=<c@d.example>, proto=ESMTP, helo=<x.example>", event.Reject, func(e event.Event) (any, any) { return string(e.To), "c@d.example" }},
		{"postfix/pickup", "28EE69867FB: uid=1000 from=<li>", event.Received, func(e event.Event) (any, any) { return string(e.From), "li" }},
		{"postfix/cleanup", "28EE69867FB: milter-reject: END-OF-MESSAGE from a.example[192.0.2.6]: 5.7.1 Spam message rejected; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<x>", event.Reject, func(e event.Event) (any, any) { return string(e.DSN), "5.7.1" }},
		{"postfix/master", "warning: process /usr/lib/postfix/smtpd pid 99 killed by signal 9", event.Trouble, nil},
		{"postfix/smtpd", "fatal: open /etc/postfix/x: No such file or directory", event.Trouble, nil},
		{"postfix/anvil", "statistics: max connection rate 1/60s for (smtpd:192.0.2.6) at Oct 26 18:13:50", event.Stats, func(e event.Event) (any, any) { return string(e.ClientIP), "192.0.2.6" }},
		{"postfix/local", "28EE69867FB: to=<root@mine.example>, orig_to=<root>, relay=local, delay=0.01, delays=0.01/0/0/0, dsn=2.0.0, status=sent (forwarded as 9BAC3986096)", event.Delivery, func(e event.Event) (any, any) { return string(e.Ref), "9BAC3986096" }},
	}
	for _, c := range cases {
		e := one(t, c.program, c.msg)
		eq(t, c.msg, e.Kind, c.kind)
		if c.check != nil {
			got, want := c.check(e)
			eq(t, c.msg, got, want)
		}
	}
}

func TestQueueIDs(t *testing.T) {
	for in, want := range map[string]bool{"4jXBw64jhnz1SGM3": true, "3F8A12B4C5": true, "ABCDE": true, "4XyZ1a2b3cz1": true, "replaced00001": true,
		"warning": false, "statistics": false, "ABCD": false, "smtp2": false, "bcdfghjklmz": true, "authorization": false} {
		if got := isQueueID([]byte(in)); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	lines := [][]byte{
		[]byte("Nov 22 01:54:46 mx1 postfix/lmtp[8706]: 4jXBw64jhnz1SGM3: to=<user164@corp.example>, relay=mx1.corp.example[private/dovecot-lmtp], delay=0.09, delays=0.08/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 <user164@corp.example> WOdNLGZLAmt2fAAAg+zDdQ Saved)"),
		[]byte("Nov 22 01:54:46 mx1 postfix/qmgr[8674]: 4jXBw64kWPz1SGMN: removed"),
		[]byte("2026-11-22T01:45:23.146390+00:00 vm postfix/cleanup[1]: 4jXBw64kWPz1SGMN: message-id=<6b024a844.20846@corp.example>"),
		[]byte("Nov 22 01:54:46 mx1 postfix/qmgr[8674]: 4jXBw64kWPz1SGMN: from=<bounce+1325@sender3.example>, size=769, nrcpt=1 (queue active)"),
		[]byte("Nov 22 01:54:46 mx1 postfix/smtpd[8694]: NOQUEUE: reject: RCPT from dyn-6-31.pool.isp6.example[192.0.2.31]: 554 5.7.1 Service unavailable; Client host [192.0.2.31] blocked using rbl.test; Listed, see https://rbl.test/; from=<jane.doe39@sender9.example> to=<sales56@corp.example> proto=ESMTP helo=<out19.sender9.example>"),
	}
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{Dialect{}})
	n := 0
	sink := event.SinkFunc(func(*event.Event) { n++ })
	b.SetBytes(int64(len(bytes.Join(lines, nil)) / len(lines)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Line(lines[i%len(lines)], 0, 0, sink)
	}
}

// TestNoAllocation holds the promise of the package comment.
func TestNoAllocation(t *testing.T) {
	lines := []string{
		"Nov 22 01:54:46 mx1 postfix/smtp[8706]: 4jXBw64jhnz1SGM3: to=<a@b.example>, relay=mx.b.example[192.0.2.28]:25, delay=0.02, delays=0/0/0.01/0, dsn=4.2.0, status=deferred (host mx.b.example[192.0.2.28] said: 450 4.2.0 busy (in reply to RCPT TO command))",
		"Nov 22 01:54:46 mx1 postfix/smtpd[8674]: disconnect from unknown[192.0.2.7] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
		"Nov 22 01:54:46 mx1 postfix/smtpd[8674]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 550 5.1.1 <x@y.example>: Recipient address rejected: User unknown; from=<a@b.example> to=<x@y.example> proto=ESMTP helo=<h.example>",
		"2026-11-22T01:45:23.146390+00:00 vm postfix/cleanup[1]: 4jXBw64kWPz1SGMN: message-id=<6b024a844.20846@corp.example>",
		"Nov 22 01:54:46 mx1 sshd[8674]: Accepted publickey for li",
	}
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{Dialect{}})
	sink := event.SinkFunc(func(*event.Event) {})
	for _, l := range lines {
		line := []byte(l)
		if n := testing.AllocsPerRun(100, func() { r.Line(line, 0, 0, sink) }); n != 0 {
			t.Errorf("%v allocations for %s", n, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("postfix/smtp", "3F742986768: to=<a@b>, relay=x[1]:25, delay=1e+03, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)")
	f.Add("postfix/smtpd", "NOQUEUE: reject: RCPT from x[1]: 550 <a>: b; from=<c> to=<d> proto=E helo=<f>")
	f.Add("postfix/cleanup", "3F742986768: warning: header Subject: x from local; from=<a>")
	f.Add("postfix/postscreen", "PREGREET 1 after 2 from [3]:4: x")
	f.Fuzz(func(t *testing.T, program, msg string) {
		e := &event.Event{Origin: event.Origin{Program: []byte(program), Msg: []byte(msg), Line: []byte(msg)}}
		Dialect{}.Parse(e, event.SinkFunc(func(e *event.Event) {
			if e.Kind == event.None {
				t.Error("an event without a kind")
			}
		}))
	})
}
