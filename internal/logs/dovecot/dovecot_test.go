package dovecot

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(li@mine.example)<29137><nPRYDTNJAmvRcQAAg+zDdQ>: msgid=<6b@sender.example>: saved mail to INBOX`,
			`sieve session=nPRYDTNJAmvRcQAAg+zDdQ mid=6b@sender.example user=li@mine.example folder=INBOX action=saved`},
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(li@mine.example)<29137><nPRYDTNJ:2>: sieve: msgid=<a: stored mail into mailbox 'X'@sender.example>: stored mail into mailbox 'Junk/Old'`,
			`sieve session=nPRYDTNJ:2 mid=a: stored mail into mailbox 'X'@sender.example user=li@mine.example folder=Junk/Old action=saved`},
		{`Nov 22 01:45:23 mx1 dovecot: lda(li)<1><s>: sieve: msgid=<a@b>: forwarded to <wang@partner.example>`,
			`sieve session=s mid=a@b to=wang@partner.example user=li action=forwarded`},
		{`Nov 22 01:45:23 mx1 dovecot: lda(li)<1><s>: sieve: msgid=<a@b>: marked message to be discarded if not explicitly delivered (discard action)`,
			`sieve session=s mid=a@b user=li action=discarded`},
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(123, li@mine.example): WNAEHDyQr1RYaQAAt9zXKg: sieve: msgid=unspecified: stored mail into mailbox 'INBOX'`,
			`sieve session=WNAEHDyQr1RYaQAAt9zXKg user=li@mine.example folder=INBOX action=saved`},
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(29137): Connect from local`,
			``},
		{`Nov 22 01:45:23 mx1 dovecot: imap-login: Login: user=<li@mine.example>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=77, TLS, session=<abcdefgh>`,
			`login session=abcdefgh ip=192.0.2.1 user=li@mine.example`},
		{`Nov 22 01:45:23 mx1 dovecot: imap-login: Disconnected (auth failed, 3 attempts in 12 secs): user=<li>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, TLS, session=<abcdefgh>`,
			`login-failed session=abcdefgh ip=192.0.2.1 user=li`},
		{`Nov 22 01:45:23 mx1 dovecot: pop3-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) (auth_failed): user=<li>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, session=<x>`,
			`login-failed session=x ip=192.0.2.1 user=li`},
		{`Nov 22 01:45:23 mx1 dovecot: imap(li@mine.example)<77><abcdefgh>: Logged out in=1 out=2`,
			`logout session=abcdefgh user=li@mine.example`},
		{`Nov 22 01:45:23 mx1 dovecot: auth: passwd-file(li,192.0.2.1,<abcdefgh>): Password mismatch`,
			`login-failed session=abcdefgh ip=192.0.2.1 user=li action=lookup`},
		{`Nov 22 01:45:23 mx1 imap-login: Info: Login: user=<li>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, session=<x>`,
			`login session=x ip=192.0.2.1 user=li`},
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(li)<1><sess>: Error: mkdir(/x) failed: No space left on device`,
			`trouble session=sess user=li`},
		{`Nov 22 01:45:23 mx1 dovecot: master: Dovecot v2.3.19.1 (9b53102964) starting up for lmtp`,
			`started`},
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(li@mine.example)<1><sess>: sieve: msgid=<m@sender.example> from=<a@sender.example> subject="x: saved mail to INBOX": stored mail into mailbox 'Junk'`,
			`sieve session=sess mid=m@sender.example from=a@sender.example user=li@mine.example folder=Junk action=saved`},
		{`Nov 22 01:45:23 mx1 dovecot: lmtp(li@mine.example)<1><sess>: sieve: msgid=<m@sender.example>: discarded vacation reply to <noreply@sender.example>`,
			`sieve session=sess mid=m@sender.example user=li@mine.example action=vacation`},
		{`Nov 22 01:45:23 mx1 dovecot: lda(li@mine.example)<1><sess>: msgid=<m@sender.example>: rejected: Quota exceeded`,
			`sieve session=sess mid=m@sender.example user=li@mine.example action=rejected`},
		{`Nov 22 01:45:23 mx1 dovecot: imap-login: proxy(li@mine.example): started proxying to 192.0.2.9:143: user=<li@mine.example>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, TLS, session=<x>`,
			`login session=x ip=192.0.2.1 user=li@mine.example`},
		{`Nov 22 01:45:23 mx1 dovecot: service=imap, user=li@mine.example, ip=[192.0.2.1]. Logged out rcvd=100, sent=200`,
			`logout ip=192.0.2.1 user=li@mine.example`},
		{`Nov 22 01:45:23 mx1 dovecot: service=lda, user=li@mine.example, ip=[]. sieve: msgid=<a@b.example>: stored mail into mailbox 'INBOX'`,
			`sieve mid=a@b.example user=li@mine.example folder=INBOX action=saved`},
	})
}

func TestNoAllocation(t *testing.T) {
	logstest.NoAllocation(t, Dialect{}, `Nov 22 01:45:23 mx1 dovecot: lmtp(li@mine.example)<29137><nPRYDTNJAmvRcQAAg+zDdQ>: sieve: msgid=<6b@sender.example>: stored mail into mailbox 'INBOX'`)
	logstest.NoAllocation(t, Dialect{}, `Nov 22 01:45:23 mx1 dovecot: imap-login: Login: user=<li@mine.example>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=77, TLS, session=<abcdefgh>`)
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "dovecot",
		`lmtp(li@mine.example)<29137><nPRYDTNJAmvRcQAAg+zDdQ>: msgid=<6b@sender.example>: saved mail to INBOX`, `lmtp(li@mine.example)<29137><nPRYDTNJ:2>: sieve: msgid=<a: stored mail into mailbox 'X'@sender.example>: stored mail into mailbox 'Junk/Old'`, `lda(li)<1><s>: sieve: msgid=<a@b>: forwarded to <wang@partner.example>`, `lda(li)<1><s>: sieve: msgid=<a@b>: marked message to be discarded if not explicitly delivered (discard action)`)
}
