package trace

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/mailwhy/mailwhy/internal/logs"
)

// A stream is unpacked once if all goes well, and its text is not put aside. Each piece is searched for the query when it
// arrives; some time later, when it is known what the pieces behind it gave, for the ids found so far; then it is let
// go, but for the surroundings of what was found. Of its ids only fingerprints stay: an id that comes up later and is
// among them makes the stream be read a second time, as far as it is needed.

// ringSize is how many pieces of streams stay in memory, each of a block's size.
const ringSize = 56

// printRoom bounds the fingerprints of all streams, in bytes; pieces without are read again when in doubt.
const printRoom = 48 << 20

// piece is what a block of a stream has beyond one of a file.
type piece struct {
	text     []byte   // nil once it was let go
	size     int      // bytes of text
	aside    bool     // the spill has the whole text
	wanted   bool     // it is to be read again
	prints   []uint32 // fingerprints of its ids; nil when they are not known
	arrived  chan struct{}
	followed chan struct{}
}

// stage is what is to be done to a piece of a stream.
type stage uint8

const (
	arriving  stage = iota // search it for the query
	following              // search it for the ids known by now
	leaving                // free its text
	later                  // search it for ids in a later pass
)

// here tells whether the text of the block can be had without unpacking a stream again.
func (st *blockState) here() bool { return !st.stream || st.text != nil || st.aside }

// feedStreams unpacks the streams, as many at once as there are workers. Buffers go to the workers and come back
// through the pool, so that unpacking and searching go on at the same time and no text is copied.
func (s *scan) feedStreams(ctx context.Context, feeders *sync.WaitGroup, tasks chan<- task) {
	var streams []int32
	for i, src := range s.sources {
		if src.spill != nil {
			streams = append(streams, int32(i))
		}
	}
	workers := max(1, s.opt.Workers)
	s.pool = make(chan []byte, workers*2+4)
	at := min(workers, len(streams))
	var next atomic.Int32
	for range at {
		feeders.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(streams) {
					return
				}
				s.feed(ctx, streams[i], max(4, ringSize/at), tasks)
			}
		})
	}
}

// feed unpacks one stream; depth is how many pieces of it may stay in memory.
func (s *scan) feed(ctx context.Context, i int32, depth int, tasks chan<- task) {
	src := s.sources[i]
	var ring []*blockState // searched for the query, not for ids
	var last [2]*blockState
	shift := func() { // lets go what is behind the ring by one
		var st *blockState
		if len(ring) > 0 {
			st, ring = ring[0], ring[1:]
			tasks <- task{src: i, block: st, stage: following}
		}
		if last[1] != nil {
			tasks <- task{src: i, block: last[1], stage: leaving, near: [2]*blockState{last[0], st}}
		}
		last = [2]*blockState{last[1], st}
	}
	err := src.in.EachOwned(s.buffer, func(b []byte, base int64) error {
		st := &blockState{start: base, stream: true, piece: piece{text: b, size: len(b), arrived: make(chan struct{}), followed: make(chan struct{})}}
		src.blocks, src.size = append(src.blocks, st), base+int64(len(b))
		tasks <- task{src: i, block: st, stage: arriving}
		if !src.whole {
			if ring = append(ring, st); len(ring) > depth {
				shift()
			}
		}
		return ctx.Err()
	})
	s.mu.Lock()
	src.err = err
	s.mu.Unlock()
	size := int64(0)
	for _, st := range ring {
		size += int64(cap(st.text))
	}
	if src.whole || s.kept.Add(size) <= int64(s.opt.MemSpill) && last[1] == nil {
		return // small enough to stay
	}
	s.kept.Add(-size)
	for len(ring) > 0 || last[1] != nil {
		shift()
	}
}

func (s *scan) buffer() []byte {
	select {
	case b := <-s.pool:
		return b
	default:
		return nil
	}
}

func (s *scan) free(b []byte) {
	select {
	case s.pool <- b:
	default:
	}
}

// wait tells whether the channel was closed before the scan was given up.
func (s *scan) wait(c chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-s.stop:
		return false
	}
}

// piece does to a piece of a stream what its stage asks for.
func (v *visitor) piece(t task, src *source) {
	st := t.block
	switch t.stage {
	case arriving:
		v.open(st)
		v.seed(st, t.src, st.text, st.start)
		v.shut(st)
		if src.whole {
			src.spill.write(st.text, st.start) // an error stays in the spill and is reported
			st.aside = true
			v.drop(st)
		} else if v.s.book.len() <= most {
			v.takePrints(st)
		}
		close(st.arrived)
	case following:
		if v.s.wait(st.arrived) {
			v.open(st)
			v.follow(st, t.src, st.text, st.start)
			v.shut(st)
			close(st.followed)
		}
	case leaving:
		near := v.s.book.len() > most
		for _, n := range [...]*blockState{t.near[0], st, t.near[1]} {
			if n == nil {
				continue
			}
			if !v.s.wait(n.followed) {
				return
			}
			near = near || n.found.n > 0
		}
		if near {
			src.spill.write(st.text, st.start)
			st.aside = true
		}
		v.drop(st)
	case later:
		v.again(t, src)
	}
}

// again searches a piece in a later pass.
func (v *visitor) again(t task, src *source) {
	st, text := t.block, t.text
	switch {
	case text != nil:
	case st.text != nil:
		text = st.text
	default:
		if cap(v.buf) < st.size {
			v.buf = make([]byte, st.size)
		}
		text = v.buf[:st.size]
		if _, err := src.text.ReadAt(text, st.start); err != nil && err != io.EOF {
			v.s.fail(src, err)
			return
		}
	}
	had := st.found.n
	v.open(st)
	v.follow(st, t.src, text, st.start)
	v.shut(st)
	if t.text == nil {
		return
	}
	if st.found.n > had || v.s.book.len() > most {
		src.spill.write(text, st.start)
		st.aside = true
	}
	st.wanted = false
	v.s.free(t.text)
}

func (v *visitor) drop(st *blockState) {
	v.s.free(st.text)
	st.text = nil
}

// readAgain unpacks streams a second time and hands out the pieces wanted.
func (s *scan) readAgain(ctx context.Context, streams []int32, tasks chan<- task) {
	var next atomic.Int32
	var feeders sync.WaitGroup
	for range min(max(1, s.opt.Workers), len(streams)) {
		feeders.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(streams) {
					return
				}
				src := s.sources[streams[n]]
				if err := s.wantedOf(ctx, streams[n], src, tasks); err != nil {
					s.fail(src, &logs.Error{Name: src.in.Name, Err: err})
				}
			}
		})
	}
	feeders.Wait()
}

// wantedOf reads a stream as far as the last piece wanted.
func (s *scan) wantedOf(ctx context.Context, i int32, src *source, tasks chan<- task) error {
	text, err := src.in.Again()
	if err != nil {
		return err
	}
	defer text.Close()
	pos, scratch := int64(0), make([]byte, 128<<10)
	for _, st := range src.blocks {
		if !st.wanted {
			continue
		}
		for pos < st.start {
			n, err := io.ReadFull(text, scratch[:min(int64(len(scratch)), st.start-pos)])
			if pos += int64(n); err != nil {
				return err
			}
		}
		b := s.buffer()
		if cap(b) < st.size {
			b = make([]byte, max(st.size, logs.BlockSize))
		}
		b = b[:st.size]
		n, err := io.ReadFull(text, b)
		if pos += int64(n); err != nil || ctx.Err() != nil {
			return err
		}
		tasks <- task{src: i, block: st, stage: later, text: b}
	}
	return nil
}
