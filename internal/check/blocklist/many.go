package blocklist

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// subjectsAtOnce bounds the subjects under way; each asks every list.
const subjectsAtOnce = 8

// Many surveys subjects, a few at once, and hands their reports to emit in the order of the input, one at a time. What
// is in memory is bounded by the subjects under way. It stops early when the context ends or emit returns an error,
// which it gives back.
func Many(ctx context.Context, env *check.Env, subjects iter.Seq[string], opt Options, emit func(*finding.Report) error) error {
	type result struct {
		r   *finding.Report
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan result, subjectsAtOnce)
	go func() {
		defer close(queue)
		for s := range subjects {
			one := make(chan result, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				return
			}
			go func() {
				r, err := Survey(ctx, env, []string{s}, opt)
				one <- result{r, err}
			}()
		}
	}()
	for one := range queue {
		x := <-one
		switch {
		case ctx.Err() != nil:
			return ctx.Err() // what was under way saw an interrupted world
		case x.err != nil:
			return x.err
		}
		if err := emit(x.r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Line is one subject in a table of many.
type Line struct {
	Subject  string
	Verdict  finding.Verdict
	Listed   []string // names of lists, heaviest first
	Tested   int
	Untested int
}

// Summarise makes a line of a report.
func Summarise(r *finding.Report) Line {
	l := Line{Verdict: finding.VerdictPass}
	f, ok := r.Facts.(*Facts)
	if !ok {
		return l
	}
	for i := range f.Subjects {
		s := &f.Subjects[i]
		listed := s.Listings()
		slices.SortStableFunc(listed, func(a, b Entry) int { return b.Weight - a.Weight })
		for _, e := range listed {
			l.Listed = append(l.Listed, e.Name)
		}
		l.Subject = s.Name
		l.Untested += s.Count(Untested)
		l.Tested += s.Count(Listed) + s.Count(Clean) + s.Count(Good)
	}
	for i := range r.Findings {
		if x := &r.Findings[i]; x.Rule != ruleAsked {
			l.Verdict = min(l.Verdict, x.Verdict())
		}
	}
	if l.Tested == 0 {
		l.Verdict = finding.VerdictUntested
	}
	return l
}

// Table is the report of many subjects, a row each.
func Table(lines []Line, started, ended time.Time) *finding.Report {
	s := finding.Section{Columns: []finding.Sentence{finding.S("address or domain", nil), finding.S("lists tested", nil), finding.S("not tested", nil), finding.S("listed by", nil)}}
	listed, untested := 0, 0
	for _, l := range lines {
		if len(l.Listed) > 0 {
			listed++
		}
		if l.Tested == 0 {
			untested++
		}
		s.Rows = append(s.Rows, finding.Marked(l.Verdict, finding.Raw(l.Subject), finding.S("{{.N}}", finding.Args{"N": l.Tested}), finding.S("{{.N}}", finding.Args{"N": l.Untested}), finding.Raw(strings.Join(l.Listed, ", "))))
	}
	h := finding.Headline{State: finding.StateOK, Says: finding.S("{{.Listed}} of {{.N}} are on a blocklist{{if .Untested}}; of {{.Untested}} nothing could be tested{{end}}.", finding.Args{"Listed": listed, "N": len(lines), "Untested": untested})}
	for _, l := range lines {
		switch {
		case l.Verdict == finding.VerdictError:
			h.State, h.Owner = finding.StateBroken, finding.OwnerServer
		case l.Verdict == finding.VerdictWarning && h.State != finding.StateBroken:
			h.State, h.Owner = finding.StateWarning, finding.OwnerServer
		case l.Verdict == finding.VerdictUntested && h.State == finding.StateOK:
			h.State = finding.StateUntested
		}
	}
	return &finding.Report{Command: "blocklist", Target: finding.Subject{Kind: finding.KindNetwork, Name: ""}, Headline: h, Sections: []finding.Section{s}, Started: started, Took: ended.Sub(started)}
}
