// Package view holds the findings of a domain against what a provider or a standards test asks (row C11): the table
// knowledge/tables/views.toml maps requirements to rules.
//
// Promise: pure; it adds no opinion of its own. A requirement nobody looked at is never met and never broken.
package view

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// Verdict is what became of one requirement.
type Verdict struct {
	Row     *knowledge.ViewRow
	Verdict finding.Verdict // pass, error or warning (not met), could-not-test, not-applicable
	By      []string        // rule IDs that broke it
}

// Judge holds findings against a view.
func Judge(v *knowledge.View, fs []finding.Finding) []Verdict {
	looked := map[string]bool{} // topics with a finding that was tested
	for i := range fs {
		if fs[i].Outcome == finding.Pass || fs[i].Outcome == finding.Fail {
			looked[fs[i].Rule.Topic()] = true
		}
	}
	var out []Verdict
	for i := range v.Rows {
		out = append(out, row(&v.Rows[i], fs, looked))
	}
	return out
}

func row(r *knowledge.ViewRow, fs []finding.Finding, looked map[string]bool) Verdict {
	out := Verdict{Row: r, Verdict: finding.VerdictUntested}
	if len(r.Rules) == 0 {
		out.Verdict = finding.VerdictNotApplicable
		return out
	}
	for i := range fs {
		if fs[i].Outcome == finding.Fail && slices.Contains(r.Unless, fs[i].Rule.ID) {
			out.Verdict, out.By = finding.VerdictNotApplicable, []string{fs[i].Rule.ID}
			return out
		}
	}
	untested, topic := false, false
	for _, id := range r.Rules {
		t, _, _ := strings.Cut(id, ".")
		topic = topic || looked[t]
		for i := range fs {
			f := &fs[i]
			if f.Rule.ID != id {
				continue
			}
			switch {
			case f.Outcome == finding.Fail && (f.Level() > finding.Note || r.Strict):
				out.By = appendNew(out.By, id)
			case f.Outcome == finding.Unknown:
				untested = true
			}
		}
	}
	switch {
	case len(out.By) > 0 && r.Need == "good":
		out.Verdict = finding.VerdictWarning
	case len(out.By) > 0:
		out.Verdict = finding.VerdictError
	case topic && !untested:
		out.Verdict = finding.VerdictPass
	}
	return out
}

func appendNew(have []string, s string) []string {
	for _, h := range have {
		if h == s {
			return have
		}
	}
	return append(have, s)
}

// Section shows the verdicts as a table.
func Section(v *knowledge.View, verdicts []Verdict) finding.Section {
	met, broken := 0, 0
	s := finding.Section{Columns: []finding.Sentence{finding.S("requirement", nil), finding.S("asked of", nil), finding.S("because of", nil)}}
	for _, x := range verdicts {
		why := finding.Raw(strings.Join(x.By, " "))
		switch x.Verdict {
		case finding.VerdictPass:
			met++
		case finding.VerdictNotApplicable:
			if len(x.By) > 0 {
				break
			}
			why = finding.Both(x.Row.How.EN, x.Row.How.ZH)
		case finding.VerdictUntested:
			why = finding.S("could not be looked at", nil)
		default:
			broken++
		}
		s.Rows = append(s.Rows, finding.Marked(x.Verdict, finding.Both(x.Row.Title.EN, x.Row.Title.ZH), need(x.Row.Need), why))
	}
	s.Title = finding.S("{{.View}}: {{.Met}} of {{.All}} met, {{.Broken}} not, the rest cannot be seen from here",
		finding.Args{"View": finding.Both(v.Name.EN, v.Name.ZH), "Met": strconv.Itoa(met), "All": strconv.Itoa(len(verdicts)), "Broken": strconv.Itoa(broken)})
	return s
}

func need(n string) finding.Sentence {
	switch n {
	case "bulk":
		return finding.S("bulk senders", nil)
	case "good":
		return finding.S("recommended", nil)
	}
	return finding.S("everybody", nil)
}
