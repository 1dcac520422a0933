package dsn

import (
	"fmt"
	"strings"
	"testing"
)

// testForms is a small table, so that the reader is tested apart from the knowledge it is given.
func testForms(t testing.TB) *Forms {
	t.Helper()
	f, err := NewForms(FormsData{
		End:     []string{"--- below this line", "reporting-mta:"},
		Rcpt:    []string{`^<{addr}>:?\s*(.*)$`, `^\s{2,}{addr}\s*$`},
		Subject: []string{"undeliver", "failure"}, Sender: []string{"mailer-daemon", "postmaster"}, Text: []string{"not delivered"},
		AutoReply: []string{"out of office"}, AutoText: []string{"i am away"}, Delay: []string{"delayed"}, Success: []string{"relayed:"},
		Form: []FormData{
			{Name: "qm", Software: "Q", When: []string{"text:hi. this is the q"}, Start: []string{"following addresses"}, Rcpt: []string{`^<{addr}>:\s*(.*)$`}, Hint: []HintData{{"box is full", "mailbox-full"}}},
			{Name: "pre", When: []string{"subject:pre && from:postmaster"}, Rcpt: []string{`^\d{3} <{addr}>\.\.\. (.*)$`}, Before: true},
			{Name: "why", When: []string{"text:because of"}, Rcpt: []string{`^  {addr}$`}, Reason: []string{"because of"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mail(head, body string) []byte {
	return []byte(strings.ReplaceAll(head+"\n\n"+body, "\n", "\r\n"))
}

const standard = `This is a MIME message.

--b1
Content-Type: text/plain

The mail system

<li@mine.example>: host mx.partner.example[198.51.100.7] said: 550 5.1.1 User unknown
    (in reply to RCPT TO command)

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.mine.example
Arrival-Date: Sun, 22 Nov 2026 04:00:00 +0000

Final-Recipient: rfc822; li@mine.example
Original-Recipient: rfc822;wang@mine.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.partner.example
Diagnostic-Code: smtp; 550 5.1.1
  <li@mine.example>: User unknown

Final-Recipient: utf-8; 收件@例子.example
Action: delayed
Status: 4.4.1 (no answer)

--b1
Content-Type: text/rfc822-headers

From: a@b.example
Subject: =?UTF-8?B?5L2g5aW9?=
Message-ID: <1@b.example>

--b1--
`

func TestStandardReport(t *testing.T) {
	r := Read(mail("From: MAILER-DAEMON@mail.mine.example\nSubject: Undelivered\nContent-Type: multipart/report; report-type=delivery-status;\n boundary=\"b1\"", standard), testForms(t))
	if r.Kind != Bounce || r.ReportingMTA != "mail.mine.example" || len(r.Recipients) != 2 {
		t.Fatalf("%+v", r)
	}
	a, b := r.Recipients[0], r.Recipients[1]
	if a.Address != "li@mine.example" || a.Original != "wang@mine.example" || a.Action != "failed" || a.Status != "5.1.1" || a.RemoteMTA != "mx.partner.example" || a.DiagType != "smtp" || a.Diagnostic != "550 5.1.1 <li@mine.example>: User unknown" {
		t.Errorf("%+v", a)
	}
	if !strings.Contains(a.Text, "in reply to RCPT TO") {
		t.Errorf("the text about the recipient is %q", a.Text)
	}
	if b.Address != "收件@例子.example" || b.Action != "delayed" || b.Status != "4.4.1" {
		t.Errorf("%+v", b)
	}
	if r.Original.Subject != "你好" || r.Original.MessageID != "<1@b.example>" {
		t.Errorf("%+v", r.Original)
	}
}

func TestHomeMadeReports(t *testing.T) {
	for _, c := range []struct {
		name, head, body string
		kind             Kind
		form             string
		who              []string
		text             string // held by the text of the first recipient
	}{
		{"paragraphs", "From: MAILER-DAEMON@q.example\nSubject: failure", "Hi. This is the Q program.\nfollowing addresses.\n\n<a@b.example>:\nbox is full\n\n<c@d.example>: gone\n\n--- Below this line is a copy\n<x@y.example>: no\n", Bounce, "qm", []string{"a@b.example", "c@d.example"}, "box is full"},
		{"reason first", "From: postmaster@x.example\nSubject: pre", "<<< 550 nope\n550 <a@b.example>... User unknown\n<<< 552 full\n552 <c@d.example>... Full\n", Bounce, "pre", []string{"a@b.example", "c@d.example"}, "<<< 550 nope"},
		{"shared reason", "From: postmaster@x.example\nSubject: failure", "Not delivered because of\n\n550 too big\n\nto\n\n  a@b.example\n  c@d.example\n", Bounce, "why", []string{"a@b.example", "c@d.example"}, "550 too big"},
		{"no form", "From: postmaster@x.example\nSubject: Undeliverable", "It was not delivered:\n  a@b.example\n550 no\n", Bounce, "", []string{"a@b.example"}, "550 no"},
		{"delay", "From: postmaster@x.example\nSubject: Undeliverable, delayed", "not delivered yet\n  a@b.example\n", Delay, "", []string{"a@b.example"}, ""},
		{"failed header", "From: x@y.example\nSubject: hm\nX-Failed-Recipients: a@b.example, c@d.example", "no words", Bounce, "", []string{"a@b.example", "c@d.example"}, ""},
		{"vacation", "From: li@mine.example\nSubject: Re: hi\nAuto-Submitted: auto-replied", "I am away", AutoReply, "", []string{"li@mine.example"}, "I am away"},
		{"read receipt", "From: li@mine.example\nSubject: Read: hi\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b", "--b\nContent-Type: text/plain\n\nread\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; li@mine.example\n--b--\n", AutoReply, "", []string{"li@mine.example"}, "read"},
		{"ordinary", "From: li@mine.example\nSubject: hello", "How are you? <a@b.example>: fine", NotABounce, "", nil, ""},
		{"complaint", "From: fbl@p.example\nSubject: x\nContent-Type: multipart/report; report-type=feedback-report; boundary=b", "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <a@b.example>\n--b--\n", Complaint, "arf", []string{"a@b.example"}, ""},
		{"wrong boundary", "From: postmaster@x.example\nSubject: Undeliverable\nContent-Type: multipart/report; boundary=zzz", "--other\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822;a@b.example\nAction: failed\nStatus: 5.0.0\n--other--\n", Bounce, "dsn", []string{"a@b.example"}, ""},
		{"base64 and GBK", "From: postmaster@x.example\nSubject: Undeliverable\nContent-Type: text/plain; charset=gbk\nContent-Transfer-Encoding: base64", "bm90IGRlbGl2ZXJlZArNy9DFCiAgYUBiLmV4YW1wbGUKytW8/sjLsrvO5NTa\n", Bounce, "", []string{"a@b.example"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Read(mail(c.head, c.body), testForms(t))
			var who []string
			for _, rc := range r.Recipients {
				who = append(who, rc.Address)
			}
			if r.Kind != c.kind || r.Form != c.form || fmt.Sprint(who) != fmt.Sprint(c.who) {
				t.Fatalf("got %s by %q for %q, want %s by %q for %q", r.Kind, r.Form, who, c.kind, c.form, c.who)
			}
			if c.text != "" && !strings.Contains(r.Recipients[0].Text, c.text) {
				t.Errorf("text is %q, want %q in it", r.Recipients[0].Text, c.text)
			}
		})
	}
}

func TestForwardedReport(t *testing.T) {
	inner := string(mail("From: MAILER-DAEMON@q.example\nSubject: failure", "Hi. This is the Q program.\nfollowing addresses.\n\n<a@b.example>:\nno\n"))
	r := Read([]byte("From: li@mine.example\r\nSubject: please look\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\nwhy?\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"+inner+"\r\n--o--\r\n"), testForms(t))
	if r.Kind != Bounce || !r.Forwarded || len(r.Recipients) != 1 || r.Recipients[0].Address != "a@b.example" {
		t.Errorf("%+v", r)
	}
}

func TestNotifications(t *testing.T) {
	r := Read(mail("From: no-reply@sns.example\nSubject: AWS Notification", `{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","reportingMTA":"dsn; a1.example","bouncedRecipients":[{"emailAddress":"a@b.example","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]}}`), testForms(t))
	if r.Kind != Bounce || len(r.Recipients) != 1 || r.Recipients[0].Diagnostic != "550 5.1.1 user unknown" || r.ReportingMTA != "a1.example" {
		t.Errorf("%+v", r)
	}
}

func TestSplit(t *testing.T) {
	box := "From a@b.example Sun Nov 22 04:00:00 2026\nSubject: 1\n\nx\nFrom here on it is text: a, b: c\n\nFrom c@d.example Sun Nov 22 04:00:01 2026\nSubject: 2\n\ny\n"
	if got := Split([]byte(box)); len(got) != 2 {
		t.Errorf("%d messages: %q", len(got), got)
	}
	if got := Split([]byte("Subject: 1\n\nFrom now on: 12:00\n")); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
}

// TestHostileMail holds the bounds.
func TestHostileMail(t *testing.T) {
	f := testForms(t)
	var many strings.Builder
	many.WriteString("From: postmaster@x.example\nContent-Type: multipart/mixed; boundary=b\n\n")
	for range 20000 {
		many.WriteString("--b\nContent-Type: text/plain\n\nx\n")
	}
	if r := Read([]byte(many.String()), f); len(r.Limits) == 0 {
		t.Error("20,000 parts went through without a word")
	}
	deep := "From: postmaster@x.example\n"
	for i := range 100 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	if r := Read([]byte(deep), f); len(r.Limits) == 0 {
		t.Error("100 levels went through without a word")
	}
	var rcpt strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&rcpt, "<a%d@b.example>: no\n", i)
	}
	if r := Read(mail("From: postmaster@x.example\nSubject: Undeliverable", "not delivered\n"+rcpt.String()), f); len(r.Recipients) > MaxRecipients {
		t.Errorf("%d recipients", len(r.Recipients))
	}
}

func FuzzRead(f *testing.F) {
	forms := testForms(f)
	f.Add(mail("From: MAILER-DAEMON@mail.mine.example\nSubject: Undelivered\nContent-Type: multipart/report; boundary=\"b1\"", standard))
	f.Add(mail("From: postmaster@x.example\nSubject: pre", "<<< 550 nope\n550 <a@b.example>... User unknown\n"))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, m := range Split(msg) {
			if r := Read(m, forms); len(r.Recipients) > MaxRecipients || r.Kind == "" {
				t.Errorf("%d recipients, kind %q", len(r.Recipients), r.Kind)
			}
		}
	})
}
