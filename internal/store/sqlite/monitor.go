package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/monitor"
)

// monitorSchema keeps monitors. What a sample says in words changes rarely, so it is kept once by its hash.
const monitorSchema = `
CREATE TABLE monitors (id TEXT PRIMARY KEY, definition TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE monitor_states (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE monitor_words (hash BLOB PRIMARY KEY, words TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE monitor_samples (monitor TEXT NOT NULL, at INTEGER NOT NULL, took INTEGER NOT NULL, maintenance INTEGER NOT NULL, measured TEXT NOT NULL,
  words BLOB NOT NULL, PRIMARY KEY (monitor, at)) WITHOUT ROWID;
CREATE INDEX monitor_samples_words ON monitor_samples (words);
CREATE TABLE incidents (id TEXT PRIMARY KEY, monitor TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, incident TEXT NOT NULL, ack TEXT) WITHOUT ROWID;
CREATE INDEX incidents_started ON incidents (started, id);
CREATE TABLE monitor_events (id TEXT PRIMARY KEY, monitor TEXT NOT NULL, incident TEXT NOT NULL, at INTEGER NOT NULL, waiting INTEGER NOT NULL, event TEXT NOT NULL);
CREATE INDEX monitor_events_waiting ON monitor_events (id) WHERE waiting;
CREATE INDEX monitor_events_incident ON monitor_events (incident);
CREATE TABLE mutes (monitor TEXT PRIMARY KEY, until INTEGER NOT NULL, mute TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE proposals (id TEXT PRIMARY KEY, state TEXT NOT NULL, at INTEGER NOT NULL, proposal TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX proposals_at ON proposals (at);
`

// Monitors is the monitor.Store of the folder.
type Monitors struct{ s *State }

var _ monitor.Store = (*Monitors)(nil)

// Monitors gives the part that keeps monitors.
func (s *State) Monitors() *Monitors { return &Monitors{s} }

// eachRow runs a query and gives each row.
func eachRow(c *sqlite.Conn, query string, each func(*sqlite.Stmt) error, args ...any) error {
	return sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args, ResultFunc: each})
}

// exec runs a statement without rows.
func exec(c *sqlite.Conn, query string, args ...any) error {
	return sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args})
}

// document reads a JSON column; what cannot be read is named.
func document(st *sqlite.Stmt, col int, into any) error {
	if err := json.Unmarshal([]byte(st.ColumnText(col)), into); err != nil {
		return fmt.Errorf("%s: %w", st.ColumnName(col), err)
	}
	return nil
}

func encoded(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Monitors lists what was made from the page.
func (m *Monitors) Monitors(ctx context.Context) (out []monitor.Definition, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT definition FROM monitors ORDER BY id", func(st *sqlite.Stmt) error {
			var d monitor.Definition
			if err := document(st, 0, &d); err != nil {
				return err
			}
			out = append(out, d)
			return nil
		})
	})
	return out, err
}

// PutMonitor stores a definition in the place of the one with its ID.
func (m *Monitors) PutMonitor(ctx context.Context, d *monitor.Definition) error {
	raw, err := encoded(d)
	if err != nil {
		return err
	}
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "INSERT INTO monitors VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET definition = excluded.definition", d.ID, raw)
	})
}

// DropMonitor forgets a definition and what it knows; samples and incidents stay.
func (m *Monitors) DropMonitor(ctx context.Context, id string) error {
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		return errors.Join(
			exec(c, "DELETE FROM monitors WHERE id = ?", id),
			exec(c, "DELETE FROM monitor_states WHERE id = ?", id),
			exec(c, "DELETE FROM mutes WHERE monitor = ?", id),
			// nobody is left who could close it
			exec(c, "UPDATE incidents SET ended = ? WHERE monitor = ? AND ended IS NULL", nanos(m.s.now()), id),
		)
	})
}

// State is what a monitor knew after its last run.
func (m *Monitors) State(ctx context.Context, id string) (s monitor.State, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT state FROM monitor_states WHERE id = ?", func(st *sqlite.Stmt) error { return document(st, 0, &s) }, id)
	})
	return s, err
}

// Commit stores what one run led to.
func (m *Monitors) Commit(ctx context.Context, k *monitor.Commit) error {
	state, err := encoded(k.State)
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, e := range k.Told() {
		waiting[e.ID] = true
	}
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		if err := exec(c, "INSERT INTO monitor_states VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state", k.Monitor, state); err != nil {
			return err
		}
		if k.Sample != nil {
			if err := putSample(c, k.Sample); err != nil {
				return err
			}
		}
		for i := range k.Events {
			if err := putEvent(c, &k.Events[i], waiting[k.Events[i].ID]); err != nil {
				return err
			}
		}
		return nil
	})
}

func putEvent(c *sqlite.Conn, e *monitor.Event, waiting bool) error {
	raw, err := encoded(e)
	if err != nil {
		return err
	}
	if err := exec(c, "INSERT INTO monitor_events (id, monitor, incident, at, waiting, event) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		e.ID, e.Monitor, e.Incident, nanos(e.At), waiting, raw); err != nil || e.Incident == "" {
		return err
	}
	before, err := incident(c, e.Incident)
	if err != nil && !errors.Is(err, monitor.ErrNone) {
		return err
	}
	after := monitor.Apply(before, e)
	ack := after.Ack
	after.Ack, after.History = nil, nil
	doc, err := encoded(after)
	after.Ack = ack
	if err != nil {
		return err
	}
	var ended any
	if !after.Ended.IsZero() {
		ended = nanos(after.Ended)
	}
	return exec(c, `INSERT INTO incidents (id, monitor, started, ended, incident) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, incident = excluded.incident`, after.ID, after.Monitor, nanos(after.Started), ended, doc)
}

// measured and wording are the two halves of a sample: numbers, which differ in every run, and words, which rarely do.
type measured struct {
	Values []map[string]float64 `json:"v"`
}

func putSample(c *sqlite.Conn, s *monitor.Sample) error {
	var numbers measured
	points := make([]monitor.Point, len(s.Points))
	for i, p := range s.Points {
		numbers.Values = append(numbers.Values, p.Values)
		p.Values = nil
		p.Failed, p.Untested = withoutEvidence(p.Failed), withoutEvidence(p.Untested)
		points[i] = p
	}
	words, err := encoded(points)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(words))
	hash := sum[:16]
	values, err := encoded(numbers)
	if err != nil {
		return err
	}
	if err := exec(c, "INSERT INTO monitor_words VALUES (?, ?) ON CONFLICT (hash) DO NOTHING", hash, words); err != nil {
		return err
	}
	return exec(c, "INSERT INTO monitor_samples VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (monitor, at) DO NOTHING",
		s.Monitor, nanos(s.At), int64(s.Took), s.Maintenance, values, hash)
}

// withoutEvidence leaves out what differs in every run and no judgement needs.
func withoutEvidence(seen []monitor.Seen) []monitor.Seen {
	var out []monitor.Seen
	for _, s := range seen {
		s.Evidence = nil
		out = append(out, s)
	}
	return out
}

// Unannounced lists what waits to be told.
func (m *Monitors) Unannounced(ctx context.Context, limit int) (out []monitor.Event, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT event FROM monitor_events WHERE waiting ORDER BY rowid LIMIT ?", func(st *sqlite.Stmt) error {
			var e monitor.Event
			if err := document(st, 0, &e); err != nil {
				return err
			}
			out = append(out, e)
			return nil
		}, limit)
	})
	return out, err
}

// Announced notes that an event was handed over.
func (m *Monitors) Announced(ctx context.Context, id string) error {
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "UPDATE monitor_events SET waiting = 0 WHERE id = ?", id)
	})
}

// errEnough ends a query from within.
var errEnough = errors.New("enough")

// Samples gives the samples of a monitor in order.
func (m *Monitors) Samples(ctx context.Context, id string, since, until time.Time, each func(*monitor.Sample) bool) error {
	last := int64(1<<63 - 1)
	if !until.IsZero() {
		last = nanos(until)
	}
	err := m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, `SELECT at, took, maintenance, measured, w.words FROM monitor_samples s JOIN monitor_words w ON w.hash = s.words
			WHERE monitor = ? AND at >= ? AND at < ? ORDER BY at`, func(st *sqlite.Stmt) error {
			s := monitor.Sample{Monitor: id, At: time.Unix(0, st.ColumnInt64(0)), Took: time.Duration(st.ColumnInt64(1)), Maintenance: st.ColumnBool(2)}
			var numbers measured
			if err := errors.Join(document(st, 3, &numbers), document(st, 4, &s.Points)); err != nil {
				return err
			}
			for i := range min(len(s.Points), len(numbers.Values)) {
				s.Points[i].Values = numbers.Values[i]
			}
			if !each(&s) {
				return errEnough
			}
			return nil
		}, id, nanos(since), last)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

const incidentColumns = "SELECT incident, ended, ack FROM incidents "

func readIncident(st *sqlite.Stmt) (*monitor.Incident, error) {
	var i monitor.Incident
	if err := document(st, 0, &i); err != nil {
		return nil, err
	}
	if !st.ColumnIsNull(1) {
		i.Ended = time.Unix(0, st.ColumnInt64(1))
	}
	if !st.ColumnIsNull(2) {
		i.Ack = &monitor.Ack{}
		if err := document(st, 2, i.Ack); err != nil {
			return nil, err
		}
	}
	return &i, nil
}

func incident(c *sqlite.Conn, id string) (out *monitor.Incident, err error) {
	err = eachRow(c, incidentColumns+"WHERE id = ?", func(st *sqlite.Stmt) (err error) {
		out, err = readIncident(st)
		return err
	}, id)
	if err == nil && out == nil {
		err = monitor.ErrNone
	}
	return out, err
}

// Incident gives one with its history.
func (m *Monitors) Incident(ctx context.Context, id string) (out *monitor.Incident, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) (err error) {
		if out, err = incident(c, id); err != nil {
			return err
		}
		return eachRow(c, "SELECT event FROM monitor_events WHERE incident = ? ORDER BY rowid", func(st *sqlite.Stmt) error {
			var e monitor.Event
			if err := document(st, 0, &e); err != nil {
				return err
			}
			out.History = append(out.History, e)
			return nil
		}, id)
	})
	return out, err
}

// Incidents lists incidents, the newest first.
func (m *Monitors) Incidents(ctx context.Context, q monitor.IncidentQuery) (out []monitor.Incident, err error) {
	where, args := "WHERE 1", []any{}
	and := func(cond string, more ...any) { where, args = where+" AND "+cond, append(args, more...) }
	if q.Monitor != "" {
		and("monitor = ?", q.Monitor)
	}
	if q.Open {
		and("ended IS NULL")
	}
	if !q.Since.IsZero() {
		and("(ended IS NULL OR ended >= ?)", nanos(q.Since))
	}
	if q.Before != "" {
		and("(started, id) < (SELECT started, id FROM incidents WHERE id = ?)", q.Before)
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	args = append(args, q.Limit)
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, incidentColumns+where+" ORDER BY started DESC, id DESC LIMIT ?", func(st *sqlite.Stmt) error {
			i, err := readIncident(st)
			if err == nil {
				out = append(out, *i)
			}
			return err
		}, args...)
	})
	return out, err
}

// Acknowledge notes who took an open incident on.
func (m *Monitors) Acknowledge(ctx context.Context, id string, ack monitor.Ack) error {
	raw, err := encoded(ack)
	if err != nil {
		return err
	}
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		i, err := incident(c, id)
		switch {
		case err != nil:
			return err
		case !i.Ended.IsZero():
			return monitor.ErrClosed
		}
		return exec(c, "UPDATE incidents SET ack = ? WHERE id = ?", raw, id)
	})
}

// Mute is in force at a time.
func (m *Monitors) Mute(ctx context.Context, id string, at time.Time) (out *monitor.Mute, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT mute FROM mutes WHERE monitor = ? AND until > ?", func(st *sqlite.Stmt) error {
			out = &monitor.Mute{}
			return document(st, 0, out)
		}, id, nanos(at))
	})
	return out, err
}

// PutMute mutes a monitor, or ends that.
func (m *Monitors) PutMute(ctx context.Context, id string, mute *monitor.Mute) error {
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		if mute == nil {
			return exec(c, "DELETE FROM mutes WHERE monitor = ?", id)
		}
		raw, err := encoded(mute)
		if err != nil {
			return err
		}
		return exec(c, "INSERT INTO mutes VALUES (?, ?, ?) ON CONFLICT (monitor) DO UPDATE SET until = excluded.until, mute = excluded.mute", id, nanos(mute.Until), raw)
	})
}

// Windows lists the maintenance windows made while mailwhy serves.
func (m *Monitors) Windows(ctx context.Context) (out []monitor.Planned, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT planned FROM maintenance ORDER BY id", func(st *sqlite.Stmt) error {
			var p monitor.Planned
			if err := document(st, 0, &p); err != nil {
				return err
			}
			out = append(out, p)
			return nil
		})
	})
	return out, err
}

// PutWindow stores a maintenance window in the place of the one with its ID.
func (m *Monitors) PutWindow(ctx context.Context, p *monitor.Planned) error {
	raw, err := encoded(p)
	if err != nil {
		return err
	}
	var ends any // NULL: it comes again
	if at := p.Ends(); !at.IsZero() {
		ends = nanos(at)
	}
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "INSERT INTO maintenance VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET ends = excluded.ends, planned = excluded.planned", p.ID, ends, raw)
	})
}

// DropWindow forgets a maintenance window.
func (m *Monitors) DropWindow(ctx context.Context, id string) error {
	return m.s.write(ctx, func(c *sqlite.Conn) error { return exec(c, "DELETE FROM maintenance WHERE id = ?", id) })
}

// PutProposal stores a new proposal; one that is there stays as it is.
func (m *Monitors) PutProposal(ctx context.Context, p *monitor.Proposal) error {
	raw, err := encoded(p)
	if err != nil {
		return err
	}
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "INSERT INTO proposals VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", p.ID, string(p.State), nanos(p.At), raw)
	})
}

func proposal(c *sqlite.Conn, id string) (out *monitor.Proposal, err error) {
	err = eachRow(c, "SELECT proposal FROM proposals WHERE id = ?", func(st *sqlite.Stmt) error {
		out = &monitor.Proposal{}
		return document(st, 0, out)
	}, id)
	if err == nil && out == nil {
		err = monitor.ErrNone
	}
	return out, err
}

// Proposal gives one.
func (m *Monitors) Proposal(ctx context.Context, id string) (out *monitor.Proposal, err error) {
	err = m.s.read(ctx, func(c *sqlite.Conn) (err error) { out, err = proposal(c, id); return err })
	return out, err
}

// DecideProposal moves a proposal from one state to the next.
func (m *Monitors) DecideProposal(ctx context.Context, id string, from, to monitor.ProposalState, by string, at time.Time, note string) error {
	return m.s.write(ctx, func(c *sqlite.Conn) error {
		p, err := proposal(c, id)
		switch {
		case err != nil:
			return err
		case p.State != from:
			return monitor.ErrClosed
		}
		p.State, p.By, p.Note = to, by, note
		switch to {
		case monitor.ProposalApproved:
			p.Decided, p.Until = at, at.Add(p.For.D())
		case monitor.ProposalOpen:
			p.Decided, p.Until = time.Time{}, time.Time{}
		case monitor.ProposalRefused, monitor.ProposalExpired:
			p.Decided = at
		}
		raw, err := encoded(p)
		if err != nil {
			return err
		}
		return exec(c, "UPDATE proposals SET state = ?, proposal = ? WHERE id = ?", string(to), raw, id)
	})
}

// Proposals lists proposals, the newest first; open ones are those that are undecided or in force.
func (m *Monitors) Proposals(ctx context.Context, open bool, limit int) (out []monitor.Proposal, err error) {
	where := ""
	if open {
		where = " WHERE state IN ('open', 'approved')"
	}
	err = m.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT proposal FROM proposals"+where+" ORDER BY at DESC, id LIMIT ?", func(st *sqlite.Stmt) error {
			var p monitor.Proposal
			if err := document(st, 0, &p); err != nil {
				return err
			}
			out = append(out, p)
			return nil
		}, limit)
	})
	return out, err
}

// Prune forgets what is old. Open incidents and what still waits to be told stay.
func (m *Monitors) Prune(ctx context.Context, samples, incidents time.Time) (n int64, err error) {
	err = m.s.write(ctx, func(c *sqlite.Conn) error {
		for _, q := range []struct {
			sql string
			at  time.Time
		}{
			{"DELETE FROM monitor_samples WHERE at < ?", samples},
			{"DELETE FROM monitor_events WHERE at < ? AND NOT waiting AND incident NOT IN (SELECT id FROM incidents WHERE ended IS NULL)", incidents},
			{"DELETE FROM incidents WHERE ended < ?", incidents},
			{"DELETE FROM proposals WHERE at < ? AND state NOT IN ('open', 'approved')", incidents},
			{"DELETE FROM mutes WHERE until < ?", incidents},
			{"DELETE FROM maintenance WHERE ends < ?", incidents},
		} {
			if err := exec(c, q.sql, nanos(q.at)); err != nil {
				return err
			}
			n += int64(c.Changes())
		}
		if n == 0 {
			return nil
		}
		return exec(c, "DELETE FROM monitor_words WHERE hash NOT IN (SELECT words FROM monitor_samples)")
	})
	return n, err
}
