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
)

// Options are what a Runner needs.
type Options struct {
	Config    *Config
	Kinds     []Kind
	Store     Store
	Announcer Announcer // nil: nothing is told
	Applier   Applier   // nil: what is approved is carried out by hand
	// Doors gives what a run from a vantage point (nil: this machine as it is) may touch; a fresh one for each run. page
	// tells a monitor that was made from the page, which may not go everywhere.
	Doors   func(ctx context.Context, from *Vantage, page bool) (*Doors, error)
	History History // what the store of mail logs knows; nil: nothing
	Now     func() time.Time
	Log     *slog.Logger // nil: silent
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
