// Package sqlite is the embedded store: no server, no cgo. A folder holds state.db (users, monitors, positions, what
// must be changed in place) and the segments of journeys, a file each.
//
// Promise: see store. The folder may be read by another process (mailwhy trace --store) while serve writes it.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrNewer says that the folder was written by a newer mailwhy than this one.
var ErrNewer = errors.New("the store was written by a newer version of mailwhy")

// State is the database of everything that is changed in place. Its methods are safe for concurrent use; there is one
// writer at a time.
type State struct {
	folder string
	pool   *sqlitex.Pool
	now    func() time.Time
}

// migrations bring a database from version i to version i+1. They are only ever appended to: a store in the field has
// passed the older ones.
var migrations = []string{
	`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
	blocksSchema,
	accountsSchema,
	monitorSchema,
	runsSchema,
	outboxSchema,
	runsHeadlines,
	holdsSchema,
	reportsSchema,
	runtimeSchema,
	runsShares,
	listingsSchema,
}

// OpenState opens state.db in the folder, makes both where they do not exist, and brings the schema up to date.
func OpenState(ctx context.Context, folder string, now func() time.Time) (*State, error) {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("store %s: %w", folder, err)
	}
	name := filepath.Join(folder, "state.db")
	pool, err := sqlitex.NewPool(name, sqlitex.PoolOptions{PoolSize: 8, PrepareConn: prepare})
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	s := &State{folder, pool, now}
	if err := s.write(ctx, migrate); err != nil {
		pool.Close()
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	return s, nil
}

// Close waits for the users of the database to end.
func (s *State) Close() error { return s.pool.Close() }

// Alive tells whether the database can be read and still is where it was opened.
func (s *State) Alive(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.folder, "state.db")); err != nil {
		return err
	}
	return s.read(ctx, func(c *sqlite.Conn) error { return exec(c, "SELECT count(*) FROM meta") })
}

func prepare(c *sqlite.Conn) error {
	// ExecuteScript would wrap these in a savepoint, in which they are refused.
	for _, p := range []string{"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON", "PRAGMA busy_timeout=10000"} {
		if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
			return err
		}
	}
	return nil
}

func migrate(c *sqlite.Conn) error {
	version := 0
	err := sqlitex.ExecuteTransient(c, "PRAGMA user_version", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		version = st.ColumnInt(0)
		return nil
	}})
	if err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewer, version, len(migrations))
	}
	for i := version; i < len(migrations); i++ {
		if err := sqlitex.ExecScript(c, migrations[i]); err != nil {
			return fmt.Errorf("schema %d: %w", i+1, err)
		}
	}
	return sqlitex.ExecuteTransient(c, fmt.Sprintf("PRAGMA user_version=%d", len(migrations)), nil)
}

// write runs do in one transaction, which is undone when do returns an error.
func (s *State) write(ctx context.Context, do func(*sqlite.Conn) error) (err error) {
	c, err := s.pool.Take(ctx)
	if err != nil {
		return err
	}
	defer s.pool.Put(c)
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return err
	}
	defer end(&err)
	return do(c)
}

// read runs do on a view of the database that does not change meanwhile.
func (s *State) read(ctx context.Context, do func(*sqlite.Conn) error) error {
	c, err := s.pool.Take(ctx)
	if err != nil {
		return err
	}
	defer s.pool.Put(c)
	end := sqlitex.Transaction(c)
	err = do(c)
	end(&err)
	return err
}
