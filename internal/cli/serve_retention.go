package cli

import (
	"context"
	"errors"
	"sync"
	"time"
)

// retentionPart deletes once an hour what is older than is to be kept.
func retentionPart(_ context.Context, v *service) (*part, error) {
	began := time.Now()
	r := &retaining{v: v, keeps: v.cfg.Retention.keeps(), steady: func() time.Duration { return time.Since(began) }}
	return &part{name: "retention", run: r.run, reload: r.reload}, nil
}

type retaining struct {
	v      *service
	steady func() time.Duration // a clock that nobody sets
	mu     sync.Mutex
	keeps  map[string]string

	// Of the turn before.
	wall time.Time
	ran  time.Duration
	wait time.Duration // by the steady clock: nothing is deleted before
}

// Bounds of trust in the clock: at the start it is given time to be set, and where it was set by more than setBy nothing is
// deleted for a day, in which somebody may put it right.
const (
	firstTurn = 10 * time.Minute
	setBy     = time.Hour
	afterSet  = 24 * time.Hour
)

func (r *retaining) reload(c *Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeps = c.Retention.keeps()
	return nil
}

func (r *retaining) run(ctx context.Context) error {
	next := time.NewTimer(firstTurn)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if err := r.turn(ctx); err != nil && ctx.Err() == nil {
			r.v.log.Error("retention", "error", err) // tried again with the next turn
		}
		next.Reset(time.Hour)
	}
}

// turn deletes what is too old, unless the clock was set lately: what a wrong clock takes for old may be new.
func (r *retaining) turn(ctx context.Context) error {
	wall, ran := r.v.now().Round(0), r.steady()
	if by := wall.Sub(r.wall) - (ran - r.ran); !r.wall.IsZero() && by.Abs() > setBy {
		r.wait = ran + afterSet
		r.v.log.Warn("the clock was set: nothing is deleted for a day", "by", by.Round(time.Second))
	}
	r.wall, r.ran = wall, ran
	if ran < r.wait {
		return nil
	}
	return r.once(ctx)
}

// once deletes what is older than is to be kept, after the audit log has it. What fails with one kind keeps no other.
func (r *retaining) once(ctx context.Context) error {
	r.mu.Lock()
	keeps := r.keeps
	r.mu.Unlock()
	d := &deleting{state: r.v.state, audit: r.v.audit}
	var ok bool
	var all error
	for _, kind := range keptKinds {
		if keeps[kind] == "" {
			continue
		}
		if d.journeys, ok = r.v.journeys.(retainer); !ok && (kind == keptJourneys || kind == keptLines) {
			continue
		}
		gone, held, err := d.run(ctx, kind, keeps[kind], r.v.now())
		all = errors.Join(all, err)
		if len(gone) > 0 {
			r.v.log.Info("deleted what is older than is kept", "kind", kind, "keep", keeps[kind], "parts", len(gone), "held", len(held))
		}
	}
	return all
}
