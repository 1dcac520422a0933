package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outbox remembers what must be sent. Its methods are safe for concurrent use.
type Outbox interface {
	// PutDeliveries stores what is new; a delivery whose ID is there stays as it is.
	PutDeliveries(ctx context.Context, ds []Delivery) error
	// PendingDeliveries lists what is neither sent nor given up, in the order in which it came.
	PendingDeliveries(ctx context.Context, limit int) ([]Delivery, error)
	// PutAttempt stores what became of deliveries: one attempt for all of them.
	PutAttempt(ctx context.Context, ids []string, a Attempt) error
	// Deliveries lists the newest, of one channel or of all ("").
	Deliveries(ctx context.Context, channel string, limit int) ([]Delivery, error)
	// SentSince counts the messages a channel took from a time on.
	SentSince(ctx context.Context, channel string, since time.Time) (int, error)
	// Renew lets one that was given up wait again, as if it had come at that time; ErrNone where none of that ID was.
	Renew(ctx context.Context, id string, at time.Time) error
	PruneDeliveries(ctx context.Context, before time.Time) (int64, error)
}

// DeliveryState is how far a delivery got.
type DeliveryState string

// The states.
const (
	Waiting DeliveryState = "waiting"
	Sent    DeliveryState = "sent"
	Folded  DeliveryState = "folded" // a newer alert of the same incident went in its place
	GivenUp DeliveryState = "given-up"
)

// Delivery is an alert on its way to one channel.
type Delivery struct {
	ID      string        `json:"id"`
	Channel string        `json:"channel"`
	Alert   Alert         `json:"alert"`
	Created time.Time     `json:"created"`
	Due     time.Time     `json:"due"`
	Tries   int           `json:"tries"`
	State   DeliveryState `json:"state"`
	Text    string        `json:"text,omitempty"` // what the service said last
	Done    time.Time     `json:"done,omitzero"`
}

// Attempt is one try to hand a message over.
type Attempt struct {
	At      time.Time
	State   DeliveryState
	Due     time.Time // of a delivery that still waits
	Text    string
	Message string // the same for all deliveries of one message; "" for none that was sent
}

// Bounds of patience.
const (
	patience   = 24 * time.Hour
	firstPause = 15 * time.Second
	longPause  = time.Hour
	usualWait  = 10 * time.Second
	usualRate  = 60
)

// pause is how long to wait after a number of tries.
func pause(tries int) time.Duration {
	d := firstPause
	for range min(tries-1, 20) {
		if d *= 2; d >= longPause {
			return longPause
		}
	}
	return d
}

// batch is what one channel gets now.
type batch struct {
	channel string
	send    []Delivery // at least one
	fold    []string   // IDs whose place a newer one of the same incident takes
	held    int
}

// plan decides what goes now. It is pure. pending is in the order in which it came; sent tells how many messages each
// channel took within the last hour. wait is when to look again; 0 means that nothing is pending.
func plan(now time.Time, pending []Delivery, channels []Channel, sent map[string]int) (out []batch, wait time.Duration) {
	sooner := func(at time.Time) {
		if d := max(at.Sub(now), time.Second); wait == 0 || d < wait {
			wait = d
		}
	}
	for i := range channels {
		c := &channels[i]
		var mine []Delivery
		for _, d := range pending {
			if d.Channel == c.ID {
				mine = append(mine, d)
			}
		}
		if len(mine) == 0 {
			continue
		}
		group := time.Duration(c.GroupWait)
		if group == 0 {
			group = usualWait
		}
		rate := c.PerHour
		if rate == 0 {
			rate = usualRate
		}
		due := mine[0].Created.Add(group)
		for _, d := range mine {
			if d.Tries > 0 { // the channel is in trouble: everything waits for the next try
				due = later(due, d.Due)
			}
		}
		switch {
		case now.Before(due):
			sooner(due)
		case sent[c.ID] >= rate:
			sooner(now.Add(time.Minute))
		default:
			b := batch{channel: c.ID}
			b.send, b.fold = fold(mine)
			for _, d := range b.send {
				if d.Tries == 0 && now.Sub(d.Created) > group+5*time.Minute {
					b.held++
				}
			}
			out = append(out, b)
		}
	}
	return out, wait
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fold keeps the newest alert of each incident.
func fold(ds []Delivery) (keep []Delivery, folded []string) {
	for i, d := range ds {
		newer := slices.ContainsFunc(ds[i+1:], func(x Delivery) bool {
			return x.Alert.Key == d.Alert.Key && x.Alert.Key != "" && x.Alert.Status != Info
		})
		if newer && d.Alert.Status != Info {
			folded = append(folded, d.ID)
			continue
		}
		keep = append(keep, d)
	}
	return keep, folded
}

// Dispatcher sends what is in an outbox. Its methods are safe for concurrent use.
type Dispatcher struct {
	box   Outbox
	doors *Doors
	now   func() time.Time
	log   *slog.Logger
	wake  chan struct{}

	mu       sync.Mutex
	channels []Channel
	made     *Doors // of channels that were made while mailwhy runs; nil: doors
	counts   map[Count]int64
}

// Count is what is counted per channel.
type Count struct{ Channel, Result string } // result: sent, failed, given-up

// NewDispatcher makes one. log may be nil.
func NewDispatcher(box Outbox, doors *Doors, c *Config, log *slog.Logger) *Dispatcher {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{box: box, doors: doors, now: doors.clock(), log: log, wake: make(chan struct{}, 1), channels: slices.Clone(c.Channel), counts: map[Count]int64{}}
}

// Reload takes new channels. What waits for one that is gone is given up when its time is over.
func (d *Dispatcher) Reload(c *Config) {
	d.mu.Lock()
	d.channels = slices.Clone(c.Channel)
	d.mu.Unlock()
	d.poke()
}

// doorsOf are what a channel may touch.
func (d *Dispatcher) doorsOf(c *Channel) *Doors {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Made && d.made != nil {
		return d.made
	}
	return d.doors
}

// Channels lists the channels.
func (d *Dispatcher) Channels() []Channel {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.channels)
}

// Deliveries lists the newest alerts on their way to a channel, or to all (""): those that wait, that were sent, and those
// that were given up.
func (d *Dispatcher) Deliveries(ctx context.Context, channel string, limit int) ([]Delivery, error) {
	return d.box.Deliveries(ctx, channel, limit)
}

// Again tries an alert that was given up for another day; ErrNone where there is none of that ID.
func (d *Dispatcher) Again(ctx context.Context, id string) error {
	err := d.box.Renew(ctx, id, d.now())
	d.poke()
	return err
}

// Counts tells what was sent so far.
func (d *Dispatcher) Counts() map[Count]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[Count]int64{}
	for k, v := range d.counts {
		out[k] = v
	}
	return out
}

func (d *Dispatcher) count(channel, result string, n int) {
	d.mu.Lock()
	d.counts[Count{channel, result}] += int64(n)
	d.mu.Unlock()
}

func (d *Dispatcher) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Take stores an alert for every channel that wants it. named are the channels its monitor names; nil: none in particular.
// When it returns nil the alert is in safe hands.
func (d *Dispatcher) Take(ctx context.Context, a *Alert, named []string) error {
	now := d.now()
	var out []Delivery
	for _, c := range d.Channels() {
		if c.Takes(a, named) {
			out = append(out, Delivery{ID: a.ID + " " + c.ID, Channel: c.ID, Alert: *a, Created: now, Due: now, State: Waiting})
		}
	}
	if len(out) == 0 {
		return nil
	}
	if err := d.box.PutDeliveries(ctx, out); err != nil {
		return err
	}
	d.poke()
	return nil
}

// Serve sends what is due until the context ends.
func (d *Dispatcher) Serve(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := d.Round(ctx)
		if err != nil && ctx.Err() == nil {
			d.log.Error("alerts: the outbox", "why", err)
			wait = time.Minute
		}
		if wait == 0 {
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-d.wake:
		}
		timer.Stop()
	}
}

// Round sends everything that is due now, a channel each beside the others, and tells when the next thing will be due; 0:
// nothing waits.
func (d *Dispatcher) Round(ctx context.Context) (time.Duration, error) {
	pending, err := d.box.PendingDeliveries(ctx, 10_000)
	if err != nil || len(pending) == 0 {
		return 0, err
	}
	now, channels, sent := d.now(), d.Channels(), map[string]int{}
	for _, c := range channels {
		if sent[c.ID], err = d.box.SentSince(ctx, c.ID, now.Add(-time.Hour)); err != nil {
			return 0, err
		}
	}
	pending, err = d.giveUp(ctx, now, pending, channels)
	errs := []error{err}
	batches, wait := plan(now, pending, channels, sent)
	var wg sync.WaitGroup
	results := make([]error, len(batches))
	for i := range batches {
		wg.Go(func() { results[i] = d.deliver(ctx, &batches[i]) })
	}
	wg.Wait()
	if len(batches) > 0 {
		wait = time.Second // look again: what failed has a new time
	}
	return wait, errors.Join(append(errs, results...)...)
}

// giveUp ends what was tried for too long, and what waits for a channel that is no more. It gives what is left.
func (d *Dispatcher) giveUp(ctx context.Context, now time.Time, pending []Delivery, channels []Channel) ([]Delivery, error) {
	var ids []string
	var left []Delivery
	for _, p := range pending {
		known := slices.ContainsFunc(channels, func(c Channel) bool { return c.ID == p.Channel })
		if now.Sub(p.Created) <= patience || p.Tries == 0 && known {
			left = append(left, p)
			continue
		}
		ids = append(ids, p.ID)
		d.count(p.Channel, string(GivenUp), 1)
		d.log.Error("an alert was given up", "channel", p.Channel, "alert", p.Alert.ID, "said", p.Text)
	}
	if len(ids) == 0 {
		return left, nil
	}
	return left, d.box.PutAttempt(ctx, ids, Attempt{At: now, State: GivenUp})
}

// deliver hands one message over and stores what came of it.
func (d *Dispatcher) deliver(ctx context.Context, b *batch) error {
	var c Channel
	for _, x := range d.Channels() {
		if x.ID == b.channel {
			c = x
		}
	}
	if len(b.fold) > 0 {
		if err := d.box.PutAttempt(ctx, b.fold, Attempt{At: d.now(), State: Folded}); err != nil {
			return err
		}
	}
	var ids []string
	m := &Message{Lang: c.lang(), Held: b.held, At: d.now()}
	tries := 0
	for _, x := range b.send {
		ids, m.Alerts = append(ids, x.ID), append(m.Alerts, x.Alert)
		tries = max(tries, x.Tries)
	}
	sender, err := c.Open(d.doorsOf(&c))
	if err == nil {
		err = sender.Send(ctx, m)
	}
	if ctx.Err() != nil {
		return nil // it is sent again after the restart
	}
	now := d.now()
	if err == nil {
		d.count(c.ID, string(Sent), 1)
		d.log.Info("alert sent", "channel", c.ID, "alerts", len(ids), "title", m.Say().Title)
		return d.box.PutAttempt(ctx, ids, Attempt{At: now, State: Sent, Message: ids[0]})
	}
	d.count(c.ID, "failed", 1)
	wait := pause(tries + 1)
	var r *Refusal
	if errors.As(err, &r) && r.After > 0 {
		wait = max(r.After, firstPause)
	}
	d.log.Warn("an alert could not be sent", "channel", c.ID, "why", err, "again", wait)
	return d.box.PutAttempt(ctx, ids, Attempt{At: now, State: Waiting, Due: now.Add(wait), Text: shorten(strings.TrimSpace(err.Error()), 500)})
}
