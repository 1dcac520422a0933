package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// segmentMigrations bring a segment from version i to version i+1. They are only ever appended to.
//
// Text is kept in blocks of about 64 KB of lines as they came, packed. What a block is found by stands in "fresh" until
// enough of it is there to be sorted into a part: pages of keys in order, each with the number of its block, and chunks
// of values in order. A sealed segment has one part. Lines that do not fill a block yet stand in "tail".
var segmentMigrations = []string{
	`CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
	CREATE TABLE file (id INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, host TEXT NOT NULL, head BLOB, bytes INTEGER NOT NULL, UNIQUE (source, name));
	CREATE TABLE position (source TEXT PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL, cursor TEXT NOT NULL, stored INTEGER NOT NULL) WITHOUT ROWID;
	CREATE TABLE tail (id INTEGER PRIMARY KEY, file INTEGER NOT NULL, base INTEGER NOT NULL, latest INTEGER NOT NULL, text BLOB NOT NULL);
	CREATE TABLE span (block INTEGER PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL, lines INTEGER NOT NULL, size INTEGER NOT NULL);
	CREATE TABLE block (id INTEGER PRIMARY KEY, runs BLOB NOT NULL, text BLOB NOT NULL);
	CREATE TABLE run (file INTEGER, base INTEGER, block INTEGER NOT NULL, PRIMARY KEY (file, base)) WITHOUT ROWID;
	CREATE TABLE fresh (block INTEGER PRIMARY KEY, keys BLOB NOT NULL, vals BLOB NOT NULL);
	CREATE TABLE part (id INTEGER PRIMARY KEY, dir BLOB NOT NULL, chunks BLOB NOT NULL, grams BLOB NOT NULL);
	CREATE TABLE filter (part INTEGER PRIMARY KEY, data BLOB NOT NULL);
	CREATE TABLE page (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
	CREATE TABLE hour (hour INTEGER, host TEXT, fate INTEGER, direction INTEGER, provider TEXT, cause TEXT, n INTEGER NOT NULL, bytes INTEGER NOT NULL, delay INTEGER NOT NULL,
		PRIMARY KEY (hour, host, fate, direction, provider, cause)) WITHOUT ROWID;
	CREATE TABLE host (name TEXT PRIMARY KEY, last INTEGER NOT NULL, stored INTEGER NOT NULL, lag INTEGER NOT NULL) WITHOUT ROWID;`,
}

// segment is one file of journeys.
type segment struct {
	number int
	path   string

	mu     sync.Mutex
	idle   []*sqlite.Conn
	gone   bool // deleted, or the store is closed: connections are closed when they come back
	spans  []span
	parts  map[int64]*part
	fresh  map[int64][]digest.Key
	sealed bool
	hours  []store.Hour // of a sealed segment, once they were asked for
	told   bool         // that it cannot be read
	latest int64        // time of its last line, ns; of a sealed segment it does not change; 0: not known yet
	mute   bool         // what is remembered is of the segment after its raw lines were let go
}

// span is the time of a block's lines; the number of the block is its place in the list plus one.
type span struct{ since, until int64 }

func segmentPath(folder string, number int) string {
	return filepath.Join(folder, "journeys", fmt.Sprintf("%08d.db", number))
}

// listSegments gives the numbers of the segments in the folder, in order.
func listSegments(folder string) ([]int, error) {
	names, err := os.ReadDir(filepath.Join(folder, "journeys"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []int
	for _, n := range names {
		num := 0
		if c, err := fmt.Sscanf(n.Name(), "%08d.db", &num); c == 1 && err == nil && n.Name() == fmt.Sprintf("%08d.db", num) {
			out = append(out, num)
		}
	}
	slices.Sort(out)
	return out, nil
}

func newSegment(folder string, number int) *segment {
	return &segment{number: number, path: segmentPath(folder, number), parts: map[int64]*part{}, fresh: map[int64][]digest.Key{}}
}

// connect opens the file. cache is in KiB.
func (s *segment) connect(create bool, cache int) (*sqlite.Conn, error) {
	flags := sqlite.OpenReadWrite | sqlite.OpenURI
	if create {
		flags |= sqlite.OpenCreate
	}
	c, err := sqlite.OpenConn(s.path, flags)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", s.path, err)
	}
	c.SetBusyTimeout(10 * time.Second)
	pragmas := []string{fmt.Sprintf("PRAGMA cache_size=-%d", cache)}
	if create {
		pragmas = append(pragmas, "PRAGMA page_size=4096", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA journal_size_limit=67108864")
	}
	for _, p := range pragmas {
		if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
			c.Close()
			return nil, fmt.Errorf("segment %s: %w", s.path, err)
		}
	}
	return c, nil
}

// take gives a connection for reading; put takes it back.
func (s *segment) take(ctx context.Context) (c *sqlite.Conn, err error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		c, s.idle = s.idle[n-1], s.idle[:n-1]
	}
	s.mu.Unlock()
	if c == nil {
		if c, err = s.connect(false, 1024); err != nil {
			return nil, err
		}
		if version, err := userVersion(c); err != nil || version > len(segmentMigrations) {
			c.Close()
			if err == nil {
				err = fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, version, len(segmentMigrations))
			}
			return nil, fmt.Errorf("segment %s: %w", s.path, err)
		}
	}
	c.SetInterrupt(ctx.Done())
	return c, nil
}

func (s *segment) put(c *sqlite.Conn) {
	c.SetInterrupt(nil)
	s.mu.Lock()
	keep := !s.gone && len(s.idle) < 4
	if keep {
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if !keep {
		c.Close()
	}
}

// close closes the connections that nobody uses; those in use are closed when they come back.
func (s *segment) close() {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.gone = nil, true
	s.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

// files are the names a segment consists of.
func (s *segment) files() []string { return []string{s.path, s.path + "-wal", s.path + "-shm"} }

func userVersion(c *sqlite.Conn) (version int, err error) {
	err = sqlitex.ExecuteTransient(c, "PRAGMA user_version", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		version = st.ColumnInt(0)
		return nil
	}})
	return version, err
}

// migrateSegment brings the schema of a segment up to date within a transaction.
func migrateSegment(c *sqlite.Conn) error {
	version, err := userVersion(c)
	if err != nil {
		return err
	}
	if version > len(segmentMigrations) {
		return fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, version, len(segmentMigrations))
	}
	for i := version; i < len(segmentMigrations); i++ {
		if err := sqlitex.ExecScript(c, segmentMigrations[i]); err != nil {
			return fmt.Errorf("schema %d: %w", i+1, err)
		}
	}
	return sqlitex.ExecuteTransient(c, fmt.Sprintf("PRAGMA user_version=%d", len(segmentMigrations)), nil)
}

// run runs a statement that is kept prepared. Arguments are int, int64, string or []byte.
func run(c *sqlite.Conn, query string, args ...any) error {
	st, err := c.Prepare(query)
	if err != nil {
		return err
	}
	bind(st, args)
	if _, err = st.Step(); err == nil {
		err = st.Reset()
	}
	st.ClearBindings()
	return err
}

// query runs a statement that is kept prepared and shows every row.
func query(c *sqlite.Conn, text string, row func(*sqlite.Stmt) error, args ...any) error {
	st, err := c.Prepare(text)
	if err != nil {
		return err
	}
	defer st.Reset()
	bind(st, args)
	for {
		more, err := st.Step()
		if err != nil || !more {
			return err
		}
		if err := row(st); err != nil {
			return err
		}
	}
}

func bind(st *sqlite.Stmt, args []any) {
	for i, a := range args {
		switch v := a.(type) {
		case int:
			st.BindInt64(i+1, int64(v))
		case int64:
			st.BindInt64(i+1, v)
		case string:
			st.BindText(i+1, v)
		case []byte:
			if v == nil {
				v = []byte{}
			}
			st.BindBytes(i+1, v)
		}
	}
}

func column(st *sqlite.Stmt, i int) []byte {
	b := make([]byte, st.ColumnLen(i))
	st.ColumnBytes(i, b)
	return b
}

// transaction runs do in one transaction, which is undone when do returns an error.
func transaction(c *sqlite.Conn, do func() error) (err error) {
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return err
	}
	defer end(&err)
	return do()
}
