package sqlite

import (
	"context"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/notify"
)

// outboxSchema keeps alerts on their way.
const outboxSchema = `
CREATE TABLE deliveries (id TEXT PRIMARY KEY, channel TEXT NOT NULL, created INTEGER NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL, state TEXT NOT NULL,
  text TEXT NOT NULL, done INTEGER NOT NULL, message TEXT NOT NULL, alert TEXT NOT NULL);
CREATE INDEX deliveries_waiting ON deliveries (created) WHERE state = 'waiting';
CREATE INDEX deliveries_done ON deliveries (channel, done);
`

// Outbox is the notify.Outbox of the folder.
type Outbox struct{ s *State }

var _ notify.Outbox = (*Outbox)(nil)

// Outbox gives the part that keeps alerts on their way.
func (s *State) Outbox() *Outbox { return &Outbox{s} }

// PutDeliveries stores what is new.
func (o *Outbox) PutDeliveries(ctx context.Context, ds []notify.Delivery) error {
	return o.s.write(ctx, func(c *sqlite.Conn) error {
		for i := range ds {
			d := &ds[i]
			raw, err := encoded(d.Alert)
			if err != nil {
				return err
			}
			if err := exec(c, "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', ?) ON CONFLICT (id) DO NOTHING",
				d.ID, d.Channel, nanos(d.Created), nanos(d.Due), d.Tries, string(d.State), d.Text, nanos(d.Done), raw); err != nil {
				return err
			}
		}
		return nil
	})
}

const deliveryColumns = "SELECT id, channel, created, due, tries, state, text, done, alert FROM deliveries "

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

func (o *Outbox) list(ctx context.Context, where string, args ...any) (out []notify.Delivery, err error) {
	err = o.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, deliveryColumns+where, func(st *sqlite.Stmt) error {
			d := notify.Delivery{
				ID: st.ColumnText(0), Channel: st.ColumnText(1), Created: fromNanos(st.ColumnInt64(2)), Due: fromNanos(st.ColumnInt64(3)), Tries: st.ColumnInt(4),
				State: notify.DeliveryState(st.ColumnText(5)), Text: st.ColumnText(6), Done: fromNanos(st.ColumnInt64(7)),
			}
			if err := document(st, 8, &d.Alert); err != nil {
				return err
			}
			out = append(out, d)
			return nil
		}, args...)
	})
	return out, err
}

// PendingDeliveries lists what waits.
func (o *Outbox) PendingDeliveries(ctx context.Context, limit int) ([]notify.Delivery, error) {
	return o.list(ctx, "WHERE state = 'waiting' ORDER BY created, rowid LIMIT ?", limit)
}

// Deliveries lists the newest.
func (o *Outbox) Deliveries(ctx context.Context, channel string, limit int) ([]notify.Delivery, error) {
	return o.list(ctx, "WHERE ?1 = '' OR channel = ?1 ORDER BY created DESC, rowid DESC LIMIT ?2", channel, limit)
}

// PutAttempt stores what became of deliveries.
func (o *Outbox) PutAttempt(ctx context.Context, ids []string, a notify.Attempt) error {
	tried := a.State == notify.Waiting || a.State == notify.Sent
	var done int64
	if a.State != notify.Waiting {
		done = nanos(a.At)
	}
	return o.s.write(ctx, func(c *sqlite.Conn) error {
		var errs []error
		for _, id := range ids {
			errs = append(errs, exec(c, "UPDATE deliveries SET state = ?, due = ?, text = CASE WHEN ?3 = '' AND ?1 IN ('folded', 'given-up') THEN text ELSE ?3 END, done = ?, message = ?, tries = tries + ? WHERE id = ?",
				string(a.State), nanos(a.Due), a.Text, done, a.Message, tried, id))
		}
		return errors.Join(errs...)
	})
}

// Renew lets one that was given up wait again.
func (o *Outbox) Renew(ctx context.Context, id string, at time.Time) error {
	return o.s.write(ctx, func(c *sqlite.Conn) error {
		if err := exec(c, "UPDATE deliveries SET state = 'waiting', created = ?2, due = ?2, tries = 0, done = 0, message = '' WHERE id = ?1 AND state = 'given-up'", id, nanos(at)); err != nil {
			return err
		}
		if c.Changes() == 0 {
			return notify.ErrNone
		}
		return nil
	})
}

// SentSince counts messages.
func (o *Outbox) SentSince(ctx context.Context, channel string, since time.Time) (n int, err error) {
	err = o.s.read(ctx, func(c *sqlite.Conn) error {
		return eachRow(c, "SELECT count(DISTINCT message) FROM deliveries WHERE channel = ? AND done >= ? AND state = 'sent'",
			func(st *sqlite.Stmt) error { n = st.ColumnInt(0); return nil }, channel, nanos(since))
	})
	return n, err
}

// PruneDeliveries forgets what is over.
func (o *Outbox) PruneDeliveries(ctx context.Context, before time.Time) (n int64, err error) {
	err = o.s.write(ctx, func(c *sqlite.Conn) error {
		err := exec(c, "DELETE FROM deliveries WHERE created < ? AND state <> 'waiting'", nanos(before))
		n = int64(c.Changes())
		return err
	})
	return n, err
}
