package stalwart

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	const client = `listenerId = "smtp", localPort = 25, remoteIp = 192.0.2.1, remotePort = 38509`
	const span = `queueId = 2849999723, queueName = "remote", from = "a@b.example", to = ["li@mine.example", "wang@mine.example"], size = 6046, total = 2`
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`2026-11-22T10:00:00Z INFO SMTP EHLO command (smtp.ehlo) ` + client + `, domain = "out.b.example"`, `stats ip=192.0.2.1`},
		{`2026-11-22T10:00:00Z INFO TLS handshake (tls.handshake) ` + client + `, listenerId = "smtp", version = "TLSv1_3", details = "TLS13_AES_256_GCM_SHA384"`, `tls ip=192.0.2.1`},
		{`2026-11-22T10:00:00Z INFO SMTP MAIL FROM command (smtp.mail-from) ` + client + `, from = "a@b.example"`, `related from=a@b.example ip=192.0.2.1`},
		{`2026-11-22T10:00:00Z INFO SPF From check passed (smtp.spf-from-pass) ` + client + `, domain = "out.b.example", from = "a@b.example", result = SPF check passed (spf.pass), elapsed = 72ms`,
			`filter from=a@b.example ip=192.0.2.1 verdict=pass`},
		{`2026-11-22T10:00:00Z INFO Mailbox does not exist (smtp.mailbox-does-not-exist) ` + client + `, to = "no@mine.example"`, `reject to=no@mine.example ip=192.0.2.1`},
		{`2026-11-22T10:00:00Z INFO Queued message for delivery (queue.queue-message) ` + client + `, queueId = 2849999723, from = "a@b.example", to = ["li@mine.example", "wang@mine.example"], size = 6046, nextRetry = 2026-11-22T10:00:00Z`,
			`received id=2849999723 from=a@b.example to=li@mine.example ip=192.0.2.1 size=6046 | related id=2849999723 from=a@b.example to=wang@mine.example`},
		{`2026-11-22T10:00:00Z INFO Delivery attempt started (delivery.attempt-start) ` + span, `active id=2849999723 from=a@b.example to=li@mine.example size=6046`},
		{`2026-11-22T10:00:00Z INFO Message delivered (delivery.delivered) ` + span + `, hostname = "mx.partner.example", to = "wang@mine.example", code = 250, details = "OK queued as 4ABCDEF12", elapsed = 1ms`,
			`reply id=2849999723 next=4ABCDEF12 from=a@b.example to=wang@mine.example code=250 relay=mx.partner.example size=6046`},
		{`2026-11-22T10:00:00Z INFO DSN success notification (delivery.dsn-success) ` + span + `, to = "wang@mine.example", hostname = "mx.partner.example", code = 250, details = "OK"`,
			`delivery id=2849999723 from=a@b.example to=wang@mine.example status=sent code=250 relay=mx.partner.example size=6046`},
		{`2026-11-22T10:00:00Z INFO SMTP RCPT TO rejected (delivery.rcpt-to-rejected) ` + span + `, hostname = "mx.partner.example", to = "wang@mine.example", code = 451, details = "later, "to" = x", elapsed = 0ms`,
			`reply id=2849999723 from=a@b.example to=wang@mine.example code=451 relay=mx.partner.example size=6046`},
		{`2026-11-22T10:00:00Z INFO Connection error (delivery.connect-error) ` + span + `, domain = "mine.example", hostname = "mx.partner.example", localIp = 0.0.0.0, remoteIp = 2001:db8::1, remotePort = 25, causedBy = SMTP error occurred (smtp.error) { details = "I/O Error", reason = "Network is unreachable (os error 101)" }, elapsed = 0ms`,
			`connect-error id=2849999723 from=a@b.example relay=mx.partner.example size=6046`},
		{`2026-11-22T10:00:00Z INFO Message rescheduled for delivery (queue.rescheduled) ` + span + `, nextRetry = 2026-11-22T10:02:00Z`,
			`delivery id=2849999723 from=a@b.example to=li@mine.example status=deferred | delivery id=2849999723 from=a@b.example to=wang@mine.example status=deferred`},
		{`2026-11-22T10:00:00Z INFO DSN permanent failure notification (delivery.dsn-perm-fail) ` + span + `, to = "wang@mine.example", hostname = "mx.partner.example", code = 550, details = "no such user", total = 0`,
			`delivery id=2849999723 from=a@b.example to=wang@mine.example status=bounced code=550 relay=mx.partner.example size=6046`},
		{`2026-11-22T10:00:00Z INFO Queued DSN for delivery (queue.queue-dsn) ` + span + `, queueId = 3330288968, from = <>, to = ["a@b.example"], size = 1627`,
			`notification id=2849999723 bounce=3330288968 | received id=3330288968 parent=2849999723 from= to=a@b.example`},
		{`2026-11-22T10:00:00Z INFO Possible spam message ingested (message-ingest.spam) queueId = 2849999723, from = "a@b.example", to = ["li@mine.example"], accountId = 2, mailboxId = [2], messageId = "m@b.example", size = 6046, elapsed = 3ms`,
			`sieve id=2849999723 mid=m@b.example from=a@b.example user=li@mine.example folder=Junk Mail action=saved size=6046`},
		{`Nov 22 10:00:00 mx stalwart[5]: 2026-11-22T10:00:00Z INFO Authentication failed (auth.failed) listenerId = "imaptls", localPort = 993, remoteIp = 192.0.2.9, remotePort = 1, accountName = "admin"`,
			`login-failed ip=192.0.2.9 user=admin`},
		{`2026-11-22T10:00:00Z WARN IP address banned (security.authentication-ban) ` + client, `ban ip=192.0.2.1 verdict=ban`},
		{`2026-11-22T10:00:00Z INFO Housekeeper process started (housekeeper.start) `, `stats`},
		// a sender's address is no delivery, and a reply no field
		{`2026-11-22T10:00:00Z INFO SMTP MAIL FROM command (smtp.mail-from) ` + client + `, from = "x (delivery.dsn-success) y@b.example"`, `related from=x (delivery.dsn-success) y@b.example ip=192.0.2.1`},
		{`2026-11-22T10:00:00Z INFO SMTP RCPT TO rejected (delivery.rcpt-to-rejected) ` + span + `, hostname = "mx", to = "wang@mine.example", code = 550, details = "no", to = "boss@mine.example", code = 250, elapsed = 0ms`,
			`reply id=2849999723 from=a@b.example to=wang@mine.example code=550 relay=mx size=6046`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "stalwart",
		`2026-11-22T10:00:00Z INFO Queued DSN for delivery (queue.queue-dsn) queueId = 1, from = "a", to = ["b", "c"], queueId = 2, from = <>, to = ["a"]`,
		`INFO Message rescheduled (queue.rescheduled) queueId = 1, to = ["b"]`, `WARN x (tls.handshake) version = "TLSv1_2", details = "x"`)
}
