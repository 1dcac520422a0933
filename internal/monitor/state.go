package monitor

import (
	"slices"
	"strconv"
	"time"
)

// Rule says how many observations make a change, and when changes are too many to be told.
type Rule struct {
	FailAfter  int // failures in a row that open an incident
	ClearAfter int // successes in a row that close it
	BlindAfter int // runs in a row that could not test, until that is told
	Flap       Flap
	Remind     time.Duration // an open incident nobody acknowledged is told again after this; 0: never
}

// Flap bounds how often a monitor may change its mind: Changes confirmed changes Within a span make it flapping, and it is
// calm again after a span without a change.
type Flap struct {
	Changes int // 0: no flap control
	Within  time.Duration
}

// State is what a monitor knows between two runs. The zero State is that of one that never ran.
type State struct {
	Known      Verdict            `json:"known"`                // OK or Failing as confirmed; None before the first known observation
	Since      time.Time          `json:"since,omitzero"`       // of Known: the first observation that showed it
	Streak     int                `json:"streak,omitempty"`     // known observations in a row that say StreakOf
	StreakOf   Verdict            `json:"streak_of,omitempty"`  //
	StreakFrom time.Time          `json:"streak_from,omitzero"` //
	Unknowns   int                `json:"unknowns,omitempty"`   // runs in a row that could not test
	UnknownAt  time.Time          `json:"unknown_at,omitzero"`  // the first of them
	Blind      bool               `json:"blind,omitempty"`      // it was told that it cannot test
	Changes    []time.Time        `json:"changes,omitempty"`    // confirmed changes within Flap.Within
	Flapping   bool               `json:"flapping,omitempty"`   //
	Incident   string             `json:"incident,omitempty"`   // the open one
	Keys       []string           `json:"keys,omitempty"`       // what was told to fail in it
	Fresh      []string           `json:"fresh,omitempty"`      // what fails besides, not yet told
	FreshRuns  int                `json:"fresh_runs,omitempty"` // in so many observations in a row
	Told       time.Time          `json:"told,omitzero"`        // when the open incident was last told
	Aloud      bool               `json:"aloud,omitempty"`      // the open incident was told, and its end must be, too
	Proposed   bool               `json:"proposed,omitempty"`   // an action was proposed for the open incident
	Last       *Observation       `json:"last,omitempty"`       //
	LastKnown  *Observation       `json:"last_known,omitempty"` // the last that was not Unknown
	Maintained time.Time          `json:"maintained,omitzero"`  // last run within a maintenance window
	Runs       int64              `json:"runs,omitempty"`       // so far
	Failures   int64              `json:"failures,omitempty"`   // so far
	Blinds     int64              `json:"blind_runs,omitempty"` // so far: could not test
	Snapshot   []byte             `json:"snapshot,omitempty"`   // what the next run of a comparing kind is held against
	Values     map[string]float64 `json:"values,omitempty"`     // of the last run that measured, seen from the first vantage point
}

// EventKind says what happened to a monitor.
type EventKind string

// The kinds of event.
const (
	Opened   EventKind = "opened"   // an incident began
	Widened  EventKind = "widened"  // something else fails now, too
	Reminded EventKind = "reminded" // still failing, and nobody acknowledged it
	Resolved EventKind = "resolved" // the incident is over
	Flapped  EventKind = "flapping" // it changes too often: held back until it is calm
	Calmed   EventKind = "calm"     // no change for a while; Observation tells how it ended
	Blinded  EventKind = "blind"    // could not test for too long
	SeesOn   EventKind = "sees"     // can test again
	Turned   EventKind = "turned"   // a change while flapping: recorded, not told
	Proposes EventKind = "proposes" // an action waits for approval, or was taken
	Changed  EventKind = "changed"  // what a comparison found: told once, no incident
)

// Event is something that happened, in the order in which it happened.
type Event struct {
	ID          string      `json:"id"` // the same when the same samples are stepped through again
	Kind        EventKind   `json:"kind"`
	At          time.Time   `json:"at"`
	Monitor     string      `json:"monitor"`
	Incident    string      `json:"incident,omitempty"`
	Since       time.Time   `json:"since,omitzero"` // of the state it speaks of
	Before      Verdict     `json:"before"`         // the last known state
	Count       int         `json:"count,omitempty"`
	Observation Observation `json:"observation"`
	Silent      bool        `json:"silent,omitempty"` // muted, or not armed: history only
}

// Step takes one observation. It is pure: the same rule, state and observations give the same states and events. acked says
// that somebody took the open incident on.
func Step(monitor string, r Rule, s State, o Observation, acked bool) (State, []Event) {
	t := &step{monitor: monitor, r: r, s: s, o: o}
	t.s.Changes, t.s.Keys, t.s.Fresh = slices.Clone(s.Changes), slices.Clone(s.Keys), slices.Clone(s.Fresh)
	t.s.Last, t.s.Runs = &o, s.Runs+1
	t.s.notAfter(o.At)
	switch o.Verdict {
	case OK, Failing:
		t.known(acked)
	default:
		t.blind()
	}
	return t.s, t.out
}

// notAfter brings times that lie ahead to now: the clock was set back, and nobody is to wait until it is there again.
func (s *State) notAfter(now time.Time) {
	for _, t := range []*time.Time{&s.Since, &s.StreakFrom, &s.UnknownAt, &s.Told} {
		if t.After(now) {
			*t = now
		}
	}
	for i := range s.Changes {
		if s.Changes[i].After(now) {
			s.Changes[i] = now
		}
	}
}

type step struct {
	monitor string
	r       Rule
	s       State
	o       Observation
	out     []Event
}

func (t *step) emit(kind EventKind, since time.Time, count int) {
	before := t.s.Known
	t.out = append(t.out, Event{
		ID: t.monitor + "/" + string(kind) + "/" + strconv.FormatInt(t.o.At.UnixMilli(), 10), Kind: kind, At: t.o.At, Monitor: t.monitor,
		Incident: t.s.Incident, Since: since, Before: before, Count: count, Observation: t.o,
	})
}

// blind counts a run that could not test. Neither failures nor successes in a row are touched by it.
func (t *step) blind() {
	s := &t.s
	s.Blinds++
	if s.Unknowns++; s.Unknowns == 1 {
		s.UnknownAt = t.o.At
	}
	if !s.Blind && t.r.BlindAfter > 0 && s.Unknowns >= t.r.BlindAfter {
		s.Blind = true
		t.emit(Blinded, s.UnknownAt, s.Unknowns)
	}
}

// known takes an observation that says something.
func (t *step) known(acked bool) {
	s := &t.s
	if s.Blind {
		t.emit(SeesOn, s.UnknownAt, s.Unknowns)
	}
	s.Blind, s.Unknowns, s.UnknownAt = false, 0, time.Time{}
	o := t.o
	s.LastKnown = &o
	if t.o.Verdict == Failing {
		s.Failures++
	}
	if s.StreakOf != t.o.Verdict {
		s.StreakOf, s.Streak, s.StreakFrom = t.o.Verdict, 0, t.o.At
	}
	s.Streak++
	t.calm()
	switch {
	case t.o.Verdict == Failing && s.Known != Failing:
		if s.Streak >= t.r.FailAfter {
			t.open()
		}
	case t.o.Verdict == Failing:
		t.goesOn(acked)
	case s.Known == Failing:
		if s.Streak >= t.r.ClearAfter {
			t.close()
		}
	case s.Known == None:
		s.Known, s.Since = OK, t.o.At
	}
}

// turn notes a confirmed change and tells whether there are too many of them.
func (t *step) turn() {
	s := &t.s
	if t.r.Flap.Changes <= 0 {
		return
	}
	s.Changes = append(s.Changes, t.o.At)
	s.Changes = slices.DeleteFunc(s.Changes, func(at time.Time) bool { return t.o.At.Sub(at) > t.r.Flap.Within })
}

func (t *step) tooMany() bool { return t.r.Flap.Changes > 0 && len(t.s.Changes) >= t.r.Flap.Changes }

func (t *step) open() {
	s := &t.s
	since := s.StreakFrom
	if s.Incident == "" { // while flapping the incident stays open
		s.Incident = t.monitor + "-" + strconv.FormatInt(since.Unix(), 10)
		s.Keys, s.Fresh, s.FreshRuns, s.Proposed = nil, nil, 0, false
	}
	s.Keys = merged(s.Keys, t.o.Keys)
	t.turn()
	switch {
	case s.Flapping:
		t.emit(Turned, since, s.Streak)
	case t.tooMany():
		s.Flapping = true
		t.emit(Flapped, s.Changes[0], len(s.Changes))
	default:
		t.emit(Opened, since, s.Streak)
	}
	s.Known, s.Since, s.Told = Failing, since, t.o.At
}

func (t *step) close() {
	s := &t.s
	t.turn()
	switch {
	case s.Flapping:
		t.emit(Turned, s.StreakFrom, s.Streak)
	case t.tooMany():
		s.Flapping = true
		t.emit(Flapped, s.Changes[0], len(s.Changes))
	default:
		t.emit(Resolved, s.Since, s.Streak)
		s.Incident, s.Keys, s.Fresh, s.FreshRuns, s.Proposed = "", nil, nil, 0, false
	}
	s.Known, s.Since = OK, s.StreakFrom
}

// calm ends flapping after a span without a change.
func (t *step) calm() {
	s := &t.s
	if !s.Flapping || len(s.Changes) > 0 && t.o.At.Sub(s.Changes[len(s.Changes)-1]) <= t.r.Flap.Within {
		return
	}
	s.Flapping, s.Changes = false, nil
	s.Told = t.o.At
	t.emit(Calmed, s.Since, 0)
	if s.Known == OK {
		s.Incident, s.Keys, s.Fresh, s.FreshRuns, s.Proposed = "", nil, nil, 0, false
	}
}

// goesOn looks at an incident that is open: does something else fail now, and is it time to tell it again?
func (t *step) goesOn(acked bool) {
	s := &t.s
	if s.Flapping {
		return
	}
	fresh := slices.DeleteFunc(slices.Clone(t.o.Keys), func(k string) bool { return slices.Contains(s.Keys, k) })
	if len(fresh) > 0 && slices.Equal(fresh, s.Fresh) {
		s.FreshRuns++
	} else {
		s.Fresh, s.FreshRuns = fresh, min(len(fresh), 1)
	}
	switch {
	case len(fresh) > 0 && s.FreshRuns >= t.r.FailAfter:
		s.Keys, s.Fresh, s.FreshRuns = merged(s.Keys, fresh), nil, 0
		s.Told = t.o.At
		t.emit(Widened, s.Since, len(fresh))
	case t.r.Remind > 0 && !acked && t.o.At.Sub(s.Told) >= t.r.Remind:
		s.Told = t.o.At
		t.emit(Reminded, s.Since, 0)
	}
}

// merged is the sorted union, bounded.
func merged(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), 100)]
}
