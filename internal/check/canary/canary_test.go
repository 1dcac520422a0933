package canary_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/canary"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// bed is a submission server and an IMAP server that shows what was submitted, in a folder of its choice.
type bed struct {
	smtp   *wiretest.SMTP
	imap   *wiretest.Lines
	folder string // where the message lies; "" for nowhere
	noUID  bool   // without UIDPLUS
	shut   bool   // nobody is let in
}

func (b *bed) answer(line string, _ bool) string {
	tag, rest, _ := strings.Cut(line, " ")
	verb, _, _ := strings.Cut(rest, " ")
	switch {
	case verb == "CAPABILITY":
		if b.noUID {
			return "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\n" + tag + " OK"
		}
		return "* CAPABILITY IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN\n" + tag + " OK"
	case verb == "AUTHENTICATE" && b.shut:
		return tag + " NO [AUTHENTICATIONFAILED] no"
	case verb == "LIST":
		return "* LIST () \"/\" INBOX\n* LIST (\\Junk) \"/\" Spam\n" + tag + " OK"
	case verb == "EXAMINE" && rest == `EXAMINE "`+b.folder+`"`:
		return tag + " OK here"
	case verb == "EXAMINE":
		return tag + " NO not now"
	case strings.HasPrefix(rest, "UID SEARCH") && len(b.smtp.Messages()) > 0 && b.folder != "":
		return "* SEARCH 5\n" + tag + " OK"
	case strings.HasPrefix(rest, "UID FETCH"):
		head, _, _ := bytes.Cut(b.smtp.Messages()[0], []byte("\r\n\r\n"))
		text := "Received: from probe.test by localhost with ESMTPSA; Sun, 22 Nov 2026 05:00:00 +0000\r\n" + string(head) + "\r\n\r\n"
		return fmt.Sprintf("* 1 FETCH (UID 5 BODY[HEADER] {%d}\n%s)\n%s OK", len(text), strings.ReplaceAll(text, "\r\n", "\n"), tag)
	}
	return tag + " OK"
}

func (b *bed) run(t *testing.T, o canary.Options) (*finding.Report, *canary.Facts) {
	t.Helper()
	now := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	ca, err := wiretest.NewCA("Test Root", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"localhost"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	b.smtp.TLS, b.smtp.Implicit = wiretest.Config(cert), true
	if b.smtp.Caps == nil {
		b.smtp.Caps = []string{"AUTH PLAIN"}
	}
	b.imap = &wiretest.Lines{Greeting: "* OK ready", TLS: wiretest.Config(cert), Implicit: true, Answer: b.answer}
	if err := w.SMTP("127.0.0.1:465", b.smtp); err != nil {
		t.Fatal(err)
	}
	if err := w.Lines("127.0.0.1:993", b.imap); err != nil {
		t.Fatal(err)
	}
	env := &check.Env{Dial: w, Now: func() time.Time { return now }, Know: knowledge.Embedded(), Roots: ca.Pool(), Probe: check.Probe{HELO: "probe.test", Timeout: time.Minute}}
	o.From, o.To = "li@mine.example", "wang@mine.example"
	o.Submit = &server.LoginOptions{Address: o.From, Server: "localhost", Secret: "geheim"}
	o.Fetch = server.LoginOptions{Address: o.To, Server: "localhost", Secret: "auch geheim", Protocols: []string{"imap"}}
	r, err := canary.Survey(context.Background(), env, o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(r)
	if err != nil || strings.Contains(string(raw), "geheim") {
		t.Errorf("a password stands in the report (%v)", err)
	}
	return r, r.Facts.(*canary.Facts)
}

func failed(r *finding.Report) (ids []string) {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Outcome == finding.Fail && f.Level() > finding.Note {
			ids = append(ids, f.Rule.ID)
		}
	}
	return slices.Compact(ids)
}

func TestCanary(t *testing.T) {
	in := map[string]string{"AUTH": "235 2.7.0 in"}
	for _, c := range []struct {
		name    string
		bed     bed
		keep    bool
		fail    string
		sent    int
		removed bool
	}{
		{"arrives", bed{smtp: &wiretest.SMTP{Replies: in}, folder: "INBOX"}, false, "", 1, true},
		{"is kept", bed{smtp: &wiretest.SMTP{Replies: in}, folder: "INBOX"}, true, "", 1, false},
		{"cannot be removed alone", bed{smtp: &wiretest.SMTP{Replies: in}, folder: "INBOX", noUID: true}, false, "", 1, false},
		{"is junk", bed{smtp: &wiretest.SMTP{Replies: in}, folder: "Spam"}, false, "canary.junk", 1, true},
		{"never arrives", bed{smtp: &wiretest.SMTP{Replies: in}}, false, "canary.not-arrived", 1, false},
		{"is refused", bed{smtp: &wiretest.SMTP{Replies: map[string]string{"AUTH": "235 in", "RCPT": "550 5.1.1 no such user"}}, folder: "INBOX"}, false, "canary.refused", 0, false},
		{"wrong password", bed{smtp: &wiretest.SMTP{Replies: map[string]string{"AUTH": "535 5.7.8 no"}}, folder: "INBOX"}, false, "login.wrong-password", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, f := c.bed.run(t, canary.Options{Wait: time.Second, Keep: c.keep})
			if got := strings.Join(failed(r), " "); got != c.fail {
				t.Errorf("failed %q, want %q", got, c.fail)
			}
			if n := len(c.bed.smtp.Messages()); n != c.sent || f.Removed != c.removed {
				t.Errorf("%d sent, removed %v", n, f.Removed)
			}
			for _, h := range c.bed.imap.Heard() {
				if strings.Contains(h, "STORE") && (c.keep || !strings.Contains(h, "UID STORE 5 ")) || c.bed.noUID && strings.Contains(h, "EXPUNGE") {
					t.Errorf("said %q", h)
				}
			}
		})
	}
}

// TestNothingSentBlindly holds that a mailbox that cannot be opened gets no message.
func TestNothingSentBlindly(t *testing.T) {
	b := &bed{smtp: &wiretest.SMTP{Replies: map[string]string{"AUTH": "235 in"}}, folder: "INBOX", shut: true}
	r, _ := b.run(t, canary.Options{Wait: time.Second})
	if got := strings.Join(failed(r), " "); got != "login.wrong-password" || len(b.smtp.Messages()) > 0 {
		t.Errorf("failed %q, %d sent", got, len(b.smtp.Messages()))
	}
}
