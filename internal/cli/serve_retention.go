package cli

import (
	"context"
	"errors"
	"sync"
	"time"
)

// retentionPart deletes once an hour what is older than is to be kept.
func retentionPart(_ context.Context, v *service) (*part, error) {
	r := &retaining{v: v, keeps: v.cfg.Retention.keeps()}
	return &part{name: "retention", run: r.run, reload: r.reload}, nil
}

type retaining struct {
	v     *service
	mu    sync.Mutex
	keeps map[string]string
}

func (r *retaining) reload(c *Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeps = c.Retention.keeps()
	return nil
}

func (r *retaining) run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			r.v.log.Error("retention", "error", err) // tried again with the next turn
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
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
		if d.journeys, ok = r.v.journeys.(retainer); !ok && kind == keptJourneys {
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
