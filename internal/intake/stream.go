package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// stream takes in lines that cannot be read again: many goroutines add, one stores. Each is on file before it counts as
// read (see ahead). While the store is away the lines go to the spool; when that is full, those who can wait do, and of
// those who cannot the lines are dropped and counted.
type stream struct {
	*source
	run  string // Position.File: this run of the program
	sp   *spool // nil: none
	last Position
	told bool // that lines are not on file; of mu
	left bool // something taken is on file for the next run: nothing more may be stored before it

	mu    sync.Mutex
	b     batcher
	ahead *ahead // nil: none
	seq   int64
	room  chan struct{} // closed when there is room again; nil where there is
	ready chan struct{} // a token when the batch is full
}

func newStream(s *source) *stream {
	st := &stream{source: s, run: "run " + rand.Text(), ready: make(chan struct{}, 1)}
	st.b.s = s
	if s.in.o.Spool != "" {
		st.ahead = newAhead(s.in.o.Spool, s.name, st.run)
	}
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
			if st.ahead != nil {
				st.unsafe(st.ahead.add(line, st.seq))
			}
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

// unsafe tells that lines are in memory only, until they are stored: the disk is full, as a rule.
func (st *stream) unsafe(err error) {
	if err != nil && !st.told && !errors.Is(err, errNotAhead) {
		st.notice(finding.S("lines are not kept on disk before they are stored, so that a crash would lose them: {{.Error}}", finding.Args{"Error": finding.Raw(err.Error())}))
	}
	st.told = err != nil
}

// done tells that what was taken is stored, or in the spool.
func (st *stream) done() {
	if st.ahead == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.unsafe(st.ahead.stored())
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
	if st.ahead != nil {
		st.ahead.take()
	}
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
		if err := st.recover(ctx); err != nil {
			return err
		}
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

// recover takes the lines that an earlier run read and did not store into the spool, behind what is there.
func (st *stream) recover(ctx context.Context) error {
	names, err := st.ahead.earlier()
	if err != nil || len(names) == 0 {
		return err
	}
	known, ok := st.sp.last(st.name)
	if !ok {
		if known, err = st.in.sink.Position(ctx, st.name); err != nil {
			st.away(err) // known as stored when the sink is asked to store them
			known = Position{}
		}
	}
	st.sp.max += int64(len(names)) * maxRecord // they are there already
	defer func(was int64) { st.sp.max = was }(st.in.o.SpoolMax)
	for _, name := range names {
		l, err := readAhead(name)
		if err != nil {
			st.notice(finding.S("spool of {{.Source}}: {{.Error}}", finding.Args{"Source": st.name, "Error": finding.Raw(err.Error())}))
			if err := os.Rename(name, name+".broken"); err != nil {
				return err
			}
			continue
		}
		if b := l.batch(st.source, known); b != nil {
			if err := st.sp.append(b); err != nil {
				return err
			}
			known = b.To
			st.count(func(s *SourceStats) { s.Recovered += int64(len(b.Lines)) })
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
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
				st.done()
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
		st.done()
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
		} else if wire.Pause(ctx, wait) != nil {
			break
		}
	}
	st.lost(b)
}

// hold stores a batch however long that takes; at the end of ctx it is tried once more.
func (st *stream) hold(ctx context.Context, b *Batch) {
	for wait := st.in.o.Retry; ; wait = min(2*wait, st.in.o.RetryMax) {
		if st.once(ctx, b, false) == nil {
			st.done()
			return
		}
		if wire.Pause(ctx, wait) != nil {
			st.final(b)
			return
		}
	}
}

// lastTry is how long the sink may take for what is left at the end.
const lastTry = 2 * time.Second

// end brings what was gathered into the sink or the spool.
func (st *stream) end() error {
	for !st.left { // else the next run takes in what is on file, in order
		b := st.take()
		if b == nil {
			break
		}
		st.final(b)
	}
	return nil
}

// final stores a batch at the end, if that can be.
func (st *stream) final(b *Batch) {
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	if st.sp != nil && (!st.sp.empty() || st.once(ctx, b, false) != nil) {
		if st.sp.append(b) == nil {
			st.done()
			return
		}
	} else if st.sp != nil || st.once(ctx, b, false) == nil {
		st.done()
		return
	}
	st.lost(b)
}

// lost tells of lines that were not stored at the end; those on file are taken in by the next run.
func (st *stream) lost(b *Batch) {
	st.mu.Lock()
	st.left = st.ahead != nil && !st.told
	st.mu.Unlock()
	if st.left {
		return
	}
	st.count(func(s *SourceStats) { s.Dropped += int64(len(b.Lines)) })
	st.notice(finding.S("{{.N}} lines are lost: neither the store nor the spool took them", finding.Args{"N": len(b.Lines)}))
}
