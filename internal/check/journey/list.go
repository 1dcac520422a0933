package journey

import (
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// List gathers journeys for which a whole report each would be too much: a row each, up to a bound, and counts.
type List struct {
	Query string
	Max   int // rows
	know  *knowledge.Base
	rows  []finding.Row
	n     int
	by    map[trace.State]int
}

// NewList gives an empty list.
func NewList(query string, most int, know *knowledge.Base) *List {
	return &List{Query: query, Max: most, know: know, by: map[trace.State]int{}}
}

// Add takes a journey.
func (l *List) Add(j *trace.Journey) {
	l.n++
	l.by[j.State]++
	if len(l.rows) >= l.Max {
		return
	}
	from := "?"
	if j.From != nil {
		from = "<" + *j.From + ">"
	}
	id := ""
	if len(j.QueueIDs) > 0 {
		id = j.QueueIDs[0]
	}
	w := judge(j, l.know)
	why := finding.Sentence{}
	if w.read != nil && j.State != trace.Delivered {
		why = causeName(w.read)
	}
	row := finding.Cells(clock(j.Started), finding.Raw(id), finding.Raw(from), finding.Raw(recipientNames(j)), state(j.State), why)
	v := stateVerdict(j.State)
	row.Mark = &v
	l.rows = append(l.rows, row)
}

// Len is how many journeys were added.
func (l *List) Len() int { return l.n }

// Facts of a list.
type listFacts struct {
	Query  string              `json:"query"`
	More   int                 `json:"more"`
	States map[trace.State]int `json:"states"`
}

// Report gives the table of what was added.
func (l *List) Report() *finding.Report {
	r := &finding.Report{Command: "trace", Target: finding.Subject{Kind: finding.KindMessage, Name: l.Query}, Facts: listFacts{l.Query, l.n, l.by}}
	args := finding.Args{"N": l.n, "Delivered": l.by[trace.Delivered], "Bad": l.by[trace.BouncedSt] + l.by[trace.Partly], "Waiting": l.by[trace.Waiting], "Rejected": l.by[trace.RejectedS], "Shown": len(l.rows)}
	r.Headline = finding.Headline{State: finding.StateOK, Says: finding.S("{{.N}} more {{plural .N \"message\" \"messages\"}}: {{.Delivered}} delivered, {{.Bad}} failed in whole or in part, {{.Waiting}} waiting, {{.Rejected}} refused at the door (--all shows each whole).", args)}
	s := finding.Section{Title: finding.S("more messages", nil), Rows: l.rows,
		Columns: []finding.Sentence{finding.S("began", nil), finding.S("queue id", nil), finding.S("from", nil), finding.S("to", nil), finding.S("fate", nil), finding.S("cause", nil)}}
	if l.n > len(l.rows) {
		s.Title = finding.S("the first {{.Shown}} of {{.N}} more {{plural .N \"message\" \"messages\"}}", args)
	}
	r.Sections = []finding.Section{s}
	return r
}

func state(s trace.State) finding.Sentence {
	switch s {
	case trace.Delivered:
		return finding.S("delivered", nil)
	case trace.Partly:
		return finding.S("partly delivered", nil)
	case trace.Waiting:
		return finding.S("waiting", nil)
	case trace.BouncedSt:
		return finding.S("failed", nil)
	case trace.RejectedS:
		return finding.S("refused at the door", nil)
	case trace.DiscardSt:
		return finding.S("thrown away", nil)
	case trace.HeldState:
		return finding.S("on hold", nil)
	case trace.InQueue:
		return finding.S("accepted", nil)
	}
	return finding.S("unknown", nil)
}

func stateVerdict(s trace.State) finding.Verdict {
	switch s {
	case trace.Delivered:
		return finding.VerdictPass
	case trace.BouncedSt:
		return finding.VerdictError
	case trace.Partly, trace.Waiting, trace.RejectedS, trace.DiscardSt, trace.HeldState:
		return finding.VerdictWarning
	}
	return finding.VerdictUntested
}
