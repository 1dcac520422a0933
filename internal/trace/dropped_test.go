package trace

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// told builds the journey of some lines.
func told(lines ...string) *Journey {
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, dialects.All())
	var steps []Step
	for i, l := range lines {
		r.Line([]byte(l), 0, int64(i), event.SinkFunc(func(e *event.Event) { steps = append(steps, newStep(e, "mail.log", true)) }))
	}
	return build(steps)
}

// What was held, let go, removed or thrown away ends in that state.
func TestDropped(t *testing.T) {
	const in = "Nov 22 10:00:00 mx1 postfix/qmgr[1]: 4ABCDEF12: from=<a@b.example>, size=1, nrcpt=1 (queue active)"
	const hold = "Nov 22 10:00:00 mx1 postfix/smtpd[1]: 4ABCDEF12: hold: RCPT from b.example[192.0.2.1]: <a@b.example>: Sender address triggers HOLD action; from=<a@b.example> to=<li@mine.example> proto=ESMTP helo=<x>"
	const sent = "Nov 22 10:01:00 mx1 postfix/local[1]: 4ABCDEF12: to=<li@mine.example>, relay=local, delay=60, delays=60/0/0/0, dsn=2.0.0, status=sent (delivered to mailbox)"
	const later = "Nov 22 10:01:00 mx1 postfix/smtp[1]: 4ABCDEF12: to=<x@far.example>, relay=none, delay=60, delays=60/0/0/0, dsn=4.4.1, status=deferred (connect to mx.far.example[198.51.100.9]:25: Connection refused)"
	cases := []struct {
		name  string
		lines []string
		state State
	}{
		{"held", []string{hold, in}, HeldState},
		{"held and let go", []string{hold, "Nov 22 10:00:30 mx1 postfix/postsuper[1]: 4ABCDEF12: released from hold", in}, InQueue},
		{"held, let go and delivered", []string{hold, "Nov 22 10:00:30 mx1 postfix/postsuper[1]: 4ABCDEF12: released from hold", in, sent}, Delivered},
		{"held and removed", []string{hold, "Nov 22 10:00:30 mx1 postfix/postsuper[1]: 4ABCDEF12: removed"}, DiscardSt},
		{"waiting and removed", []string{in, later, "Nov 22 10:02:00 mx1 postfix/postsuper[1]: 4ABCDEF12: removed"}, DiscardSt},
		{"thrown away by a milter", []string{"Nov 22 10:00:00 mx1 postfix/cleanup[1]: 4ABCDEF12: milter-discard: END-OF-MESSAGE from b.example[192.0.2.1]: milter triggers DISCARD action; from=<a@b.example> to=<li@mine.example> proto=ESMTP helo=<b>"}, DiscardSt},
		{"thrown away by a header check", []string{"Nov 22 10:00:00 mx1 postfix/cleanup[1]: 4ABCDEF12: discard: header Subject: x from b.example[192.0.2.1]; from=<a@b.example> to=<li@mine.example> proto=ESMTP helo=<b>: gone"}, DiscardSt},
		{"frozen in Exim", []string{"2026-11-22 10:00:00 1uABCD-0000AB-CD <= <> R=1uABCC-0000AA-BB U=Debian-exim P=local S=1 for a@b.example", "2026-11-22 10:00:01 1uABCD-0000AB-CD Frozen (delivery error message)"}, HeldState},
		{"frozen and thrown away in time", []string{"2026-11-22 10:00:00 1uABCD-0000AB-CD <= a@b.example U=li P=local S=1 for a@b.example", "2026-11-22 10:00:01 1uABCD-0000AB-CD Message is frozen", "2026-11-29 10:00:01 1uABCD-0000AB-CD cancelled by timeout_frozen_after", "2026-11-29 10:00:01 1uABCD-0000AB-CD Completed"}, DiscardSt},
		{"refused", []string{strings.Replace(hold, "hold: RCPT", "reject: RCPT", 1)}, RejectedS},
	}
	for _, c := range cases {
		if j := told(c.lines...); j.State != c.state {
			t.Errorf("%s: %s, want %s", c.name, j.State, c.state)
		}
	}
}

// An answer that was not sent twice, or a note of a filter, takes nothing away from where the message was put.
func TestFiledOnce(t *testing.T) {
	const box = "Nov 22 10:00:00 mx1 dovecot: lmtp(li@mine.example)<1><SESSIONABCDEF12>: sieve: msgid=<m1@b.example>: "
	j := told(
		"Nov 22 10:00:00 mx1 postfix/lmtp[1]: 4ABCDEF12: to=<li@mine.example>, relay=mx1[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <li@mine.example> SESSIONABCDEF12 Saved)",
		box+"stored mail into mailbox 'Work'", box+"discarded duplicate vacation response to <a@b.example>", box+"sent vacation response to <a@b.example>", box+"info: started log at Nov 22 10:00:00.")
	if len(j.Recipients) != 1 || j.Recipients[0].Folder != "Work" || j.State != Delivered {
		t.Errorf("%s %+v", j.State, j.Recipients)
	}
}
