package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func TestStateOpensAgain(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s, err := OpenState(ctx, dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	put := func(s *State, v string) error {
		return s.write(ctx, func(c *sqlite.Conn) error {
			return sqlitex.Execute(c, "INSERT INTO meta VALUES ('a', ?)", &sqlitex.ExecOptions{Args: []any{v}})
		})
	}
	if err := put(s, "1"); err != nil {
		t.Fatal(err)
	}
	if err := put(s, "2"); err == nil {
		t.Error("a second value of one name was taken")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenState(ctx, dir, time.Now); err != nil {
		t.Fatal(err)
	}
	got := ""
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "SELECT value FROM meta", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			got = st.ColumnText(0)
			return nil
		}})
	})
	if err != nil || got != "1" {
		t.Errorf("%q, %v", got, err)
	}
	err = s.write(ctx, func(c *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(c, "PRAGMA user_version=9999", nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := OpenState(ctx, dir, time.Now); !errors.Is(err, ErrNewer) {
		t.Errorf("a store of a newer version: %v", err)
	}
}
