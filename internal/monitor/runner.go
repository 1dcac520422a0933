package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Announcer takes over what must be told. It returns nil when the event is in safe hands; it may get the same event twice
// and tells it once (Event.ID).
type Announcer interface {
	Announce(ctx context.Context, n *News) error
}

// News is an event with all that a reader needs.
type News struct {
	Event    Event
	Monitor  Definition // complete
	Target   string     // what it is about: a domain, a host
	Incident *Incident  // nil where the event is of none
	Proposal *Proposal  // of an event that proposes
	Severity finding.Severity
	Channels []string // nil: all
}

// Options are what a Runner needs.
type Options struct {
	Config    *Config
	Kinds     []Kind
	Store     Store
	Announcer Announcer // nil: nothing is told
	Applier   Applier   // nil: what is approved is carried out by hand
	// Doors gives what a run from a vantage point (nil: this machine as it is) may touch; a fresh one for each run. page
	// tells a monitor that was made from the page, which may not go everywhere.
	Doors func(ctx context.Context, from *Vantage, page bool) (*Doors, error)
	Now   func() time.Time
	Log   *slog.Logger // nil: silent
}

// Runner runs monitors. Its methods are safe for concurrent use.
type Runner struct {
	o    Options
	mu   sync.Mutex
	list []*entry // by ID
	wake chan struct{}
	last Tally
	kept time.Time // when old things were last forgotten
}

// entry is one monitor under way.
type entry struct {
	def     Definition // complete
	kind    *Kind
	page    bool      // made from the page
	last    time.Time // start of the last run
	next    time.Time // when it is due; zero: not worked out yet
	running bool
}

// Tally counts what a runner did since it was made.
type Tally struct {
	Runs, Failures, Blind, Broken int64
}

// New makes a runner. Definitions that are not valid are refused: validate before.
func New(ctx context.Context, o Options) (*Runner, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Kinds == nil {
		o.Kinds = Kinds()
	}
	r := &Runner{o: o, wake: make(chan struct{}, 1)}
	return r, r.Reload(ctx, o.Config)
}

// Reload takes a new configuration; runs under way end as they began. State is kept by ID.
func (r *Runner) Reload(ctx context.Context, c *Config) error {
	stored, err := r.o.Store.Monitors(ctx)
	if err != nil {
		return err
	}
	var list []*entry
	add := func(d Definition, page bool) error {
		k := FindKind(r.o.Kinds, d.Kind)
		if k == nil {
			return fmt.Errorf("monitor %s: no kind %q", d.ID, d.Kind)
		}
		if slices.ContainsFunc(list, func(e *entry) bool { return e.def.ID == d.ID }) {
			return nil // the file wins over the page
		}
		s, err := r.o.Store.State(ctx, d.ID)
		if err != nil {
			return err
		}
		e := &entry{def: c.Complete(d, r.o.Kinds), kind: k, page: page}
		if s.Last != nil {
			e.last = s.Last.At
		}
		list = append(list, e)
		return nil
	}
	for _, d := range c.Monitor {
		if err := add(d, false); err != nil {
			return err
		}
	}
	for _, d := range stored {
		if err := add(d, true); err != nil {
			r.o.Log.Warn("a stored monitor is left out", "monitor", d.ID, "why", err)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.def.ID, b.def.ID) })
	r.mu.Lock()
	for _, e := range list {
		if i := slices.IndexFunc(r.list, func(old *entry) bool { return old.def.ID == e.def.ID }); i >= 0 {
			e.running = r.list[i].running
		}
	}
	r.list, r.o.Config = list, c
	r.mu.Unlock()
	r.poke()
	return nil
}

func (r *Runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Find gives a complete definition by ID and whether it was made from the page.
func (r *Runner) Find(id string) (d Definition, page, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.find(id); e != nil {
		return e.def, e.page, true
	}
	return Definition{}, false, false
}

func (r *Runner) find(id string) *entry {
	for _, e := range r.list {
		if e.def.ID == id {
			return e
		}
	}
	return nil
}

// Config is the configuration in force.
func (r *Runner) Config() *Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.o.Config
}

// Kinds lists the kinds of monitor that can be made here.
func (r *Runner) Kinds() []Kind { return r.o.Kinds }

// Store is what the monitors are remembered in.
func (r *Runner) Store() Store { return r.o.Store }

// Definitions lists every monitor, complete, by ID.
func (r *Runner) Definitions() []Definition {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Definition
	for _, e := range r.list {
		out = append(out, e.def)
	}
	return out
}

// Tally tells what was done so far.
func (r *Runner) Tally() Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// ErrRunning says that the monitor is at it already.
var ErrRunning = errors.New("this monitor is running already")

// Serve runs what is due until the context ends, and returns when the last run has ended.
func (r *Runner) Serve(ctx context.Context) {
	r.mu.Lock()
	atOnce := r.o.Config.Defaults.AtOnce
	r.mu.Unlock()
	if atOnce <= 0 {
		atOnce = 8
	}
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	defer wg.Wait()
	r.Announce(ctx)
	house := time.NewTicker(time.Minute)
	defer house.Stop()
	for {
		ids, wait := r.due()
		for _, id := range ids {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-slots; r.poke() }()
				if _, err := r.Run(ctx, id); err != nil && ctx.Err() == nil && !errors.Is(err, ErrRunning) {
					r.o.Log.Error("monitor", "monitor", id, "why", err)
				}
			})
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-r.wake:
			timer.Stop()
		case <-house.C:
			timer.Stop()
			r.Announce(ctx)
			if err := r.Housekeep(ctx); err != nil && ctx.Err() == nil {
				r.o.Log.Error("monitors: housekeeping", "why", err)
			}
		}
	}
}

// due lists what must run now, and how long nothing else will.
func (r *Runner) due() (ids []string, wait time.Duration) {
	now := r.o.Now()
	wait = time.Minute // a clock that is set is noticed within it
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.list {
		if e.running {
			continue
		}
		every, jitter := e.def.Every.D(), e.def.Jitter.D()
		if e.next.IsZero() || e.next.Sub(now) > 2*every { // or the clock was set back
			e.next = Next(e.def.ID, every, jitter, e.last, now)
		}
		if !e.next.After(now) {
			e.last, e.next = now, time.Time{} // so that it is not due again before it began
			ids = append(ids, e.def.ID)
			continue
		}
		wait = min(wait, e.next.Sub(now))
	}
	return ids, max(wait, 10*time.Millisecond)
}

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
	if ran.Sample.Maintenance, err = r.inMaintenance(ctx, def, ran.Sample.At); err != nil {
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

// automatic is who approves what the configuration lets happen by itself.
const automatic = "(configuration)"

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

// proposes makes the proposal of an open incident once it is due, and the event that tells it.
func (r *Runner) proposes(def *Definition, c *Commit, o Observation) *Proposal {
	w := def.Propose
	if w == nil || !def.IsArmed() || c.State.Proposed || c.State.Incident == "" || o.Verdict != Failing || c.State.Streak < max(w.After, def.FailAfter) {
		return nil
	}
	p := def.propose(&c.State, &o)
	c.State.Proposed = true
	c.Events = append(c.Events, Event{
		ID: p.ID, Kind: Proposes, At: o.At, Monitor: def.ID, Incident: c.State.Incident, Since: c.State.Since, Before: Failing, Observation: o,
	})
	return p
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

// Announce hands over what is stored and not yet told. What cannot be handed over stays and is tried again.
func (r *Runner) Announce(ctx context.Context) {
	if r.o.Announcer == nil {
		return
	}
	for {
		events, err := r.o.Store.Unannounced(ctx, 100)
		if err != nil || len(events) == 0 {
			if err != nil && ctx.Err() == nil {
				r.o.Log.Error("what must be told could not be read", "why", err)
			}
			return
		}
		for i := range events {
			if err := r.announce(ctx, &events[i]); err != nil {
				if ctx.Err() == nil {
					r.o.Log.Error("an alert could not be handed over", "event", events[i].ID, "why", err)
				}
				return
			}
		}
	}
}

func (r *Runner) announce(ctx context.Context, e *Event) error {
	n := &News{Event: *e, Severity: severity(e)}
	if def, _, ok := r.Find(e.Monitor); ok {
		n.Monitor, n.Channels = def, def.Channels
		if k := FindKind(r.o.Kinds, def.Kind); k != nil {
			n.Target = k.Target(def.Args)
		}
	} else {
		n.Monitor = Definition{ID: e.Monitor, Title: e.Monitor}
	}
	if e.Incident != "" {
		i, err := r.o.Store.Incident(ctx, e.Incident)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		if n.Incident = i; i != nil && (e.Kind == Resolved || e.Kind == Calmed) { // the end goes where the beginning went
			for j := range i.Causes {
				n.Severity = max(n.Severity, i.Causes[j].Severity)
			}
		}
	}
	if e.Kind == Proposes {
		p, err := r.o.Store.Proposal(ctx, e.ID)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		n.Proposal = p
	}
	if err := r.o.Announcer.Announce(ctx, n); err != nil {
		return err
	}
	return r.o.Store.Announced(ctx, e.ID)
}

// severity is how loud an event is: that of its gravest cause while it fails, a warning where nobody can see, else a note.
func severity(e *Event) finding.Severity {
	switch e.Kind {
	case Blinded, Flapped, Changed, Proposes:
		return finding.Warning
	}
	worst := finding.Note
	if e.Observation.Verdict == Failing {
		for i := range e.Observation.Causes {
			worst = max(worst, e.Observation.Causes[i].Severity)
		}
	}
	return worst
}

// ErrMoved says that a proposal is not the one that was looked at.
var ErrMoved = errors.New("the proposal is not the one that was looked at")

// Decide approves or refuses a proposal. hash is that of the proposal as it was shown. What is approved is carried out
// where there is somebody to do it; where that fails the proposal is open again.
func (r *Runner) Decide(ctx context.Context, id string, approve bool, by, note, hash string) error {
	p, err := r.o.Store.Proposal(ctx, id)
	if err != nil {
		return err
	}
	now := r.o.Now()
	if !approve {
		return r.o.Store.DecideProposal(ctx, id, ProposalOpen, ProposalRefused, by, now, note)
	}
	if hash != p.Hash {
		return ErrMoved
	}
	if !now.Before(p.Expires) {
		return ErrClosed
	}
	if err := r.o.Store.DecideProposal(ctx, id, ProposalOpen, ProposalApproved, by, now, note); err != nil {
		return err
	}
	if r.o.Applier == nil {
		return nil
	}
	if p, err = r.o.Store.Proposal(ctx, id); err != nil {
		return err
	}
	if err := r.o.Applier.Apply(ctx, p); err != nil {
		return errors.Join(err, r.o.Store.DecideProposal(ctx, id, ProposalApproved, ProposalOpen, by, now, err.Error()))
	}
	return nil
}

// Housekeep ends what is over and forgets what is old.
func (r *Runner) Housekeep(ctx context.Context) error {
	now := r.o.Now()
	open, err := r.o.Store.Proposals(ctx, true, 1000)
	if err != nil {
		return err
	}
	var errs []error
	for i := range open {
		p := &open[i]
		switch {
		case p.State == ProposalOpen && !now.Before(p.Expires):
			errs = append(errs, r.o.Store.DecideProposal(ctx, p.ID, ProposalOpen, ProposalExpired, "", now, ""))
		case p.State == ProposalApproved && !now.Before(p.Until):
			note := p.Note
			if r.o.Applier != nil {
				err := r.o.Applier.Undo(ctx, p)
				if err != nil && !errors.Is(err, ErrOverwritten) {
					errs = append(errs, err)
					continue
				}
				if err != nil {
					note = strings.TrimSpace(note + " " + err.Error())
				}
			}
			errs = append(errs, r.o.Store.DecideProposal(ctx, p.ID, ProposalApproved, ProposalEnded, p.By, now, note))
		}
	}
	r.mu.Lock()
	def := r.o.Config.Defaults
	prune := now.Sub(r.kept) >= hour || r.kept.After(now)
	if prune {
		r.kept = now
	}
	r.mu.Unlock()
	if !prune {
		return errors.Join(errs...)
	}
	samples, incidents := def.KeepSamples.D(), def.KeepIncidents.D()
	if samples == 0 {
		samples = 90 * 24 * hour
	}
	if incidents == 0 {
		incidents = 400 * 24 * hour
	}
	_, err = r.o.Store.Prune(ctx, now.Add(-samples), now.Add(-incidents))
	return errors.Join(append(errs, err)...)
}
