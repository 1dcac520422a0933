package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// errBehind tells that a server that is down may be the only one to have the newest lines of a source: where it was left
// cannot be told before that server, or one that copied from it, is back.
var errBehind = errors.New("a server that is down may hold the newest lines, which no other has copied yet: waiting for it")

// load reads where a source was left, once: from then on this process is the one that writes it.
func (s *Store) load(ctx context.Context, name string, src *sourceState) error {
	if src.known {
		return nil
	}
	tables := []string{s.name("piece")}
	if s.cluster != "" {
		hosts, err := s.hosts(ctx)
		if err != nil {
			return err
		}
		if err := s.complete(ctx, hosts); err != nil {
			return err
		}
		// All replicas are asked, for one may not have copied the newest lines from another yet.
		tables = nil
		for _, h := range hosts {
			tables = append(tables, s.at(h, s.db, s.bare("piece")))
		}
	}
	src.pos, src.seq = intake.Position{}, 0
	for _, table := range tables {
		err := s.asked(ctx, fmt.Sprintf("SELECT name, to_offset, to_cursor, at, seq FROM %s WHERE source = %s AND ends = 1 ORDER BY seq DESC LIMIT 1", table, quote(name)), func(r driver.Rows) error {
			var p intake.Position
			var at, seq int64
			err := r.Scan(&p.File, &p.Offset, &p.Cursor, &at, &seq)
			if err == nil && seq > src.seq {
				p.At = time.Unix(0, at)
				src.pos, src.seq = p, seq
			}
			return err
		})
		if err != nil && !(s.cluster != "" && down(err)) {
			return err
		}
	}
	src.known = true
	return nil
}

// asked runs a query once; that of one server through another is retried only where the other one fails.
func (s *Store) asked(ctx context.Context, sql string, each func(driver.Rows) error) error {
	return retry(ctx, func() error {
		rows, err := s.conn.Query(ctx, sql)
		if err == nil {
			for rows.Next() && err == nil {
				err = each(rows)
			}
			err = errors.Join(err, rows.Err())
			rows.Close()
		}
		if down(err) {
			err = &downError{err}
		}
		return err
	})
}

// downError is an error about a server behind the one that was asked. It does not pass soon.
type downError struct{ err error }

func (e *downError) Error() string { return e.err.Error() }

// down tells an error about a server behind the one that was asked: it cannot be reached.
func down(err error) bool {
	var d *downError
	var e *ch.Exception
	return errors.As(err, &d) || errors.As(err, &e) && (e.Code == 279 || e.Code == 210 || e.Code == 209)
}

// hosts are the addresses of all servers of the cluster, as its servers know them.
func (s *Store) hosts(ctx context.Context) (out []string, err error) {
	err = s.query(ctx, "SELECT host_name, port FROM system.clusters WHERE cluster = "+quote(s.cluster), func() { out = nil }, func(r driver.Rows) error {
		var host string
		var port uint16
		if err := r.Scan(&host, &port); err != nil {
			return err
		}
		out = append(out, fmt.Sprintf("%s:%d", host, port))
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("the servers know no cluster %s", s.cluster)
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

// at is a table of one server, whichever is asked.
func (s *Store) at(host, db, table string) string {
	return fmt.Sprintf("remote(%s, %s, %s, %s, %s)", quote(host), db, table, quote(s.user), quote(s.secret))
}

// bare is the name, without its database, of what one server holds of a table.
func (s *Store) bare(t string) string { return strings.TrimPrefix(s.local(t), s.db+".") }

// complete makes sure that of every shard a replica that is up has all that was stored; one that only just came up is
// given a little time.
func (s *Store) complete(ctx context.Context, hosts []string) error {
	n, err := s.shards(ctx)
	if err != nil {
		return err
	}
	for i := range 50 {
		if err = s.completeNow(ctx, hosts, n, i >= 10); !errors.Is(err, errBehind) {
			return err
		}
		if err := wire.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return err
}

// completeNow looks once. A log of replication without an entry looks like one with an entry that a replica has not read
// yet: only with empty it is taken for empty, which is to be said when there was time to read it.
func (s *Store) completeNow(ctx context.Context, hosts []string, n int, empty bool) error {
	whole := map[string]bool{} // by the shard's path
	for _, h := range hosts {
		sql := fmt.Sprintf("SELECT zookeeper_path, inserts_in_queue, log_max_index, log_pointer, is_readonly FROM %s WHERE database = %s AND table = %s", s.at(h, "system", "replicas"), quote(s.db), quote(s.bare("piece")))
		err := s.asked(ctx, sql, func(r driver.Rows) error {
			var path string
			var waiting uint32
			var newest, read uint64
			var readonly uint8
			if err := r.Scan(&path, &waiting, &newest, &read, &readonly); err != nil {
				return err
			}
			whole[path] = whole[path] || waiting == 0 && readonly == 0 && (read > newest || empty && newest == 0)
			return nil
		})
		if err != nil && !down(err) {
			return err
		}
	}
	if len(whole) < n {
		return fmt.Errorf("%d of %d shards are down: %w", n-len(whole), n, errBehind)
	}
	for path, ok := range whole {
		if !ok {
			return fmt.Errorf("%s: %w", path, errBehind)
		}
	}
	return nil
}

// shards is how many shards the cluster has.
func (s *Store) shards(ctx context.Context) (n int, err error) {
	err = s.query(ctx, "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = "+quote(s.cluster), nil, func(r driver.Rows) error {
		var u uint64
		err := r.Scan(&u)
		n = int(u)
		return err
	})
	return n, err
}
