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
	Fired     int           `json:"fired"`     // incidents it would have opened
	Flaps     int           `json:"flaps"`     // of those, how many opened again within FlapSpan after they closed, or were opened again so
	Told      int           `json:"told"`      // alerts it would have sent, resolved ones included
	Failing   time.Duration `json:"failing"`   // within incidents
	Longest   time.Duration `json:"longest"`   //
	Blind     int           `json:"blind"`     // samples that could not test
	Held      int           `json:"held"`      // changes held back by flap control
	FlapSpan  time.Duration `json:"flap_span"` //
	Incidents []Period      `json:"incidents"` // the last hundred
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

// Replay judges stored samples again by a definition as it is now, armed or not. It is the same code that runs live.
func Replay(ctx context.Context, store Store, def *Definition, kind *Kind, since, until time.Time) (*Replayed, error) {
	out := &Replayed{FlapSpan: def.FlapWithin.D()}
	limits, rule := def.Limits(kind), def.Rule()
	var s State
	var all []Period
	err := store.Samples(ctx, def.ID, since, until, func(x *Sample) bool {
		if out.Samples++; out.Samples == 1 {
			out.Since = x.At
		}
		out.Until = x.At
		if x.Maintenance || def.InMaintenance(x.At) {
			return ctx.Err() == nil
		}
		o := Judge(&limits, x)
		if o.Verdict == Unknown {
			out.Blind++
		}
		var events []Event
		if kind.Once {
			s, events = once(def, s, o)
		} else {
			s, events = Step(def.ID, rule, s, o, false)
		}
		for i := range events {
			all = out.event(all, &events[i])
		}
		return ctx.Err() == nil
	})
	if err != nil || ctx.Err() != nil {
		return nil, firstOf(err, ctx.Err())
	}
	out.finish(all)
	return out, nil
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
