package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/intake"
)

const reportsSchema = `
CREATE TABLE report_marks (mailbox TEXT PRIMARY KEY, validity INTEGER NOT NULL, uid INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE reports (id TEXT PRIMARY KEY, mailbox TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL, got INTEGER NOT NULL, sum TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX reports_ended ON reports (ended);`

// Mark gives where a mailbox of reports was left.
func (s *State) Mark(ctx context.Context, mailbox string) (m intake.Mark, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error { m, err = mark(c, mailbox); return err })
	return m, err
}

func mark(c *sqlite.Conn, mailbox string) (m intake.Mark, err error) {
	err = sqlitex.Execute(c, "SELECT validity, uid FROM report_marks WHERE mailbox = ?", &sqlitex.ExecOptions{Args: []any{mailbox}, ResultFunc: func(st *sqlite.Stmt) error {
		m = intake.Mark{Validity: uint32(st.ColumnInt64(0)), UID: uint32(st.ColumnInt64(1))}
		return nil
	}})
	return m, err
}

// Keep stores what one message of reports sums up to, and the new mark. A report that came before, in another message or
// another mailbox, is known by its reporter and id and not counted again.
func (s *State) Keep(ctx context.Context, r *intake.Report) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		at, err := mark(c, r.Mailbox)
		switch {
		case err != nil:
			return err
		case at != r.From && at.Validity == r.To.Validity && r.To.UID <= at.UID:
			return nil // stored before
		case at != r.From:
			return intake.ErrMoved
		}
		if r.Sum != nil && (r.Sum.Reports > 0 || len(r.Sum.TLS) > 0) {
			if err := keepSum(c, r); err != nil {
				return err
			}
		}
		return sqlitex.Execute(c, "INSERT OR REPLACE INTO report_marks VALUES (?, ?, ?)", &sqlitex.ExecOptions{Args: []any{r.Mailbox, int64(r.To.Validity), int64(r.To.UID)}})
	})
}

func keepSum(c *sqlite.Conn, r *intake.Report) error {
	raw, err := json.Marshal(r.Sum)
	if err != nil {
		return err
	}
	begun, ended := r.Sum.Begin, r.Sum.End
	if ended == 0 { // TLS reports carry no time in the sum
		begun, ended = r.Read.Unix(), r.Read.Unix()
	}
	return sqlitex.Execute(c, "INSERT OR IGNORE INTO reports VALUES (?, ?, ?, ?, ?, ?)", &sqlitex.ExecOptions{Args: []any{reportID(r.Sum, raw), r.Mailbox, begun, ended, r.Read.Unix(), string(raw)}})
}

// reportID is of reporter and id; where a message holds no aggregate report, of what it says.
func reportID(sum *feedback.Sum, raw []byte) string {
	h := sha256.New()
	for i := range sum.Heads {
		fmt.Fprintf(h, "%s\x00%s\x00", sum.Heads[i].Org, sum.Heads[i].ID)
	}
	if len(sum.Heads) == 0 {
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// EachReport hands over what was stored of reports that end at since or later, by their beginning.
func (s *State) EachReport(ctx context.Context, since time.Time, do func(begun time.Time, sum *feedback.Sum) error) error {
	return s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "SELECT begun, sum FROM reports WHERE ended >= ? ORDER BY begun, id", &sqlitex.ExecOptions{Args: []any{since.Unix()}, ResultFunc: func(st *sqlite.Stmt) error {
			sum := feedback.NewSum()
			if err := json.Unmarshal([]byte(st.ColumnText(1)), sum); err != nil {
				return err
			}
			return do(time.Unix(st.ColumnInt64(0), 0).UTC(), sum)
		}})
	})
}
