package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// sortFresh makes a part of what blocks are found by since the last one. It must be called in a transaction.
func sortFresh(c *sqlite.Conn, enc packer) error {
	entries, vals, err := freshOf(c)
	if err != nil || len(entries) == 0 && len(vals) == 0 {
		return err
	}
	id, err := nextPart(c)
	if err != nil {
		return err
	}
	slices.Sort(entries)
	if err := savePart(c, enc, id, slices.Compact(entries), mergeValues([][][]byte{vals})); err != nil {
		return err
	}
	return run(c, "DELETE FROM fresh")
}

// nextPart numbers parts so that a number is never used twice: readers remember them.
func nextPart(c *sqlite.Conn) (id int64, err error) {
	err = query(c, "SELECT coalesce(max(id), 0) + 1 FROM part", func(st *sqlite.Stmt) error {
		id = st.ColumnInt64(0)
		return nil
	})
	return id, err
}

func freshOf(c *sqlite.Conn) (entries []entry, vals [][]byte, err error) {
	err = query(c, "SELECT block, keys, vals FROM fresh", func(st *sqlite.Stmt) error {
		block := st.ColumnInt64(0)
		for _, k := range unpackKeys(column(st, 1)) {
			entries = append(entries, entryOf(k, block))
		}
		return eachValue(column(st, 2), func(v []byte) { vals = append(vals, v) })
	})
	return entries, vals, err
}

// Seal waits until every segment that no longer grows is sealed.
func (s *Store) Seal(ctx context.Context) error {
	done := make(chan struct{})
	s.mu.RLock()
	closed := s.closed || s.opt.ReadOnly
	if !closed {
		s.seal <- sealing{done: done}
	}
	s.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sealing is a segment to be sealed, or a word that all those in front are.
type sealing struct {
	seg  *segment
	done chan struct{}
}

// sealer seals segments that no longer grow, one after the other.
func (s *Store) sealer() {
	enc := newEncoder()
	defer enc.Close()
	for job := range s.seal {
		if job.done != nil {
			close(job.done)
			continue
		}
		g := job.seg
		s.mu.RLock()
		closed := s.closed
		s.mu.RUnlock()
		if closed {
			continue // the rest is sealed when the store is opened again
		}
		if err := g.makeSealed(enc, s.dec); err != nil {
			s.opt.Trouble(fmt.Errorf("segment %s: %w", g.path, err))
		}
	}
}

// makeSealed sorts all that the segment's blocks are found by into one part.
func (g *segment) makeSealed(enc packer, dec *zstd.Decoder) error {
	c, err := g.connect(false, 8<<10)
	if err != nil {
		return err
	}
	defer c.Close()
	sealed := false
	if err := query(c, "SELECT 1 FROM meta WHERE name = 'sealed'", func(*sqlite.Stmt) error { sealed = true; return nil }); err != nil {
		return err
	}
	if !sealed {
		if err := transaction(c, func() error { return joinParts(c, enc, dec) }); err != nil {
			return err
		}
	}
	// The log of changes goes into the file itself as soon as nobody reads an older state.
	return sqlitex.ExecuteTransient(c, "PRAGMA wal_checkpoint(TRUNCATE)", nil)
}

// joinParts makes one part of all, and of what is fresh.
func joinParts(c *sqlite.Conn, enc packer, dec *zstd.Decoder) error {
	entries, vals, err := freshOf(c)
	if err != nil {
		return err
	}
	pages := &pager{c: c, dec: dec}
	lists := [][][]byte{vals}
	err = query(c, "SELECT dir, chunks FROM part", func(st *sqlite.Stmt) error {
		p := loadPart(column(st, 0), column(st, 1), nil)
		for _, id := range p.pages {
			raw, err := pages.page(id)
			if err == nil {
				entries, err = unpackEntries(raw, entries)
			}
			if err != nil {
				return err
			}
		}
		for _, ch := range p.chunks {
			raw, err := pages.page(ch.page)
			if err == nil {
				raw, err = dec.DecodeAll(raw, nil)
			}
			var list [][]byte
			if err == nil {
				err = eachValue(raw, func(v []byte) { list = append(list, v) })
			}
			if err != nil {
				return err
			}
			lists = append(lists, list)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := replaceParts(c, enc, entries, lists); err != nil {
		return err
	}
	return run(c, "INSERT OR REPLACE INTO meta SELECT 'sealed', 1 UNION ALL SELECT 'since', min(since) FROM span WHERE since <= until UNION ALL SELECT 'until', max(until) FROM span WHERE since <= until")
}

// replaceParts puts one part in the place of all.
func replaceParts(c *sqlite.Conn, enc packer, entries []entry, lists [][][]byte) error {
	id, err := nextPart(c)
	if err != nil {
		return err
	}
	for _, do := range []string{"DELETE FROM page", "DELETE FROM filter", "DELETE FROM part", "DELETE FROM fresh"} {
		if err := run(c, do); err != nil {
			return err
		}
	}
	slices.Sort(entries)
	return savePart(c, enc, id, slices.Compact(entries), mergeValues(lists))
}
