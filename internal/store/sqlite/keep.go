package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// SegmentStats tells of one segment.
type SegmentStats struct {
	Number int       `json:"number"`
	Path   string    `json:"file"`
	Bytes  int64     `json:"bytes"` // on disk
	Text   int64     `json:"text"`  // bytes of log it holds
	Blocks int64     `json:"blocks"`
	Since  time.Time `json:"since,omitzero"` // of its lines
	Until  time.Time `json:"until,omitzero"`
	Sealed bool      `json:"sealed"`
}

// SourceStats tells how far a source was stored.
type SourceStats struct {
	Source string    `json:"source"`
	Offset int64     `json:"offset"`
	Stored time.Time `json:"stored"`
}

// Stats tells what the store holds.
type Stats struct {
	Bytes    int64          `json:"bytes"`
	Text     int64          `json:"text"`
	Segments []SegmentStats `json:"segments"`
	Sources  []SourceStats  `json:"sources"`
}

// Stats looks at every segment.
func (s *Store) Stats(ctx context.Context) (*Stats, error) {
	snap, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snap.release()
	out := &Stats{Segments: []SegmentStats{}, Sources: []SourceStats{}}
	for i, v := range snap.views {
		g, err := v.stats()
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", v.seg.path, err)
		}
		out.Bytes, out.Text = out.Bytes+g.Bytes, out.Text+g.Text
		out.Segments = append(out.Segments, g)
		if i < len(snap.views)-1 {
			continue
		}
		err = query(v.c, "SELECT source, at, stored FROM position ORDER BY source", func(st *sqlite.Stmt) error {
			out.Sources = append(out.Sources, SourceStats{st.ColumnText(0), st.ColumnInt64(1), time.Unix(0, st.ColumnInt64(2)).UTC()})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", v.seg.path, err)
		}
	}
	return out, nil
}

func (v *view) stats() (g SegmentStats, err error) {
	g = SegmentStats{Number: v.seg.number, Path: v.seg.path, Blocks: v.blocks, Sealed: v.final}
	for _, n := range v.seg.files() {
		if st, err := os.Stat(n); err == nil {
			g.Bytes += st.Size()
		}
	}
	err = query(v.c, "SELECT (SELECT coalesce(sum(size), 0) FROM span) + (SELECT coalesce(sum(length(text)), 0) FROM tail), EXISTS (SELECT 1 FROM meta WHERE name = 'sealed')", func(st *sqlite.Stmt) error {
		g.Text, g.Sealed = st.ColumnInt64(0), st.ColumnInt(1) == 1
		return nil
	})
	if since, until := v.times(); since <= until {
		g.Since, g.Until = time.Unix(0, since).UTC(), time.Unix(0, until).UTC()
	}
	return g, err
}

// times gives the span of the lines whose time is known.
func (v *view) times() (since, until int64) {
	since, until = 1<<63-1, -1<<63
	for _, s := range v.spans {
		if s.since <= s.until && s.since != -1<<63 {
			since, until = min(since, s.since), max(until, s.until)
		}
	}
	return since, until
}

// Check reads the whole store: that its files are sound, every block can be unpacked, and its lines lead to it by their
// keys. It gives what is wrong with each segment; progress is told how many bytes of text were looked at.
func (s *Store) Check(ctx context.Context, progress func(bytes int64)) (bad []error, err error) {
	segs, err := s.segments()
	if err != nil {
		return nil, err
	}
	done := int64(0)
	for _, g := range segs {
		v, err := s.view(ctx, g)
		if errors.Is(err, errUnborn) {
			continue
		}
		if err == nil {
			err = v.check(ctx, s, func(n int) {
				if done += int64(n); progress != nil {
					progress(done)
				}
			})
			v.release()
		}
		if ctx.Err() != nil {
			return bad, ctx.Err()
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("segment %s: %w", g.path, err))
		}
	}
	return bad, nil
}

func (v *view) check(ctx context.Context, s *Store, progress func(int)) error {
	err := sqlitex.ExecuteTransient(v.c, "PRAGMA quick_check(1)", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		if w := st.ColumnText(0); w != "ok" {
			return fmt.Errorf("%s: it %w", w, errBroken)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	d := digest.New(s.opt.Dialects, s.opt.Local, nil)
	for block := int64(1); block <= v.blocks; block++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := v.text(s, int64(v.seg.number)<<32|block)
		if err != nil {
			return fmt.Errorf("block %d: %w", block, err)
		}
		if n := len(b.runs); n == 0 || b.runs[n-1].Start+b.runs[n-1].Len != len(b.text) {
			return fmt.Errorf("block %d %w", block, errBroken)
		}
		progress(len(b.text))
		if block%64 != 1 { // reading each line again takes as long as storing it did
			continue
		}
		d.Reset()
		for _, r := range b.runs {
			f, err := v.file(s, r.File)
			if err != nil {
				return err
			}
			d.Add(r.File, r.Base, b.text[r.Start:r.Start+r.Len], r.Latest, f.layout)
		}
		pieces, err := v.find(slices.Clone(d.Keys), nil)
		if err != nil {
			return err
		}
		led := map[digest.Key]bool{}
		for _, p := range pieces {
			if p.ID&(1<<32-1) == block {
				led[p.Key] = true
			}
		}
		for _, k := range d.Keys {
			if !led[k] {
				return fmt.Errorf("block %d: the index %w: %d of %d keys lead to it", block, errBroken, len(led), len(d.Keys))
			}
		}
	}
	return nil
}

const holdsSchema = `CREATE TABLE holds (id TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;`

// ErrNoHold says that there is no hold of that id.
var ErrNoHold = errors.New("no such hold")

// Holds gives the holds in force, the oldest first.
func (s *State) Holds(ctx context.Context) (out []store.Hold, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return query(c, "SELECT id, since, until, reason, by, at FROM holds ORDER BY at, id", func(st *sqlite.Stmt) error {
			out = append(out, store.Hold{ID: st.ColumnText(0), Since: fromMilli(st.ColumnInt64(1)), Until: fromMilli(st.ColumnInt64(2)), Reason: st.ColumnText(3), By: st.ColumnText(4), At: fromMilli(st.ColumnInt64(5))})
			return nil
		})
	})
	return out, err
}

// PutHold begins a hold.
func (s *State) PutHold(ctx context.Context, h store.Hold) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		return run(c, "INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?)", h.ID, milli(h.Since), milli(h.Until), h.Reason, h.By, milli(h.At))
	})
}

// ReleaseHold ends a hold. What it kept goes with the next retention.
func (s *State) ReleaseHold(ctx context.Context, id string) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		if err := run(c, "DELETE FROM holds WHERE id = ?", id); err != nil || c.Changes() > 0 {
			return err
		}
		return fmt.Errorf("%q: %w", id, ErrNoHold)
	})
}

// Retain deletes the segments that are older than is to be kept, and gives them, and those that a hold kept. The newest
// segment always stays.
func (s *Store) Retain(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error) {
	if s.opt.ReadOnly && !r.DryRun {
		return nil, nil, ErrReadOnly
	}
	all, err := s.Stats(ctx)
	if err != nil {
		return nil, nil, err
	}
	var old []store.Deletion
	files := map[string]SegmentStats{}
	for _, g := range all.Segments[:max(0, len(all.Segments)-1)] {
		if g.Sealed && !g.Until.IsZero() && g.Until.Before(r.Before) {
			d := store.Deletion{Part: fmt.Sprintf("segment %d", g.Number), Since: g.Since, Until: g.Until, Text: g.Text}
			files[d.Part] = g
			old = append(old, d)
		}
	}
	gone, held = r.Split(old)
	for i := range gone {
		f, err := hashFile(files[gone[i].Part].Path)
		if err != nil {
			return nil, held, err
		}
		gone[i].Hash = f.Hash
	}
	gone, err = r.Each(gone, func(d store.Deletion) (err error) {
		g := files[d.Part]
		s.drop(g.Number)
		for _, n := range []string{g.Path, g.Path + "-wal", g.Path + "-shm"} {
			if e := os.Remove(n); e != nil && !errors.Is(e, os.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
		return err
	})
	return gone, held, err
}

// drop takes a segment out of the list.
func (s *Store) drop(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segs = slices.DeleteFunc(slices.Clone(s.segs), func(g *segment) bool {
		if g.number == number {
			g.close()
		}
		return g.number == number
	})
}

// Compact gives the room of what was deleted inside of sealed segments back to the disk.
func (s *Store) Compact(ctx context.Context) error {
	if s.opt.ReadOnly {
		return ErrReadOnly
	}
	if err := s.Seal(ctx); err != nil {
		return err
	}
	segs, err := s.segments()
	if err != nil {
		return err
	}
	for _, g := range segs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if g == s.w.seg {
			continue
		}
		c, err := g.connect(false, 8<<10)
		if err != nil {
			return err
		}
		for _, do := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
			if err == nil {
				err = sqlitex.ExecuteTransient(c, do, nil)
			}
		}
		c.Close()
		if err != nil {
			return fmt.Errorf("segment %s: %w", g.path, err)
		}
	}
	return nil
}
