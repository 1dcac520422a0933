package monitor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// world is a runner whose one kind says what the test wants, a clock that the test moves, and what was told.
type world struct {
	t      *testing.T
	mu     sync.Mutex
	at     time.Time
	says   Verdict
	sees   map[string]Verdict // otherwise from a vantage point
	value  float64
	store  *memory
	told   []News
	refuse error // of the announcer
	done   []string
	runner *Runner
}

var ruleProbe = &finding.Rule{ID: "probe.down", Severity: finding.Error, Owner: finding.OwnerServer, Title: "down", Says: "{{.Host}} is down", Why: "x", Repair: "y"}

func probeKind(w *world) Kind {
	type args struct {
		Host string `json:"host"`
	}
	return define(Kind{Name: "probe", Title: "Probe", Fields: []Field{{Name: "host", Required: true}}, Measures: []Measure{{Response, "s", ""}}},
		func(c *args) string { return c.Host }, nil,
		func(_ context.Context, d *Doors, c *args) (*Result, error) {
			w.mu.Lock()
			says, value := w.says, w.value
			if other, ok := w.sees[d.Env.Probe.HELO]; ok {
				says = other
			}
			w.mu.Unlock()
			s, a := finding.Host(c.Host), finding.Args{"Host": c.Host}
			f := ruleProbe.Passed(s, a)
			switch says {
			case Failing:
				f = ruleProbe.Failed(s, a).Prove(finding.Command{"server", c.Host}).With(finding.Evidence{Source: "smtp", Place: "192.0.2.1:25", Raw: "421 no"})
			case Unknown:
				f = ruleProbe.Untested(s, finding.Raw("no route"))
			case "panic":
				panic("of the test")
			case "error":
				return nil, errors.New("no such file")
			}
			return &Result{Report: check.NewReport(d.Env, "server", s, d.Env.Now(), []finding.Finding{f}, nil, nil), Values: map[string]float64{Response: value}}, nil
		})
}

func (w *world) now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.at }

func (w *world) Announce(_ context.Context, n *News) error {
	if w.refuse != nil {
		return w.refuse
	}
	w.told = append(w.told, *n)
	return nil
}

func (w *world) Apply(_ context.Context, p *Proposal) error {
	w.done = append(w.done, "apply "+p.ID)
	return nil
}

func (w *world) Undo(_ context.Context, p *Proposal) error {
	w.done = append(w.done, "undo "+p.ID)
	return nil
}

func newWorld(t *testing.T, d Definition, defaults Defaults) *world {
	w := &world{t: t, at: start, says: OK, store: newMemory()}
	d.ID, d.Kind, d.Args = "m", "probe", map[string]any{"host": "mx.mine.example"}
	c := &Config{Defaults: defaults, Monitor: []Definition{d}, Vantage: []Vantage{{Name: "a"}, {Name: "b"}}}
	kinds := []Kind{probeKind(w)}
	if bad := c.Validate(kinds, nil); len(bad) > 0 {
		t.Fatalf("%+v", bad)
	}
	r, err := New(context.Background(), Options{
		Config: c, Kinds: kinds, Store: w.store, Announcer: w, Applier: w, Now: w.now,
		Doors: func(_ context.Context, from *Vantage, _ bool) (*Doors, error) {
			env := &check.Env{Now: w.now}
			if from != nil {
				env.Probe.HELO = from.Name
			}
			return &Doors{Env: env}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.runner = r
	return w
}

// run makes n runs, a minute each, and gives what was told meanwhile.
func (w *world) run(n int, says Verdict) string {
	w.t.Helper()
	w.mu.Lock()
	w.says = says
	w.mu.Unlock()
	w.told = nil
	for range n {
		if _, err := w.runner.Run(context.Background(), "m"); err != nil {
			w.t.Fatal(err)
		}
		w.mu.Lock()
		w.at = w.at.Add(time.Minute)
		w.mu.Unlock()
	}
	var out []string
	for _, x := range w.told {
		out = append(out, string(x.Event.Kind))
	}
	return strings.Join(out, " ")
}

func (w *world) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("told %q, want %q", got, want)
	}
}

func TestRunnerTellsAnIncident(t *testing.T) {
	w := newWorld(t, Definition{}, Defaults{})
	w.want(w.run(3, OK), "")
	w.want(w.run(4, Failing), "")
	w.want(w.run(1, Failing), "opened")
	n := w.told[0]
	if n.Incident == nil || n.Incident.Text.EN != "mx.mine.example is down" || n.Severity != finding.Error || n.Target != "mx.mine.example" || n.Event.Count != 5 ||
		n.Event.Observation.Owner != finding.OwnerServer || !slices.Equal(n.Event.Observation.Next, []string{"server", "mx.mine.example"}) {
		t.Errorf("%+v %+v", n, n.Incident)
	}
	if !n.Event.Since.Equal(start.Add(3 * time.Minute)) {
		t.Errorf("since %s: not the first failure", n.Event.Since)
	}
	w.want(w.run(2, OK), "resolved")
	if w.told[0].Severity != finding.Error {
		t.Error("the end of an error must reach those who heard of its beginning")
	}
	if i := w.store.incidents[w.told[0].Event.Incident]; i == nil || i.Ended.IsZero() {
		t.Errorf("%+v", i)
	}
	if got := w.runner.Tally(); got.Runs != 10 || got.Failures != 5 {
		t.Errorf("%+v", got)
	}
}

func TestRunnerOurFaultsAreUnknown(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, BlindAfter: 2}}, Defaults{})
	w.want(w.run(2, "panic"), "blind")
	w.want(w.run(1, OK), "sees")
	w.want(w.run(2, "error"), "blind")
	if got := w.told[0].Event.Observation.Text.EN; !strings.Contains(got, "no such file") {
		t.Errorf("%q", got)
	}
}

func TestRunnerMute(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, ClearAfter: 1}}, Defaults{})
	mute := func(d time.Duration) {
		if err := w.store.PutMute(t.Context(), "m", &Mute{Reason: "moving", Until: w.now().Add(d)}); err != nil {
			t.Fatal(err)
		}
	}
	w.run(1, OK)
	mute(3 * time.Minute)
	w.want(w.run(3, Failing), "")
	w.want(w.run(2, Failing), "reminded") // the mute is over and it still fails
	mute(time.Hour)
	w.want(w.run(1, OK), "resolved") // it was told, so its end is, too
	w.want(w.run(1, Failing), "")
	w.want(w.run(1, OK), "") // nobody heard of it
	if len(w.store.incidents) != 2 {
		t.Errorf("%d incidents, want 2: a mute hides nothing from the record", len(w.store.incidents))
	}
}

func TestRunnerUnarmed(t *testing.T) {
	no := false
	w := newWorld(t, Definition{Armed: &no, Settings: Settings{FailAfter: 1}}, Defaults{})
	w.want(w.run(4, Failing), "")
	if len(w.store.samples) != 4 {
		t.Errorf("%d samples", len(w.store.samples))
	}
}

func TestRunnerMaintenance(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 2, Maintenance: []Window{{From: start, To: start.Add(10 * time.Minute)}}}}, Defaults{})
	w.want(w.run(10, Failing), "")
	if len(w.store.samples) != 10 || !w.store.samples[0].Maintenance || len(w.store.incidents) != 0 {
		t.Errorf("%d samples, %d incidents", len(w.store.samples), len(w.store.incidents))
	}
	w.want(w.run(2, Failing), "opened")
}

func TestRunnerTellsAfterACrash(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1}}, Defaults{})
	w.refuse = errors.New("full")
	w.want(w.run(1, Failing), "")
	w.refuse = nil
	w.runner.Announce(t.Context())
	if len(w.told) != 1 || w.told[0].Event.Kind != Opened {
		t.Errorf("%+v", w.told)
	}
	w.told = nil
	w.runner.Announce(t.Context())
	if len(w.told) != 0 {
		t.Error("told twice")
	}
}

func TestRunnerQuorum(t *testing.T) {
	w := newWorld(t, Definition{From: []string{"a", "b"}, Settings: Settings{FailAfter: 1}}, Defaults{})
	w.run(1, Failing)
	if len(w.told) != 1 || !slices.Equal(w.told[0].Event.Observation.From, []string{"a", "b"}) {
		t.Errorf("%+v", w.told)
	}
}

func TestRunnerProposes(t *testing.T) {
	wish := &Propose{After: 3, Action: BlockAddress, Target: "198.51.100.9", For: Span(time.Hour)}
	w := newWorld(t, Definition{Propose: wish, Settings: Settings{FailAfter: 2}}, Defaults{})
	w.want(w.run(5, Failing), "opened proposes")
	p := w.told[1].Proposal
	if p == nil || p.State != ProposalOpen || p.Title.EN != "Block 198.51.100.9 for 60 min" || !slices.Contains(p.Evidence, "192.0.2.1:25 421 no") {
		t.Fatalf("%+v", p)
	}
	ctx := t.Context()
	if err := w.runner.Decide(ctx, p.ID, true, "zhao", "", "another"); !errors.Is(err, ErrMoved) {
		t.Errorf("another hash: %v", err)
	}
	if len(w.done) != 0 {
		t.Fatalf("done without approval: %v", w.done)
	}
	if err := w.runner.Decide(ctx, p.ID, true, "zhao", "go on", p.Hash); err != nil {
		t.Fatal(err)
	}
	if err := w.runner.Decide(ctx, p.ID, false, "zhao", "", ""); !errors.Is(err, ErrClosed) {
		t.Errorf("decided twice: %v", err)
	}
	w.mu.Lock()
	w.at = w.at.Add(2 * time.Hour)
	w.mu.Unlock()
	if err := w.runner.Housekeep(ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.done, ", "); got != "apply "+p.ID+", undo "+p.ID {
		t.Errorf("done: %s", got)
	}
	if got, _ := w.store.Proposal(ctx, p.ID); got.State != ProposalEnded || got.By != "zhao" {
		t.Errorf("%+v", got)
	}
}

func TestRunnerAutomaticAndExpired(t *testing.T) {
	wish := &Propose{Action: LowerTTL, Target: "mine.example MX", Old: "3600", New: "300", For: Span(time.Hour), Automatic: true}
	w := newWorld(t, Definition{Propose: wish, Settings: Settings{FailAfter: 1}}, Defaults{})
	w.want(w.run(1, Failing), "opened proposes")
	for _, p := range w.store.proposals {
		if p.State != ProposalApproved || p.By != automatic || p.Until.IsZero() || len(w.done) != 1 {
			t.Errorf("%+v %v", p, w.done)
		}
	}
	wish.Automatic = false
	w = newWorld(t, Definition{Propose: wish, Settings: Settings{FailAfter: 1}}, Defaults{})
	w.run(1, Failing)
	w.mu.Lock()
	w.at = w.at.Add(proposalLife)
	w.mu.Unlock()
	if err := w.runner.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, p := range w.store.proposals {
		if p.State != ProposalExpired || len(w.done) != 0 {
			t.Errorf("%+v %v", p, w.done)
		}
		if err := w.runner.Decide(t.Context(), id, true, "zhao", "", p.Hash); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

func TestRunnerServes(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{Every: Span(time.Second)}}, Defaults{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { w.runner.Serve(ctx); close(ended) }()
	limit := time.After(time.Minute)
	for w.runner.Tally().Runs < 3 {
		w.mu.Lock()
		w.at = w.at.Add(2 * time.Second)
		w.mu.Unlock()
		w.runner.poke()
		select {
		case <-limit:
			t.Fatalf("%d runs", w.runner.Tally().Runs)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("Serve does not end")
	}
}

func TestReplay(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, ClearAfter: 1}}, Defaults{})
	w.value = 0.2
	for _, c := range []struct {
		n    int
		says Verdict
	}{{5, OK}, {2, Failing}, {3, OK}, {1, Failing}, {4, OK}, {1, Unknown}, {2, OK}} {
		w.run(c.n, c.says)
	}
	w.value = 0.5
	w.run(7, OK)
	def, _, _ := w.runner.Find("m")
	kind := FindKind(w.runner.o.Kinds, "probe")
	replay := func() *Replayed {
		x := newReplay(&def, kind)
		err := w.store.Samples(t.Context(), "m", start, time.Time{}, func(s *Sample) bool { x.add(s); return true })
		x.out.finish(x.all)
		r := x.out
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := replay(); r.Samples != 25 || r.Fired != 2 || r.Flaps != 2 || r.Told != 4 || r.Blind != 1 || r.Longest != 2*time.Minute {
		t.Errorf("as it is: %+v", r)
	}
	def.FailAfter = 5
	if r := replay(); r.Fired != 0 {
		t.Errorf("five in a row: %+v", r)
	}
	def.SlowerThan = Span(300 * time.Millisecond) // a threshold nobody had thought of when the samples were taken
	if r := replay(); r.Fired != 1 || r.Flaps != 0 || !strings.Contains(r.Incidents[0].Text.EN, "response is 500 ms") {
		t.Errorf("slower than 300 ms, five in a row: %+v", r)
	}
	if len(w.store.incidents) != 2 {
		t.Error("a replay changed the store")
	}
}
