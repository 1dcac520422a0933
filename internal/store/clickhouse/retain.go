package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/store"
)

// Retain deletes the weeks (of storing) whose lines are all older than is to be kept, and gives them, and those that a hold
// kept. The week being written always stays, and so does where sources were left. Servers of 2018 know no TTL that heeds
// a hold: whole partitions are dropped, on every replica.
func (s *Store) Retain(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error) {
	if s.opt.ReadOnly && !r.DryRun {
		return nil, nil, ErrReadOnly
	}
	all, err := s.weeks(ctx, "")
	if err != nil {
		return nil, nil, hidden(err, s.secret)
	}
	var old []store.Deletion
	for _, d := range all {
		if d.Until.Before(r.Before) {
			old = append(old, d)
		}
	}
	gone, held = r.Split(old)
	if len(gone) > 0 && !r.DryRun {
		if err := s.keepPositions(ctx, gone); err != nil {
			return nil, held, hidden(err, s.secret)
		}
	}
	gone, err = r.Each(gone, func(d store.Deletion) error { return s.dropWeek(ctx, week(d)) })
	return gone, held, hidden(err, s.secret)
}

const weekPrefix = "week "

// week is the Monday of a part.
func week(d store.Deletion) string { return strings.TrimPrefix(d.Part, weekPrefix) }

// weeks lists what is stored, by the week of storing, but for the present week. Lines whose time nobody knows count as
// old as their storing. and is one more condition.
func (s *Store) weeks(ctx context.Context, and string) (out []store.Deletion, err error) {
	now := s.opt.Now().UTC()
	sql := fmt.Sprintf("SELECT toString(toMonday(day)) AS week, minIf(since, since > %d), maxIf(until, until < %d), max(at), sum(size) FROM %s WHERE toMonday(day) < toMonday(toDate(%s))%s GROUP BY week ORDER BY week",
		int64(-1<<63), int64(1<<63-1), s.name("piece"), quote(now.Format("2006-01-02")), and)
	err = s.query(ctx, sql, func() { out = nil }, func(r driver.Rows) error {
		var d store.Deletion
		var since, until, at int64
		var size uint64
		if err := r.Scan(&d.Part, &since, &until, &at, &size); err != nil {
			return err
		}
		if until == 0 { // no line has a time
			since, until = at, at
		}
		d.Part, d.Since, d.Until, d.Text = weekPrefix+d.Part, time.Unix(0, since).UTC(), time.Unix(0, until).UTC(), int64(size)
		out = append(out, d)
		return nil
	})
	return out, err
}

// dropWeek deletes a week from all tables, what leads to the lines last.
func (s *Store) dropWeek(ctx context.Context, monday string) error {
	for _, t := range tables {
		if err := s.alter(ctx, t.name, "DROP PARTITION "+quote(monday)); err != nil {
			return fmt.Errorf("%s%s: %w", weekPrefix, monday, err)
		}
	}
	return nil
}

// alter changes what every server holds of a table.
func (s *Store) alter(ctx context.Context, table, how string) error {
	on := ""
	if s.cluster != "" {
		on = " ON CLUSTER " + s.cluster
	}
	return retry(ctx, func() error { return s.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s%s %s", s.local(table), on, how)) })
}

// keepPositions writes the positions again of sources that said nothing since the weeks that go.
func (s *Store) keepPositions(ctx context.Context, gone []store.Deletion) error {
	var weeks []string
	for _, d := range gone {
		weeks = append(weeks, fmt.Sprintf("toDate(%s)", quote(week(d))))
	}
	var all []*piece
	sql := fmt.Sprintf("SELECT source, argMax(name, seq), argMax(file, seq), argMax(to_offset, seq), argMax(to_cursor, seq), max(seq) AS newest, max(day) AS latest FROM %s WHERE ends = 1 GROUP BY source HAVING toMonday(latest) IN (%s)",
		s.name("piece"), strings.Join(weeks, ", "))
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
