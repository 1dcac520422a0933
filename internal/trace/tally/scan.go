package tally

import (
	"context"
	"errors"
	"runtime"

	"github.com/mailwhy/mailwhy/internal/logs"
)

// job is a block on its way: read and parsed by a worker, joined in the order of the log.
type job struct {
	block int
	base  int64
	buf   []byte
	text  []byte
	part  *Part
	err   error
	done  chan struct{} // one token when the part is filled
}

// Scan reads a whole input into the tally. Blocks are parsed by as many goroutines as there are processors and joined
// in order by the caller's. source is the input's number in the run. Counts are added to counts. The error is the
// input's; what was readable is in the tally.
func (t *Tally) Scan(ctx context.Context, in *logs.Input, r *logs.Reader, source int32, counts *logs.Counts) error {
	workers := runtime.GOMAXPROCS(0)
	free := make(chan *job, 3*workers)
	for range cap(free) {
		free <- &job{part: t.Part(), done: make(chan struct{}, 1)}
	}
	todo, order := make(chan *job), make(chan *job, cap(free))
	sums := make(chan logs.Counts, workers)
	for range workers {
		reader := r.Clone()
		go func() {
			for j := range todo {
				j.work(in, reader, source)
			}
			sums <- reader.Counts
		}()
	}
	var failed, broken error // of the feeder, read after order is closed; of a block
	go func() {
		defer close(order)
		defer close(todo)
		failed = feed(ctx, in, free, todo, order)
	}()
	t.at, t.back = 0, 0
	for j := range order {
		<-j.done
		if j.err != nil && broken == nil {
			broken = j.err
		}
		t.Join(j.part)
		free <- j
	}
	for range workers {
		counts.Add(<-sums)
	}
	counts.Back += t.back
	return errors.Join(broken, failed)
}

func (j *job) work(in *logs.Input, reader *logs.Reader, source int32) {
	j.part.Reset()
	if in.Seekable() {
		j.text, j.base, j.err = in.Block(j.block, j.buf)
		if cap(j.text) > cap(j.buf) && cap(j.text) < 4*logs.BlockSize {
			j.buf = j.text[:cap(j.text)]
		}
	}
	if len(j.text) > 0 { // of a file that became shorter, what is left
		reader.Block(j.text, source, j.base, j.part)
	}
	j.done <- struct{}{}
}

// feed hands out the blocks of an input in order.
func feed(ctx context.Context, in *logs.Input, free, todo, order chan *job) error {
	give := func(j *job) { order <- j; todo <- j }
	if in.Seekable() {
		for i := range in.Blocks() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			j := <-free
			j.block = i
			give(j)
		}
		return nil
	}
	var next *job
	return in.EachOwned(func() []byte {
		if next == nil {
			next = <-free
		}
		return next.buf
	}, func(block []byte, base int64) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next.buf, next.text, next.base = block[:cap(block)], block, base
		give(next)
		next = nil
		return nil
	})
}
