package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// freshMost is how many blocks may be found by looking through the keys of each before they are sorted into a part.
const freshMost = 128

// writer is the one that writes: the newest segment, and what is remembered of it between two batches. What it
// remembers is read from the file again after anything went wrong.
type writer struct {
	mu       sync.Mutex
	s        *Store
	seg      *segment
	c        *sqlite.Conn
	d        *digest.Digester // the tail
	enc      *zstd.Encoder
	doubt    bool // what is remembered may not be what is stored
	pos      map[string]intake.Position
	files    map[fileName]*file
	nextFile int64
	blocks   int64 // number of the last block
	fresh    int
	size     int64 // text stored, bytes
	day      int64 // when the segment was begun, days since 1970
	text     []byte
}

type fileName struct{ source, name string }

// file is one file of a source, or one run of a stream.
type file struct {
	id     int32
	layout *logs.Layout
	bytes  int64 // text stored of a stream whose positions are no bytes
	head   []byte
}

// open goes on with the newest segment, or begins one.
func (w *writer) open(s *Store) error {
	w.s, w.enc = s, newEncoder()
	for len(s.segs) > 0 {
		g := s.segs[len(s.segs)-1]
		c, err := g.connect(true, 8<<10)
		if err != nil {
			return err
		}
		version, err := userVersion(c)
		if err == nil && version == 0 { // its making was broken off
			c.Close()
			for _, n := range g.files() {
				if err := os.Remove(n); err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
			}
			s.segs = s.segs[:len(s.segs)-1]
			continue
		}
		if err == nil {
			err = transaction(c, func() error { return migrateSegment(c) })
		}
		w.seg, w.c = g, c
		if err == nil {
			err = w.load()
		}
		if err != nil {
			c.Close()
			return fmt.Errorf("segment %s: %w", g.path, err)
		}
		break
	}
	for _, g := range s.segs {
		if g != w.seg {
			s.seal <- sealing{seg: g}
		}
	}
	closed, err := w.isClosed()
	if err != nil || w.seg != nil && !closed {
		return err
	}
	return w.begin()
}

func (w *writer) isClosed() (closed bool, err error) {
	if w.seg == nil {
		return false, nil
	}
	err = query(w.c, "SELECT 1 FROM meta WHERE name IN ('closed', 'sealed')", func(*sqlite.Stmt) error { closed = true; return nil })
	return closed, err
}

func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enc.Close()
	if w.c == nil {
		return nil
	}
	err := w.c.Close()
	w.c = nil
	return err
}

// begin makes the next segment, which takes over the positions.
func (w *writer) begin() error {
	number := 1
	if w.seg != nil {
		number = w.seg.number + 1
	}
	g := newSegment(w.s.folder, number)
	c, err := g.connect(true, 8<<10)
	if err != nil {
		return err
	}
	err = transaction(c, func() error {
		if err := migrateSegment(c); err != nil {
			return err
		}
		now := w.s.opt.Now()
		if err := run(c, "INSERT INTO meta VALUES ('begun', ?), ('next_file', ?)", now.UnixNano(), max(w.nextFile, 1)); err != nil {
			return err
		}
		for source, p := range w.pos {
			if err := savePosition(c, source, p); err != nil {
				return err
			}
			n := fileName{source, p.File}
			if f := w.files[n]; f != nil {
				if err := run(c, "INSERT INTO file VALUES (?, ?, ?, '', ?, ?)", int64(f.id), source, p.File, f.head, f.bytes); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		c.Close()
		for _, n := range g.files() {
			os.Remove(n)
		}
		return fmt.Errorf("segment %s: %w", g.path, err)
	}
	if w.c != nil {
		w.c.Close()
		w.s.toSeal(w.seg)
	}
	w.seg, w.c = g, c
	w.s.mu.Lock()
	w.s.segs = append(w.s.segs, g)
	w.s.mu.Unlock()
	return w.load()
}

// load reads what is remembered between batches.
func (w *writer) load() error {
	w.pos, w.files = map[string]intake.Position{}, map[fileName]*file{}
	w.blocks, w.fresh, w.size = 0, 0, 0
	if w.d == nil {
		w.d = digest.New(w.s.opt.Dialects, w.s.opt.Local, w.s.opt.Know)
	}
	w.d.Reset()
	err := query(w.c, "SELECT name, value FROM meta", func(st *sqlite.Stmt) error {
		switch st.ColumnText(0) {
		case "begun":
			w.day = st.ColumnInt64(1) / int64(24*time.Hour)
		case "next_file":
			w.nextFile = st.ColumnInt64(1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = query(w.c, "SELECT source, name, at, cursor, stored FROM position", func(st *sqlite.Stmt) error {
		w.pos[st.ColumnText(0)] = intake.Position{File: st.ColumnText(1), Offset: st.ColumnInt64(2), Cursor: st.ColumnText(3), At: time.Unix(0, st.ColumnInt64(4))}
		return nil
	})
	if err != nil {
		return err
	}
	byID := map[int64]*file{}
	err = query(w.c, "SELECT id, source, name, head, bytes FROM file", func(st *sqlite.Stmt) error {
		f := &file{id: st.ColumnInt32(0), head: column(st, 3), bytes: st.ColumnInt64(4)}
		f.layout = logs.LayoutOf(w.s.opt.Dialects, f.head)
		w.files[fileName{st.ColumnText(1), st.ColumnText(2)}] = f
		byID[int64(f.id)] = f
		return nil
	})
	if err != nil {
		return err
	}
	err = query(w.c, "SELECT (SELECT coalesce(max(id), 0) FROM block), (SELECT count(*) FROM fresh), (SELECT coalesce(sum(size), 0) FROM span)", func(st *sqlite.Stmt) error {
		w.blocks, w.fresh, w.size = st.ColumnInt64(0), st.ColumnInt(1), st.ColumnInt64(2)
		return nil
	})
	if err != nil {
		return err
	}
	err = query(w.c, "SELECT file, base, latest, text FROM tail ORDER BY id", func(st *sqlite.Stmt) error {
		var layout *logs.Layout
		if f := byID[st.ColumnInt64(0)]; f != nil {
			layout = f.layout
		}
		w.d.Add(st.ColumnInt32(0), st.ColumnInt64(1), column(st, 3), time.Unix(0, st.ColumnInt64(2)), layout)
		return nil
	})
	w.d.Take() // counted when it was stored
	w.doubt = err != nil
	return err
}

// Position gives where the source was left.
func (s *Store) Position(ctx context.Context, source string) (intake.Position, error) {
	w := &s.w
	if s.opt.ReadOnly {
		return intake.Position{}, ErrReadOnly
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.ready(); err != nil {
		return intake.Position{}, err
	}
	return w.pos[source], nil
}

// ready makes sure that what is remembered is what is stored.
func (w *writer) ready() error {
	if w.c == nil {
		return ErrClosed
	}
	if !w.doubt {
		return nil
	}
	if err := w.load(); err != nil {
		return fmt.Errorf("segment %s: %w", w.seg.path, err)
	}
	return nil
}

// Commit stores the lines of a batch and where it ends in one transaction: see intake.Sink.
func (s *Store) Commit(ctx context.Context, b *intake.Batch) error {
	w := &s.w
	if s.opt.ReadOnly {
		return ErrReadOnly
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.ready(); err != nil {
		return err
	}
	from, follows := b.Rest(w.pos[b.Source])
	if !follows {
		return intake.ErrMoved
	}
	if from == len(b.Lines) && len(b.Lines) > 0 && w.pos[b.Source].File == b.To.File && w.pos[b.Source].Offset >= b.To.Offset {
		return nil
	}
	if err := w.turn(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.doubt = true
	err := transaction(w.c, func() error { return w.store(b, from) })
	if err != nil {
		return fmt.Errorf("segment %s: %w", w.seg.path, err)
	}
	w.doubt = false
	return nil
}

// turn begins another segment when this one is full, or a new day has come.
func (w *writer) turn() error {
	if w.size == 0 && len(w.d.Text) == 0 || w.size < w.s.opt.Segment && w.s.opt.Now().UnixNano()/int64(24*time.Hour) == w.day {
		return nil
	}
	w.doubt = true
	err := transaction(w.c, func() error {
		if err := w.flush(); err != nil {
			return err
		}
		return run(w.c, "INSERT OR REPLACE INTO meta VALUES ('closed', 1)")
	})
	if err != nil {
		return fmt.Errorf("segment %s: %w", w.seg.path, err)
	}
	if err := w.begin(); err != nil {
		return err
	}
	return nil
}

// store writes the lines from the index on, and the position behind them.
func (w *writer) store(b *intake.Batch, from int) error {
	f, err := w.file(b.Source, b.To.File, b.Host, b.Head)
	if err != nil {
		return err
	}
	if len(b.Ends) != len(b.Lines) {
		return fmt.Errorf("batch of %s: %d ends of %d lines", b.Source, len(b.Ends), len(b.Lines))
	}
	latest := b.Modified
	if latest.IsZero() {
		latest = w.s.opt.Now()
	}
	if err := w.lines(b, from, f, latest); err != nil {
		return err
	}
	if err := w.numbers(w.c, w.d.Take(), b.Read); err != nil {
		return err
	}
	to := b.To
	to.At = w.s.opt.Now()
	if err := savePosition(w.c, b.Source, to); err != nil {
		return err
	}
	if f.bytes > 0 {
		if err := run(w.c, "UPDATE file SET bytes = ? WHERE id = ?", f.bytes, int64(f.id)); err != nil {
			return err
		}
	}
	w.pos[b.Source] = to
	return nil
}

// lines writes lines, those together that stand together in the source.
func (w *writer) lines(b *intake.Batch, from int, f *file, latest time.Time) error {
	at := int64(0) // where the line begins
	if from > 0 {
		at = b.Ends[from-1]
	} else if b.From.File == b.To.File {
		at = b.From.Offset
	}
	counted := false // positions are numbers of lines, not bytes
	for i, begin := from, at; i < len(b.Lines); i++ {
		counted = counted || b.Ends[i]-begin < int64(len(b.Lines[i]))
		begin = b.Ends[i]
	}
	if counted {
		at = f.bytes
	}
	w.text = w.text[:0]
	base := at
	for i := from; i < len(b.Lines); i++ {
		line := b.Lines[i]
		end := at + int64(len(line)) + 1
		if !counted {
			end = b.Ends[i]
		}
		if base+int64(len(w.text)) != at || len(w.d.Text)+len(w.text) >= blockSize {
			if err := w.add(f, base, latest); err != nil {
				return err
			}
			base = at
		}
		w.text = append(w.text, line[:min(len(line), logs.MaxLine)]...)
		if end-at == int64(len(line))+2 {
			w.text = append(w.text, '\r') // taken off by the reader
		}
		w.text = append(w.text, '\n')
		at = end
	}
	if counted {
		f.bytes = at
	}
	return w.add(f, base, latest)
}

// add takes the collected text into the tail, and makes a block of it when it is large enough.
func (w *writer) add(f *file, base int64, latest time.Time) error {
	if len(w.text) == 0 {
		return nil
	}
	w.d.Add(f.id, base, w.text, latest, f.layout)
	if len(w.d.Text) >= blockSize {
		w.text = w.text[:0]
		return w.flush()
	}
	err := run(w.c, "INSERT INTO tail (file, base, latest, text) VALUES (?, ?, ?, ?)", int64(f.id), base, latest.UnixNano(), w.text)
	w.text = w.text[:0]
	return err
}

// flush makes a block of the tail.
func (w *writer) flush() error {
	if len(w.d.Text) == 0 {
		return nil
	}
	p := packPiece(w.enc, &w.d.Piece)
	w.d.Reset()
	if err := run(w.c, "DELETE FROM tail"); err != nil {
		return err
	}
	if err := w.block(p); err != nil {
		return err
	}
	if err := run(w.c, "INSERT INTO fresh VALUES (?, ?, ?)", w.blocks, packKeys(p.keys), packValues(p.values)); err != nil {
		return err
	}
	if w.fresh++; w.fresh < freshMost {
		return nil
	}
	w.fresh = 0
	return sortFresh(w.c, w.enc)
}

// packed is a piece ready to be written.
type packed struct {
	runs         []digest.Run
	text         []byte
	keys         []digest.Key
	values       [][]byte
	since, until int64
	size         int
}

func packPiece(enc packer, p *digest.Piece) packed {
	out := packed{runs: p.Runs, text: enc.EncodeAll(p.Text, nil), keys: p.Keys, values: p.Values, since: p.From, until: p.To, size: len(p.Text)}
	if p.Timeless {
		out.since, out.until = -1<<63, 1<<63-1
	}
	return out
}

// block writes a block and where its runs stand.
func (w *writer) block(p packed) error {
	w.blocks++
	w.size += int64(p.size)
	if err := run(w.c, "INSERT INTO block VALUES (?, ?, ?)", w.blocks, packRuns(p.runs), p.text); err != nil {
		return err
	}
	if err := run(w.c, "INSERT INTO span VALUES (?, ?, ?, ?, ?)", w.blocks, p.since, p.until, 0, p.size); err != nil {
		return err
	}
	for i := range p.runs {
		r := &p.runs[i]
		if err := run(w.c, "INSERT OR REPLACE INTO run VALUES (?, ?, ?)", int64(r.File), r.Base, w.blocks); err != nil {
			return err
		}
	}
	return nil
}

// file finds what is known of a file, or makes it known.
func (w *writer) file(source, name, host string, head []byte) (*file, error) {
	n := fileName{source, name}
	if f := w.files[n]; f != nil {
		return f, nil
	}
	f := &file{id: int32(w.nextFile), head: append([]byte(nil), head...), layout: logs.LayoutOf(w.s.opt.Dialects, head)}
	w.nextFile++
	w.files[n] = f
	if err := run(w.c, "INSERT INTO file VALUES (?, ?, ?, ?, ?, 0)", int64(f.id), source, name, host, f.head); err != nil {
		return nil, err
	}
	return f, run(w.c, "UPDATE meta SET value = ? WHERE name = 'next_file'", w.nextFile)
}

func savePosition(c *sqlite.Conn, source string, p intake.Position) error {
	return run(c, "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)", source, p.File, p.Offset, p.Cursor, p.At.UnixNano())
}

// numbers adds to the hourly numbers and notes which machines were heard.
func (w *writer) numbers(c *sqlite.Conn, n digest.Numbers, read time.Time) error {
	for k, v := range n.Hours {
		err := run(c, `INSERT INTO hour VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, bytes = bytes + excluded.bytes, delay = delay + excluded.delay`,
			k.Hour, k.Host, int64(k.Fate), int64(k.Direction), k.Provider, k.Cause, v.N, v.Bytes, int64(v.Delay))
		if err != nil {
			return err
		}
	}
	now := w.s.opt.Now().UnixNano()
	for name, at := range n.Hosts {
		lag := int64(0)
		if !read.IsZero() {
			lag = read.UnixNano() - at
		}
		err := run(c, "INSERT INTO host VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last, stored = excluded.stored, lag = excluded.lag WHERE excluded.last >= last", name, at, now, lag)
		if err != nil {
			return err
		}
	}
	return nil
}
