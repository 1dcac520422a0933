package monitor

import (
	"context"
	"time"
)

// Replayed is what a rule would have done over stored samples.
type Replayed struct {
	Since     time.Time     `json:"since"` // of the first sample
	Until     time.Time     `json:"until"` // of the last
	Samples   int           `json:"samples"`
	Stored    bool          `json:"stored_mail,omitempty"` // the samples were made out of the mail that is stored
	Fired     int           `json:"fired"`                 // incidents it would have opened
	Flaps     int           `json:"flaps"`                 // of those, how many opened again within FlapSpan after they closed, or were opened again so
	Told      int           `json:"told"`                  // alerts it would have sent, resolved ones included
	Failing   time.Duration `json:"failing"`               // within incidents
	Longest   time.Duration `json:"longest"`               //
	Blind     int           `json:"blind"`                 // samples that could not test
	Held      int           `json:"held"`                  // changes held back by flap control
	FlapSpan  time.Duration `json:"flap_span"`             //
	Incidents []Period      `json:"incidents"`             // the last hundred
}

// Period is one incident of a replay.
type Period struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until,omitzero"` // zero: still open at the end
	Text  Said      `json:"text"`
	Flap  bool      `json:"flap,omitempty"`
}

// maxReplayed is how many incidents of a replay are listed.
const maxReplayed = 100

// Replay judges the samples of a monitor since a time again by its definition as it is now, armed or not, with the code that
// runs live. Where a kind asks nothing but the mail that was stored (Kind.past), the samples are taken out of that, so that
// a rule that never ran can be replayed; else they are those that runs left.
func (r *Runner) Replay(ctx context.Context, id string, since time.Time) (*Replayed, error) {
	def, _, ok := r.Find(id)
	if !ok {
		return nil, ErrNone
	}
	kind := FindKind(r.o.Kinds, def.Kind)
	x := newReplay(&def, kind)
	samples := func(each func(*Sample) bool) error { return r.o.Store.Samples(ctx, def.ID, since, time.Time{}, each) }
	if kind.past != nil && r.o.History != nil {
		x.out.Stored = true
		samples = func(each func(*Sample) bool) error { return r.past(ctx, &def, kind, since, each) }
	}
	err := samples(func(s *Sample) bool {
		x.add(s)
		return ctx.Err() == nil
	})
	if err = firstOf(err, ctx.Err()); err != nil {
		return nil, err
	}
	x.out.finish(x.all)
	return x.out, nil
}

// replay judges one sample after the other.
type replay struct {
	def    *Definition
	kind   *Kind
	limits Limits
	rule   Rule
	s      State
	all    []Period
	out    *Replayed
}

func newReplay(def *Definition, kind *Kind) *replay {
	return &replay{def: def, kind: kind, limits: def.Limits(kind), rule: def.Rule(), out: &Replayed{FlapSpan: def.FlapWithin.D(), Incidents: []Period{}}}
}

func (x *replay) add(s *Sample) {
	if x.out.Samples++; x.out.Samples == 1 {
		x.out.Since = s.At
	}
	x.out.Until = s.At
	if s.Maintenance || x.def.InMaintenance(s.At) {
		return
	}
	o := Judge(&x.limits, s)
	if o.Verdict == Unknown {
		x.out.Blind++
	}
	var events []Event
	if x.kind.Once {
		x.s, events = once(x.def, x.s, o)
	} else {
		x.s, events = Step(x.def.ID, x.rule, x.s, o, false)
	}
	for i := range events {
		x.all = x.out.event(x.all, &events[i])
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// event keeps the incidents apart.
func (r *Replayed) event(all []Period, e *Event) []Period {
	if e.Kind.told() {
		r.Told++
	} else {
		r.Held++
	}
	open := len(all) > 0 && all[len(all)-1].Until.IsZero()
	failing := e.Observation.Verdict == Failing
	switch {
	case e.Kind == Changed:
		return append(all, Period{From: e.At, Until: e.At, Text: e.Observation.Text})
	case (e.Kind == Opened || e.Kind == Turned || e.Kind == Flapped) && failing && !open:
		from := e.Since
		if e.Kind == Flapped {
			from = e.At
		}
		return append(all, Period{From: from, Text: e.Observation.Text})
	case (e.Kind == Resolved || e.Kind == Turned || e.Kind == Flapped) && !failing && open:
		all[len(all)-1].Until = e.At
	}
	return all
}

func (r *Replayed) finish(all []Period) {
	r.Fired = len(all)
	for i := range all {
		end := all[i].Until
		if end.IsZero() {
			end = r.Until
		}
		d := end.Sub(all[i].From)
		r.Failing += d
		r.Longest = max(r.Longest, d)
		if i > 0 && all[i].From.Sub(all[i-1].Until) <= r.FlapSpan {
			all[i].Flap, all[i-1].Flap = true, true
		}
	}
	for i := range all {
		if all[i].Flap {
			r.Flaps++
		}
	}
	r.Incidents = all[max(0, len(all)-maxReplayed):]
}
