package sieve

import (
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// TestEveryFaultCanBeSaid says every finding of faulty scripts in both languages.
func TestEveryFaultCanBeSaid(t *testing.T) {
	msg := []byte("From: news@partner.example\nTo: wang@mine.example\nSubject: invoice\n\nhello\n")
	for _, c := range []struct{ src, rule string }{
		{`fileinto "A";`, "sieve.require-missing"},
		{`require "nothing-like-it";`, "sieve.meaning"},
		{`mark "A";`, "sieve.require-missing"},
		{`bogus "A";`, "sieve.meaning"},
		{`if bogus "A" { keep; }`, "sieve.meaning"},
		{`keep :x;`, "sieve.meaning"},
		{`redirect "x";`, "sieve.meaning"},
		{`else { keep; }`, "sieve.meaning"},
		{`if address "from" "*@x.example" { keep; }`, "sieve.never-matches"},
		{`if header "From:" "x" { keep; }`, "sieve.never-matches"},
		{`if header :contains "from" "" { keep; }`, "sieve.matches-all"},
		{`stop; keep;`, "sieve.unreachable"},
		{`require "regex"; if header :regex "a" "(" { keep; }`, "sieve.regex"},
		{`require "copy";`, "sieve.require-unused"},
		{`require "include";`, "sieve.not-run"},
		{`redirect "a`, "sieve.syntax"},
		{`discard;`, "sieve.discarded"},
		{`require "reject"; reject "no";`, "sieve.rejected"},
		{`require "fileinto"; fileinto "A";`, "sieve.filed"},
		{`redirect "a@mine.example";`, "sieve.redirected"},
		{`require "vacation"; vacation "away";`, "sieve.no-answer"},
	} {
		to := "li@mine.example"
		r := Read("x.sieve", []byte(c.src)).Survey("m.eml", msg, Envelope{To: &to}, time.Unix(0, 0))
		found := false
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.Says().In(finding.EN) == "" || f.Says().In(finding.ZH) == "" {
				t.Errorf("%s: %s says nothing", c.src, f.Rule.ID)
			}
			found = found || f.Rule.ID == c.rule && f.Outcome != finding.Pass
		}
		if !found || r.Headline.Says.In(finding.EN) == "" {
			t.Errorf("%s: want %s, got %q", c.src, c.rule, r.Headline.Says.In(finding.EN))
		}
	}
}
