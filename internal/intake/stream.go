package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// stream takes in lines that cannot be read again: many goroutines add, one stores. While the store is away the lines go
// to the spool; when that is full, those who can wait do, and of those who cannot the lines are dropped and counted.
type stream struct {
	*source
	run  string // Position.File: this run of the program
	sp   *spool // nil: none
	last Position

	mu    sync.Mutex
	b     batcher
	seq   int64
	room  chan struct{} // closed when there is room again; nil where there is
	ready chan struct{} // a token when the batch is full
}

func newStream(s *source) *stream {
	st := &stream{source: s, run: "run " + rand.Text(), ready: make(chan struct{}, 1)}
	st.b.s = s
	return st
}

// errNoRoom tells one who does not wait that the line was dropped.
var errNoRoom = errors.New("no room")

// add takes a line. Where there is no room it waits, or gives errNoRoom.
func (st *stream) add(ctx context.Context, line []byte, wait bool) error {
	for {
		st.mu.Lock()
		if !st.b.full() {
			st.seq++
			st.b.add(line, st.seq)
			if st.b.full() {
				select {
				case st.ready <- struct{}{}:
				default:
				}
			}
			st.mu.Unlock()
			return nil
		}
		if !wait {
			st.mu.Unlock()
			st.count(func(s *SourceStats) { s.Dropped++ })
			return errNoRoom
		}
		if st.room == nil {
			st.room = make(chan struct{})
		}
		room := st.room
		st.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		}
	}
}

// take gives what was gathered as a batch that owns its lines; nil where there is nothing.
func (st *stream) take() *Batch {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.b.cuts) == 0 {
		return nil
	}
	st.b.from, st.b.to = st.last, Position{File: st.run, Offset: st.seq}
	b := st.b.batch()
	st.b.data, st.b.cuts, st.b.ends = nil, nil, nil
	st.last = st.b.to
	if st.room != nil {
		close(st.room)
		st.room = nil
	}
	return b
}

// store runs until stop is closed and everything added before was stored or spooled. ctx ends waiting for the sink.
func (st *stream) store(ctx context.Context, stop <-chan struct{}) error {
	if st.in.o.Spool != "" {
		sp, err := openSpool(st.in.o.Spool, st.name, st.in.o.SpoolMax)
		if err != nil {
			return err
		}
		defer sp.closeWriter()
		st.sp = sp
	}
	pos, err := st.start(ctx)
	if err != nil {
		return err
	}
	st.last = pos
	tick := time.NewTicker(st.in.o.Flush)
	defer tick.Stop()
	retry, wait := time.Time{}, st.in.o.Retry // when the sink may be tried again
	for {
		select {
		case <-ctx.Done():
			return st.end()
		case <-stop:
			return st.end()
		case <-tick.C:
		case <-st.ready:
		}
		st.drain(ctx, &retry, &wait)
		if st.sp != nil {
			size := st.sp.size()
			st.count(func(s *SourceStats) { s.Spooled = size })
		}
	}
}

// start finds what the first batch follows: the last one in the spool, or the sink's position.
func (st *stream) start(ctx context.Context) (Position, error) {
	if st.sp != nil {
		if p, ok := st.sp.last(st.name); ok {
			return p, nil
		}
		p, err := st.in.sink.Position(ctx, st.name)
		if err == nil {
			return p, nil
		}
		st.away(err) // lines come already: the spool takes them, and ErrMoved tells the position later
		return Position{}, nil
	}
	return st.position(ctx)
}

// drain stores the spool's batches, then what was gathered. What cannot be stored goes to the spool.
func (st *stream) drain(ctx context.Context, retry *time.Time, wait *time.Duration) {
	failed := func() {
		*retry = time.Now().Add(*wait)
		*wait = min(2**wait, st.in.o.RetryMax)
	}
	may := !time.Now().Before(*retry)
	for st.sp != nil && may && ctx.Err() == nil {
		b, size, ok, err := st.sp.first(st.name)
		if err != nil {
			st.notice(finding.S("spool of {{.Source}}: {{.Error}}", finding.Args{"Source": st.name, "Error": finding.Raw(err.Error())}))
			continue
		}
		if !ok {
			break
		}
		if err := st.once(ctx, b, false); err != nil {
			failed()
			may = false
			break
		}
		*wait = st.in.o.Retry
		st.sp.pop(size)
	}
	for st.pending() {
		if st.sp == nil { // waiting is all that is left; adding goes on until the batch is full
			if b := st.take(); b != nil {
				st.hold(ctx, b)
			}
			return
		}
		if may && st.sp.empty() {
			b := st.take()
			err := st.once(ctx, b, true)
			if err == nil {
				*wait = st.in.o.Retry
				continue
			}
			failed()
			may = false
			st.keep(ctx, b)
			continue
		}
		if !st.canSpool() {
			return // full: the lines stay where they are, and those who add wait
		}
		st.keep(ctx, st.take())
	}
}

func (st *stream) pending() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.b.cuts) > 0
}

// canSpool tells whether what was gathered finds room.
func (st *stream) canSpool() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	need := int64(len(st.b.data)) + 16*int64(len(st.b.cuts)) + 4<<10
	return st.sp.size()+need <= st.sp.max
}

// once tries to store a batch. Where another one of the same name went on it follows that one.
func (st *stream) once(ctx context.Context, b *Batch, live bool) error {
	for range 3 {
		err := st.try(ctx, b, live)
		if !errors.Is(err, ErrMoved) {
			return err
		}
		pos, err := st.in.sink.Position(ctx, st.name)
		if err != nil {
			return err
		}
		b.From = pos
		st.count(func(s *SourceStats) { s.Moved++ })
	}
	return ErrMoved
}

// keep puts a batch into the spool; where that fails it is held until the sink takes it.
func (st *stream) keep(ctx context.Context, b *Batch) {
	err := st.sp.append(b)
	if err == nil {
		return
	}
	st.trouble(finding.S("the store does not take lines, nor does the spool: {{.Error}}", finding.Args{"Error": finding.Raw(err.Error())}))
	for wait := st.in.o.Retry; ctx.Err() == nil; wait = min(2*wait, st.in.o.RetryMax) { // what is in the spool goes first
		first, size, ok, err := st.sp.first(st.name)
		if err == nil && !ok {
			st.hold(ctx, b)
			return
		}
		if err == nil && st.once(ctx, first, false) == nil {
			st.sp.pop(size)
		} else if pause(ctx, wait) != nil {
			break
		}
	}
	st.lost(b)
}

// hold stores a batch however long that takes; at the end of ctx it is tried once more.
func (st *stream) hold(ctx context.Context, b *Batch) {
	for wait := st.in.o.Retry; ; wait = min(2*wait, st.in.o.RetryMax) {
		if st.once(ctx, b, false) == nil {
			return
		}
		if pause(ctx, wait) != nil {
			st.final(b)
			return
		}
	}
}

// lastTry is how long the sink may take for what is left at the end.
const lastTry = 2 * time.Second

// end brings what was gathered into the sink or the spool.
func (st *stream) end() error {
	for b := st.take(); b != nil; b = st.take() {
		st.final(b)
	}
	return nil
}

func (st *stream) final(b *Batch) {
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	if st.sp != nil && (!st.sp.empty() || st.once(ctx, b, false) != nil) {
		if st.sp.append(b) == nil {
			return
		}
	} else if st.sp != nil || st.once(ctx, b, false) == nil {
		return
	}
	st.lost(b)
}

func (st *stream) lost(b *Batch) {
	st.count(func(s *SourceStats) { s.Dropped += int64(len(b.Lines)) })
	st.notice(finding.S("{{.N}} lines are lost: neither the store nor the spool took them", finding.Args{"N": len(b.Lines)}))
}
