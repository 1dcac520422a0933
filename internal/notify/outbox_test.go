package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// memory is an Outbox for these tests; the contract is held by store/storetest.
type memory struct {
	mu sync.Mutex
	ds []Delivery
	by map[string]string // message by delivery
}

func (m *memory) PutDeliveries(_ context.Context, ds []Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range ds {
		if !slices.ContainsFunc(m.ds, func(x Delivery) bool { return x.ID == d.ID }) {
			m.ds = append(m.ds, d)
		}
	}
	return nil
}
func (m *memory) PendingDeliveries(context.Context, int) (out []Delivery, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.ds {
		if d.State == Waiting {
			out = append(out, d)
		}
	}
	return out, nil
}
func (m *memory) PutAttempt(_ context.Context, ids []string, a Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.ds {
		d := &m.ds[i]
		if !slices.Contains(ids, d.ID) {
			continue
		}
		d.State, d.Due, d.Text = a.State, a.Due, a.Text
		if a.State == Waiting || a.State == Sent {
			d.Tries++
		}
		if a.State != Waiting {
			d.Done = a.At
		}
		m.by[d.ID] = a.Message
	}
	return nil
}
func (m *memory) Deliveries(context.Context, string, int) ([]Delivery, error) { return m.ds, nil }
func (m *memory) SentSince(_ context.Context, channel string, since time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]bool{}
	for _, d := range m.ds {
		if d.Channel == channel && d.State == Sent && !d.Done.Before(since) {
			seen[m.by[d.ID]] = true
		}
	}
	return len(seen), nil
}
func (m *memory) Renew(_ context.Context, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.ds {
		if d := &m.ds[i]; d.ID == id && d.State == GivenUp {
			d.State, d.Created, d.Due, d.Tries, d.Done = Waiting, at, at, 0, time.Time{}
			return nil
		}
	}
	return ErrNone
}
func (m *memory) PruneDeliveries(context.Context, time.Time) (int64, error) { return 0, nil }

// room is a dispatcher with a stub behind its channel and a clock the test moves.
type room struct {
	t    *testing.T
	stub *stub
	box  *memory
	d    *Dispatcher
	at   time.Time
}

func newRoom(t *testing.T, c Channel) *room {
	r := &room{t: t, stub: newStub(t, ""), box: &memory{by: map[string]string{}}, at: start}
	c.ID, c.Kind, c.URL = "ops", "webhook", r.stub.URL
	cfg := &Config{Channel: []Channel{c}}
	if bad := cfg.Validate(); len(bad) > 0 {
		t.Fatalf("%+v", bad)
	}
	r.d = NewDispatcher(r.box, &Doors{Now: func() time.Time { return r.at }}, cfg, nil)
	return r
}

func (r *room) take(id, key string, s Status) {
	r.t.Helper()
	a := failing()
	a.ID, a.Key, a.Status = id, key, s
	if err := r.d.Take(context.Background(), &a, nil); err != nil {
		r.t.Fatal(err)
	}
}

// after moves the clock and makes a round; it tells how many messages have arrived so far.
func (r *room) after(d time.Duration) int {
	r.t.Helper()
	r.at = r.at.Add(d)
	if _, err := r.d.Round(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.stub.mu.Lock()
	defer r.stub.mu.Unlock()
	return len(r.stub.bodies)
}

func (r *room) states() string {
	var out []string
	for _, d := range r.box.ds {
		out = append(out, strings.TrimSuffix(d.ID, " ops")+" "+string(d.State))
	}
	return strings.Join(out, ", ")
}

func TestGrouped(t *testing.T) {
	r := newRoom(t, Channel{})
	r.take("1", "a", Firing)
	r.take("1", "a", Firing) // told twice
	r.take("2", "b", Firing)
	if n := r.after(5 * time.Second); n != 0 {
		t.Fatalf("%d messages before the group was complete", n)
	}
	r.take("3", "c", Firing)
	if n := r.after(6 * time.Second); n != 1 {
		t.Fatalf("%d messages, want one for all three", n)
	}
	if got := r.states(); got != "1 sent, 2 sent, 3 sent" {
		t.Error(got)
	}
	if n := r.after(time.Hour); n != 1 {
		t.Error("sent again")
	}
}

func TestFolded(t *testing.T) {
	r := newRoom(t, Channel{GroupWait: Span(time.Minute)})
	r.take("1", "a", Firing)
	r.take("2", "a", Resolved)
	r.take("3", "b", Firing)
	r.after(2 * time.Minute)
	if got := r.states(); got != "1 folded, 2 sent, 3 sent" {
		t.Error(got)
	}
}

func TestRetried(t *testing.T) {
	r := newRoom(t, Channel{})
	r.stub.answer = func(n int) (int, map[string]string, string) {
		switch n {
		case 1:
			return 500, nil, "broken"
		case 2:
			return 429, map[string]string{"Retry-After": "600"}, ""
		}
		return 200, nil, ""
	}
	r.take("1", "a", Firing)
	for _, c := range []struct {
		d    time.Duration
		want int
	}{{11 * time.Second, 1}, {14 * time.Second, 1}, {2 * time.Second, 2}, {5 * time.Minute, 2}} {
		if n := r.after(c.d); n != c.want {
			t.Fatalf("%d tries, want %d; %+v", n, c.want, r.box.ds)
		}
	}
	r.take("2", "b", Firing) // goes with the first when the service takes messages again
	if n := r.after(30 * time.Second); n != 2 {
		t.Fatal("did not wait as the service asked")
	}
	if n := r.after(5 * time.Minute); n != 3 || r.states() != "1 sent, 2 sent" {
		t.Errorf("%d tries, %s", n, r.states())
	}
	if got := r.d.Counts(); got[Count{"ops", "failed"}] != 2 || got[Count{"ops", "sent"}] != 1 {
		t.Errorf("%v", got)
	}
}

func TestGivenUp(t *testing.T) {
	r := newRoom(t, Channel{})
	r.stub.answer = func(int) (int, map[string]string, string) { return 500, nil, "" }
	r.take("1", "a", Firing)
	for range 200 {
		r.after(20 * time.Minute)
	}
	if got := r.states(); got != "1 given-up" {
		t.Error(got)
	}
	if n := len(r.stub.bodies); n < 20 || n > 40 {
		t.Errorf("%d tries in a day", n)
	}
	tried := len(r.stub.bodies)
	if err := r.d.Again(t.Context(), "nobody ops"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	r.stub.answer = func(int) (int, map[string]string, string) { return 200, nil, "" }
	if err := r.d.Again(t.Context(), "1 ops"); err != nil {
		t.Fatal(err)
	}
	if n := r.after(11 * time.Second); n != tried+1 || r.states() != "1 sent" {
		t.Errorf("asked for again: %d tries more, %s", n-tried, r.states())
	}
	if ds, err := r.d.Deliveries(t.Context(), "ops", 10); err != nil || len(ds) != 1 {
		t.Errorf("%+v, %v", ds, err)
	}
}

func TestLimited(t *testing.T) {
	r := newRoom(t, Channel{PerHour: 3})
	for i := range 10 {
		r.take(fmt.Sprint(i), fmt.Sprint("k", i), Firing)
		r.after(time.Minute)
	}
	if n := len(r.stub.bodies); n != 3 {
		t.Fatalf("%d messages within ten minutes, the channel takes 3 an hour", n)
	}
	r.after(time.Hour)
	if n := len(r.stub.bodies); n != 4 || strings.Contains(r.states(), "waiting") {
		t.Errorf("%d messages, %s: what was held goes in one", n, r.states())
	}
	if !strings.Contains(string(r.stub.bodies[3]), "7 of them waited") {
		t.Errorf("%s", r.stub.bodies[3])
	}
}

func TestTakes(t *testing.T) {
	a := failing()
	for _, c := range []struct {
		channel Channel
		sev     finding.Severity
		named   []string
		want    bool
	}{
		{Channel{ID: "ops"}, finding.Warning, nil, true},
		{Channel{ID: "ops"}, finding.Note, nil, false},
		{Channel{ID: "ops", Severity: "error"}, finding.Warning, nil, false},
		{Channel{ID: "ops", Monitors: []string{"m*"}}, finding.Error, nil, true},
		{Channel{ID: "ops", Monitors: []string{"web-*"}}, finding.Error, nil, false},
		{Channel{ID: "ops"}, finding.Error, []string{"boss"}, false},
		{Channel{ID: "boss", Named: true}, finding.Error, nil, false},
		{Channel{ID: "boss", Named: true}, finding.Error, []string{"boss"}, true},
		{Channel{ID: "ops"}, finding.Error, []string{}, false},
	} {
		a.Severity = c.sev
		if got := c.channel.Takes(&a, c.named); got != c.want {
			t.Errorf("%+v, %s, %v: %v", c.channel, c.sev, c.named, got)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		channel Channel
		says    string
	}{
		{Channel{ID: "x", Kind: "slack", Hook: "https://hooks.slack.example/T/B/x"}, "a secret does not stand in the configuration"},
		{Channel{ID: "x", Kind: "slack"}, "slack wants hook"},
		{Channel{ID: "x", Kind: "slack", Hook: "file:/x", Chat: "1"}, "slack has no use for chat"},
		{Channel{ID: "x", Kind: "pigeon"}, "there is no kind pigeon"},
		{Channel{ID: "X Y", Kind: "slack", Hook: "file:/x"}, "X Y is no name"},
		{Channel{ID: "x", Kind: "mail", Server: "mail.mine.example:99999", From: "a@b.example", To: []string{"c@d.example"}}, "mail.mine.example:99999 is no host:port"},
		{Channel{ID: "x", Kind: "mail", Server: "mail.mine.example", From: "nobody", To: []string{"c@d.example"}}, "nobody is not a mail address"},
		{Channel{ID: "x", Kind: "webhook", URL: "ftp://x"}, "ftp://x is no address"},
		{Channel{ID: "x", Kind: "wecom", Hook: "env:X", Lang: "fr"}, "unknown language fr"},
	} {
		bad := (&Config{Channel: []Channel{c.channel}}).Validate()
		if len(bad) != 1 || !strings.HasPrefix(bad[0].Says.String(), c.says) {
			t.Errorf("%s: %+v", c.says, bad)
		}
		for _, p := range bad {
			if strings.Contains(p.Says.String(), "hooks.slack") {
				t.Error("the secret is repeated")
			}
		}
	}
	if bad := (&Config{Channel: []Channel{{ID: "x", Kind: "webhook", Hook: "env:HOOK"}, {ID: "y", Kind: "mail", Server: "mail.mine.example", From: "a@b.example", To: []string{"c@d.example"}}}}).Validate(); len(bad) > 0 {
		t.Errorf("%+v", bad)
	}
}

func TestTry(t *testing.T) {
	s := newStub(t, "")
	if err := Try(t.Context(), &Channel{ID: "ops", Kind: "webhook", URL: s.URL}, &Doors{}); err != nil {
		t.Fatal(err)
	}
	if _, v := s.last(t); !strings.Contains(text(t, v, "title"), "this is a test of the channel ops") {
		t.Errorf("%v", v)
	}
}
