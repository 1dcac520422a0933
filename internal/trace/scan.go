package trace

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Options are the settings of a scan.
type Options struct {
	Dialects []logs.Dialect
	Local    *time.Location // zone of times without one
	Workers  int            // 0: one
	TempDir  string         // for the text of large packed logs; "" is the system's
	MemSpill int            // bytes of unpacked text kept in memory before a file is used; 0: 32 MiB
}

// The number of ids up to which each is searched for on its own, and all at once; above it lines are cut and looked up.
const (
	few  = 2
	most = 2000
)

// hit is a line found: its offset in the block, and an id of its journey, -1 for a line without one.
type hit struct {
	off uint32
	id  int32
}

type blockState struct {
	seeded bool
	seen   int32 // ids of the book searched for in this block
	hits   []hit // by offset
}

type source struct {
	in     *logs.Input
	text   io.ReaderAt
	size   int64
	blocks []blockState
	spill  *spill
	err    error
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
	book    *idBook
}

// Scan looks for the query in the inputs and follows every id of what it finds until nothing new comes up.
func Scan(ctx context.Context, inputs []*logs.Input, q Query, opt Options) (*Found, error) {
	if opt.MemSpill == 0 {
		opt.MemSpill = 32 << 20
	}
	f := &Found{query: q, opt: opt, book: newIDBook()}
	s := &scan{Found: f}
	var freq frequency
	for _, in := range inputs {
		in.Sniff(opt.Dialects)
		freq.add(in.Head())
		src := &source{in: in}
		if in.Seekable() {
			src.size, src.text = in.Size, plainFile{in}
			src.blocks = make([]blockState, in.Blocks())
		} else {
			src.spill = &spill{dir: opt.TempDir, limit: opt.MemSpill}
			src.text = src.spill
		}
		f.sources = append(f.sources, src)
	}
	s.freq = &freq
	texts, fold := q.needles()
	for _, t := range texts {
		s.seeds = append(s.seeds, newNeedle(t, fold, &freq))
	}
	s.run(ctx)
	for _, src := range f.sources {
		if src.err == nil && src.spill != nil {
			src.err = src.spill.err
		}
		if src.err != nil {
			f.Errors = append(f.Errors, src.err)
		}
		for i := range src.blocks {
			f.Lines += len(src.blocks[i].hits)
		}
	}
	return f, ctx.Err()
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
}

type scan struct {
	*Found
	seeds   []needle
	freq    *frequency
	pool    chan []byte // buffers for the text of streams
	seeding bool        // the first pass is under way
	mu      sync.Mutex

	multi              *many // the latest search for several ids, and their numbers
	multiFrom, multiTo int32
	multiShort         []string
}

// task is a block for a worker: of a seekable source by number, or the next piece of a stream.
type task struct {
	src   int32
	block int
	piece []byte // of a stream: whole lines
	base  int64
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
				if t.piece != nil {
					select {
					case s.pool <- t.piece:
					default:
					}
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

// sought tells whether the query itself asks for exactly this id, so that every line with it is found already.
func (s *scan) sought(id string) bool {
	q := &s.query
	return q.Text == id && (q.Kind == ByMessage || q.Kind == ByQueue || q.Kind == ByAny) && q.Since.IsZero() && q.Until.IsZero()
}

// takeRipe takes in the lines that named an id before it was known to be a queue id of these logs.
func (s *scan) takeRipe() {
	for _, l := range s.book.ripe() {
		src := s.sources[l.src]
		st := &src.blocks[l.offset/logs.BlockSize]
		st.hits = append(st.hits, hit{uint32(l.offset % logs.BlockSize), s.book.take(&l.ids)})
		sortHits(st)
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
			tasks <- task{src: int32(si), block: b}
		}
	}
	feeders.Wait()
	return 1
}

// lacking hands out every block that lacks a search.
func (s *scan) lacking(ctx context.Context, tasks chan<- task) (n int) {
	s.seeding = false
	known := s.book.len()
	for si, src := range s.sources {
		for b := range src.blocks {
			if src.blocks[b].seen < known && src.err == nil && ctx.Err() == nil {
				n++
				tasks <- task{src: int32(si), block: b}
			}
		}
	}
	return n
}

// near hands out the blocks that lack a search and have a line found in them or beside them, unless those are most.
func (s *scan) near(ctx context.Context, tasks chan<- task) int {
	s.seeding = false
	known := s.book.len()
	var todo []task
	all := 0
	for si, src := range s.sources {
		all += len(src.blocks)
		for b := range src.blocks {
			lo, hi := max(0, b-1), min(len(src.blocks), b+2)
			if src.blocks[b].seen < known && src.err == nil && slices.ContainsFunc(src.blocks[lo:hi], func(n blockState) bool { return len(n.hits) > 0 }) {
				todo = append(todo, task{src: int32(si), block: b})
			}
		}
	}
	if len(todo)*4 > all {
		return 0
	}
	for _, t := range todo {
		if ctx.Err() != nil {
			break
		}
		tasks <- t
	}
	return len(todo)
}

// feedStreams unpacks the streams, as many at once as there are workers. Buffers go to the workers and come back
// through the pool, so that unpacking and searching go on at the same time and no text is copied.
func (s *scan) feedStreams(ctx context.Context, feeders *sync.WaitGroup, tasks chan<- task) {
	workers := max(1, s.opt.Workers)
	s.pool = make(chan []byte, workers*2+2)
	var next atomic.Int32
	for range workers {
		feeders.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(s.sources) {
					return
				}
				src := s.sources[i]
				if src.spill == nil {
					continue
				}
				src.err = src.in.EachOwned(s.buffer, func(b []byte, base int64) error {
					tasks <- task{src: int32(i), piece: b, base: base}
					return ctx.Err()
				})
			}
		})
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

// visitor is one worker: it owns its buffers, its parsers and its copy of the ids.
type visitor struct {
	s       *scan
	set     hashSet
	readers []*logs.Reader
	buf     []byte
	ids     lineIDs
	idText  []byte
	places  []int
	match   bool // the line parsed last has an event that matches the query
}

func newVisitor(s *scan) *visitor {
	return &visitor{s: s, readers: make([]*logs.Reader, len(s.sources))}
}

func (v *visitor) reader(src int32) *logs.Reader {
	if v.readers[src] == nil {
		v.readers[src] = v.s.sources[src].in.Reader(v.s.opt.Local, v.s.opt.Dialects)
	}
	return v.readers[src]
}

func (v *visitor) do(t task) {
	src := v.s.sources[t.src]
	if t.piece != nil {
		v.piece(t, src)
		return
	}
	b, base, err := logs.ReadBlock(src.text, src.size, t.block, v.buf)
	if err != nil {
		v.s.mu.Lock()
		src.err = err
		v.s.mu.Unlock()
		return
	}
	if cap(b) > cap(v.buf) && cap(b) < 4*logs.BlockSize {
		v.buf = b[:cap(b)]
	}
	st := &src.blocks[t.block]
	v.visit(st, t.src, b, base, base-int64(t.block)*logs.BlockSize)
}

// piece visits the next lines of a stream and puts them aside for later passes.
func (v *visitor) piece(t task, src *source) {
	var st blockState
	v.visit(&st, t.src, t.piece, t.base, 0)
	src.spill.write(t.piece, t.base) // an error stays in the spill and is reported
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	end := t.base + int64(len(t.piece))
	for int64(len(src.blocks))*logs.BlockSize < end {
		src.blocks = append(src.blocks, blockState{seeded: true, seen: 1<<31 - 1})
	}
	src.size = max(src.size, end)
	for b := t.base / logs.BlockSize; b*logs.BlockSize < end; b++ {
		src.blocks[b].seen = min(src.blocks[b].seen, st.seen)
	}
	for _, h := range st.hits {
		off := t.base + int64(h.off)
		bl := &src.blocks[off/logs.BlockSize]
		bl.hits = append(bl.hits, hit{uint32(off % logs.BlockSize), h.id})
		sortHits(bl)
	}
}

// visit searches a block for the query, if that was not done, and for the ids that came up since the last visit. shift
// is what offsets in b lack to be offsets in the block.
func (v *visitor) visit(st *blockState, src int32, b []byte, base, shift int64) {
	if !st.seeded {
		st.seeded = true
		for i := range v.s.seeds {
			v.search(st, &v.s.seeds[i], src, b, base, shift, true)
		}
		if n := v.s.book.len(); n > most && len(st.hits) > 16 { // a wide query: its ids are all around
			sortHits(st)
			v.lines(st, src, b, base, shift)
			st.seen = n
		}
	}
	for n := v.s.book.len(); st.seen < n && !v.s.seeding; n = v.s.book.len() {
		if n > most && n-st.seen > few {
			v.lines(st, src, b, base, shift)
			st.seen = n
			break // what came up on the way is for another pass
		}
		if n-st.seen > few {
			var m *many
			var short []string
			m, short, n = v.s.manyOf(st.seen, n)
			v.set.catchUp(v.s.book)
			for _, text := range short {
				v.searchID(st, text, src, b, base, shift)
			}
			sortHits(st)
			v.searchMany(st, m, src, b, base, shift)
		} else {
			v.set.catchUp(v.s.book)
			for i := st.seen; i < n; i++ {
				if text := v.s.book.id(i); !v.s.sought(text) {
					v.searchID(st, text, src, b, base, shift)
				}
			}
		}
		st.seen = n
	}
	sortHits(st)
}

func sortHits(st *blockState) {
	slices.SortFunc(st.hits, func(a, b hit) int { return int(a.off) - int(b.off) })
	st.hits = slices.CompactFunc(st.hits, func(a, b hit) bool { return a.off == b.off })
}

// have tells whether the line at the offset was found already; hits are sorted up to n.
func have(hits []hit, n int, off uint32) bool {
	i := sort.Search(n, func(i int) bool { return hits[i].off >= off })
	return i < n && hits[i].off == off
}

// search looks for one text.
func (v *visitor) search(st *blockState, n *needle, src int32, b []byte, base, shift int64, seed bool) {
	sorted := len(st.hits)
	for at := n.next(b, 0); at >= 0; {
		start := bytes.LastIndexByte(b[:at], '\n') + 1
		end := len(b)
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			end = at + i
		}
		if (seed || token(b, at, at+len(n.text))) && !have(st.hits, sorted, uint32(int64(start)+shift)) {
			v.take(st, src, b[start:end], base+int64(start), uint32(int64(start)+shift), seed)
			at = end
		} else {
			at += len(n.text)
		}
		if at >= len(b) {
			break
		}
		at = n.next(b, at)
	}
}

// manyOf gives a search for the ids from number from to one at or before n, which it tells. Blocks are at different
// stages: a search made for another one that lacks only a few is as good.
// The few shortest are left out and told, where they would slow down the search for the others.
func (s *scan) manyOf(from, n int32) (m *many, short []string, to int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.multi != nil && s.multiFrom <= from && from < s.multiTo && n-s.multiTo <= few {
		return s.multi, s.multiShort, s.multiTo
	}
	var texts [][]byte
	for i := from; i < n; i++ {
		if text := s.book.id(i); !s.sought(text) {
			texts = append(texts, []byte(text))
		}
	}
	slices.SortFunc(texts, func(a, b []byte) int { return len(a) - len(b) })
	s.multiShort = nil
	for len(s.multiShort) < few && len(texts) > 1 && len(texts[0]) < 9 {
		s.multiShort, texts = append(s.multiShort, string(texts[0])), texts[1:]
	}
	s.multi, s.multiFrom, s.multiTo = newMany(texts), from, n
	return s.multi, s.multiShort, n
}

func (v *visitor) searchID(st *blockState, text string, src int32, b []byte, base, shift int64) {
	id := newNeedle(text, false, v.s.freq)
	v.search(st, &id, src, b, base, shift, false)
}

// searchMany looks for several texts at once.
func (v *visitor) searchMany(st *blockState, m *many, src int32, b []byte, base, shift int64) {
	sorted, end := len(st.hits), 0
	v.places = m.all(b, v.places[:0])
	for _, at := range v.places {
		if at < end {
			continue
		}
		start := bytes.LastIndexByte(b[:at], '\n') + 1
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			end = at + i
		} else {
			end = len(b)
		}
		if !have(st.hits, sorted, uint32(int64(start)+shift)) {
			v.take(st, src, b[start:end], base+int64(start), uint32(int64(start)+shift), false)
		}
	}
}

// lines cuts every line and looks its ids up.
func (v *visitor) lines(st *blockState, src int32, b []byte, base, shift int64) {
	v.set.catchUp(v.s.book)
	next, sorted := 0, len(st.hits)
	for off := 0; off < len(b); {
		n := bytes.IndexByte(b[off:], '\n')
		if n < 0 {
			n = len(b) - off
		}
		line := b[off : off+n]
		at := uint32(int64(off) + shift)
		for next < sorted && st.hits[next].off < at {
			next++
		}
		if (next >= sorted || st.hits[next].off != at) && v.set.probe(line) {
			v.take(st, src, line, base+int64(off), at, false)
		}
		off += n + 1
	}
}

// take parses a line and keeps it if it matches the query (a seed) or names a known id.
func (v *visitor) take(st *blockState, src int32, line []byte, offset int64, at uint32, seed bool) {
	if len(line) > logs.MaxLine {
		line = line[:logs.MaxLine]
	}
	v.ids = lineIDs{v.ids.strong[:0], v.ids.refs[:0], v.ids.sessions[:0]}
	v.idText, v.match = v.idText[:0], false
	v.reader(src).Line(line, src, offset, v)
	if !(seed && v.match) {
		known, ref := v.belongs()
		if !known && ref != nil {
			v.s.book.later(src, offset, ref, &v.ids)
		}
		if !known {
			return
		}
	}
	id := v.s.book.take(&v.ids)
	for _, t := range v.ids.strong {
		h := hash(t)
		v.set.add(h)
		v.set.add(h ^ asRef)
	}
	for _, t := range v.ids.refs {
		v.set.add(hash(t))
	}
	st.hits = append(st.hits, hit{at, id})
}

// belongs tells whether the line parsed last has an id that is followed. ref is an id it names which is looked for but
// was not yet seen in front of a line.
func (v *visitor) belongs() (known bool, ref []byte) {
	for _, t := range v.ids.strong {
		if v.set.has(hash(t)) {
			return true, nil
		}
	}
	for _, t := range v.ids.refs {
		h := hash(t)
		if v.set.has(h ^ asRef) {
			return true, nil
		}
		if v.set.has(h) {
			ref = t
		}
	}
	if len(v.ids.strong) == 0 {
		for _, t := range v.ids.sessions {
			if v.set.has(hash(t)) {
				return true, nil
			}
		}
	}
	return false, ref
}

// Event collects the ids of the events of one line.
func (v *visitor) Event(e *event.Event) {
	q := &v.s.query
	if !v.match && q.Match(e) && q.seedTime(e) {
		v.match = true
	}
	v.ids.strong = v.id(v.ids.strong, e.QueueID)
	if len(e.MessageID) > 4 {
		v.ids.strong = v.id(v.ids.strong, e.MessageID)
	}
	v.ids.refs = v.id(v.ids.refs, e.Ref)
	v.ids.sessions = v.id(v.ids.sessions, base(e.Session))
}

func (v *visitor) id(list [][]byte, b []byte) [][]byte {
	if len(b) < 5 || len(b) > 998 {
		return list
	}
	n := len(v.idText)
	v.idText = append(v.idText, b...)
	return append(list, v.idText[n:len(v.idText):len(v.idText)])
}
