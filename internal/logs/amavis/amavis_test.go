package amavis

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Sep  7 15:15:50 h amavis[2706]: (02706-17) Passed CLEAN {RelayedOutbound}, MYNETS LOCAL [192.0.2.3]:33121 [192.0.2.3] <s@mine.example> -> <r@o.example>,<r2@o.example>, Queue-ID: 14BA03C35EC, Message-ID: <147@mine.example>, mail_id: Dly56icKMJQp, Hits: -2.107, size: 1140, queued_as: 7862B3C35EC, 590 ms`,
			`filter id=14BA03C35EC next=7862B3C35EC mid=147@mine.example from=s@mine.example to=r@o.example ip=192.0.2.3 verdict=CLEAN action=Passed score=-2.107 size=1140 | related id=14BA03C35EC mid=147@mine.example from=s@mine.example to=r2@o.example ip=192.0.2.3 verdict=CLEAN action=Passed score=-2.107 size=1140`},
		{`Sep  7 15:15:50 h amavis[2706]: (02706-18) Blocked INFECTED (Eicar-Test-Signature) {DiscardedInbound,Quarantined}, [127.0.0.1] [2001:db8::1] <s@b.example> -> <li@mine.example>, quarantine: virus-XYZ, Message-ID: <148@b.example>, Hits: -, size: 1140, 590 ms`,
			`filter mid=148@b.example from=s@b.example to=li@mine.example ip=2001:db8::1 verdict=INFECTED folder=virus-XYZ action=Blocked size=1140`},
		{`Nov 22 01:45:23 mx1 amavis[12]: (12345-01) Passed CLEAN {RelayedInbound}, [192.0.2.1]:25 [192.0.2.9] <a@b.example> -> <li@mine.example>,<x@mine.example>, Queue-ID: 4ABCDEF123, Message-ID: <m@b.example>, mail_id: xyz, Hits: -1.2, size: 1234, queued_as: 5ABCDEF123, 321 ms`,
			`filter id=4ABCDEF123 next=5ABCDEF123 mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 verdict=CLEAN action=Passed score=-1.2 size=1234 | related id=4ABCDEF123 mid=m@b.example from=a@b.example to=x@mine.example ip=192.0.2.1 verdict=CLEAN action=Passed score=-1.2 size=1234`},
		{`Nov 22 01:45:23 mx1 amavis[12]: (12345-01) Blocked SPAM {DiscardedInbound,Quarantined}, [192.0.2.1] <"> -> <evil"@b.example> -> <li@mine.example>, quarantine: spam-x.gz, Message-ID: <m@b.example>, Hits: 12.5, size: 9, 3 ms`,
			`filter mid=m@b.example from="> -> <evil"@b.example to=li@mine.example ip=192.0.2.1 verdict=SPAM folder=spam-x.gz action=Blocked score=12.5 size=9`},
		{`Nov 22 01:45:23 mx1 amavis[12]: starting. /usr/sbin/amavisd-new`,
			`stats`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "amavis",
		`(12345-01) Passed CLEAN {RelayedInbound}, [192.0.2.1]:25 [192.0.2.9] <a@b.example> -> <li@mine.example>,<x@mine.example>, Queue-ID: 4ABCDEF123, Message-ID: <m@b.example>, mail_id: xyz, Hits: -1.2, size: 1234, queued_as: 5ABCDEF123, 321 ms`, `(12345-01) Blocked SPAM {DiscardedInbound,Quarantined}, [192.0.2.1] <"> -> <evil"@b.example> -> <li@mine.example>, quarantine: spam-x.gz, Message-ID: <m@b.example>, Hits: 12.5, size: 9, 3 ms`, `starting. /usr/sbin/amavisd-new`)
}
