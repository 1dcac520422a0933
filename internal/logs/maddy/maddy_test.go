package maddy

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{"Nov 22 10:00:00 mx maddy[9]: smtp: incoming message        {\"msg_id\":\"8647979a\",\"sender\":\"a@b.example\",\"src_host\":\"mail.b.example\",\"src_ip\":\"[2001:db8::20b]:39802\"}",
			`received id=8647979a from=a@b.example ip=2001:db8::20b`},
		{"Nov 22 10:00:00 mx maddy[9]: submission: incoming message\t{\"msg_id\":\"17fec351\",\"sender\":\"li@mine.example\",\"src_host\":\"[192.168.1.20]\",\"src_ip\":\"192.0.2.7:48258\",\"username\":\"li@mine.example\"}",
			`received id=17fec351 from=li@mine.example ip=192.0.2.7 user=li@mine.example`},
		{"Nov 22 10:00:00 mx maddy[9]: smtp: RCPT ok\t{\"msg_id\":\"8647979a\",\"rcpt\":\"li@mine.example\"}", `related id=8647979a to=li@mine.example`},
		{"Nov 22 10:00:00 mx maddy[9]: smtp: RCPT error\t{\"msg_id\":\"8647979a\",\"rcpt\":\"no@mine.example\",\"smtp_code\":550,\"smtp_enchcode\":\"5.1.1\",\"smtp_msg\":\"No such user\"}",
			`reject id=8647979a to=no@mine.example code=550 dsn=5.1.1`},
		{"Nov 22 10:00:00 mx maddy[9]: smtp: DATA error\t{\"msg_id\":\"8647979a\",\"reason\":\"mailbox unavailable\",\"target\":\"target.lmtp\"}", `reject id=8647979a`},
		{"2026-11-22T10:00:00.123Z queue: delivered\t{\"attempt\":1,\"msg_id\":\"a70cc095\",\"rcpt\":\"wang@partner.example\"}", `delivery id=a70cc095 to=wang@partner.example status=sent`},
		{"queue: delivery attempt failed\t{\"msg_id\":\"a70cc095\",\"rcpt\":\"wang@partner.example\",\"reason\":\"later\",\"remote_server\":\"mx.partner.example\",\"smtp_code\":451,\"smtp_enchcode\":\"4.7.1\",\"smtp_msg\":\"come back later\"}",
			`delivery id=a70cc095 to=wang@partner.example status=deferred code=451 dsn=4.7.1 relay=mx.partner.example`},
		{"queue: will retry\t{\"attempts_count\":1,\"msg_id\":\"a70cc095\",\"next_try_delay\":\"15m0s\",\"rcpts\":[\"wang@partner.example\"]}", `stats id=a70cc095`},
		{"Nov 22 10:00:00 mx maddy[9]: imap: authentication failed\t{\"reason\":\"invalid credentials\",\"src_ip\":\"192.0.2.9:1\",\"username\":\"admin\"}", `login-failed ip=192.0.2.9 user=admin`},
		{"Nov 22 10:00:00 mx maddy[9]: [debug] queue: delivered\t{\"msg_id\":\"x\"}", `stats`},
		{"Nov 22 10:00:00 mx maddy[9]: smtp: listening on tcp://0.0.0.0:25", `stats`},
		// a sender does not deliver anything
		{"Nov 22 10:00:00 mx maddy[9]: smtp: incoming message\t{\"msg_id\":\"8647979a\",\"sender\":\"\\\"x\\\",\\\"msg_id\\\":\\\"forged00\\\"}\\nqueue: delivered {\\\"@b.example\",\"src_ip\":\"192.0.2.1:9\"}",
			`received id=8647979a from=\"x\",\"msg_id\":\"forged00\"}\nqueue: delivered {\"@b.example ip=192.0.2.1`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "maddy",
		"smtp: incoming message\t{\"msg_id\":\"8647979a\",\"sender\":\"a@b.example\",\"src_ip\":\"[::1]:39802\"}",
		"queue: delivery attempt failed\t{\"msg_id\":\"a70cc095\",\"rcpt\":\"w@p.example\",\"smtp_code\":451,\"x\":{\"y\":[1,{}]}}", "queue: delivered {")
}
