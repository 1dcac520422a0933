package clickhouse

import (
	"context"
	"fmt"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// table is a table of the store.
type table struct {
	name    string
	columns string
	order   string
	engine  string // of MergeTree: "" or "Replacing"
	shard   string // expression that spreads the rows over the shards
	detail  int    // rows between two marks of the index
}

// tables are all of them. Names of columns and their order must not change without another number in schema.
//
// bare tells rows of a position alone (1) from those with lines (0), and from those whose raw lines were let go (2).
// piece holds the text, packed with zstd, in stretches of one file (file is its number, base its place there), with the
// hourly numbers of its lines and, in the last one of a batch, the position behind it: so text, numbers and position are
// one row or one insert and cannot part. found leads from keys to pieces; value holds what can be searched by a part. Both
// are written before the pieces: what leads nowhere is passed over. claim tells which intake stores which file, see Claim.
var tables = []table{
	{name: "piece", order: "file, base, bare", shard: "intHash64(file)", detail: 32, columns: `day Date, source String, host String, name String, file Int64, base Int64, bare UInt8, size UInt32,
		since Int64, until Int64, head String, text String, r_base Array(Int64), r_len Array(UInt32), r_latest Array(Int64), r_zone Array(Int32),
		ends UInt8, seq Int64, to_offset Int64, to_cursor String, at Int64, read Int64,
		n_hour Array(Int64), n_host Array(String), n_fate Array(UInt8), n_way Array(UInt8), n_provider Array(String), n_cause Array(String), n_n Array(Int64), n_bytes Array(Int64), n_delay Array(Int64),
		h_name Array(String), h_last Array(Int64)`},
	{name: "found", order: "k, file, base", shard: "intHash64(file)", detail: 1024, columns: `day Date, k UInt64, file Int64, base Int64, since Int64, until Int64`},
	{name: "claim", order: "id, file", engine: "Replacing", shard: "cityHash64(id)", detail: 8192, columns: `day Date, file String, node String, id String, gone UInt8, at DateTime DEFAULT now()`},
	{name: "value", order: "kind, value", engine: "Replacing", shard: "cityHash64(value)", detail: 8192, columns: `day Date, kind UInt8, value String`},
}

// schema is the number of the tables' shape, a part of their names.
const schema = 1

// name is a table's full name; on a cluster that of the one that stands for all servers'.
func (s *Store) name(t string) string { return fmt.Sprintf("%s.%s%d", s.db, t, schema) }

// local is the full name of what one server holds of a table.
func (s *Store) local(t string) string {
	if s.cluster == "" {
		return s.name(t)
	}
	return s.name(t) + "_local"
}

// makeTables makes what is missing. Nothing is asked of the cluster where all is there: a server that is down would hold
// it up.
func (s *Store) makeTables(ctx context.Context) error {
	have := 0
	var names []string
	for _, t := range tables {
		names = append(names, quote(strings.TrimPrefix(s.name(t.name), s.db+".")))
	}
	sql := fmt.Sprintf("SELECT count() FROM system.tables WHERE database = %s AND name IN (%s)", quote(s.db), strings.Join(names, ", "))
	if err := s.query(ctx, sql, nil, func(r driver.Rows) error {
		var n uint64
		err := r.Scan(&n)
		have = int(n)
		return err
	}); err != nil || have == len(tables) {
		return err
	}
	if s.opt.ReadOnly {
		if have > 0 { // what is missing is of a newer version, and not asked for
			return nil
		}
		return fmt.Errorf("database %s: %w", s.db, ErrNoStore)
	}
	on := ""
	if s.cluster != "" {
		on = " ON CLUSTER " + s.cluster
	}
	all := []string{"CREATE DATABASE IF NOT EXISTS " + s.db + on}
	for _, t := range tables {
		engine := t.engine + "MergeTree"
		if s.cluster != "" {
			engine = fmt.Sprintf("Replicated%s('/clickhouse/tables/{shard}/%s/%s%d', '{replica}')", engine, s.db, t.name, schema)
		} else {
			engine += "()"
		}
		all = append(all, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s (%s) ENGINE = %s PARTITION BY toMonday(day) ORDER BY (%s) SETTINGS index_granularity = %d",
			s.local(t.name), on, t.columns, engine, t.order, t.detail))
		if s.cluster != "" {
			all = append(all, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s ENGINE = Distributed(%s, %s, %s%d_local, %s)",
				s.name(t.name), on, s.local(t.name), s.cluster, s.db, t.name, schema, t.shard))
		}
	}
	ctx = ch.Context(ctx, ch.WithSettings(ch.Settings{"distributed_ddl_task_timeout": 30})) // a server that is down makes its tables when it is back
	for _, sql := range all {
		if err := s.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%.60s…: %w", sql, err)
		}
	}
	return nil
}
