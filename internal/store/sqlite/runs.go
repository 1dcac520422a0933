package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// runsSchema holds runs. Times are Unix microseconds, so that the order survives; args are JSON, reports zstd over JSON.
const runsSchema = `
CREATE TABLE runs (
	id TEXT PRIMARY KEY, kind TEXT NOT NULL, args TEXT NOT NULL, target_kind TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, result TEXT NOT NULL,
	by TEXT NOT NULL, by_name TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, problem TEXT NOT NULL, share TEXT NOT NULL, en BLOB, zh BLOB
) WITHOUT ROWID;
CREATE INDEX runs_started ON runs(started DESC, id DESC);
CREATE INDEX runs_target ON runs(target, kind, started DESC, id DESC);
CREATE UNIQUE INDEX runs_share ON runs(share) WHERE share <> '';`

// runsHeadlines adds what a list of runs shows of each.
const runsHeadlines = `
ALTER TABLE runs ADD COLUMN says_en TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN says_zh TEXT NOT NULL DEFAULT '';`

// runsShares gives links an end: those made before there was one have seven days.
const runsShares = `
ALTER TABLE runs ADD COLUMN share_by TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN share_until INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET share_by = by_name, share_until = (unixepoch() + 7 * 86400) * 1000000 WHERE share <> '';`

var _ runs.Store = (*State)(nil)

// maxReport bounds a report when it is unpacked.
const maxReport = 64 << 20

func pack(b []byte) (any, error) {
	if b == nil {
		return nil, nil
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.EncodeAll(b, nil), nil
}

func unpack(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxReport))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.DecodeAll(b, nil)
}

// PutRun makes or changes a run.
func (s *State) PutRun(ctx context.Context, r *runs.Run) error {
	args, err := json.Marshal(r.Args)
	if err != nil {
		return err
	}
	en, err1 := pack(r.Reports[finding.EN])
	zh, err2 := pack(r.Reports[finding.ZH])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return s.exec(ctx, "INSERT OR REPLACE INTO runs ("+runColumns+", en, zh) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", r.ID, r.Kind, string(args), string(r.Target.Kind), r.Target.Name,
		string(r.State), string(r.Result), r.By, r.ByName, micro(r.Started), micro(r.Ended), r.Problem, r.Share.Hash, r.Says[finding.EN], r.Says[finding.ZH], r.Share.By, micro(r.Share.Until), en, zh)
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// reportsAt is the number of the first column behind runColumns.
const reportsAt = 17

const runColumns = "id, kind, args, target_kind, target, state, result, by, by_name, started, ended, problem, share, says_en, says_zh, share_by, share_until"

func readRun(st *sqlite.Stmt) runs.Run {
	r := runs.Run{
		ID: st.ColumnText(0), Kind: st.ColumnText(1), Target: finding.Subject{Kind: finding.Kind(st.ColumnText(3)), Name: st.ColumnText(4)},
		State: runs.State(st.ColumnText(5)), Result: finding.State(st.ColumnText(6)), By: st.ColumnText(7), ByName: st.ColumnText(8),
		Started: fromMicro(st.ColumnInt64(9)), Ended: fromMicro(st.ColumnInt64(10)), Problem: st.ColumnText(11), Share: runs.Share{Hash: st.ColumnText(12), By: st.ColumnText(15), Until: fromMicro(st.ColumnInt64(16))},
		Says: map[finding.Lang]string{finding.EN: st.ColumnText(13), finding.ZH: st.ColumnText(14)},
	}
	_ = json.Unmarshal([]byte(st.ColumnText(2)), &r.Args) // written by PutRun
	return r
}

// Run finds a run with its reports.
func (s *State) Run(ctx context.Context, id string) (*runs.Run, error) {
	return s.wholeRun(ctx, "id = ?", id)
}

// RunByShare finds a run by the hash of its share link's secret.
func (s *State) RunByShare(ctx context.Context, hash string) (*runs.Run, error) {
	return s.wholeRun(ctx, "share = ? AND share <> ''", hash)
}

func (s *State) wholeRun(ctx context.Context, where, key string) (*runs.Run, error) {
	var out *runs.Run
	err := s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, "SELECT "+runColumns+", en, zh FROM runs WHERE "+where, &sqlitex.ExecOptions{Args: []any{key}, ResultFunc: func(st *sqlite.Stmt) error {
			r := readRun(st)
			r.Reports = map[finding.Lang]json.RawMessage{}
			for i, l := range []finding.Lang{finding.EN, finding.ZH} {
				b := make([]byte, st.ColumnLen(reportsAt+i))
				st.ColumnBytes(reportsAt+i, b)
				raw, err := unpack(b)
				if err != nil {
					return err
				}
				if raw != nil {
					r.Reports[l] = raw
				}
			}
			out = &r
			return nil
		}})
	})
	if err == nil && out == nil {
		err = runs.ErrNone
	}
	return out, err
}

// Runs lists runs without reports, the newest first.
func (s *State) Runs(ctx context.Context, q runs.Query) ([]runs.Run, error) {
	return rows(ctx, s, readRun, "SELECT "+runColumns+` FROM runs WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR target = ?2) AND (?3 = '' OR by = ?3)
		AND (?4 = 0 OR started < ?4 OR started = ?4 AND id < ?5) AND (NOT ?7 OR share <> '') ORDER BY started DESC, id DESC LIMIT ?6`,
		q.Kind, q.Target, q.By, micro(q.Before), q.BeforeID, q.Limit, q.Shared)
}
