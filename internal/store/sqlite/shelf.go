package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"

	"zombiezen.com/go/sqlite"

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
			if s.damaged(g, err) { // the others are read all the same
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

// Layers gives the segments, those with the latest lines first: see trace.Layered.
func (s *snapshot) Layers() (out []trace.Layer) {
	for _, v := range s.views {
		out = append(out, trace.Layer{Index: &snapshot{s: s.s, views: []*view{v}}, To: v.latest()})
	}
	slices.SortStableFunc(out, func(a, b trace.Layer) int { return cmp.Compare(b.To, a.To) })
	return out
}

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
