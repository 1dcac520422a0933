package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Overview sums the hourly numbers of a span. A piece that was written twice counts once.
func (s *Store) Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error) {
	var sum *store.Summary
	once := "FROM (SELECT %s FROM " + s.name("piece") + " WHERE bare = 0 %s LIMIT 1 BY file, base)"
	where := ""
	if !q.Since.IsZero() {
		where += fmt.Sprintf(" AND until >= %d", q.Since.Truncate(time.Hour).UnixNano())
	}
	if !q.Until.IsZero() {
		where += fmt.Sprintf(" AND since < %d", q.Until.Add(time.Hour).UnixNano())
	}
	sql := "SELECT hour, host, fate, way, provider, cause, sum(n), sum(bytes), sum(delay) " +
		fmt.Sprintf(once, "file, base, n_hour, n_host, n_fate, n_way, n_provider, n_cause, n_n, n_bytes, n_delay", where) +
		" ARRAY JOIN n_hour AS hour, n_host AS host, n_fate AS fate, n_way AS way, n_provider AS provider, n_cause AS cause, n_n AS n, n_bytes AS bytes, n_delay AS delay" +
		" GROUP BY hour, host, fate, way, provider, cause"
	err := s.query(ctx, sql, func() { sum = store.NewSummary(q) }, func(r driver.Rows) error {
		var h store.Hour
		var fate, way uint8
		var delay int64
		if err := r.Scan(&h.Hour, &h.Host, &fate, &way, &h.Provider, &h.Cause, &h.N, &h.Bytes, &delay); err != nil {
			return err
		}
		h.Fate, h.Direction, h.Delay = digest.Fates(fate), digest.Direction(way), time.Duration(delay)
		sum.Add(&h)
		return nil
	})
	if err != nil {
		return nil, hidden(err, s.secret)
	}
	sql = "SELECT name, max(last), argMax(at, last), argMax(read, last) FROM (SELECT h_name, h_last, at, read FROM " + s.name("piece") + " WHERE bare = 0) ARRAY JOIN h_name AS name, h_last AS last GROUP BY name"
	err = s.query(ctx, sql, nil, func(r driver.Rows) error {
		var name string
		var last, at, read int64
		if err := r.Scan(&name, &last, &at, &read); err != nil {
			return err
		}
		lag := int64(0)
		if read != 0 {
			lag = read - last
		}
		sum.Host(name, last, at, lag)
		return nil
	})
	if err != nil {
		return nil, hidden(err, s.secret)
	}
	return sum.Overview(), nil
}

// Forget drops what was stored before the moment, by whole weeks: a week goes when its last day is before it. Where the
// sources were left is kept.
func (s *Store) Forget(ctx context.Context, before time.Time) error {
	monday := before.UTC().AddDate(0, 0, -6) // the last day of a week that begins here is before the moment
	limit := monday.Format("2006-01-02")
	if err := s.keepPositions(ctx, limit); err != nil {
		return hidden(err, s.secret)
	}
	on := ""
	if s.cluster != "" {
		on = " ON CLUSTER " + s.cluster
	}
	for _, t := range tables {
		var weeks []string
		err := s.query(ctx, fmt.Sprintf("SELECT DISTINCT toString(toMonday(day)) FROM %s WHERE toMonday(day) < toDate(%s)", s.name(t.name), quote(limit)), func() { weeks = nil }, func(r driver.Rows) error {
			var w string
			err := r.Scan(&w)
			weeks = append(weeks, w)
			return err
		})
		if err != nil {
			return hidden(err, s.secret)
		}
		for _, w := range weeks {
			if err := retry(ctx, func() error {
				return s.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s%s DROP PARTITION %s", s.local(t.name), on, quote(w)))
			}); err != nil {
				return hidden(err, s.secret)
			}
		}
	}
	return nil
}

// keepPositions writes the positions again of sources that said nothing since.
func (s *Store) keepPositions(ctx context.Context, limit string) error {
	var all []*piece
	sql := fmt.Sprintf("SELECT source, argMax(name, seq), argMax(file, seq), argMax(to_offset, seq), argMax(to_cursor, seq), max(seq) AS newest, max(day) AS latest FROM %s WHERE ends = 1 GROUP BY source HAVING toMonday(latest) < toDate(%s)",
		s.name("piece"), quote(limit))
	err := s.query(ctx, sql, func() { all = nil }, func(r driver.Rows) error {
		p := &piece{bare: true, ends: true}
		var day time.Time
		err := r.Scan(&p.source, &p.name, &p.file, &p.to.Offset, &p.to.Cursor, &p.seq, &day)
		p.to.File, p.base = p.name, p.to.Offset
		all = append(all, p)
		return err
	})
	if err != nil || len(all) == 0 {
		return err
	}
	return retry(ctx, func() error { return s.w.pieces(ctx, s.opt.Now(), all) })
}
