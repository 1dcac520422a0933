package domain

import (
	"context"
	"iter"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// ahead is how many reports may wait for a slow domain before them, per domain under way.
const ahead = 4

// Many surveys domains, at most `parallel` at once, and hands their reports to emit in the order of the input, one at
// a time. What is in memory at any moment is bounded by parallel, not by the number of domains. It stops early when
// the context ends or emit returns an error, which it gives back.
func Many(ctx context.Context, env *check.Env, domains iter.Seq[string], parallel int, emit func(*finding.Report) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, parallel)
	queue := make(chan chan *finding.Report, parallel*ahead)
	go func() {
		defer close(queue)
		for d := range domains {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			one := make(chan *finding.Report, 1)
			go func() {
				one <- Survey(ctx, env, d, Options{})
				<-slots
			}()
			select {
			case queue <- one:
			case <-ctx.Done():
				return
			}
		}
	}()
	for one := range queue {
		r := <-one
		if ctx.Err() != nil {
			return ctx.Err() // what was under way saw an interrupted world
		}
		if err := emit(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}
