package qmail

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`2026-06-25 08:00:09.681525500 new msg 100926020 queue5`,
			`related id=100926020 action=new`},
		{`2026-06-25 08:00:09.682401500 starting delivery 1: msg 100926020 to local mine.example-li@mine.example queue5`,
			`related id=100926020 session=delivery 1 to=li@mine.example relay=local`},
		{`1782374409.334422 info msg 16799625: bytes 814 from <a@b.example> qp 555 uid 0`,
			`received id=16799625 from=a@b.example size=814`},
		{`2026-06-25 08:00:09.713833500 delivery 1: success: did_0+0+1/ queue5`,
			`delivery session=delivery 1 status=sent`},
		{`@4000000065a1b2c312345678 new msg 123456`,
			`related id=123456 action=new`},
		{`@4000000065a1b2c312345678 info msg 123456: bytes 789 from <a@b.example> qp 12 uid 1000`,
			`received id=123456 from=a@b.example size=789`},
		{`@4000000065a1b2c312345678 starting delivery 5: msg 123456 to remote w@partner.example`,
			`related id=123456 session=delivery 5 to=w@partner.example relay=remote`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 delivery 5: success: 192.0.2.9_accepted_message./Remote_host_said:_250_ok/`,
			`delivery session=delivery 5 status=sent code=250`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 delivery 6: failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/`,
			`delivery session=delivery 6 status=bounced dsn=5.1.1`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 bounce msg 123456 qp 99`,
			`notification id=123456 bounce=qp 99 | related id=qp 99`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 info msg 123457: bytes 900 from <> qp 99 uid 0`,
			`received id=123457 parent=qp 99 from= size=900 | related id=qp 99`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 delivery 6: failure: 192.0.2.9_does_not_like_recipient./Remote_host_said:_550_5.1.1_no_such_user/Giving_up_on_192.0.2.9./`,
			`delivery session=delivery 6 status=bounced code=550`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 end msg 123456`,
			`removed id=123456`},
		{`Nov 22 01:45:23 mx1 qmail: 1700000000.123456 status: local 0/10 remote 1/20`,
			`stats`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "qmail",
		`@4000000065a1b2c312345678 new msg 123456`, `bytes 789 from <a@b.example> qp 12 uid 1000`, `msg 123456 to remote w@partner.example`, `1700000000.123456 delivery 5: success: 192.0.2.9_accepted_message./Remote_host_said:_250_ok/`)
}
