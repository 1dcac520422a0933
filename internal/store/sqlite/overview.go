package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Overview sums the hourly numbers of a span. Those of sealed segments are kept in memory once they were read.
func (s *Store) Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	segs, err := s.segments()
	if err != nil {
		return nil, err
	}
	sum := store.NewSummary(q)
	for _, g := range segs {
		v, err := s.view(ctx, g)
		if err != nil {
			if errors.Is(err, errUnborn) {
				continue
			}
			if s.damaged(g, err) {
				continue
			}
			return nil, fmt.Errorf("segment %s: %w", g.path, err)
		}
		err = v.sum(sum)
		v.release()
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", g.path, err)
		}
	}
	return sum.Overview(), nil
}

func (v *view) sum(sum *store.Summary) error {
	v.seg.mu.Lock()
	rows := v.seg.hours
	v.seg.mu.Unlock()
	if rows == nil {
		var err error
		if rows, err = v.readHours(); err != nil {
			return err
		}
		if v.final {
			v.seg.mu.Lock()
			v.seg.hours = rows
			v.seg.mu.Unlock()
		}
	}
	for i := range rows {
		sum.Add(&rows[i])
	}
	return query(v.c, "SELECT name, last, stored, lag FROM host", func(st *sqlite.Stmt) error {
		sum.Host(st.ColumnText(0), st.ColumnInt64(1), st.ColumnInt64(2), st.ColumnInt64(3))
		return nil
	})
}

func (v *view) readHours() (rows []store.Hour, err error) {
	rows = []store.Hour{}
	words := map[string]string{}
	intern := func(w string) string {
		if had, ok := words[w]; ok {
			return had
		}
		words[w] = w
		return w
	}
	err = query(v.c, "SELECT hour, host, fate, direction, provider, cause, n, bytes, delay FROM hour", func(st *sqlite.Stmt) error {
		r := store.Hour{}
		r.Hour, r.Host, r.Fate, r.Direction = st.ColumnInt64(0), intern(st.ColumnText(1)), digest.Fates(st.ColumnInt(2)), digest.Direction(st.ColumnInt(3))
		r.Provider, r.Cause, r.N, r.Bytes, r.Delay = intern(st.ColumnText(4)), intern(st.ColumnText(5)), st.ColumnInt64(6), st.ColumnInt64(7), time.Duration(st.ColumnInt64(8))
		rows = append(rows, r)
		return nil
	})
	return rows, err
}
