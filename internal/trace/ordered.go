package trace

import (
	"context"
	"iter"
	"sync"
)

// batch is journeys on their way: built by a worker, given in the order of their first line.
type batch struct {
	groups [][]lineRef
	out    []*Journey
	done   chan struct{}
}

// largest is how many journeys a batch has at most. The first has one, so that it can be shown while others are built.
const largest = 16

// built gives the journeys of each group of lines, in the order of the groups. All workers build, a few batches ahead of
// the one that is shown.
func (f *Found) built(ctx context.Context, groups iter.Seq[[]lineRef]) iter.Seq[*Journey] {
	return func(yield func(*Journey) bool) {
		ctx, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		todo, order := make(chan *batch), make(chan *batch, 2*f.opt.Workers)
		for range f.opt.Workers {
			wg.Go(func() {
				c := f.cutter()
				for b := range todo {
					for _, g := range b.groups {
						b.out = c.journeys(ctx, g, b.out)
					}
					close(b.done)
				}
			})
		}
		wg.Go(func() {
			defer close(order)
			defer close(todo)
			for b := range batches(groups) {
				select {
				case order <- b:
					todo <- b // there is always a worker that takes it
				case <-ctx.Done():
					return
				}
			}
		})
		for b := range order {
			<-b.done
			for _, j := range b.out {
				if !yield(j) {
					return
				}
			}
		}
	}
}

// batches packs groups into batches, small ones first.
func batches(groups iter.Seq[[]lineRef]) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		size, b := 1, &batch{done: make(chan struct{})}
		for g := range groups {
			if b.groups = append(b.groups, g); len(b.groups) < size {
				continue
			}
			if !yield(b) {
				return
			}
			size, b = min(2*size, largest), &batch{done: make(chan struct{})}
		}
		if len(b.groups) > 0 {
			yield(b)
		}
	}
}

// journeys appends the journeys of a group of lines that the query keeps.
func (c *cutter) journeys(ctx context.Context, group []lineRef, out []*Journey) []*Journey {
	if ctx.Err() != nil {
		return out
	}
	for _, part := range dialogues(c.steps(group)) {
		for _, steps := range generations(part) {
			if j := c.f.query.shown(build(steps)); j != nil {
				out = append(out, j)
			}
		}
	}
	return out
}
