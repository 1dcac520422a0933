package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Ran is what one run gave.
type Ran struct {
	Report      *finding.Report // of the first vantage point that gave one; nil where none did
	Sample      *Sample
	Observation Observation
	State       State
	Events      []Event
}

// Run runs a monitor once, now, whatever its schedule, and stores what came of it.
func (r *Runner) Run(ctx context.Context, id string) (*Ran, error) {
	r.mu.Lock()
	e := r.find(id)
	if e == nil {
		r.mu.Unlock()
		return nil, ErrNone
	}
	if e.running {
		r.mu.Unlock()
		return nil, ErrRunning
	}
	e.running, e.last, e.next = true, r.o.Now(), time.Time{}
	def, kind, config, page := e.def, e.kind, r.o.Config, e.page
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		if e := r.find(id); e != nil {
			e.running = false
		}
		r.mu.Unlock()
	}()
	state, err := r.o.Store.State(ctx, id)
	if err != nil {
		return nil, err
	}
	ran, snap := r.look(ctx, config, &def, kind, page, state.Snapshot)
	if ctx.Err() != nil {
		return nil, ctx.Err() // we were stopped: that is no observation
	}
	return ran, r.conclude(ctx, &def, kind, state, ran, snap)
}

// Look runs a monitor once and stores nothing.
func (r *Runner) Look(ctx context.Context, id string) (*Ran, error) {
	r.mu.Lock()
	e := r.find(id)
	if e == nil {
		r.mu.Unlock()
		return nil, ErrNone
	}
	def, kind, config, page := e.def, e.kind, r.o.Config, e.page
	r.mu.Unlock()
	state, err := r.o.Store.State(ctx, id)
	if err != nil {
		return nil, err
	}
	ran, _ := r.look(ctx, config, &def, kind, page, state.Snapshot)
	return ran, ctx.Err()
}

// look runs the kind from every vantage point at once.
func (r *Runner) look(ctx context.Context, config *Config, def *Definition, kind *Kind, page bool, before []byte) (*Ran, []byte) {
	began := r.o.Now()
	ctx, cancel := context.WithTimeout(ctx, def.Timeout.D())
	defer cancel()
	from := []*Vantage{nil}
	if len(def.From) > 0 {
		from = nil
		for _, name := range def.From {
			i := slices.IndexFunc(config.Vantage, func(v Vantage) bool { return v.Name == name })
			if i >= 0 {
				from = append(from, &config.Vantage[i])
			}
		}
	}
	points, results := make([]Point, len(from)), make([]*Result, len(from))
	var wg sync.WaitGroup
	for i, v := range from {
		wg.Go(func() { points[i], results[i] = r.one(ctx, def, kind, v, page, before) })
	}
	wg.Wait()
	ran := &Ran{Sample: &Sample{Monitor: def.ID, At: began, Took: max(r.o.Now().Sub(began), 0), Points: points}}
	var snap []byte
	for _, res := range results {
		if res != nil && ran.Report == nil {
			ran.Report, snap = res.Report, res.Snapshot
		}
	}
	limits := def.Limits(kind)
	ran.Observation = Judge(&limits, ran.Sample)
	return ran, snap
}

// one runs the kind from one vantage point. A panic of a check is our fault, and could not test.
func (r *Runner) one(ctx context.Context, def *Definition, kind *Kind, v *Vantage, page bool, before []byte) (p Point, res *Result) {
	from := ""
	if v != nil {
		from = v.Name
	}
	defer func() {
		if x := recover(); x != nil {
			r.o.Log.Error("a check broke", "monitor", def.ID, "why", x)
			p, res = Broke(from, finding.S("mailwhy has a bug here: {{.Text}}", finding.Args{"Text": fmt.Sprint(x)})), nil
		}
	}()
	doors, err := r.o.Doors(ctx, v, page)
	if err != nil {
		return Broke(from, check.Why(err)), nil
	}
	doors.Before = before
	if doors.Close != nil {
		defer doors.Close()
	}
	res, err = kind.run(ctx, doors, def.Args)
	if err != nil {
		return Broke(from, check.Why(err)), nil
	}
	finding.Order(res.Report.Findings)
	return Look(from, res.Report, res.Values), res
}

// conclude steps the state, stores everything and announces it.
func (r *Runner) conclude(ctx context.Context, def *Definition, kind *Kind, s State, ran *Ran, snap []byte) error {
	mute, err := r.o.Store.Mute(ctx, def.ID, ran.Sample.At)
	if err != nil {
		return err
	}
	acked, err := r.acked(ctx, s.Incident)
	if err != nil {
		return err
	}
	if ran.Sample.Maintenance, err = r.InMaintenance(ctx, def, ran.Sample.At); err != nil {
		return err
	}
	c := &Commit{Monitor: def.ID, Sample: ran.Sample}
	var proposal *Proposal
	switch {
	case ran.Sample.Maintenance:
		o := ran.Observation
		s.Last, s.Maintained, s.Runs = &o, ran.Sample.At, s.Runs+1
		c.State = s
	case kind.Once:
		c.State, c.Events = once(def, s, ran.Observation)
	default:
		c.State, c.Events = Step(def.ID, def.Rule(), s, ran.Observation, acked)
		proposal = r.proposes(def, c, ran.Observation)
	}
	for i := range ran.Sample.Points {
		if v := ran.Sample.Points[i].Values; len(v) > 0 {
			c.State.Values = v
			break
		}
	}
	c.hush(mute != nil || !def.IsArmed())
	if snap != nil {
		c.State.Snapshot = snap
	}
	if proposal != nil {
		if err := r.o.Store.PutProposal(ctx, proposal); err != nil {
			return err
		}
	}
	if err := r.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	ran.State, ran.Events = c.State, c.Events
	r.count(ran)
	if proposal != nil && proposal.Automatic {
		if err := r.Decide(ctx, proposal.ID, true, automatic, "", proposal.Hash); err != nil {
			r.o.Log.Error("a proposal could not be carried out", "proposal", proposal.ID, "why", err)
		}
	}
	r.Announce(ctx)
	return nil
}

func (r *Runner) acked(ctx context.Context, incident string) (bool, error) {
	if incident == "" {
		return false, nil
	}
	i, err := r.o.Store.Incident(ctx, incident)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil && i.Ack != nil, err
}

// hush decides which events are told. While a monitor is quiet only the end of what was told before is; what is still open
// when it is not quiet any more is told then.
func (c *Commit) hush(quiet bool) {
	s := &c.State
	kept := c.Events[:0]
	for _, e := range c.Events {
		over := e.Kind == Resolved || e.Kind == Calmed && e.Before == OK
		switch {
		case over:
			e.Silent = quiet && !s.Aloud
			s.Aloud = false
		case quiet && e.Kind == Reminded:
			continue
		default:
			e.Silent = quiet
			s.Aloud = s.Aloud || !quiet && e.Incident != "" && e.Kind.told()
		}
		kept = append(kept, e)
	}
	c.Events = kept
	if quiet && s.Incident != "" && !s.Aloud {
		s.Told = time.Time{}
	}
}

// once steps a kind that compares: what it found is told, and the monitor itself is fine.
func once(def *Definition, s State, o Observation) (State, []Event) {
	plain := o
	if o.Verdict == Failing {
		plain.Verdict = OK
	}
	s, out := Step(def.ID, def.Rule(), s, plain, false)
	s.Last = &o
	if o.Verdict == Failing {
		out = append(out, Event{
			ID: fmt.Sprintf("%s/%s/%d", def.ID, Changed, o.At.UnixMilli()), Kind: Changed, At: o.At, Monitor: def.ID, Since: o.At, Before: OK,
			Count: len(o.Causes), Observation: o,
		})
	}
	return s, out
}

func (r *Runner) count(ran *Ran) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.Runs++
	switch ran.Observation.Verdict {
	case Failing:
		r.last.Failures++
	case Unknown:
		r.last.Blind++
	}
}
