package sqlite

import (
	"context"
	"fmt"
	"slices"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/intake"
)

// knownTail is how much text in front of the end of what is stored is shown, in bytes.
const knownTail = 4 << 10

// Known gives the files of which is says so, as far as they are stored: see intake.Recogniser.
func (s *Store) Known(ctx context.Context, is func(file string) bool) (out []intake.Known, err error) {
	snap, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snap.release()
	ends := map[int32]intake.Known{}
	for _, v := range snap.views {
		if err := v.known(s, is, ends); err != nil {
			return nil, fmt.Errorf("segment %s: %w", v.seg.path, err)
		}
	}
	for _, k := range ends {
		out = append(out, k)
	}
	return out, nil
}

func (v *view) known(s *Store, is func(file string) bool, ends map[int32]intake.Known) error {
	var ids []int32
	err := query(v.c, "SELECT id, name FROM file", func(st *sqlite.Stmt) error {
		if is(st.ColumnText(1)) {
			ids = append(ids, st.ColumnInt32(0))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		last := int64(-1)
		err := query(v.c, "SELECT max((SELECT coalesce(max(base), -1) FROM run WHERE file = ?1), (SELECT coalesce(max(base), -1) FROM tail WHERE file = ?1))",
			func(st *sqlite.Stmt) error { last = st.ColumnInt64(0); return nil }, int64(id))
		if err != nil {
			return err
		}
		if last < 0 {
			continue
		}
		base, text, err := v.stretch(s, id, last, false)
		if err != nil {
			return err
		}
		if end := base + int64(len(text)); text != nil && end > ends[id].End {
			ends[id] = intake.Known{End: end, Tail: slices.Clone(text[max(0, len(text)-knownTail):])}
		}
	}
	return nil
}
