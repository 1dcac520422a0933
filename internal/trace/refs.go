package trace

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// lineRef is where a line of a journey stands.
type lineRef struct {
	journey int32
	src     int32
	off     int64
}

// What is known of a journey while its lines are numbered: how many lines it has, or its place among all.
const (
	oneLine   = 1
	moreLines = 2
	placed    = 3 // and its place
)

// hits gives the lines found in a block.
func (f *Found) hits(st *blockState, d *desk) []hit {
	hits, err := f.shelf.of(&st.found, d)
	if err != nil && f.trouble == nil {
		f.trouble = err
	}
	return hits
}

// each gives every line found, and an id of its journey.
func (f *Found) each(fn func(src int32, off int64, id int32)) {
	var d desk
	for si, src := range f.sources {
		for _, b := range src.blocks {
			for _, h := range f.hits(b, &d) {
				fn(int32(si), b.start+int64(h.off), h.id)
			}
		}
	}
}

// groups gives the lines of each journey, journeys in the order of their first line.
func (f *Found) groups(c *cutter) iter.Seq[[]lineRef] {
	if err := f.book.join(); err != nil && f.trouble == nil {
		f.trouble = err
	}
	known := column{room: f.room}
	for range f.book.n {
		known.add(0)
	}
	f.each(func(_ int32, _ int64, id int32) {
		if id >= 0 {
			v := known.at(f.book.find(id))
			*v = min(*v+1, moreLines)
		}
	})
	all := refSorter{longest: max(1, f.opt.linesHeld()), spill: spill{dir: f.opt.TempDir}}
	sessions := openSessions{c: c}
	next := uint32(0)
	f.each(func(src int32, off int64, id int32) {
		fresh := uint32(0)
		v, r := &fresh, lineRef{src: src, off: off}
		if id >= 0 {
			v = known.at(f.book.find(id))
		}
		switch {
		case *v >= placed:
			r.journey = int32(*v - placed)
		case *v < moreLines:
			r.journey = sessions.place(r, int32(next))
		default:
			r.journey = int32(next)
		}
		if *v = uint32(r.journey) + placed; uint32(r.journey) == next {
			next++
		}
		all.add(r)
	})
	return func(yield func([]lineRef) bool) {
		defer all.spill.close()
		var mine []lineRef
		for r, err := range all.sorted() {
			if err != nil {
				f.trouble = err
				return
			}
			if len(mine) > 0 && mine[0].journey != r.journey {
				if !yield(mine) {
					return
				}
				mine = nil
			}
			mine = append(mine, r)
		}
		if len(mine) > 0 {
			yield(mine)
		}
	}
}

// openSessions joins lines without any id that tell of one session of one client: of one host, program, process and client,
// less than ten minutes one after the other.
type openSessions struct {
	c    *cutter
	last map[string]openSession
}

type openSession struct {
	journey int32
	at      int64
}

const (
	sessionGap   = int64(10 * time.Minute)
	mostSessions = 50_000 // open at once, before those that ended are looked for
)

// place gives the place of the session that a line is of, or the next one for a line that begins one or has none.
func (o *openSessions) place(r lineRef, next int32) int32 {
	at, seen := next, false
	o.c.reader(r.src).Line(o.c.line(r.src, r.off), r.src, r.off, event.SinkFunc(func(e *event.Event) {
		if e.QueueID != nil || e.MessageID != nil || e.PID == 0 || e.ClientIP == nil {
			return
		}
		key := string(e.Host) + "|" + string(e.Program) + "|" + string(e.ClientIP) + "|" + itoa(int(e.PID))
		s, ok := o.last[key]
		if !ok || e.At-s.at > sessionGap || e.At < s.at {
			s.journey = next
		}
		if s.at = e.At; !seen {
			at, seen = s.journey, true
		}
		o.keep(key, s)
	}))
	return at
}

func (o *openSessions) keep(key string, s openSession) {
	if o.last == nil {
		o.last = map[string]openSession{}
	}
	if o.last[key] = s; len(o.last) <= mostSessions {
		return
	}
	for k, had := range o.last {
		if had.at < s.at-sessionGap {
			delete(o.last, k)
		}
	}
	if len(o.last) > mostSessions*3/4 { // so many at once: better two sessions of one than no end of memory
		o.last = nil
	}
}

// refSorter sorts lines by their journey, in runs that are put aside when they are long, and merges those.
type refSorter struct {
	longest int // lines of a run
	run     []lineRef
	spill   spill
	end     int64
	runs    []refRun
	err     error
}

// refRun is a part that is sorted, from a place in the spill to another.
type refRun struct{ from, to int64 }

const runBuffer = 32 << 10 // bytes

func byJourney(a, b lineRef) int {
	return cmp.Or(cmp.Compare(a.journey, b.journey), cmp.Compare(a.src, b.src), cmp.Compare(a.off, b.off))
}

func (s *refSorter) add(r lineRef) {
	if s.run = append(s.run, r); len(s.run) < s.longest || s.err != nil {
		return
	}
	slices.SortFunc(s.run, byJourney)
	from, buf, last := s.end, make([]byte, 0, runBuffer+30), lineRef{}
	for i, r := range s.run {
		buf = binary.AppendUvarint(buf, uint64(r.journey-last.journey))
		buf = binary.AppendUvarint(buf, uint64(r.src))
		buf = binary.AppendVarint(buf, r.off-last.off)
		if last = r; len(buf) < runBuffer && i < len(s.run)-1 {
			continue
		}
		if s.err = s.spill.write(buf, s.end); s.err != nil {
			return // the run stays in memory, and so does what follows
		}
		s.end += int64(len(buf))
		buf = buf[:0]
	}
	s.runs = append(s.runs, refRun{from, s.end})
	s.run = s.run[:0]
}

// sorted gives all lines in order.
func (s *refSorter) sorted() iter.Seq2[lineRef, error] {
	return func(yield func(lineRef, error) bool) {
		slices.SortFunc(s.run, byJourney)
		heads := refHeads{{rest: s.run}}
		for _, r := range s.runs {
			heads = append(heads, &refHead{in: bufio.NewReaderSize(io.NewSectionReader(&s.spill, r.from, r.to-r.from), runBuffer)})
		}
		for i := 0; i < len(heads); {
			ok, err := heads[i].next()
			if err != nil {
				yield(lineRef{}, err)
				return
			}
			if !ok {
				heads = slices.Delete(heads, i, i+1)
				continue
			}
			i++
		}
		heap.Init(&heads)
		for len(heads) > 0 {
			if !yield(heads[0].ref, nil) {
				return
			}
			ok, err := heads[0].next()
			switch {
			case err != nil:
				yield(lineRef{}, err)
				return
			case ok:
				heap.Fix(&heads, 0)
			default:
				heap.Pop(&heads)
			}
		}
	}
}

// refHead stands at a line of a run, which is put aside or in memory.
type refHead struct {
	ref  lineRef
	in   *bufio.Reader
	rest []lineRef
}

func (h *refHead) next() (ok bool, err error) {
	if h.in == nil {
		if len(h.rest) == 0 {
			return false, nil
		}
		h.ref, h.rest = h.rest[0], h.rest[1:]
		return true, nil
	}
	journey, err := binary.ReadUvarint(h.in)
	if err == io.EOF {
		return false, nil
	}
	src, err2 := binary.ReadUvarint(h.in)
	off, err3 := binary.ReadVarint(h.in)
	h.ref = lineRef{h.ref.journey + int32(journey), int32(src), h.ref.off + off}
	return true, cmp.Or(err, err2, err3)
}

// refHeads is a heap.
type refHeads []*refHead

func (h refHeads) Len() int           { return len(h) }
func (h refHeads) Less(a, b int) bool { return byJourney(h[a].ref, h[b].ref) < 0 }
func (h refHeads) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *refHeads) Push(x any)        { *h = append(*h, x.(*refHead)) }
func (h *refHeads) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
