package trace

import (
	"cmp"
	"context"
	"io"
	"math"
	"slices"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// kept is how many pieces of a search keep their text in memory; that of more is read again when it is needed.
const kept = 256

// closure follows ids over the pieces of a shelf.
type closure struct {
	*scan
	shelf  Shelf
	v      *visitor
	pieces map[int64]*taken
	asked  map[digest.Key]int32 // ids that are being looked for, their numbers
	known  int32                // ids of the book that were looked for
	named  []int32              // and those among them that no line has in front so far
	loaded int
}

// taken is a piece that was looked at.
type taken struct {
	Piece
	sources []int32
	seeded  bool
}

// closure finds the lines of the pieces that match the query, and all that belongs to them, wherever it is.
func (g *gathering) closure(ctx context.Context, pieces []Piece) (*Found, error) {
	f := &Found{query: g.q, opt: g.opt, room: &room{left: math.MaxInt}, Redact: g.q.Redact, shelved: true} // what is found is in few pieces
	f.opt.MemFound = math.MaxInt
	f.book = newIDBook(f.room)
	f.book.keep = true
	c := &closure{scan: &scan{Found: f, freq: new(find.Frequency)}, shelf: g.shelf, pieces: map[int64]*taken{}, asked: map[digest.Key]int32{}}
	c.v = newVisitor(c.scan)
	for _, p := range pieces {
		if err := c.visit(ctx, p, true, nil); err != nil {
			return nil, err
		}
	}
	for {
		keys := c.next()
		if len(keys) == 0 {
			break
		}
		f.Passes++
		more, err := c.shelf.Find(ctx, keys)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(more, func(a, b Piece) int { return cmp.Compare(a.ID, b.ID) })
		for i, j := 0, 0; i < len(more); i = j {
			for j = i; j < len(more) && more[j].ID == more[i].ID; j++ {
			}
			if err := c.visit(ctx, more[i], false, more[i:j]); err != nil {
				return nil, err
			}
		}
		c.ripe()
	}
	slices.SortFunc(f.sources, func(a, b *source) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.blocks[0].start, b.blocks[0].start))
	})
	for _, src := range f.sources {
		f.Lines += len(src.blocks[0].found.list)
		if len(src.blocks[0].found.list) == 0 {
			src.text = nil
		}
	}
	return f, nil
}

// next gives the keys of what came up since it was last asked. Lines that only name an id belong when the id is known to
// be one of these logs: they are looked for from then on.
func (c *closure) next() (keys []digest.Key) {
	clear(c.asked)
	ask := func(k digest.Key, n int32) {
		keys = append(keys, k)
		c.asked[k] = n
	}
	for _, h := range c.book.since(c.known) {
		ask(digest.ID(h), c.known)
		ask(digest.Session(h), c.known)
		c.named = append(c.named, c.known)
		c.known++
	}
	c.named = slices.DeleteFunc(c.named, func(n int32) bool {
		if !c.book.isDefined(n) {
			return false
		}
		ask(digest.Naming(c.book.since(n)[0]), n)
		return true
	})
	return keys
}

// fewIDs is how many ids are searched for in a piece at most; for more its lines are cut and looked up.
const fewIDs = 6

// ids gives the search for the ids that led to a piece, or all: its lines must be looked up.
func (c *closure) ids(found []Piece) (ids *find.Set, all bool) {
	if len(found) == 0 || len(found) > fewIDs {
		return nil, len(found) > 0
	}
	var texts [][]byte
	for _, p := range found {
		n, ok := c.asked[p.Key]
		if !ok {
			return nil, true
		}
		text := c.book.id(n)
		if text == "" {
			return nil, true
		}
		texts = append(texts, []byte(text))
	}
	return find.New(texts, find.Options{Whole: true}, c.freq), false
}

// visit searches a piece for the query, where it is one of those to begin with, or for the ids that led to it.
func (c *closure) visit(ctx context.Context, p Piece, seed bool, found []Piece) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := c.pieces[p.ID]
	if t == nil {
		t = &taken{Piece: p}
		c.pieces[p.ID] = t
		stretches, err := c.shelf.Read(ctx, p)
		if err != nil {
			return err
		}
		c.loaded++
		for i := range stretches {
			t.sources = append(t.sources, int32(len(c.sources)))
			c.add(ctx, t, &stretches[i], i)
		}
	}
	ids, all := c.ids(found)
	for _, si := range t.sources {
		src := c.sources[si]
		b, err := src.text.(*stretchText).bytes()
		if err != nil {
			return err
		}
		st := src.blocks[0]
		if seed && !t.seeded {
			c.v.search(st, c.seeds, si, b, st.start, true)
			st.found.sort()
		}
		if ids != nil {
			c.v.search(st, ids, si, b, st.start, false)
			st.found.sort()
		}
		if all {
			c.v.lines(st, si, b, st.start)
			st.found.sort()
		}
	}
	t.seeded = t.seeded || seed
	return nil
}

// add makes a source of a stretch.
func (c *closure) add(ctx context.Context, t *taken, s *Stretch, n int) {
	if c.seeds == nil {
		c.freq.Add(s.Text[:min(len(s.Text), 16<<10)])
		c.seeds = c.query.seeds(c.freq)
	}
	text := &stretchText{c: c, ctx: ctx, piece: t.Piece, n: n, base: s.Base}
	if c.loaded <= kept {
		text.text = s.Text
	}
	src := &source{in: &logs.Input{Name: s.Name, ModTime: s.Latest, Layout: s.Layout}, text: text, size: s.Base + int64(len(s.Text)), blocks: []*blockState{{start: s.Base}},
		local: s.Local, around: s.Around, order: s.Order, mute: s.Mute}
	var reader *logs.Reader
	if n := len(c.sources); n > 0 { // most stretches differ in nothing that a reader must know
		if last := c.sources[n-1]; last.in.ModTime.Equal(s.Latest) && last.in.Layout == s.Layout && last.local == s.Local {
			reader = c.v.readers[n-1]
		}
	}
	if reader == nil {
		reader = src.reader(&c.opt)
	}
	c.sources = append(c.sources, src)
	c.v.readers = append(c.v.readers, reader)
}

// ripe takes in the lines that named an id before it was known to be a queue id of these logs.
func (c *closure) ripe() {
	for _, l := range c.book.ripe() {
		st := c.sources[l.src].blocks[0]
		st.found.list = append(st.found.list, hit{uint32(l.offset - st.start), c.book.take(&l.ids)})
		st.found.sort()
	}
}

// stretchText is the text of a stretch, read again where it is not kept.
type stretchText struct {
	c     *closure
	ctx   context.Context
	piece Piece
	n     int
	base  int64
	text  []byte
}

func (s *stretchText) bytes() ([]byte, error) {
	if s.text != nil {
		return s.text, nil
	}
	all, err := s.c.shelf.Read(s.ctx, s.piece)
	if err != nil {
		return nil, err
	}
	return all[s.n].Text, nil
}

// ReadAt reads at a place in the source.
func (s *stretchText) ReadAt(p []byte, off int64) (int, error) {
	b, err := s.bytes()
	if err != nil {
		return 0, err
	}
	if off < s.base || off >= s.base+int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off-s.base:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
