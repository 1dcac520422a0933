package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/store"
)

// forgettable are the tables of state.db with a retention of their own: the column of the time that counts, what one of
// its units is in nanoseconds, and what never goes.
var forgettable = map[string]struct {
	table, at, unless string
	unit              int64
}{
	"runs":    {"runs", "started", "ended = 0", 1e3},
	"reports": {"reports", "ended", "0", 1e9},
}

// Forget deletes the rows of a kind ("runs", "reports") that are older than is to be kept and that no hold covers, after
// they were recorded, in one transaction. It gives what went; nothing where there was nothing.
func (s *State) Forget(ctx context.Context, kind string, r store.Retention) (gone []store.Deletion, err error) {
	k, ok := forgettable[kind]
	if !ok {
		return nil, fmt.Errorf("nothing is known of how long %q are kept", kind)
	}
	err = s.write(ctx, func(c *sqlite.Conn) error {
		where := []string{fmt.Sprintf("%s < ? AND NOT (%s)", k.at, k.unless)}
		args := []any{r.Before.UnixNano() / k.unit}
		for _, h := range r.Holds {
			since, until := int64(-1<<63), int64(1<<63-1)
			if !h.Since.IsZero() {
				since = h.Since.UnixNano() / k.unit
			}
			if !h.Until.IsZero() {
				until = h.Until.UnixNano() / k.unit
			}
			where, args = append(where, fmt.Sprintf("NOT (%s >= ? AND %s < ?)", k.at, k.at)), append(args, since, until)
		}
		cond := " FROM " + k.table + " WHERE " + strings.Join(where, " AND ")
		var d store.Deletion
		err := query(c, fmt.Sprintf("SELECT count(*), coalesce(min(%s), 0), coalesce(max(%s), 0)%s", k.at, k.at, cond), func(st *sqlite.Stmt) error {
			d = store.Deletion{Part: kind, Rows: st.ColumnInt64(0), Since: ofNanos(st.ColumnInt64(1) * k.unit), Until: ofNanos(st.ColumnInt64(2) * k.unit)}
			return nil
		}, args...)
		if err != nil || d.Rows == 0 {
			return err
		}
		gone, err = r.Each([]store.Deletion{d}, func(store.Deletion) error { return run(c, "DELETE"+cond, args...) })
		return err
	})
	return gone, err
}

func ofNanos(n int64) time.Time { return time.Unix(0, n).UTC() }
