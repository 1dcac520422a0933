package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Journeys gives the journeys that match the query: see trace.Gather. The store is seen as it was when the first is asked
// for. What a loop does between two journeys holds up a search of others, so it should not be long.
func (s *Store) Journeys(ctx context.Context, q trace.Query) iter.Seq2[*trace.Journey, error] {
	return func(yield func(*trace.Journey, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(nil, err)
			return
		}
		defer s.leave()
		snap, err := s.snapshot(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer snap.release()
		for j, err := range trace.Gather(ctx, snap, q, trace.Options{Dialects: s.opt.Dialects, Local: s.opt.Local}) {
			if !yield(j, err) {
				return
			}
		}
	}
}

// Journey gives the journey of an id, with the lines of its SMTP session, for people limited to the domains (none: no
// limit). The error is trace.ErrNoJourney where there is none that they may see.
func (s *Store) Journey(ctx context.Context, id string, domains []string) (*trace.Journey, error) {
	return trace.JourneyByID(ctx, s, id, domains)
}

// snapshot is the store as it is at one moment: a trace.Shelf. One goroutine uses it.
type snapshot struct {
	s     *Store
	views []*view
}

// view is one segment within a snapshot.
type view struct {
	pager
	seg    *segment
	blocks int64 // number of the last block
	spans  []span
	parts  []*part
	store  *Store
	fresh  map[int64][]digest.Key
	tail   bool // there are lines that do not fill a block
	open   bool // a transaction holds the state
	final  bool // it is sealed and will not change
	files  map[int32]*fileView
	rest   *blockText // the tail, once it was read
}

// fileView is what must be known of a file to read its lines.
type fileView struct {
	name   string
	layout *logs.Layout
}

func (s *Store) snapshot(ctx context.Context) (*snapshot, error) {
	segs, err := s.segments()
	if err != nil {
		return nil, err
	}
	snap := &snapshot{s: s}
	for _, g := range segs {
		v, err := s.view(ctx, g)
		if errors.Is(err, errUnborn) {
			continue
		}
		if err != nil {
			if _, gone := os.Stat(g.path); errors.Is(gone, os.ErrNotExist) { // retention was quicker
				continue
			}
			snap.release()
			return nil, fmt.Errorf("segment %s: %w", g.path, err)
		}
		snap.views = append(snap.views, v)
	}
	return snap, nil
}

func (s *snapshot) release() {
	for _, v := range s.views {
		v.release()
	}
	s.views = nil
}

func (v *view) release() {
	if v.open {
		v.c.SetInterrupt(nil)
		if err := run(v.c, "ROLLBACK"); err != nil {
			v.c.Close()
			return
		}
	}
	v.seg.put(v.c)
}

// errUnborn tells of a segment whose making is not ended.
var errUnborn = errors.New("the segment is being made")

// view opens a segment. What never changes is read once and remembered.
func (s *Store) view(ctx context.Context, g *segment) (*view, error) {
	c, err := g.take(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{pager: pager{c: c, dec: s.dec}, seg: g, store: s, fresh: map[int64][]digest.Key{}, files: map[int32]*fileView{}}
	if err := v.load(); err != nil {
		v.release()
		return nil, err
	}
	return v, nil
}

func (v *view) load() error {
	g := v.seg
	if err := run(v.c, "BEGIN"); err != nil { // one state for all that is read, and its lock taken once
		return err
	}
	v.open = true
	g.mu.Lock()
	sealed := g.sealed
	if sealed {
		v.spans, v.blocks = g.spans, int64(len(g.spans))
		for _, p := range g.parts {
			v.parts = append(v.parts, p)
		}
	}
	g.mu.Unlock()
	if sealed {
		v.final = true
		return nil
	}
	if version, err := userVersion(v.c); err != nil || version == 0 {
		return cmpErr(err, errUnborn)
	}
	err := query(v.c, "SELECT (SELECT coalesce(max(block), 0) FROM span), EXISTS (SELECT 1 FROM tail), EXISTS (SELECT 1 FROM meta WHERE name = 'sealed')", func(st *sqlite.Stmt) error {
		v.blocks, v.tail, sealed = st.ColumnInt64(0), st.ColumnInt(1) == 1, st.ColumnInt(2) == 1
		return nil
	})
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err = query(v.c, "SELECT since, until FROM span WHERE block > ? ORDER BY block", func(st *sqlite.Stmt) error {
		g.spans = append(g.spans, span{st.ColumnInt64(0), st.ColumnInt64(1)})
		return nil
	}, len(g.spans))
	if err == nil {
		err = v.loadParts()
	}
	if err == nil {
		err = v.loadFresh()
	}
	if err != nil {
		return err
	}
	v.spans = g.spans[:v.blocks:v.blocks]
	if sealed {
		g.sealed = true
	}
	return nil
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// loadParts reads the directories of parts that are not known yet, and forgets those that are no more.
func (v *view) loadParts() error {
	g := v.seg
	var ids []int64
	if err := query(v.c, "SELECT id FROM part ORDER BY id", func(st *sqlite.Stmt) error { ids = append(ids, st.ColumnInt64(0)); return nil }); err != nil {
		return err
	}
	now := map[int64]*part{}
	for _, id := range ids {
		p := g.parts[id]
		if p == nil {
			err := query(v.c, "SELECT dir, chunks, grams FROM part WHERE id = ?", func(st *sqlite.Stmt) error {
				p = loadPart(column(st, 0), column(st, 1), column(st, 2))
				p.id = id
				return nil
			}, id)
			if err != nil {
				return err
			}
		}
		now[id] = p
		v.parts = append(v.parts, p)
	}
	for id, p := range g.parts {
		if now[id] == nil {
			v.store.filters.Add(-int64(len(p.filter)))
		}
	}
	g.parts = now
	return nil
}

// loadFresh reads the keys of blocks that are in no part yet.
func (v *view) loadFresh() error {
	g := v.seg
	var ids []int64
	if err := query(v.c, "SELECT block FROM fresh", func(st *sqlite.Stmt) error { ids = append(ids, st.ColumnInt64(0)); return nil }); err != nil {
		return err
	}
	now := map[int64][]digest.Key{}
	for _, id := range ids {
		keys := g.fresh[id]
		if keys == nil {
			err := query(v.c, "SELECT keys FROM fresh WHERE block = ?", func(st *sqlite.Stmt) error { keys = unpackKeys(column(st, 0)); return nil }, id)
			if err != nil {
				return err
			}
		}
		now[id] = keys
		v.fresh[id] = keys
	}
	g.fresh = now
	return nil
}

// pager reads pages through one connection.
type pager struct {
	c    *sqlite.Conn
	dec  *zstd.Decoder
	buf  []entry
	last int64 // the page in buf
}

func (p *pager) page(id int64) (b []byte, err error) {
	found := false
	err = query(p.c, "SELECT data FROM page WHERE id = ?", func(st *sqlite.Stmt) error {
		b, found = column(st, 0), true
		return nil
	}, id)
	if err == nil && !found {
		err = fmt.Errorf("page %d %w: it is missing", id, errBroken)
	}
	return b, err
}

func (p *pager) entries(id int64) ([]entry, error) {
	if id == p.last && id != 0 {
		return p.buf, nil
	}
	p.last = 0
	raw, err := p.page(id)
	if err != nil {
		return nil, err
	}
	if p.buf, err = unpackEntries(raw, p.buf[:0]); err == nil {
		p.last = id
	}
	return p.buf, err
}

func (p *pager) unpack(b []byte) ([]byte, error) { return p.dec.DecodeAll(b, nil) }

// Find gives the pieces that may hold one of the keys.
func (s *snapshot) Find(ctx context.Context, keys []digest.Key) (out []trace.Piece, err error) {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, v := range s.views {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if out, err = v.find(keys, out); err != nil {
			return nil, fmt.Errorf("segment %s: %w", v.seg.path, err)
		}
	}
	return out, nil
}

func (v *view) piece(block int64) trace.Piece {
	p := trace.Piece{ID: int64(v.seg.number)<<32 | block, From: -1 << 63, To: 1<<63 - 1}
	if block > 0 {
		p.From, p.To = v.spans[block-1].since, v.spans[block-1].until
	}
	return p
}

func (v *view) find(keys []digest.Key, out []trace.Piece) ([]trace.Piece, error) {
	if v.tail {
		out = append(out, v.piece(0))
	}
	if keys == nil {
		for b := int64(1); b <= v.blocks; b++ {
			out = append(out, v.piece(b))
		}
		return out, nil
	}
	for block, have := range v.fresh {
		for _, k := range keys {
			if _, ok := slices.BinarySearch(have, k); ok {
				p := v.piece(block)
				p.Key = k
				out = append(out, p)
			}
		}
	}
	for _, p := range v.parts {
		f, err := v.filterOf(p, len(keys))
		if err != nil {
			return out, err
		}
		for _, k := range keys {
			err := p.find(v, f, k, func(block int64) {
				if block > 0 && block <= v.blocks {
					p := v.piece(block)
					p.Key = k
					out = append(out, p)
				}
			})
			if err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// filterOf gives the filter of a part that is asked often, as long as there is room in memory.
func (v *view) filterOf(p *part, n int) (f filter, err error) {
	v.seg.mu.Lock()
	f = p.filter
	asked := p.asked
	p.asked += n
	v.seg.mu.Unlock()
	if f != nil || asked < filterAfter || v.store.filters.Load() > filterRoom {
		return f, nil
	}
	err = query(v.c, "SELECT data FROM filter WHERE part = ?", func(st *sqlite.Stmt) error { f = column(st, 0); return nil }, p.id)
	if err != nil || f == nil {
		return nil, err
	}
	v.seg.mu.Lock()
	defer v.seg.mu.Unlock()
	if p.filter == nil {
		p.filter = f
		v.store.filters.Add(int64(len(f)))
	}
	return f, nil
}

// Values shows the values that may contain the text.
func (s *snapshot) Values(ctx context.Context, kind byte, part string, show func(value []byte)) error {
	text := smalls(part)
	for _, v := range s.views {
		if err := v.values(ctx, s.s, kind, text, show); err != nil {
			return fmt.Errorf("segment %s: %w", v.seg.path, err)
		}
	}
	return nil
}

func (v *view) values(ctx context.Context, s *Store, kind byte, text []byte, show func(value []byte)) error {
	if v.tail { // its values stand nowhere yet
		b, err := v.tailText()
		if err != nil {
			return err
		}
		d := digest.New(s.opt.Dialects, s.opt.Local, nil)
		for _, r := range b.runs {
			f, err := v.file(s, r.File)
			if err != nil {
				return err
			}
			d.Add(r.File, r.Base, b.text[r.Start:r.Start+r.Len], r.Latest, f.layout)
		}
		for _, val := range d.Values {
			if val[0] == kind && containsFold(val[1:], text) {
				show(val[1:])
			}
		}
	}
	for id := range v.fresh {
		err := query(v.c, "SELECT vals FROM fresh WHERE block = ?", func(st *sqlite.Stmt) error {
			return eachValue(column(st, 0), func(b []byte) {
				if len(b) > 0 && b[0] == kind && containsFold(b[1:], text) {
					show(b[1:])
				}
			})
		}, id)
		if err != nil {
			return err
		}
	}
	for _, p := range v.parts {
		if err := p.values(ctx, v, kind, text, show); err != nil {
			return err
		}
	}
	return nil
}

// Read gives the text of a piece.
func (s *snapshot) Read(ctx context.Context, p trace.Piece) ([]trace.Stretch, error) {
	number := int(p.ID >> 32)
	for i, v := range s.views {
		if v.seg.number == number {
			out, err := v.read(s, i, p.ID)
			if err != nil {
				err = fmt.Errorf("segment %s: %w", v.seg.path, err)
			}
			return out, err
		}
	}
	return nil, fmt.Errorf("piece %x %w: its segment is missing", p.ID, errBroken)
}

func (v *view) read(snap *snapshot, place int, id int64) ([]trace.Stretch, error) {
	s := snap.s
	b, err := v.text(s, id)
	if err != nil {
		return nil, err
	}
	out := make([]trace.Stretch, 0, len(b.runs))
	for i := range b.runs {
		r := &b.runs[i]
		if r.Start+r.Len > len(b.text) {
			return nil, fmt.Errorf("block %d %w", id&(1<<32-1), errBroken)
		}
		f, err := v.file(s, r.File)
		if err != nil {
			return nil, err
		}
		local := s.opt.Local
		if b.id != 0 {
			local = s.zones.of(r.Zone)
		}
		out = append(out, trace.Stretch{Name: f.name, Order: int64(r.File), Base: r.Base, Text: b.text[r.Start : r.Start+r.Len], Latest: r.Latest, Local: local,
			Layout: f.layout, Around: &around{snap, r.File, place}})
	}
	return out, nil
}

// text unpacks a block; that of number 0 is the tail.
func (v *view) text(s *Store, id int64) (*blockText, error) {
	if id&(1<<32-1) == 0 {
		return v.tailText()
	}
	if b := s.texts.get(id); b != nil {
		return b, nil
	}
	var b *blockText
	err := query(v.c, "SELECT runs, text FROM block WHERE id = ?", func(st *sqlite.Stmt) (err error) {
		b = &blockText{id: id}
		if b.runs, err = unpackRuns(column(st, 0)); err == nil {
			b.text, err = v.dec.DecodeAll(column(st, 1), nil)
		}
		return err
	}, id&(1<<32-1))
	if err == nil && b == nil {
		err = fmt.Errorf("block %d %w: it is missing", id&(1<<32-1), errBroken)
	}
	if err != nil {
		return nil, err
	}
	s.texts.put(b)
	return b, nil
}

// tailText reads the lines that do not fill a block.
func (v *view) tailText() (*blockText, error) {
	if v.rest != nil {
		return v.rest, nil
	}
	b := &blockText{}
	err := query(v.c, "SELECT file, base, latest, text FROM tail ORDER BY id", func(st *sqlite.Stmt) error {
		text := column(st, 3)
		r := digest.Run{File: st.ColumnInt32(0), Base: st.ColumnInt64(1), Start: len(b.text), Len: len(text), Latest: time.Unix(0, st.ColumnInt64(2))}
		b.text = append(b.text, text...)
		if n := len(b.runs); n > 0 {
			if last := &b.runs[n-1]; last.File == r.File && last.Base+int64(last.Len) == r.Base && last.Latest.Equal(r.Latest) {
				last.Len += r.Len
				return nil
			}
		}
		b.runs = append(b.runs, r)
		return nil
	})
	v.rest = b
	return b, err
}

func (v *view) file(s *Store, id int32) (f *fileView, err error) {
	if f = v.files[id]; f != nil {
		return f, nil
	}
	f = &fileView{}
	err = query(v.c, "SELECT source, head FROM file WHERE id = ?", func(st *sqlite.Stmt) error {
		f.name = strings.TrimPrefix(st.ColumnText(0), "file:")
		f.layout = layoutOf(s.opt.Dialects, column(st, 1))
		return nil
	}, int64(id))
	v.files[id] = f
	return f, err
}

// around reads a whole source as far as it is stored: what never was reads as empty lines.
type around struct {
	snap *snapshot
	file int32
	near int // the view to look into first
}

// ReadAt reads at a place in the source.
func (a *around) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		base, text, err := a.at(off + int64(n))
		if err != nil {
			return n, err
		}
		if text == nil {
			return n, io.EOF
		}
		for off+int64(n) < base && n < len(p) {
			p[n] = '\n'
			n++
		}
		if n < len(p) {
			n += copy(p[n:], text[off+int64(n)-base:])
		}
	}
	return n, nil
}

// at gives the stretch with the place in it, or else the next one.
func (a *around) at(off int64) (base int64, text []byte, err error) {
	for i := range a.snap.views {
		n := (a.near + i) % len(a.snap.views)
		if base, text, err = a.snap.views[n].stretch(a.snap.s, a.file, off, false); err != nil || text != nil {
			a.near = n
			return base, text, err
		}
	}
	for n, v := range a.snap.views {
		b, t, err := v.stretch(a.snap.s, a.file, off, true)
		if err != nil {
			return 0, nil, err
		}
		if t != nil && (text == nil || b < base) {
			base, text, a.near = b, t, n
		}
	}
	return base, text, nil
}

// stretch gives the run with the place in it, or with next the first behind the place.
func (v *view) stretch(s *Store, file int32, off int64, next bool) (base int64, text []byte, err error) {
	block := int64(0)
	where := "SELECT base, block FROM run WHERE file = ? AND base <= ? ORDER BY base DESC LIMIT 1"
	if next {
		where = "SELECT base, block FROM run WHERE file = ? AND base > ? ORDER BY base LIMIT 1"
	}
	err = query(v.c, where, func(st *sqlite.Stmt) error { base, block = st.ColumnInt64(0), st.ColumnInt64(1); return nil }, int64(file), off)
	if err != nil {
		return 0, nil, err
	}
	if block > 0 {
		b, err := v.text(s, int64(v.seg.number)<<32|block)
		if err != nil {
			return 0, nil, err
		}
		for i := range b.runs {
			if r := &b.runs[i]; r.File == file && r.Base == base && r.Start+r.Len <= len(b.text) && base+int64(r.Len) > off {
				return base, b.text[r.Start : r.Start+r.Len], nil
			}
		}
	}
	if !v.tail {
		return 0, nil, nil
	}
	b, err := v.tailText()
	if err != nil {
		return 0, nil, err
	}
	for i := range b.runs {
		if r := &b.runs[i]; r.File == file && r.Base+int64(r.Len) > off && (next || r.Base <= off) {
			return r.Base, b.text[r.Start : r.Start+r.Len], nil
		}
	}
	return 0, nil, nil
}
