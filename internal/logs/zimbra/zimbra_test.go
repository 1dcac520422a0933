package zimbra

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`2026-11-22 10:00:00,242 INFO  [LmtpServer-1] [ip=192.0.2.12;] lmtp - Delivering message: size=840 bytes, nrcpts=1, sender=a@b.example, msgid=<m@b.example>`,
			`received mid=m@b.example from=a@b.example ip=192.0.2.12 size=840`},
		{`2026-11-22 10:00:00,250 INFO  [LmtpServer-1] [name=li@mine.example;mid=28;ip=192.0.2.12;] mailop - Adding Message: id=54479, Message-ID=<m@b.example>, parentId=-1, folderId=2, folderName=Inbox.`,
			`sieve mid=m@b.example ip=192.0.2.12 user=li@mine.example folder=Inbox action=saved`},
		{`2026-11-22 10:00:00,250 INFO  [LmtpServer-1] [name=li@mine.example;mid=28;ip=192.0.2.12;] mailop - Adding Message: id=54479, Message-ID=<m@b.example>, parentId=-1, folderId=4, folderName=Junk acct=1-2-3`,
			`sieve mid=m@b.example ip=192.0.2.12 user=li@mine.example folder=Junk action=saved`},
		{`2026-11-22 10:00:00,250 INFO  [qtp1-2:https://mail.mine.example/service/soap/SendMsgRequest] [name=li@mine.example;mid=2;oip=192.0.2.7;ua=ZimbraWebClient;] mailop - Adding Message: id=5, Message-ID=<s@mine.example>, parentId=-1, folderId=5, folderName=Sent.`,
			`stats ip=192.0.2.7`},
		{`2026-11-22 10:00:00,250 INFO  [qtp1-2:https://mail.mine.example/service/soap/SendMsgRequest] [name=li@mine.example;mid=2;oip=192.0.2.7, 10.0.0.1;] smtp - Sending message to MTA at localhost: Message-ID=<s@mine.example>, replyType=w`,
			`received mid=s@mine.example ip=192.0.2.7 user=li@mine.example`},
		{`2026-11-22 10:00:00,250 INFO  [LmtpServer-1] [name=li@mine.example;ip=192.0.2.12;] filter - Discarding message with Message-ID <m@b.example> from a@b.example`,
			`sieve mid=m@b.example from=a@b.example ip=192.0.2.12 user=li@mine.example action=discarded`},
		{`2026-11-22 10:00:00,505 INFO  [Pop3Server-13] [ip=10.0.0.3;oip=192.0.2.196;] security - cmd=Auth; account=li@mine.example; protocol=pop3;`,
			`login ip=192.0.2.196 user=li@mine.example`},
		{`2026-11-22 10:00:00,505 WARN  [qtp1:https:https://mail.mine.example:7073/service/admin/soap/] [name=li@mine.example;oip=192.0.2.9;oport=51288;] security - cmd=Auth; account=li@mine.example; protocol=soap; error=authentication failed for [li], invalid password;`,
			`login-failed ip=192.0.2.9 user=li@mine.example`},
		{`2026-11-22 10:00:00,505 INFO  [qtp1-2:https://mail.mine.example/service/soap/AuthRequest] [oip=192.0.2.9;ua=zclient/8.8;] SoapEngine - handler exception: authentication failed for [admin], account not found`,
			`login-failed ip=192.0.2.9 user=admin action=lookup`},
		{`Nov 22 10:00:00 mail mailboxd: INFO [LmtpServer-1] [ip=192.0.2.12;] lmtp - Delivering message: size=840 bytes, nrcpts=2, sender=<>, msgid=<m@b.example>`,
			`received mid=m@b.example from= ip=192.0.2.12 size=840`},
		{`2026-11-22 10:00:00,505 ERROR [MailboxIndex-1] [] index - something went wrong`, `warning`},
		// the name of a program does not log anybody in
		{`2026-11-22 10:00:00,505 INFO  [ImapServer-1] [ip=192.0.2.9;ua=x;] security - cmd=Auth; account=boss@mine.example; protocol=imap;/1.0;] imap - ID elapsed=0`,
			`stats ip=192.0.2.9`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "mailboxd",
		`INFO  [LmtpServer-1] [ip=192.0.2.12;] lmtp - Delivering message: size=840 bytes, nrcpts=1, sender=a@b.example, msgid=<m@b.example>`,
		`WARN  [x] [name=li;oip=1.2.3.4;] security - cmd=Auth; account=li; protocol=soap; error=authentication failed for [li], invalid password;`,
		` [] [] security - cmd=Auth;000; error`,
		`INFO  [LmtpServer-1] [name=li;] mailop - Adding Message: id=1, Message-ID=<m>, folderName=Inbox.`)
}
