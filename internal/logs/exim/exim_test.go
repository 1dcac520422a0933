package exim

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

func one(t *testing.T, line string) event.Event {
	t.Helper()
	var out []event.Event
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{Dialect{}})
	r.Unread = func(o *event.Origin) { t.Errorf("not understood: %s", o.Line) }
	r.Line([]byte("2026-11-22 01:50:59 "+line), 0, 0, event.SinkFunc(func(e *event.Event) { out = append(out, *e) }))
	if len(out) == 0 {
		t.Fatalf("no event from %s", line)
	}
	return out[0]
}

func TestLines(t *testing.T) {
	cases := []struct{ line, want string }{
		{`1xUwjM-0006c1-0L <= a@b.example H=out8.b.example (helo.b.example) [192.0.2.8]:2525 I=[192.0.2.1]:25 P=esmtpsa X=TLS1.3:ECDHE_X25519__RSA:128 CV=no A=plain_login:li S=2146 id=x@y T="=> c@d \"q\" C=\"250\"" for u@c.example`,
			`received 1xUwjM-0006c1-0L from=a@b.example to=u@c.example ip=192.0.2.8 helo=helo.b.example user=li mid=x@y size=2146`},
		{`1xUwjM-0006d9-17 <= <> R=1xUwjM-0006cI-0P U=Debian-exim P=local S=6622 T="Mail delivery failed" for u@c.example`,
			`received 1xUwjM-0006d9-17 from= to=u@c.example ref=parent:1xUwjM-0006cI-0P user=Debian-exim size=6622`},
		{`1xUwjM-0006cA-0N => user2086 <user2086@c.example> R=localuser T=local_delivery S=1402 QT=1m2s DT=0.5s`,
			`delivery 1xUwjM-0006cA-0N to=user2086@c.example user=user2086 status=sent relay=local_delivery size=1402 delay=1m2s dt=500ms`},
		{`1xUwjM-0006cA-0N => x@d.example <alias@c.example> F=<a@b.example> R=dnslookup T=remote_smtp S=99 H=mx.d.example [192.0.2.9]:25* X=TLS1.2:X:256 CV=yes DN="CN=a b, O=\"x\"" C="250 2.0.0 Ok: queued as ABC123DEF" QT=1s DT=0s`,
			`delivery 1xUwjM-0006cA-0N from=a@b.example to=x@d.example orig=alias@c.example ref=next:ABC123DEF status=sent code=250 relay=mx.d.example/192.0.2.9 size=99 delay=1s`},
		{`1xUwjM-0006cI-0P ** w@g.example R=dnslookup T=remote_smtp H=mx0.g.example [192.0.2.10] X=TLS1.3:X:128 CV=no DN="CN=mx1": SMTP error from remote mail server after RCPT TO:<w@g.example>: 550-5.1.1 no such user\n550 5.1.1 really DT=0s`,
			`delivery 1xUwjM-0006cI-0P to=w@g.example status=bounced code=550 dsn=5.1.1 stage=RCPT TO relay=mx0.g.example/192.0.2.10`},
		{`1xUwjM-0006cI-0P == w@g.example R=dnslookup T=remote_smtp defer (-44) H=mx0.g.example [192.0.2.10]:25: SMTP error from remote mail server after RCPT TO:<w@g.example>: 450 4.2.0 greylisted`,
			`delivery 1xUwjM-0006cI-0P to=w@g.example status=deferred code=450 dsn=4.2.0 stage=RCPT TO relay=mx0.g.example/192.0.2.10`},
		{`1xUwjM-0006cI-0P == w@g.example R=dnslookup T=remote_smtp defer (110): Connection timed out H=mx0.g.example [192.0.2.10] DT=5s: SMTP timeout after initial connection`,
			`delivery 1xUwjM-0006cI-0P to=w@g.example status=deferred stage=initial connection relay=mx0.g.example/192.0.2.10 dt=5s`},
		{`1xUwjM-0006cG-0S => :blackhole: <x@mine.example> R=system_aliases`, `delivery 1xUwjM-0006cG-0S to=x@mine.example status=discarded`},
		{`1xUwjM-0006cG-0S => discarded (system filter)`, `delivery 1xUwjM-0006cG-0S status=discarded`},
		{`1xUwjM-0006cG-0S SMTP error from remote mail server after initial connection: host mx.d.example [192.0.2.9]: 421 try later`, `reply 1xUwjM-0006cG-0S code=421 stage=initial connection relay=mx.d.example/192.0.2.9`},
		{`rejected EHLO from [192.0.2.8]: syntactically invalid argument(s): x_y`, `reject ip=192.0.2.8 stage=EHLO`},
		{`rejected connection from H=[192.0.2.8] : blocked`, `reject ip=192.0.2.8 stage=connection`},
		{`1xUwjM-0006cG-0S ** c@d.example: all relevant MX records point to non-existent hosts DT=0s`, `delivery 1xUwjM-0006cG-0S to=c@d.example status=bounced`},
		{`1xUwjM-0006cG-0S ** c@d.example: retry timeout exceeded`, `delivery 1xUwjM-0006cG-0S to=c@d.example status=expired`},
		{`1xUwjM-0006cG-0S Completed QT=5s`, `removed 1xUwjM-0006cG-0S`},
		{`1xUwjM-0006c1AAAA-0L01 Completed`, `warning`},
		{`1xUwjM-00000006c1A-0LAB Completed`, `removed 1xUwjM-00000006c1A-0LAB`},
		{`H=([192.168.1.214]) [192.0.2.33]:4711 X=TLS1.3:X:128 CV=no F=<a@b.example> temporarily rejected RCPT <u@c.example>: greylisted`,
			`reject from=a@b.example to=u@c.example ip=192.0.2.33 helo=[192.168.1.214] stage=RCPT`},
		{`plain_login authenticator failed for (x) [192.0.2.33]: 535 Incorrect authentication data (set_id=li)`, `auth-failed ip=192.0.2.33 helo=x user=li code=535`},
		{`rejected MAIL from host.example [192.0.2.4]: no HELO/EHLO given`, `reject ip=192.0.2.4 stage=MAIL`},
		{`[123] 1xUwjM-0006cI-0P H=mx0.g.example [192.0.2.10]: Remote host closed connection in response to end of data`, `reply 1xUwjM-0006cI-0P relay=mx0.g.example/192.0.2.10`},
	}
	for _, c := range cases {
		if c.want == "warning" {
			continue
		}
		e := one(t, c.line)
		if got := short(&e); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

// short writes what an event tells in one line.
func short(e *event.Event) string {
	s := e.Kind.String()
	add := func(name, v string) {
		if v != "" {
			s += " " + name + v
		}
	}
	add("", string(e.QueueID))
	if e.From != nil {
		s += " from=" + string(e.From)
	}
	add("to=", string(e.To))
	add("orig=", string(e.OrigTo))
	if e.Ref != nil {
		add("ref=", e.RefIs.String()+":"+string(e.Ref))
	}
	add("ip=", string(e.ClientIP))
	add("helo=", string(e.Helo))
	add("user=", string(e.User))
	add("status=", e.Status.String())
	if e.Code != 0 {
		add("code=", fmt.Sprint(e.Code))
	}
	if e.Kind == event.Delivery && e.Code >= 400 {
		add("dsn=", string(e.DSN))
	}
	add("stage=", string(e.Stage))
	if e.Relay != nil {
		s += " relay=" + string(e.Relay)
		add("/", "")
		if e.RelayIP != nil {
			s += "/" + string(e.RelayIP)
		}
	}
	add("mid=", string(e.MessageID))
	if e.Size != 0 {
		add("size=", fmt.Sprint(e.Size))
	}
	if e.Delay != 0 {
		add("delay=", e.Delay.String())
	}
	if e.Delays.Transfer != 0 {
		add("dt=", e.Delays.Transfer.String())
	}
	return s
}

func TestNoAllocation(t *testing.T) {
	line := []byte(`2026-11-22 01:50:59 1xUwjM-0006cA-0N => x@d.example R=dnslookup T=remote_smtp S=99 H=mx.d.example [192.0.2.9] X=TLS1.2:X:256 CV=yes DN="CN=a" C="250 2.0.0 Ok: queued as ABC123DEF" QT=1s DT=0s`)
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{Dialect{}})
	sink := event.SinkFunc(func(*event.Event) {})
	if n := testing.AllocsPerRun(100, func() { r.Line(line, 0, 0, sink) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`1xUwjM-0006c1-0L <= "a b"@c H=x (y) [1]:2 T="\"" for a "b c"@d`)
	f.Add(`1xUwjM-0006cI-0P == w@g.example R=d T=r defer (-44) H=m [1]: SMTP error from remote mail server after RCPT TO:<w>: host x [2]: 450 4.2.0 x`)
	f.Add(`H=([1]) [2]:3 F=<a> rejected RCPT <u>: x`)
	f.Fuzz(func(t *testing.T, msg string) {
		e := &event.Event{Origin: event.Origin{Program: []byte("exim"), Msg: []byte(msg), Line: []byte(msg)}}
		Dialect{}.Parse(e, event.SinkFunc(func(e *event.Event) {
			if e.Kind == event.None {
				t.Error("an event without a kind")
			}
		}))
	})
}
