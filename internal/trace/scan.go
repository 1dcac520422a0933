package trace

import (
	"context"
	"errors"
	"io"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// Options are the settings of a scan.
type Options struct {
	Dialects []logs.Dialect
	Local    *time.Location // zone of times without one
	Workers  int            // 0: one
	TempDir  string         // for the text of large packed logs; "" is the system's
	MemSpill int            // bytes of unpacked text kept in memory before a file is used; 0: 16 MiB
	MemFound int            // bytes of ids found kept in memory, and a sixth of it of lines; 0: 72 MiB
}

// linesHeld is how many lines found are in memory before they are put aside, at once and while they are sorted.
func (o *Options) linesHeld() int { return o.MemFound / 12 / 12 }

const (
	most = 2000 // ids searched for at once; where there are more, lines are cut and looked up
	few  = 2    // ids that a search may lack and still be used: they are searched for afterwards
)

// blockState is a block of a seekable source, or a piece of a stream, which has more to it.
type blockState struct {
	start  int64 // offset in the text
	seeded bool
	seen   int32 // ids of the book searched for in it
	found  found
	stream bool
	piece
}

type source struct {
	in     *logs.Input
	text   io.ReaderAt
	size   int64
	blocks []*blockState
	spill  *spill // of a stream
	whole  bool   // the stream cannot be read again: all of it goes into the spill
	err    error
	lost   atomic.Bool // no use to read on

	local  *time.Location // zone of times that name none, where it is not the one of all
	around io.ReaderAt    // the whole source, where text is a part of it
	order  int64          // of the source, where sources are parts
	mute   bool           // its lines are not given out
}

func (src *source) reader(opt *Options) *logs.Reader {
	if src.local != nil {
		return src.in.Reader(src.local, opt.Dialects)
	}
	return src.in.Reader(opt.Local, opt.Dialects)
}

// at gives the block in which an offset lies.
func (src *source) at(off int64) *blockState {
	return src.blocks[sort.Search(len(src.blocks), func(i int) bool { return src.blocks[i].start > off })-1]
}

// Found is the result of a scan: lines, grouped by journey. It must be closed after the inputs were used.
type Found struct {
	Counts logs.Counts
	Errors []error   // of inputs that could not be read to their end
	Redact *Redactor // set it to have pseudonyms in the place of addresses
	Passes int
	Lines  int // lines found

	query   Query
	opt     Options
	sources []*source
	room    *room
	book    *idBook
	shelf   shelvedHits
	trouble error // the lines put aside could not be read
	shelved bool  // the sources are of a shelf, which one goroutine uses
}

// Scan looks for the query in the inputs and follows every id of what it finds until nothing new comes up.
func Scan(ctx context.Context, inputs []*logs.Input, q Query, opt Options) (*Found, error) {
	if opt.MemSpill == 0 {
		opt.MemSpill = 16 << 20
	}
	if opt.MemFound == 0 {
		opt.MemFound = 72 << 20
	}
	f := &Found{query: q, opt: opt, room: &room{dir: opt.TempDir, left: opt.MemFound}}
	f.book = newIDBook(f.room)
	f.shelf.spill.dir, f.shelf.keep = opt.TempDir, int64(opt.linesHeld())
	s := &scan{Found: f, stop: ctx.Done()}
	var freq find.Frequency
	for _, in := range inputs {
		in.Sniff(opt.Dialects)
		freq.Add(in.Head())
		src := &source{in: in}
		if in.Seekable() {
			src.size, src.text = in.Size, plainFile{in}
			all := make([]blockState, in.Blocks())
			for i := range all {
				all[i].start = int64(i) * logs.BlockSize
				src.blocks = append(src.blocks, &all[i])
			}
		} else {
			src.spill = &spill{dir: opt.TempDir, limit: opt.MemSpill}
			src.text, src.whole = src.spill, !in.Twice()
		}
		f.sources = append(f.sources, src)
	}
	s.freq = &freq
	s.seeds = q.seeds(&freq)
	s.run(ctx)
	for _, src := range f.sources {
		src.keepText()
		if src.err == nil && src.spill != nil {
			src.err = src.spill.err
		}
		if src.err != nil {
			f.Errors = append(f.Errors, src.err)
		}
		for i := range src.blocks {
			f.Lines += src.blocks[i].found.n
		}
	}
	return f, ctx.Err()
}

// keepText puts the pieces of a stream that were small enough to stay where the text of the others is read from.
func (src *source) keepText() {
	if src.spill == nil {
		return
	}
	for _, st := range src.blocks {
		if st.text != nil && !st.aside {
			src.spill.write(st.text, st.start) // an error stays in the spill and is reported
			st.text, st.aside = nil, true
		}
	}
}

// plainFile reads a seekable input at any place.
type plainFile struct{ in *logs.Input }

func (p plainFile) ReadAt(b []byte, off int64) (int, error) { return p.in.ReadAt(b, off) }

// Close removes what the scan put aside.
func (f *Found) Close() {
	for _, s := range f.sources {
		if s.spill != nil {
			s.spill.close()
		}
	}
	f.shelf.spill.close()
	f.room.close()
}

// Err tells what went wrong while the lines found were gone through.
func (f *Found) Err() error { return f.trouble }

type scan struct {
	*Found
	seeds   *find.Set
	freq    *find.Frequency
	pool    chan []byte // buffers for the text of streams
	stop    <-chan struct{}
	seeding bool // the first pass is under way
	mu      sync.Mutex
	prints  printBook
	kept    atomic.Int64 // bytes of streams kept in memory after their end
	noted   atomic.Int64 // bytes of fingerprints

	set            *find.Set // the latest search for ids, and their numbers
	setFrom, setTo int32
}

// task is a block for a worker.
type task struct {
	src   int32
	block *blockState
	stage stage          // of a piece of a stream
	text  []byte         // of a piece that was read again
	near  [2]*blockState // the pieces before and after one that is let go
}

// run makes passes until every block was searched for every id. The first looks for the query alone; before the whole
// text is searched for the ids it gave, the surroundings of what it found are, because most of what belongs to a
// message stands close together: then a single pass over everything knows nearly all ids from its start.
func (s *scan) run(ctx context.Context) {
	vs := make([]*visitor, max(1, s.opt.Workers))
	for i := range vs {
		vs[i] = newVisitor(s)
	}
	s.pass(ctx, vs, s.first)
	for ctx.Err() == nil {
		if s.pass(ctx, vs, s.near) > 0 {
			continue
		}
		if s.pass(ctx, vs, s.lacking) == 0 {
			break
		}
		s.Passes++
	}
	for _, v := range vs {
		v.view.Close()
		for _, r := range v.readers {
			if r != nil {
				s.Counts.Add(r.Counts)
			}
		}
	}
}

// pass has the workers do what feed hands out, and tells how much that was.
func (s *scan) pass(ctx context.Context, vs []*visitor, feed func(context.Context, chan<- task) int) int {
	tasks := make(chan task, len(vs))
	var wg sync.WaitGroup
	for _, v := range vs {
		wg.Go(func() {
			for t := range tasks {
				if ctx.Err() == nil {
					v.do(t)
				}
			}
		})
	}
	n := feed(ctx, tasks)
	close(tasks)
	wg.Wait()
	s.takeRipe()
	return n
}

func (s *scan) fail(src *source, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src.err == nil {
		src.err = err
	}
	if !errors.Is(err, logs.ErrShorter) { // what is left of it is searched
		src.lost.Store(true)
	}
}

// noteTrouble keeps the first error of what was put aside.
func (s *scan) noteTrouble(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == nil {
		s.trouble = err
	}
}

// sought tells whether the query itself asks for exactly this id, so that every line with it is found already.
func (s *scan) sought(id string) bool {
	q := &s.query
	return q.Text == id && (q.Kind == ByMessage || q.Kind == ByQueue || q.Kind == ByAny) && q.Since.IsZero() && q.Until.IsZero()
}

// takeRipe takes in the lines that named an id before it was known to be a queue id of these logs.
func (s *scan) takeRipe() {
	var d desk
	for _, l := range s.book.ripe() {
		st := s.sources[l.src].at(l.offset)
		s.noteTrouble(s.shelf.open(&st.found, &d))
		st.found.list = append(st.found.list, hit{uint32(l.offset - st.start), s.book.take(&l.ids)})
		s.shelf.shut(&st.found, &d)
	}
}

// first hands out everything, to be searched for the query.
func (s *scan) first(ctx context.Context, tasks chan<- task) int {
	s.Passes++
	s.seeding = true
	var feeders sync.WaitGroup
	s.feedStreams(ctx, &feeders, tasks)
	for si, src := range s.sources {
		for b := 0; src.spill == nil && b < len(src.blocks) && ctx.Err() == nil; b++ {
			tasks <- task{src: int32(si), block: src.blocks[b]}
		}
	}
	feeders.Wait()
	return 1
}

// lacking hands out every block that lacks a search.
func (s *scan) lacking(ctx context.Context, tasks chan<- task) (n int) {
	s.seeding = false
	known := s.book.len()
	s.recall()
	var again []int32
	for si, src := range s.sources {
		gone := false
		for _, st := range src.blocks {
			switch {
			case st.seen >= known || src.lost.Load() || ctx.Err() != nil:
			case st.here():
				n++
				tasks <- task{src: int32(si), block: st, stage: later}
			case s.prints.in(st, st.seen) >= 0:
				n++
				st.wanted, gone = true, true
			default:
				st.seen = known
			}
		}
		if gone {
			again = append(again, int32(si))
		}
	}
	s.readAgain(ctx, again, tasks)
	return n
}

// recall marks the pieces that were let go and may name an id which was found in front of a line only after it was
// looked up in their fingerprints.
func (s *scan) recall() {
	before := s.prints.upTo
	s.prints.catchUp(s.book, s.sought)
	from := int32(-1)
	for _, id := range s.prints.defined(s.book) {
		if id < before && from < 0 {
			from = id
		}
	}
	if from < 0 {
		return
	}
	for _, src := range s.sources {
		for _, st := range src.blocks {
			if st.here() || st.prints == nil || st.seen <= from { // without fingerprints none was left out
				continue
			}
			if low := s.prints.in(st, from); low >= 0 && low < before {
				st.seen = min(st.seen, low)
			}
		}
	}
}

// near hands out the blocks that lack a search and are close to a line found: as far around as that stays a small part of
// everything. What is close to most blocks is left to a pass over all.
func (s *scan) near(ctx context.Context, tasks chan<- task) int {
	s.seeding = false
	all := 0
	for _, src := range s.sources {
		all += len(src.blocks)
	}
	for _, far := range [...]int{16, 4, 1} {
		todo := s.around(far)
		if far > 1 && len(todo)*16 > all || len(todo)*4 > all {
			continue
		}
		for _, t := range todo {
			if ctx.Err() != nil {
				break
			}
			tasks <- t
		}
		return len(todo)
	}
	return 0
}

// around gives the blocks that lack a search and have a line found in them or in one of so many before and behind.
func (s *scan) around(far int) (todo []task) {
	known := s.book.len()
	for si, src := range s.sources {
		if src.lost.Load() {
			continue
		}
		last := -1 - far // block with a line found before or at the one at hand
		next := 0
		for b, st := range src.blocks {
			for next < len(src.blocks) && (next < b || src.blocks[next].found.n == 0) {
				next++
			}
			if st.found.n > 0 {
				last = b
			}
			if near := b-last <= far || next < len(src.blocks) && next-b <= far; near && st.seen < known && st.here() {
				todo = append(todo, task{src: int32(si), block: st, stage: later})
			}
		}
	}
	return todo
}
