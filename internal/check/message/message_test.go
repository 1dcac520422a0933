package message

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

const sample = "Received: from mx.mine.example (mx.mine.example [192.0.2.25]) by mx.partner.example (Postfix) with ESMTPS id 4XyZab1cdEz9; Mon, 5 Feb 2024 10:00:05 +0800\r\n" +
	"From: Li <li@mine.example>\r\nTo: wang@partner.example\r\nSubject: hello\r\nDate: Mon, 5 Feb 2024 10:00:00 +0800\r\nMessage-ID: <1@mine.example>\r\n\r\nhello\r\n"

func survey(t testing.TB, text string, o Options) *finding.Report {
	t.Helper()
	m, err := eml.Read(strings.NewReader(text), "test.eml")
	if err != nil {
		t.Fatal(err)
	}
	env := &check.Env{Now: time.Now, Know: knowledge.Embedded(), Probe: check.Probe{Offline: true}}
	r, err := Survey(context.Background(), env, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func failed(r *finding.Report) string {
	var ids []string
	for i := range r.Findings {
		if r.Findings[i].Outcome == finding.Fail {
			ids = append(ids, r.Findings[i].Rule.ID)
		}
	}
	return strings.Join(ids, " ")
}

func TestSurvey(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sound", sample, ""},
		{"mbox separator and byte order mark", "\xef\xbb\xbfFrom li@mine.example Mon Feb  5 10:00:00 2024\n" + sample, ""},
		{"look-alike", strings.ReplaceAll(sample, "li@mine.example", "li@paypa1.com"), "lookalike.domain"},
		{"filtered by ours", "X-Spam-Status: Yes, score=9.1 required=5.0 tests=X\r\n" + sample, "message.filtered"},
		{"a stranger's claim", strings.Replace(sample, "From: Li", "Received: from a.example ([198.51.100.1]) by mx.mine.example (Postfix) with ESMTP id 4XyZab1cdEz9; Mon, 5 Feb 2024 10:00:04 +0800\r\nX-Spam-Status: Yes, score=9.1 required=5.0\r\nFrom: Li", 1), ""},
		{"our results", "Authentication-Results: mx.partner.example; dkim=fail (bad hash) header.d=mine.example\r\n" + sample, "authres.failed"},
		{"a forged result", strings.Replace(sample, "From: Li", "Authentication-Results: mx.other.example; dkim=fail\r\nFrom: Li", 1), ""},
	} {
		if got := failed(survey(t, c.text, Options{})); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestReadNeedsAHeader(t *testing.T) {
	for _, s := range []string{"", "\n\n", "no header here\nat all\n"} {
		if _, err := eml.Read(strings.NewReader(s), "x"); !errors.Is(err, eml.ErrNoHeader) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestHugeHeaderIsBounded(t *testing.T) {
	r := survey(t, sample[:strings.Index(sample, "From:")]+strings.Repeat("X-Fill: "+strings.Repeat("a", 900)+"\r\n", 20000), Options{})
	if got := failed(r); !strings.Contains(got, "message.header-too-big") {
		t.Errorf("findings %q", got)
	}
}

func FuzzSurvey(f *testing.F) {
	f.Add(sample)
	f.Add("Authentication-Results: a; b=c (d\r\nX-Spam-Status: Yes\r\n\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := eml.Read(strings.NewReader(s), "x")
		if err != nil {
			return
		}
		env := &check.Env{Now: time.Now, Know: knowledge.Embedded(), Probe: check.Probe{Offline: true}}
		r, err := Survey(context.Background(), env, m, Options{Trust: []string{"mine.example"}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Findings {
			if strings.Contains(r.Findings[i].Says().In(finding.ZH), "{{.") {
				t.Fatalf("%s cannot be said", r.Findings[i].Rule.ID)
			}
		}
	})
}
