package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

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
	mute   bool // its raw lines were let go
	files  map[int32]*fileView
	rest   *blockText // the tail, once it was read
}

// fileView is what must be known of a file to read its lines.
type fileView struct {
	name   string
	layout *logs.Layout
}

// damaged tells a segment that will not be read whatever is tried from one that cannot be opened now, and says so once.
func (s *Store) damaged(g *segment, err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	if code != sqlite.ResultCorrupt && code != sqlite.ResultNotADB && !errors.Is(err, errBroken) {
		return false
	}
	g.mu.Lock()
	told := g.told
	g.told = true
	g.mu.Unlock()
	if !told {
		s.opt.Trouble(fmt.Errorf("what is in segment %s cannot be read: %w", g.path, err))
	}
	return true
}

// latest is the time after which the segment has no line.
func (v *view) latest() int64 {
	if v.tail {
		return 1<<63 - 1
	}
	v.seg.mu.Lock()
	defer v.seg.mu.Unlock()
	if !v.final || v.seg.latest == 0 {
		t := int64(-1 << 63)
		for _, s := range v.spans {
			t = max(t, s.until)
		}
		v.seg.latest = t
	}
	return v.seg.latest
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
	for {
		c, err := g.take(ctx)
		if err != nil {
			return nil, err
		}
		v := &view{pager: pager{c: c, dec: s.dec}, seg: g, store: s, fresh: map[int64][]digest.Key{}, files: map[int32]*fileView{}}
		if err = v.load(); err == nil {
			return v, nil
		}
		v.release()
		if !errors.Is(err, errOlder) {
			return nil, err
		}
	}
}

// errOlder tells of a state that was taken before the raw lines of the segment were let go.
var errOlder = errors.New("the segment was changed meanwhile")

// same looks whether what is remembered of the segment is of the state that is read, and forgets it where it is older.
func (v *view) same() error {
	if version, err := userVersion(v.c); err != nil || version == 0 {
		return cmpErr(err, errUnborn)
	}
	if err := query(v.c, "SELECT 1 FROM meta WHERE name = 'mute'", func(*sqlite.Stmt) error { v.mute = true; return nil }); err != nil {
		return err
	}
	g := v.seg
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mute && !v.mute {
		return errOlder
	}
	if v.mute && !g.mute { // the parts stay until others take their place: their room is counted
		g.mute, g.sealed, g.spans = true, false, nil
	}
	return nil
}

func (v *view) load() error {
	g := v.seg
	if err := run(v.c, "BEGIN"); err != nil { // one state for all that is read, and its lock taken once
		return err
	}
	v.open = true
	if err := v.same(); err != nil {
		return err
	}
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
