package cli

import (
	"context"
	"errors"
	"sync"
	"time"

	queuecheck "github.com/mailwhy/mailwhy/internal/check/queue"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/web"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

// QueueConfig is [queue]: how often the mail queue of this machine is looked at for the page.
type QueueConfig struct {
	Off     bool     `toml:"off"`     // leave it alone
	Every   duration `toml:"every"`   // 0 means 1m
	Listing string   `toml:"listing"` // a file that something else writes (postqueue -j, exim -bp), in place of this machine's queue
	Top     int      `toml:"top"`     // rows per table; 0 means 10
}

// queueLooker holds what the last look at the queue told.
type queueLooker struct {
	v *service
	c QueueConfig

	mu     sync.Mutex
	last   []web.Queue
	before *queuecheck.Snapshot
}

// queuePart looks at the queue from time to time.
func queuePart(_ context.Context, v *service) (*part, error) {
	if v.cfg.Queue.Off {
		return nil, nil
	}
	q := &queueLooker{v: v, c: v.cfg.Queue}
	if q.c.Every <= 0 {
		q.c.Every = duration(time.Minute)
	}
	if q.c.Top <= 0 {
		q.c.Top = 10
	}
	v.web.Queues = q.queues
	return &part{name: "queue", run: q.run}, nil
}

func (q *queueLooker) queues() []web.Queue { q.mu.Lock(); defer q.mu.Unlock(); return q.last }

func (q *queueLooker) run(ctx context.Context) error {
	tick := time.NewTicker(time.Duration(q.c.Every))
	defer tick.Stop()
	complained := ""
	for {
		err := q.look(ctx)
		switch {
		case err == nil:
			complained = ""
		case errors.Is(err, local.ErrMissing):
			q.v.log.Info("no mail queue on this machine: set queue.listing to show another's")
			<-ctx.Done()
			return nil
		case ctx.Err() == nil && err.Error() != complained: // once, not every minute
			complained = err.Error()
			q.v.log.Warn("the mail queue cannot be read", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look reads and judges the queue once.
func (q *queueLooker) look(ctx context.Context) error {
	env, done, err := q.v.newEnv(nil)
	if err != nil {
		return err
	}
	defer done()
	lifetime := usualLifetime
	if q.c.Listing == "" {
		lifetime = liveLifetime(ctx)
	}
	now := q.v.now()
	g := queuecheck.NewGatherer(now, lifetime)
	sum, err := q.v.app.readQueue(ctx, q.c.Listing, now, g.Entry)
	if err != nil {
		return err
	}
	f := g.Facts(sum, q.before, env.Know)
	host := hostname()
	r := queuecheck.Survey(env, finding.Host(host), f, q.c.Top)
	finding.Order(r.Findings)
	row := web.Queue{Host: host, At: now, Messages: int(f.Messages), Report: r}
	for name, n := range f.ByQueue {
		if name == "deferred" {
			row.Deferred += int(n)
		}
	}
	if len(f.Oldest) > 0 {
		row.Oldest = f.Oldest[0].At
	}
	q.before = &queuecheck.Snapshot{At: now, Messages: f.Messages}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = []web.Queue{row}
	return nil
}
