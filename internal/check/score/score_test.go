package score

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

const sound = "Authentication-Results: mx.partner.example; spf=pass smtp.mailfrom=mine.example; dkim=pass header.d=mine.example; dmarc=pass header.from=mine.example\r\n" +
	"Received: from mx.mine.example (mx.mine.example [192.0.2.25]) by mx.partner.example (Postfix) with ESMTPS id 4XyZab1cdEz9; Mon, 5 Feb 2024 10:00:05 +0800\r\n" +
	"From: Li <li@mine.example>\r\nTo: wang@partner.example\r\nSubject: The report for May\r\nDate: Mon, 5 Feb 2024 10:00:00 +0800\r\nMessage-ID: <1@mine.example>\r\n\r\nThe report for May is ready.\r\n"

func survey(t testing.TB, text string, o Options) (*Facts, *finding.Report) {
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
	return r.Facts.(*Facts), r
}

func section(f *Facts, id string) Section {
	for _, s := range f.Sections {
		if s.ID == id {
			return s
		}
	}
	return Section{}
}

func TestSoundMessage(t *testing.T) {
	f, r := survey(t, sound, Options{})
	if f.Score != 10 || r.Headline.State != finding.StateOK {
		t.Errorf("score %v, %s; %+v", f.Score, r.Headline.Says, f.Sections)
	}
	// Infrastructure cannot be tested offline, and there are no links, files or mailing: they count neither way.
	if f.Tested != 6.2 || section(f, "infrastructure").Tested || section(f, "links").Tested {
		t.Errorf("tested %v: %+v", f.Tested, f.Sections)
	}
}

func TestUntestedAuthenticationIsNotScored(t *testing.T) {
	_, rest, _ := strings.Cut(sound, "\r\n")
	f, _ := survey(t, rest, Options{})
	if s := section(f, "authentication"); s.Tested || f.Score != 10 {
		t.Errorf("%+v, score %v", s, f.Score)
	}
}

func TestPointsAreLostOnce(t *testing.T) {
	f, _ := survey(t, strings.Replace(sound, "The report for May is ready.", "http://192.0.2.1/a http://192.0.2.2/b http://192.0.2.3/c", 1), Options{})
	s := section(f, "links")
	if s.Points != 0.5 || len(s.Lost) != 3 {
		t.Errorf("%+v", s)
	}
}

func TestFailedAuthenticationCosts(t *testing.T) {
	f, _ := survey(t, strings.Replace(sound, "dmarc=pass", "dmarc=fail", 1), Options{})
	if s := section(f, "authentication"); s.Points != 2 || f.Score >= 10 {
		t.Errorf("%+v, score %v", s, f.Score)
	}
}

func TestAbsentFilterIsUntested(t *testing.T) {
	m, err := eml.Read(strings.NewReader(sound), "x")
	if err != nil {
		t.Fatal(err)
	}
	env := &check.Env{Now: time.Now, Know: knowledge.Embedded(), Probe: check.Probe{Offline: true}, Dial: deadDialer{}}
	r, err := Survey(context.Background(), env, m, Options{SpamAssassin: "127.0.0.1:1", Rspamd: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Rule == ruleFilter && r.Findings[i].Verdict() == finding.VerdictUntested {
			n++
		}
	}
	if n != 2 || r.Facts.(*Facts).Score != 10 {
		t.Errorf("%d findings, score %v", n, r.Facts.(*Facts).Score)
	}
}

func FuzzSurvey(f *testing.F) {
	f.Add(sound)
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := eml.Read(strings.NewReader(s), "x"); err != nil {
			return
		}
		facts, _ := survey(t, s, Options{})
		if facts.Score < 0 || facts.Score > 10 {
			t.Fatalf("score %v", facts.Score)
		}
	})
}
