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
	if len(rep.Findings) != 1 || rep.Findings[0].Rule.ID != "bounce.sender" || !strings.Contains(rep.Findings[0].Evidence[0].Raw, "li@partner.example") {
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
