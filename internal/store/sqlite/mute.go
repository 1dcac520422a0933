package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// LetGo ends the term of raw lines: of the segments that are older than is to be kept it deletes every line that is no part
// of a message (logins, connections, the software itself), and what is left is not given out any more, so that journeys
// stay and their lines do not. It gives the segments it did that to, and those that a hold kept. The record is told of a
// segment when its lines are about to go: where it fails they stay.
func (s *Store) LetGo(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error) {
	if s.opt.ReadOnly && !r.DryRun {
		return nil, nil, ErrReadOnly
	}
	segs, err := s.segments()
	if err != nil {
		return nil, nil, err
	}
	for _, g := range segs {
		d, due, err := s.due(ctx, g, r.Before)
		if err != nil {
			return gone, held, fmt.Errorf("segment %s: %w", g.path, err)
		}
		if !due {
			continue
		}
		free, kept := r.Split([]store.Deletion{d})
		held = append(held, kept...)
		if len(free) == 0 {
			continue
		}
		if !r.DryRun {
			if err := s.muteSegment(ctx, g, &d, r.Record); err != nil {
				return gone, held, fmt.Errorf("segment %s: %w", g.path, err)
			}
		}
		gone = append(gone, d)
	}
	return gone, held, nil
}

// due tells whether the lines of a segment are all older than is to be kept and still there.
func (s *Store) due(ctx context.Context, g *segment, before time.Time) (d store.Deletion, due bool, err error) {
	v, err := s.view(ctx, g)
	if err != nil {
		return d, false, err
	}
	defer v.release()
	st, err := v.stats()
	d = store.Deletion{Part: fmt.Sprintf("lines of segment %d", g.number), Since: st.Since, Until: st.Until, Text: st.Text}
	return d, err == nil && st.Sealed && !v.mute && !st.Until.IsZero() && st.Until.Before(before), err
}

// muteSegment rewrites a segment, and tells of it in d.
func (s *Store) muteSegment(ctx context.Context, g *segment, d *store.Deletion, record func(store.Deletion) error) error {
	f, err := hashFile(g.path)
	if err != nil {
		return err
	}
	d.Hash = f.Hash
	c, err := g.connect(false, 8<<10)
	if err != nil {
		return err
	}
	defer c.Close()
	err = transaction(c, func() error {
		m := &muting{s: s, ctx: ctx, v: &view{pager: pager{c: c, dec: s.dec}, seg: g, store: s, files: map[int32]*fileView{}}, enc: newEncoder(), d: digest.New(s.opt.Dialects, s.opt.Local, nil)}
		defer m.enc.Close()
		left, err := m.run()
		if err != nil {
			return err
		}
		if d.Text -= left; record != nil {
			return record(*d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.texts.forget(g.number)
	// Only now the lines leave the disk: what a page held stands in it until the file is written anew.
	for _, do := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if err := sqlitex.ExecuteTransient(c, do, nil); err != nil {
			return err
		}
	}
	return nil
}

// muting rewrites a segment within a transaction.
type muting struct {
	s   *Store
	ctx context.Context
	v   *view
	enc *zstd.Encoder
	d   *digest.Digester

	entries []entry
	lists   [][][]byte
}

// run rewrites every block and what they are found by, and gives how many bytes of lines are left.
func (m *muting) run() (left int64, err error) {
	c := m.v.c
	var blocks int64
	if err := query(c, "SELECT coalesce(max(id), 0) FROM block", func(st *sqlite.Stmt) error { blocks = st.ColumnInt64(0); return nil }); err != nil {
		return 0, err
	}
	if err := run(c, "DELETE FROM run"); err != nil {
		return 0, err
	}
	for block := int64(1); block <= blocks; block++ {
		if err := m.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := m.block(block)
		if err != nil {
			return 0, fmt.Errorf("block %d: %w", block, err)
		}
		left += n
	}
	if err := replaceParts(c, m.enc, m.entries, m.lists); err != nil {
		return 0, err
	}
	return left, run(c, "INSERT OR REPLACE INTO meta VALUES ('mute', 1)")
}

func (m *muting) block(block int64) (left int64, err error) {
	b, err := m.v.unpacked(block)
	if err != nil {
		return 0, err
	}
	layout := func(r *digest.Run) (*logs.Layout, error) {
		f, err := m.v.file(m.s, r.File)
		if err != nil {
			return nil, err
		}
		return f.layout, nil
	}
	text, runs, err := store.Messages(m.s.opt.Dialects, b.text, b.runs, func(r *digest.Run) *time.Location { return m.s.zones.of(r.Zone) }, layout)
	if err != nil {
		return 0, err
	}
	m.d.Reset()
	for i := range runs {
		r := &runs[i]
		l, err := layout(r)
		if err != nil {
			return 0, err
		}
		m.d.Add(r.File, r.Base, text[r.Start:r.Start+r.Len], r.Latest, l)
		if err := run(m.v.c, "INSERT OR REPLACE INTO run VALUES (?, ?, ?)", int64(r.File), r.Base, block); err != nil {
			return 0, err
		}
	}
	m.d.Take() // the numbers of charts stay as they are
	for _, k := range m.d.Keys {
		m.entries = append(m.entries, entryOf(k, block))
	}
	m.lists = append(m.lists, m.d.Values)
	if err := run(m.v.c, "UPDATE block SET runs = ?, text = ? WHERE id = ?", packRuns(runs), m.enc.EncodeAll(text, nil), block); err != nil {
		return 0, err
	}
	return int64(len(text)), run(m.v.c, "UPDATE span SET size = ? WHERE block = ?", len(text), block)
}
