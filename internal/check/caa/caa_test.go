package caa

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
)

func TestJudge(t *testing.T) {
	for want, records := range map[string][]string{
		"":                     {`0 issue "ca.example"`, `0 issuemail ";"`},
		"caa.missing":          nil,
		"caa.issuemail":        {`0 issue "ca.example"`},
		"caa.syntax":           {`0 issue "https://ca.example"`, `0 issuemail ";"`},
		"caa.unknown-critical": {`128 tbs "x"`},
	} {
		z := mail.Zone{Records: map[string][]mail.Record{}}
		for _, r := range records {
			p := strings.SplitN(r, " ", 3)
			z.Records["example.com"] = append(z.Records["example.com"], mail.Record{Type: mail.TypeCAA, Text: r, Tag: p[1], Data: []byte(strings.Trim(p[2], `"`))})
		}
		var got []string
		for _, f := range Judge(Look(context.Background(), z, "example.com")) {
			if f.Outcome == finding.Fail {
				got = append(got, f.Rule.ID)
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", records, s, want)
		}
	}
}
