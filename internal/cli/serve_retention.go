package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// RetentionConfig is [retention]: how long is kept what is remembered.
type RetentionConfig struct {
	Journeys string `toml:"journeys"` // lines of logs: "6mo", "12mo", "400d"; "" keeps them for ever
}

func (c *RetentionConfig) check() error {
	if c.Journeys == "" {
		return nil
	}
	_, err := keptSince(c.Journeys, time.Unix(0, 0))
	return err
}

// retainer is a store that can delete what is old.
type retainer interface {
	Retain(ctx context.Context, r sqlite.Retention) (gone, held []sqlite.SegmentStats, err error)
}

// retentionPart deletes once an hour what is older than is to be kept.
func retentionPart(_ context.Context, v *service) (*part, error) {
	r := &retaining{v: v, keep: v.cfg.Retention.Journeys}
	return &part{name: "retention", run: r.run, reload: r.reload}, nil
}

type retaining struct {
	v    *service
	mu   sync.Mutex
	keep string
}

func (r *retaining) reload(c *Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep = c.Retention.Journeys
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

// once deletes what is older than is to be kept, after the audit log has it.
func (r *retaining) once(ctx context.Context) error {
	r.mu.Lock()
	keep := r.keep
	r.mu.Unlock()
	s, ok := r.v.journeys.(retainer)
	if keep == "" || !ok {
		return nil
	}
	before, err := keptSince(keep, r.v.now())
	if err != nil {
		return err
	}
	holds, err := r.v.state.Holds(ctx)
	if err != nil {
		return err
	}
	gone, held, err := s.Retain(ctx, sqlite.Retention{Before: before, Holds: holds, Record: func(gone []sqlite.SegmentStats) error {
		_, err := r.v.audit.Append(audit.Record{What: "store.delete", Target: "keep " + keep, Detail: deletionDetail(gone)})
		return err
	}})
	if len(gone) > 0 {
		r.v.log.Info("deleted what is older than is kept", "keep", keep, "segments", len(gone), "held", len(held))
	}
	return err
}

// deletionDetail says what was in the segments that go.
func deletionDetail(gone []sqlite.SegmentStats) string {
	var what []string
	for _, g := range gone {
		what = append(what, fmt.Sprintf("segment %d, %s to %s, %d bytes of logs", g.Number, g.Since.Format(time.RFC3339), g.Until.Format(time.RFC3339), g.Text))
	}
	return strings.Join(what, "; ")
}
