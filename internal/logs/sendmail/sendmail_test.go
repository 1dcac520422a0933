package sendmail

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 sendmail[12]: 4AM1jN0a012345: from=<a@b.example>, size=1234, class=0, nrcpts=1, msgid=<m, stat=Sent@b.example>, proto=ESMTP, daemon=MTA, relay=h.example [192.0.2.1]`,
			`received id=4AM1jN0a012345 mid=m, stat=Sent@b.example from=a@b.example ip=192.0.2.1 size=1234`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: to=<li@partner.example>, ctladdr=<a@b.example> (1/1), delay=00:01:02, xdelay=00:00:01, mailer=esmtp, pri=1, relay=mx.partner.example. [192.0.2.9], dsn=2.0.0, stat=Sent (4AM1jN0b098765 Message accepted for delivery)`,
			`delivery id=4AM1jN0a012345 next=4AM1jN0b098765 to=li@partner.example status=sent dsn=2.0.0 relay=mx.partner.example delay=1m2s`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: to=<li@partner.example>, delay=1+00:00:02, mailer=esmtp, relay=mx.partner.example. [192.0.2.9], dsn=4.0.0, stat=Deferred: Connection refused by mx.partner.example.`,
			`delivery id=4AM1jN0a012345 to=li@partner.example status=deferred dsn=4.0.0 relay=mx.partner.example delay=24h0m2s`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: to=<li@partner.example>, delay=00:00:02, mailer=esmtp, relay=mx.partner.example. [192.0.2.9], dsn=5.1.1, stat=User unknown`,
			`delivery id=4AM1jN0a012345 to=li@partner.example status=bounced dsn=5.1.1 relay=mx.partner.example delay=2s`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: 4AM1jN0c012345: DSN: User unknown`,
			`notification id=4AM1jN0a012345 bounce=4AM1jN0c012345`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: ruleset=check_rcpt, arg1=<x@other.example>, relay=h.example [192.0.2.1], reject=550 5.7.1 <x@other.example>... Relaying denied`,
			`reject id=4AM1jN0a012345 to=x@other.example ip=192.0.2.1 code=550 dsn=5.7.1`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: STARTTLS=server, relay=h.example [192.0.2.1], version=TLSv1.3, verify=NO, cipher=TLS_AES_256_GCM_SHA384, bits=256/256`,
			`tls ip=192.0.2.1`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: AUTH=server, relay=h.example [192.0.2.1], authid=li, mech=PLAIN, bits=0`,
			`auth ip=192.0.2.1 user=li`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: rejecting connections on daemon MTA: load average: 20`,
			`trouble`},
		{`Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: to=<li@partner.example>,<"x, y"@partner.example>, delay=00:00:02, mailer=esmtp, relay=mx.partner.example. [192.0.2.9], dsn=4.7.1, reply=451 4.7.1 Try, later, stat=Deferred: 451 4.7.1 Try, later`,
			`delivery id=4AM1jN0a012345 to=li@partner.example status=deferred code=451 dsn=4.7.1 relay=mx.partner.example delay=2s | delivery id=4AM1jN0a012345 to="x, y"@partner.example status=deferred code=451 dsn=4.7.1 relay=mx.partner.example delay=2s`},
		{`Nov 22 01:45:23 mx1 sendmail[12]: 4AM1jN0a012345: to=li@mine.example,chen@mine.example, delay=00:00:00, mailer=local, dsn=2.0.0, stat=Sent`,
			`delivery id=4AM1jN0a012345 to=li@mine.example status=sent dsn=2.0.0 relay=local | delivery id=4AM1jN0a012345 to=chen@mine.example status=sent dsn=2.0.0 relay=local`},
		{`Nov 22 01:45:23 mx1 sendmail[12]: 4AM1jN0a012345: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user=li, relay=h.example [192.0.2.1]`,
			`auth-failed id=4AM1jN0a012345 ip=192.0.2.1 user=li`},
		{`Nov 22 01:45:23 mx1 sendmail[12]: h.example [192.0.2.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA`,
			`lost ip=192.0.2.1`},
	})
}

func TestNoAllocation(t *testing.T) {
	logstest.NoAllocation(t, Dialect{}, `Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: from=<a@b.example>, size=1234, class=0, nrcpts=1, msgid=<m@b.example>, proto=ESMTP, daemon=MTA, relay=h.example [192.0.2.1]`)
	logstest.NoAllocation(t, Dialect{}, `Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: to=<li@partner.example>,<chen@partner.example>, delay=00:01:02, xdelay=00:00:01, mailer=esmtp, pri=1, relay=mx.partner.example. [192.0.2.9], dsn=2.0.0, stat=Sent (4AM1jN0b098765 Message accepted for delivery)`)
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "sendmail",
		`4AM1jN0a012345: from=<a@b.example>, size=1234, class=0, nrcpts=1, msgid=<m, stat=Sent@b.example>, proto=ESMTP, daemon=MTA, relay=h.example [192.0.2.1]`, `4AM1jN0a012345: to=<li@partner.example>, ctladdr=<a@b.example> (1/1), delay=00:01:02, xdelay=00:00:01, mailer=esmtp, pri=1, relay=mx.partner.example. [192.0.2.9], dsn=2.0.0, stat=Sent (4AM1jN0b098765 Message accepted for delivery)`, `4AM1jN0a012345: to=<li@partner.example>, delay=1+00:00:02, mailer=esmtp, relay=mx.partner.example. [192.0.2.9], dsn=4.0.0, stat=Deferred: Connection refused by mx.partner.example.`, `4AM1jN0a012345: to=<li@partner.example>, delay=00:00:02, mailer=esmtp, relay=mx.partner.example. [192.0.2.9], dsn=5.1.1, stat=User unknown`)
}
