package trace

import (
	"bytes"
	"sort"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// visitor is one worker: it owns its buffers and its parsers.
type visitor struct {
	s       *scan
	readers []*logs.Reader
	view    logs.View
	buf     []byte
	ids     lineIDs
	idText  []byte
	places  []int
	desk    desk // for the lines of the block at hand
	sketch  *sketch
	match   bool // the line parsed last has an event that matches the query
}

func newVisitor(s *scan) *visitor {
	return &visitor{s: s, readers: make([]*logs.Reader, len(s.sources))}
}

func (v *visitor) reader(src int32) *logs.Reader {
	if v.readers[src] == nil {
		v.readers[src] = v.s.sources[src].reader(&v.s.opt)
	}
	return v.readers[src]
}

func (v *visitor) do(t task) {
	src := v.s.sources[t.src]
	if t.block.stream {
		v.piece(t, src)
		return
	}
	if v.looked(t) {
		return
	}
	b, base, err := logs.ReadBlock(src.text, src.size, int(t.block.start/logs.BlockSize), v.buf)
	if err != nil {
		v.s.fail(src, &logs.Error{Name: src.in.Name, Err: err})
	}
	if cap(b) > cap(v.buf) && cap(b) < 4*logs.BlockSize {
		v.buf = b[:cap(b)]
	}
	v.visit(t.block, t.src, b, base)
}

// looked visits a block of a file where the file can be looked at without copying it. Where that failed half-way, nothing counts
// as searched: lines found stay and are not found twice.
func (v *visitor) looked(t task) (done bool) {
	was, src := *t.block, v.s.sources[t.src]
	err := v.view.Guard(func() {
		b, base, ok := v.view.Block(src.in, int(t.block.start/logs.BlockSize))
		if ok {
			v.visit(t.block, t.src, b, base)
		}
		done = ok
	})
	if err != nil {
		t.block.seeded, t.block.seen = was.seeded, was.seen
		v.shut(t.block)
	}
	return done && err == nil
}

// visit searches a block for the query, if that was not done, and for the ids that came up since the last visit.
func (v *visitor) visit(st *blockState, src int32, b []byte, base int64) {
	v.open(st)
	if !st.seeded {
		v.seed(st, src, b, base)
		if n := v.s.book.len(); n > most && len(st.found.list) > 16 { // a wide query: its ids are all around
			v.lines(st, src, b, base)
			st.seen = n
		}
	}
	if !v.s.seeding {
		v.follow(st, src, b, base)
	}
	v.shut(st)
}

func (v *visitor) open(st *blockState) { v.s.noteTrouble(v.s.shelf.open(&st.found, &v.desk)) }

func (v *visitor) shut(st *blockState) { v.s.shelf.shut(&st.found, &v.desk) }

// seed searches a block for the query.
func (v *visitor) seed(st *blockState, src int32, b []byte, base int64) {
	st.seeded = true
	v.search(st, v.s.seeds, src, b, base, true)
	st.found.sort()
}

// follow searches a block for the ids that came up since it was last searched for any.
func (v *visitor) follow(st *blockState, src int32, b []byte, base int64) {
	for n := v.s.book.len(); st.seen < n; n = v.s.book.len() {
		if n > most && (n-st.seen > few || v.s.book.id(st.seen) == "") {
			v.lines(st, src, b, base)
			st.seen = n
			break // what came up on the way is for another pass
		}
		var ids *find.Set
		if ids, n = v.s.setOf(st.seen, n); ids != nil {
			v.search(st, ids, src, b, base, false)
			st.found.sort()
		}
		st.seen = n
	}
}

// have tells whether the line at the offset was found already; hits are sorted up to n.
func have(hits []hit, n int, off uint32) bool {
	i := sort.Search(n, func(i int) bool { return hits[i].off >= off })
	return i < n && hits[i].off == off
}

// search takes in the lines in which one of the texts stands.
func (v *visitor) search(st *blockState, texts *find.Set, src int32, b []byte, base int64, seed bool) {
	sorted := len(st.found.list)
	v.places = texts.Lines(b, v.places[:0])
	for _, place := range v.places {
		start := bytes.LastIndexByte(b[:place], '\n') + 1
		end := len(b)
		if i := bytes.IndexByte(b[place:], '\n'); i >= 0 {
			end = place + i
		}
		if at := uint32(base + int64(start) - st.start); !have(st.found.list, sorted, at) {
			v.take(st, src, b[start:end], base+int64(start), at, seed)
		}
	}
}

// setOf gives a search for the ids from number from to one at or before n, which it tells; nil where the query itself
// asked for all of them. Blocks are at different stages: a search made for another one that lacks only a few is as good.
func (s *scan) setOf(from, n int32) (ids *find.Set, to int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.setFrom <= from && from < s.setTo && n-s.setTo <= few {
		return s.set, s.setTo
	}
	var texts [][]byte
	for i := from; i < n; i++ {
		if text := s.book.id(i); !s.sought(text) {
			texts = append(texts, []byte(text))
		}
	}
	s.set, s.setFrom, s.setTo = nil, from, n
	if len(texts) > 0 {
		s.set = find.New(texts, find.Options{Whole: true}, s.freq)
	}
	return s.set, n
}

// lines cuts every line and looks its ids up.
func (v *visitor) lines(st *blockState, src int32, b []byte, base int64) {
	next, sorted := 0, len(st.found.list)
	for off := 0; off < len(b); {
		n := bytes.IndexByte(b[off:], '\n')
		if n < 0 {
			n = len(b) - off
		}
		line := b[off : off+n]
		at := uint32(base + int64(off) - st.start)
		for next < sorted && st.found.list[next].off < at {
			next++
		}
		if (next >= sorted || st.found.list[next].off != at) && v.s.book.table.probe(line) {
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
			if st.stream { // its text may be gone by the time it is known to belong
				sp := v.s.sources[src].spill
				sp.write(line, offset)
				sp.write([]byte{'\n'}, offset+int64(len(line)))
			}
		}
		if !known {
			return
		}
	}
	st.found.list = append(st.found.list, hit{at, v.s.book.take(&v.ids)})
}

// belongs tells whether the line parsed last has an id that is followed. ref is an id it names which is looked for but
// was not yet seen in front of a line.
func (v *visitor) belongs() (known bool, ref []byte) {
	ids := &v.s.book.table
	for _, t := range v.ids.strong {
		if ids.has(hash(t)) {
			return true, nil
		}
	}
	for _, t := range v.ids.refs {
		if _, defined, ok := ids.look(hash(t)); defined {
			return true, nil
		} else if ok {
			ref = t
		}
	}
	if len(v.ids.strong) == 0 {
		for _, t := range v.ids.sessions {
			if ids.has(hash(t)) {
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
