package cli

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"slices"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// traceStore asks a store what trace asks files.
func (a *app) traceStore(ctx context.Context, q trace.Query, what string, f traceFlags, know *knowledge.Base) error {
	s, err := a.openAsked(ctx, f.store, f.passwordFile)
	if err != nil {
		return err
	}
	defer s.Close()
	q.Sessions = 200
	if f.redact {
		q.Redact = &trace.Redactor{Key: []byte(rand.Text())}
	}
	if f.raw {
		q.Sessions = 0
	}
	var failed error
	journeys := func(yield func(*trace.Journey) bool) {
		for j, err := range s.Journeys(ctx, q) {
			if failed = err; err != nil || !yield(j) {
				return
			}
		}
	}
	n := 0
	if f.raw {
		n, err = a.rawSteps(journeys)
	} else {
		shown := what
		if f.redact {
			shown = q.Redact.Text(what)
		}
		n, err = a.showJourneys(journeys, func(*trace.Journey) {}, shown, f, know)
	}
	if err == nil {
		err = failed
	}
	if err == nil && n == 0 {
		a.warn(finding.S("{{.What}}: nothing found in the store {{.Folder}}", finding.Args{"What": what, "Folder": f.store}))
		if a.status == exitOK {
			a.status = exitFinding
		}
	}
	return err
}

// rawSteps prints the lines of journeys in order of time, each once.
func (a *app) rawSteps(journeys func(func(*trace.Journey) bool)) (n int, err error) {
	var all []trace.Step
	type place struct {
		file   string
		offset int64
		line   string
	}
	seen := map[place]bool{}
	for j := range journeys {
		for _, s := range j.Steps {
			if s.Line == "" { // its term is over
				continue
			}
			if p := (place{s.File, s.Offset, s.Line}); !seen[p] {
				seen[p] = true
				all = append(all, trace.Step{At: s.At, File: s.File, Offset: s.Offset, Line: s.Line})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y trace.Step) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.File, y.File), cmp.Compare(x.Offset, y.Offset))
	})
	w := bufio.NewWriterSize(a.out, 1<<16)
	for _, s := range all {
		w.WriteString(s.Line)
		if err = w.WriteByte('\n'); err != nil {
			return n, err
		}
		n++
	}
	return n, w.Flush()
}
