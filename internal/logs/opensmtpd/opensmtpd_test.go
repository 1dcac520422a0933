package opensmtpd

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Jul  6 06:01:46 mx1 smtpd[75]: 5df87c972116a049 smtp connected address=local host=mine.example`,
			`connect session=5df87c972116a049`},
		{`Jul  6 06:01:46 mx1 smtpd[75]: 8f4864084ecc48f4 mta event=delivery evpid=7077717e797a776e from=<a@b.example> to=<w@partner.example> rcpt=<-> source="192.0.2.1" relay="192.0.2.9 (mx.partner.example)" delay=1d2h3m result="TempFail" stat="451 4.3.0 later"`,
			`delivery id=7077717e from=a@b.example to=w@partner.example status=deferred code=451 dsn=4.3.0 relay=mx.partner.example delay=26h3m0s`},
		{`Jul  6 06:01:46 mx1 smtpd[75]: smtp-in: New session 5df87c972116a049 from host h.example [192.0.2.1]`,
			`connect session=5df87c972116a049 ip=192.0.2.1`},
		{`Jul  6 06:01:46 mx1 smtpd[75]: smtp-in: Accepted message 1a2b3c4d on session 5df87c972116a049: from=<a@b.example>, to=<w@partner.example>, size=303, ndest=1, proto=ESMTP`,
			`received id=1a2b3c4d session=5df87c972116a049 from=a@b.example to=w@partner.example size=303`},
		{`Jul  6 06:01:46 mx1 smtpd[75]: relay: Ok for 1a2b3c4d5e6f7081: session=5df87c972116a049, from=<a@b.example>, to=<w@partner.example>, rcpt=<->, source=192.0.2.3, relay=192.0.2.9 (mx.partner.example), delay=1s, stat=250 2.0.0 Ok: queued as 4ABCDEF123`,
			`delivery id=1a2b3c4d next=4ABCDEF123 from=a@b.example to=w@partner.example status=sent code=250 dsn=2.0.0 relay=mx.partner.example delay=1s`},
		{`Jul  6 06:01:46 mx1 smtpd[75]: delivery: Ok for 1a2b3c4d5e6f7081: from=<a@b.example>, to=<li@mine.example>, user=li, method=maildir, delay=1s, stat=Delivered`,
			`delivery id=1a2b3c4d from=a@b.example to=li@mine.example user=li status=sent relay=local delay=1s`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6071 smtp connected address=192.0.2.1 host=h.example`,
			`connect session=7a1b2c3d4e5f6071 ip=192.0.2.1`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6071 smtp message msgid=5f7c8a1b size=1234 nrcpt=1 proto=ESMTP`,
			`received id=5f7c8a1b session=7a1b2c3d4e5f6071 size=1234`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6071 smtp envelope evpid=5f7c8a1b12345678 from=<a@b.example> to=<li@mine.example>`,
			`related id=5f7c8a1b session=7a1b2c3d4e5f6071 from=a@b.example to=li@mine.example`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 0000000000000000 mda delivery evpid=5f7c8a1b12345678 from=<a@b.example> to=<li@mine.example> rcpt=<li@mine.example> user=li delay=1s result=Ok stat=Delivered`,
			`delivery id=5f7c8a1b from=a@b.example to=li@mine.example orig=li@mine.example user=li status=sent relay=local delay=1s`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6072 mta delivery evpid=5f7c8a1b12345678 from=<a@b.example> to=<w@partner.example> rcpt=<-> source="192.0.2.3" relay="192.0.2.9 (mx.partner.example)" delay=2s result="Ok" stat="250 2.0.0 Ok: queued as 4ABCDEF123"`,
			`delivery id=5f7c8a1b next=4ABCDEF123 from=a@b.example to=w@partner.example status=sent code=250 dsn=2.0.0 relay=mx.partner.example delay=2s`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6072 mta delivery evpid=5f7c8a1b12345678 from=<a@b.example> to=<w@partner.example> rcpt=<-> source="192.0.2.3" relay="192.0.2.9 (mx.partner.example)" delay=2s result="PermFail" stat="550 5.1.1 no such user"`,
			`delivery id=5f7c8a1b from=a@b.example to=w@partner.example status=bounced code=550 dsn=5.1.1 relay=mx.partner.example delay=2s`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6071 smtp failed-command command="RCPT TO:<x@mine.example>" result="550 Invalid recipient"`,
			`reject session=7a1b2c3d4e5f6071 to=x@mine.example code=550`},
		{`Nov 22 01:45:23 mx1 smtpd[12]: info: OpenSMTPD 7.4.0 starting`,
			`started`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "smtpd",
		`7a1b2c3d4e5f6071 smtp connected address=192.0.2.1 host=h.example`, `7a1b2c3d4e5f6071 smtp message msgid=5f7c8a1b size=1234 nrcpt=1 proto=ESMTP`, `7a1b2c3d4e5f6071 smtp envelope evpid=5f7c8a1b12345678 from=<a@b.example> to=<li@mine.example>`, `0000000000000000 mda delivery evpid=5f7c8a1b12345678 from=<a@b.example> to=<li@mine.example> rcpt=<li@mine.example> user=li delay=1s result=Ok stat=Delivered`)
}
