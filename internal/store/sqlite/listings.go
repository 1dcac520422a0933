package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/check/blocklist"
)

// One row a spell: a time during which a list named a subject.
const listingsSchema = `CREATE TABLE listings (subject TEXT NOT NULL, list TEXT NOT NULL, first INTEGER NOT NULL, spell TEXT NOT NULL, PRIMARY KEY (subject, list, first)) WITHOUT ROWID;`

// PutSpell keeps a time during which a blocklist named a subject; that of the same subject, list and beginning is replaced.
func (s *State) PutSpell(ctx context.Context, x *blocklist.Spell) error {
	raw, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return s.write(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "INSERT OR REPLACE INTO listings VALUES (?, ?, ?, ?)", &sqlitex.ExecOptions{Args: []any{x.Subject, x.List, x.First.UnixNano(), string(raw)}})
	})
}

// Spells gives when blocklists named a subject, the newest first.
func (s *State) Spells(ctx context.Context, subject string) (out []blocklist.Spell, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "SELECT list, spell FROM listings WHERE subject = ? ORDER BY first DESC, list", &sqlitex.ExecOptions{Args: []any{subject}, ResultFunc: func(st *sqlite.Stmt) error {
			x := blocklist.Spell{Subject: subject}
			if err := json.Unmarshal([]byte(st.ColumnText(1)), &x); err != nil {
				return fmt.Errorf("listing of %s by %s: %w", subject, st.ColumnText(0), err)
			}
			out = append(out, x)
			return nil
		}})
	})
	return out, err
}
