package sqlite

import (
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

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
			Layout: f.layout, Around: &around{snap, r.File, place}, Mute: v.mute})
	}
	return out, nil
}

// text unpacks a block; that of number 0 is the tail.
func (v *view) text(s *Store, id int64) (*blockText, error) {
	if id&(1<<32-1) == 0 {
		return v.tailText()
	}
	kept := id
	if v.mute {
		kept |= muteBlock
	}
	if b := s.texts.get(kept); b != nil {
		return b, nil
	}
	b, err := v.unpacked(id & (1<<32 - 1))
	if err != nil {
		return nil, err
	}
	b.id = kept
	s.texts.put(b)
	return b, nil
}

// unpacked reads a block from the file.
func (v *view) unpacked(block int64) (b *blockText, err error) {
	err = query(v.c, "SELECT runs, text FROM block WHERE id = ?", func(st *sqlite.Stmt) (err error) {
		b = &blockText{}
		if b.runs, err = unpackRuns(column(st, 0)); err == nil {
			b.text, err = v.dec.DecodeAll(column(st, 1), nil)
		}
		return err
	}, block)
	if err == nil && b == nil {
		err = fmt.Errorf("block %d %w: it is missing", block, errBroken)
	}
	return b, err
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
		f.layout = logs.LayoutOf(s.opt.Dialects, column(st, 1))
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
	return store.ReadAt(p, off, a.at)
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
