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
	once := "FROM (SELECT %s FROM " + s.name("piece") + " WHERE bare != 1 %s LIMIT 1 BY file, base)"
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
	sql = "SELECT name, max(last), argMax(at, last), argMax(read, last) FROM (SELECT h_name, h_last, at, read FROM " + s.name("piece") + " WHERE bare != 1) ARRAY JOIN h_name AS name, h_last AS last GROUP BY name"
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
