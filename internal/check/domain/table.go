package domain

import (
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

var stateWords = map[finding.State]finding.Verdict{
	finding.StateBroken: finding.VerdictError, finding.StateWarning: finding.VerdictWarning,
	finding.StateUntested: finding.VerdictUntested, finding.StateOK: finding.VerdictPass,
}

// Table is the report at the end of a run over many domains: how many are how, and the gravest finding of each.
func Table(lines []Summary, started, ended time.Time) *finding.Report {
	count := map[finding.State]int{}
	s := finding.Section{Title: finding.S("Domains", nil), Columns: []finding.Sentence{finding.S("domain", nil),
		finding.S("errors", nil), finding.S("warnings", nil), finding.S("gravest finding", nil)}}
	for _, l := range lines {
		count[l.State]++
		says := l.Says
		if says.IsZero() {
			says = finding.Raw("")
		}
		s.Rows = append(s.Rows, finding.Marked(stateWords[l.State], finding.Raw(l.Domain), number(l.Errors), number(l.Warnings), says))
	}
	h := finding.Headline{State: finding.StateOK, Says: finding.S("{{.N}} domains in {{.Took}}: {{.Broken}} broken, {{.Warn}} with warnings, {{.Untested}} could not be tested, {{.Fine}} fine.",
		finding.Args{"N": len(lines), "Took": ended.Sub(started), "Broken": count[finding.StateBroken], "Warn": count[finding.StateWarning],
			"Untested": count[finding.StateUntested], "Fine": count[finding.StateOK]})}
	for _, st := range []finding.State{finding.StateUntested, finding.StateWarning, finding.StateBroken} {
		if count[st] > 0 {
			h.State = st
		}
	}
	return &finding.Report{Command: "check", Target: finding.Subject{Kind: finding.KindDomain, Name: "*"}, Headline: h, Sections: []finding.Section{s},
		Started: started, Took: ended.Sub(started)}
}

func number(n int) finding.Sentence {
	if n == 0 {
		return finding.Raw("")
	}
	return finding.Raw(strconv.Itoa(n))
}
