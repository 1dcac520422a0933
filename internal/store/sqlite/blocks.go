package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/change"
)

const blocksSchema = `CREATE TABLE blocks (id TEXT PRIMARY KEY, at INTEGER NOT NULL, entry TEXT NOT NULL) WITHOUT ROWID;`

// PutBlock keeps an entry of the blocklist desk; one of the same id is replaced.
func (s *State) PutBlock(ctx context.Context, e *change.Entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.write(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", &sqlitex.ExecOptions{Args: []any{e.ID, e.At.UnixNano(), string(raw)}})
	})
}

// Blocks gives all entries of the desk, the oldest first.
func (s *State) Blocks(ctx context.Context) (out []change.Entry, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "SELECT id, entry FROM blocks ORDER BY at, id", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			var e change.Entry
			if err := json.Unmarshal([]byte(st.ColumnText(1)), &e); err != nil {
				return fmt.Errorf("block %s: %w", st.ColumnText(0), err)
			}
			out = append(out, e)
			return nil
		}})
	})
	return out, err
}
