package bounce

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

func reader(t testing.TB) *Reader {
	t.Helper()
	r, err := NewReader(knowledge.Embedded(), finding.EN)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mail(from, subject, body string) []byte {
	return []byte("From: " + from + "\nSubject: " + subject + "\n\n" + body)
}

// TestFamilies holds one mail of our own making per family of report.
func TestFamilies(t *testing.T) {
	r := reader(t)
	for _, c := range []struct {
		name, from, subject, body           string
		form, who, cause, code, status, cmd string
	}{
		{"qmail", "MAILER-DAEMON@q.example", "failure notice", "Hi. This is the qmail-send program at q.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<li@partner.example>:\n198.51.100.7 does not like recipient.\nRemote host said: 450 4.2.2 Mailbox full\nGiving up on 198.51.100.7.\nI'm not going to try again; this message has been in the queue too long.\n\n--- Below this line is a copy of the message.\n\nTo: li@partner.example\n", "qmail", "li@partner.example", "mailbox-full", "450", "4.2.2", "RCPT"},
		{"exim", "Mail Delivery System <Mailer-Daemon@e.example>", "Mail delivery failed: returning message to sender", "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  li@partner.example\n    host mx.partner.example [198.51.100.7]\n    SMTP error from remote mail server after MAIL FROM:<a@mine.example> SIZE=1024:\n    550 5.1.8 Domain of sender address does not resolve\n\n------ This is a copy of the message, including all the headers. ------\n\nTo: li@partner.example\n", "exim", "li@partner.example", "sender-domain-bad", "550", "5.1.8", "MAIL"},
		{"old sendmail", "Mail Delivery Subsystem <MAILER-DAEMON@s.example>", "Returned mail: User unknown", "   ----- Transcript of session follows -----\nWhile talking to mx.partner.example:\n>>> RCPT To:<li@partner.example>\n<<< 550 no such user here\n550 <li@partner.example>... User unknown\n\n   ----- Unsent message follows -----\nTo: li@partner.example\n", "sendmail5", "li@partner.example", "user-unknown", "550", "", "RCPT"},
		{"exchange 2003", "postmaster@x.example", "Undeliverable: hi", "Your message\n\n  To:      li@partner.example\n  Subject: hi\n\ndid not reach the following recipient(s):\n\nli@partner.example on Sun, 22 Nov 2026 04:00:00 +0000\n    The recipient name is not recognized\n    MSEXCH:IMS:Org:Site:HOST 0 (000C05A6) Unknown Recipient\n", "exchange2000", "li@partner.example", "user-unknown", "", "", ""},
		{"exchange in German", "postmaster@x.example", "Unzustellbar: hi", "Fehler bei der Nachrichtenzustellung an folgende Empfänger:\n\nDiagnoseinformationen für Administratoren:\n\nGenerierender Server: x.example\n\nli@partner.example\n#550 5.2.2 mailbox full ##\n\nUrsprüngliche Nachrichtenkopfzeilen:\n\nReceived: from y\n", "exchange", "li@partner.example", "mailbox-full", "550", "5.2.2", ""},
		{"opensmtpd", "Mailer Daemon <MAILER-DAEMON@o.example>", "Delivery status notification: error", "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n    An error has occurred while attempting to deliver a message for\n    the following list of recipients:\n\nli@partner.example: 550 5.1.1 no such user\n\n    Below is a copy of the original message:\n\nTo: li@partner.example\n", "opensmtpd", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"netease", "postmaster@163.com", "系统退信", "抱歉，您的邮件被退回来了……\n\n原邮件信息：\n收件人：li@partner.example\n退信原因：收件人邮箱空间不足\n", "coremail", "li@partner.example", "mailbox-full", "", "", ""},
		{"qq", "postmaster@qq.com", "退信：hi", "很抱歉您发送的邮件被退回，以下是该邮件的相关信息：\n收件人：li@partner.example\n退信原因：\n550 Mail content denied\n", "qq", "li@partner.example", "spam", "550", "", ""},
		{"gmail", "Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status Notification (Failure)", "Delivery to the following recipient failed permanently:\n\n     li@partner.example\n\nTechnical details of permanent failure:\nThe error that the other server returned was: 552 5.2.2 mailbox full (state 14).\n\n----- Original message -----\n", "gmail", "li@partner.example", "mailbox-full", "552", "5.2.2", ""},
		{"gmx", "GMX Mailer Daemon <mailer-daemon@gmx.de>", "Mail delivery failed: returning message to sender", "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of\nits recipients. This is a permanent error. The following address\nfailed:\n\n\"li@partner.example\":\nSMTP error from remote server after RCPT command:\nhost: mx.partner.example\n5.1.1 <li@partner.example>... User Unknown\n\n--- The header of the original message is following. ---\n\nTo: li@partner.example\n", "gmx", "li@partner.example", "user-unknown", "", "5.1.1", "RCPT"},
		{"mailfoundry", "MAILER-DAEMON@f.example", "Message delivery has failed", "Unable to deliver message to: <li@partner.example>\nDelivery failed for the following reason:\nServer mx.partner.example[198.51.100.7] failed with: 550 <li@partner.example> No such user here\n\nThis has been a permanent failure.  No further delivery attempts will be made.\n", "mailfoundry", "li@partner.example", "user-unknown", "550", "", ""},
		{"x3", "Mail Delivery System <mailer-daemon@three.example>", "Delivery status notification", "============================================================================\n      This is an automatically generated Delivery Status Notification.\n\nDelivery to the following recipients failed permanently:\n\n  * li@partner.example\n\n============================================================================\n                            Technical details:\n\nSMTP:RCPT host 198.51.100.7: 553 5.3.0 <li@partner.example>... No such user here\n\n============================================================================\n", "x3", "li@partner.example", "user-unknown", "553", "5.3.0", "RCPT"},
		{"fml", "list-admin@lists.example", "You a@mine.example are not member (list ML)", "You are not a member of this mailing list <list@lists.example>.\nIf you know the general guide of this list, send mail with\nthe mail body\n\nOriginal mail as follows:\n\n   From: a@mine.example\n", "fml", "list@lists.example", "sender-not-permitted", "", "", ""},
		{"kddi", "no-reply@app.dion.ne.jp", "Undelivered Mail", "Your mail sent on Thu, 29 Apr 2010 11:04:47 +0900\nCould not be delivered to: <li@partner.example>\nAs their mailbox is full.\n", "kddi", "li@partner.example", "mailbox-full", "", "", ""},
		{"mxlogic", "Mail Delivery System <postmaster@mxlogic.example>", "Mail delivery failed: returning message to sender", "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address failed:\n\n  <li@partner.example>: 550 5.1.1 <li@partner.example>... User Unknown\n\nIncluded is a copy of the message header:\n-----------------------------------------\n", "mxlogic", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"groupwise", "Mailer-Daemon@g.example", "Message status - undeliverable", "The message that you sent was undeliverable to the following:\n\tli@partner.example (user not found)\n\nPossibly truncated original message follows:\n\nTo: li@partner.example\n", "groupwise", "li@partner.example", "user-unknown", "", "", ""},
		{"mailenable", "Postmaster@m.example", "Message Delivery Failure", "MailEnable: Message could not be delivered to some recipients.\nThe following recipient(s) could not be reached:\n\n\tRecipient: [SMTP:li@partner.example]\n\tReason: The email account does not exist\n\nMessage headers follow:\n\nTo: li@partner.example\n", "mailenable", "li@partner.example", "user-unknown", "", "", ""},
		{"mdaemon", "MDaemon@d.example", "Permanent Delivery Failure", "The attached message had PERMANENT fatal delivery errors!\n\nThe following data may contain sections which represent BASE64 encoded file attachments.\n\nFailed address: li@partner.example\n\n--- Session Transcript ---\n--> RCPT To:<li@partner.example>\n<-- 550 5.1.1 no such user\n--- End Transcript ---\n: Message headers follow:\n\nTo: li@partner.example\n", "mdaemon", "li@partner.example", "user-unknown", "550", "5.1.1", "RCPT"},
		{"imail", "\"Postmaster\" <postmaster@i.example>", "Undeliverable Mail", "User mailbox exceeds allowed size: li@partner.example\n\nOriginal message follows.\n\nTo: li@partner.example\n", "imail", "li@partner.example", "mailbox-full", "", "", ""},
		{"interscan", "\"InterScan MSS\" <imss@v.example>", "Mail could not be delivered", "The following mail could not be delivered.\nSent <<< RCPT TO:<li@partner.example>\nReceived >>> 550 5.1.1 <li@partner.example>... user unknown\n", "interscan", "li@partner.example", "user-unknown", "550", "5.1.1", "RCPT"},
		{"domino", "Postmaster@n.example", "DELIVERY FAILURE: User li (li@partner.example) not listed in Domino Directory", "Your message\n\n  Subject: hi\n\nwas not delivered to:\n\n  li@partner.example\n\nbecause:\n\n  User li (li@partner.example) not listed in Domino Directory\n", "domino", "li@partner.example", "user-unknown", "", "", ""},
		{"exchange in French", "postmaster@x.example", "Non remis : hi", "Échec de la remise pour ces destinataires ou listes de distribution :\n\nli@partner.example\nL'adresse est introuvable.\n\nInformations de diagnostic pour les administrateurs :\n\nServeur de génération : x.example\n\nli@partner.example\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n\nEn-têtes de message d'origine :\n\nReceived: from y\n", "exchange", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"exchange in Spanish", "postmaster@x.example", "No se puede entregar: hi", "Error de entrega a los siguientes destinatarios o grupos:\n\nInformación de diagnóstico para los administradores:\n\nGenerando servidor: x.example\n\nli@partner.example\n#552 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient ##\n\nEncabezados de mensajes originales:\n", "exchange", "li@partner.example", "message-too-big", "552", "5.2.3", ""},
		{"exchange in Chinese", "postmaster@x.example", "未传递: hi", "未能向以下收件人或组传递邮件:\n\nli@partner.example\n找不到您输入的电子邮件地址。\n\n供管理员使用的诊断信息:\n\n生成服务器: x.example\n\nli@partner.example\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n\n原始邮件标题:\n\nReceived: from y\n", "exchange", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"exchange in Japanese", "postmaster@x.example", "配信不能: hi", "次の受信者またはグループへの配信に失敗しました:\n\n管理者向けの診断情報:\n\n生成サーバー: x.example\n\nli@partner.example\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n\n元のメッセージ ヘッダー:\n\nReceived: from y\n", "exchange", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"microsoft 365", "postmaster@outlook.com", "Undeliverable: hi", "Your message to li@partner.example couldn't be delivered.\n\nli wasn't found at partner.example.\n\nDiagnostic information for administrators:\n\nGenerating server: AM0PR01MB0000.eurprd01.prod.exchangelabs.com\n\nli@partner.example\nRemote server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'\n\nOriginal message headers:\n\nReceived: from y\n", "exchange", "li@partner.example", "user-unknown", "550", "5.1.10", ""},
		{"aliyun", "MAIL-DAEMON@aliyun.com", "[系统退信]hi", "尊敬的用户，您好！\n很抱歉，您的邮件投递失败，被退回。\n\n收件人：li@partner.example\n失败原因：554 Reject by content spam at Data State\n", "aliyun", "li@partner.example", "spam", "554", "", ""},
		{"sina", "Mail Delivery System <mailer-daemon@sina.com>", "系统退信", "您的邮件无法投递。\n收件人: li@partner.example\n退信原因：收件人不存在\n", "sina", "li@partner.example", "user-unknown", "", "", ""},
		{"yahoo", "MAILER-DAEMON@yahoo.com", "Failure Notice", "Sorry, we were unable to deliver your message to the following address.\n\n<li@partner.example>:\n552: 5.2.2 Mailbox full\n\n--- Below this line is a copy of the message.\n", "yahoo", "li@partner.example", "mailbox-full", "552", "5.2.2", ""},
		{"james", "postmaster@j.example", "[BOUNCE]", "Hi. This is the James mail server at j.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up.\n\nError message below:\n550 - Requested action not taken: no such user here\n\nMessage details:\n  Subject: hi\n  MAIL FROM: a@mine.example\n  RCPT TO: li@partner.example\n", "james", "li@partner.example", "user-unknown-unproven", "550", "", ""},
		{"surgemail", "postmaster@sm.example", "Undeliverable mail", "SurgeMail: your message cannot be delivered to the following recipients:\n\n  li@partner.example  550 5.1.1 unknown user\n", "surgemail", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"no form, in Russian", "Mailer-Daemon@r.example", "Недоставленное сообщение", "Ваше письмо не может быть доставлено:\n\n  li@partner.example\n  550 5.1.1 user unknown\n", "", "li@partner.example", "user-unknown", "550", "5.1.1", ""},
		{"no form, in Chinese", "postmaster@c.example", "退信通知", "您的邮件无法投递到 li@partner.example，原因：收件人邮箱已满。\n", "", "li@partner.example", "mailbox-full", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := r.Read(mail(c.from, c.subject, c.body))
			if f.Kind != dsn.Bounce || f.Form != c.form || len(f.Recipients) != 1 {
				t.Fatalf("%s by %s for %d recipients", f.Kind, f.Form, len(f.Recipients))
			}
			x := f.Recipients[0]
			if x.Recipient != c.who || x.Cause != c.cause || x.Code != c.code || x.Status != c.status || x.Command != c.cmd {
				t.Errorf("%s: %s, code %q status %q command %q, said %q", x.Recipient, x.Cause, x.Code, x.Status, x.Command, x.Diagnostic)
			}
			if len(x.Evidence) == 0 {
				t.Error("no evidence")
			}
		})
	}
}

func TestServerRulesOverProse(t *testing.T) {
	f := reader(t).Read(mail("Postmaster@ezweb.ne.jp", "Mail System Error - Returned Mail", "The user(s) account is temporarily over quota.\n\n<li@partner.example>: 550 5.1.1 no such user (in reply to RCPT TO command)\n"))
	if len(f.Recipients) != 1 || f.Recipients[0].Cause != "user-unknown" {
		t.Fatalf("%+v", f.Recipients)
	}
}

func TestNothingIsInvented(t *testing.T) {
	f := reader(t).Read(mail("postmaster@x.example", "Undeliverable: hi", "could not be delivered to <li@partner.example>\nzzz\n"))
	if len(f.Recipients) != 1 {
		t.Fatalf("%+v", f)
	}
	if x := f.Recipients[0]; x.Code != "" || x.Status != "" {
		t.Errorf("code %q status %q", x.Code, x.Status)
	}
}

func TestReportReadsInBothLanguages(t *testing.T) {
	rep := reader(t).Survey("a.eml", mail("MAILER-DAEMON@q.example", "failure notice", "Hi. This is the qmail-send program at q.example.\n\n<li@partner.example>:\nRemote host said: 550 5.1.1 no such user\n"), time.Time{})
	if got := rep.Headline.Says.In(finding.EN); got != "Not delivered to li@partner.example: recipient does not exist." {
		t.Errorf("%q", got)
	}
	if got := rep.Headline.Says.In(finding.ZH); got != "未送达 li@partner.example：收件人不存在。" {
		t.Errorf("%q", got)
	}
	if len(rep.Findings) != 1 || rep.Findings[0].Rule.ID != "bounce.sender" || !strings.Contains(rep.Findings[0].Evidence[0].Raw, "550 5.1.1 no such user") {
		t.Errorf("%+v", rep.Findings)
	}
}

// TestFormsLint holds the table of report forms: each compiles, and each hint names a cause that exists.
func TestFormsLint(t *testing.T) {
	k := knowledge.Embedded()
	w, err := k.Reports()
	if err != nil {
		t.Fatal(err)
	}
	if w.Checked.Year == 0 {
		t.Error("reports.toml has no date")
	}
	seen := map[string]bool{}
	for _, f := range w.Form {
		if seen[f.Name] {
			t.Errorf("form %s stands twice", f.Name)
		}
		seen[f.Name] = true
		if f.Software == "" || len(f.When) == 0 {
			t.Errorf("form %s: no software or no condition", f.Name)
		}
		for _, h := range f.Hint {
			if _, err := k.Cause(h.Cause); err != nil {
				t.Errorf("form %s: %v", f.Name, err)
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	r := reader(b)
	m := mail("MAILER-DAEMON@q.example", "failure notice", "Hi. This is the qmail-send program at q.example.\n\n<li@partner.example>:\n198.51.100.7 does not like recipient.\nRemote host said: 550 5.1.1 no such user\nGiving up on 198.51.100.7.\n")
	b.ReportAllocs()
	for b.Loop() {
		r.Read(m)
	}
}

// TestOrdinaryMail holds mail that carries the marks of a form and is none.
func TestOrdinaryMail(t *testing.T) {
	r := reader(t)
	for _, c := range []struct {
		from, subject, head, body string
		kind                      dsn.Kind
	}{
		{"li@163.com", "hello", "Received: from x by smtp.163.com (Coremail) with SMTP id 1\n", "Noodles with wang@partner.example?", dsn.NotABounce},
		{"shop@parcels.example", "Delivery status of your order", "", "Your parcel could not be delivered. Write to help@parcels.example.", dsn.NotABounce},
		{"li@mine.example", "Fwd: a question about MDaemon", "", "Does MDaemon write to <wang@partner.example>?", dsn.NotABounce},
		{"li@qq.com", "自动回复: hello", "Received: from x by newxmesmtp.qq.com\nAuto-Submitted: auto-replied\n", "我在休假。", dsn.AutoReply},
		{"postmaster@mine.example", "Maintenance tonight", "", "The mail server will be down at 22:00.", dsn.NotABounce},
	} {
		f := r.Read([]byte("From: " + c.from + "\n" + c.head + "Subject: " + c.subject + "\n\n" + c.body + "\n"))
		if f.Kind != c.kind {
			t.Errorf("%s from %s is read as %s by %q", c.subject, c.from, f.Kind, f.Form)
		}
	}
}

func FuzzBounce(f *testing.F) {
	r := reader(f)
	f.Add(mail("MAILER-DAEMON@q.example", "failure notice", "Hi. This is the qmail-send program\n\n<a@b.example>:\nRemote host said: 550 5.1.1 no\n"))
	f.Add(mail("postmaster@163.com", "系统退信", "收件人：a@b.example\n退信原因：收件人邮箱空间不足\n"))
	f.Add([]byte("Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; <\x1b[31m@\nAction: failed\n--b--"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, m := range dsn.Split(msg) {
			rep := r.Survey("x", m, time.Time{})
			if rep.Headline.Says.In(finding.EN) == "" {
				t.Error("a report without a sentence")
			}
		}
	})
}

// TestSieveReject reads what a recipient's Sieve script sends back: the reason is the recipient's own words, unless they
// tell a cause.
func TestSieveReject(t *testing.T) {
	for words, want := range map[string]string{"No mail here, thank you.": "recipient-rejected", "Quota exceeded (mailbox for user is full)": "mailbox-full"} {
		msg := "From: Postmaster <postmaster@partner.example>\nTo: a@mine.example\nSubject: Rejected: hi\nAuto-Submitted: auto-replied (rejected)\nMIME-Version: 1.0\n" +
			"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\nContent-Type: text/plain\n\nYour message to <li@partner.example> was automatically rejected:\n" + words +
			"\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; li@partner.example\nDisposition: automatic-action/MDN-sent-automatically; deleted\n\n--b--\n"
		f := reader(t).Read([]byte(msg))
		if f.Kind != dsn.Bounce || len(f.Recipients) != 1 || f.Recipients[0].Cause != want {
			t.Errorf("%s: %s %+v", words, f.Kind, f.Recipients)
		}
	}
}
