package view

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func TestJudge(t *testing.T) {
	d := finding.Domain("example.com")
	bad := &finding.Rule{ID: "spf.missing", Severity: finding.Error}
	fine := &finding.Rule{ID: "dmarc.missing", Severity: finding.Error}
	note := &finding.Rule{ID: "caa.missing", Severity: finding.Note}
	dark := &finding.Rule{ID: "tls.expired", Severity: finding.Error}
	fs := []finding.Finding{bad.Failed(d, nil), fine.Passed(d, nil), note.Failed(d, nil), dark.Untested(d, finding.Raw("x"))}
	v := &knowledge.View{Rows: []knowledge.ViewRow{
		{Need: "all", Rules: []string{"spf.missing"}},
		{Need: "good", Rules: []string{"spf.missing"}},
		{Need: "all", Rules: []string{"dmarc.missing", "dmarc.multiple"}},
		{Need: "all", Rules: []string{"caa.missing"}},
		{Need: "good", Rules: []string{"caa.missing"}, Strict: true},
		{Need: "all", Rules: []string{"tls.expired"}},
		{Need: "all", Rules: []string{"dane.missing"}},
		{Need: "all"},
		{Need: "all", Rules: []string{"dmarc.missing"}, Unless: []string{"caa.missing"}},
	}}
	want := []finding.Verdict{finding.VerdictError, finding.VerdictWarning, finding.VerdictPass, finding.VerdictPass, finding.VerdictWarning,
		finding.VerdictUntested, finding.VerdictUntested, finding.VerdictNotApplicable, finding.VerdictNotApplicable}
	for i, x := range Judge(v, fs) {
		if x.Verdict != want[i] {
			t.Errorf("row %d: %s, want %s", i, x.Verdict, want[i])
		}
	}
	if s := Section(v, Judge(v, fs)); len(s.Rows) != len(want) || len(s.Rows[0].Cells) != len(s.Columns) {
		t.Errorf("%+v", s)
	}
}
