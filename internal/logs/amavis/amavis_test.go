package amavis

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 amavis[12]: (12345-01) Passed CLEAN {RelayedInbound}, [192.0.2.1]:25 [192.0.2.9] <a@b.example> -> <li@mine.example>,<x@mine.example>, Queue-ID: 4ABCDEF123, Message-ID: <m@b.example>, mail_id: xyz, Hits: -1.2, size: 1234, queued_as: 5ABCDEF123, 321 ms`,
			`filter id=4ABCDEF123 next=5ABCDEF123 mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 verdict=CLEAN action=Passed score=-1.2 size=1234`},
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
