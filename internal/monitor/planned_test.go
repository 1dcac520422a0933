package monitor

import (
	"errors"
	"testing"
	"time"
)

// A window made while mailwhy runs keeps a failing monitor quiet, for one or for all, and ends by itself.
func TestPlannedMaintenance(t *testing.T) {
	for _, c := range []struct {
		name     string
		monitors []string
		quiet    bool
	}{{"every monitor", nil, true}, {"by name", []string{"m"}, true}, {"by pattern", []string{"m*"}, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Definition{Settings: Settings{FailAfter: 2}}, Defaults{})
			p := &Planned{Monitors: c.monitors, Window: Window{From: start, To: start.Add(10 * time.Minute), Reason: "kernel update"}}
			if bad, err := w.runner.Plan(t.Context(), p, "li"); err != nil || len(bad) > 0 || p.ID == "" || p.By != "li" {
				t.Fatalf("%+v, %v, %+v", bad, err, p)
			}
			w.want(w.run(10, Failing), "")
			if !w.store.samples[0].Maintenance || len(w.store.incidents) != 0 {
				t.Errorf("%+v", w.store.samples[0])
			}
			w.want(w.run(2, Failing), "opened")
		})
	}
}

func TestPlannedIsListedAndForgotten(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, Maintenance: []Window{{Cron: "0 2 * * 0", For: Span(time.Hour)}}}}, Defaults{})
	ctx := t.Context()
	p := &Planned{Window: Window{From: start.Add(time.Hour), To: start.Add(2 * time.Hour), Reason: "move"}}
	if bad, err := w.runner.Plan(ctx, p, "li"); err != nil || len(bad) > 0 {
		t.Fatalf("%+v, %v", bad, err)
	}
	all, err := w.runner.Maintenance(ctx)
	if err != nil || len(all) != 2 || !all[0].File || all[0].Monitors[0] != "m" || all[1].ID != p.ID || all[1].File {
		t.Fatalf("%+v, %v", all, err)
	}
	p.To = start.Add(3 * time.Hour)
	if _, err := w.runner.Plan(ctx, p, "wu"); err != nil {
		t.Fatal(err)
	}
	if all, _ = w.runner.Maintenance(ctx); len(all) != 2 || all[1].By != "wu" || !all[1].To.Equal(start.Add(3*time.Hour)) {
		t.Errorf("%+v", all)
	}
	if err := w.runner.Unplan(ctx, p.ID); err != nil {
		t.Error(err)
	}
	if err := w.runner.Unplan(ctx, p.ID); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := w.runner.Plan(ctx, p, "wu"); !errors.Is(err, ErrNone) {
		t.Errorf("changed what is gone: %v", err)
	}
	w.want(w.run(1, Failing), "opened")
}

func TestPlannedIsChecked(t *testing.T) {
	w := newWorld(t, Definition{}, Defaults{})
	once := Window{From: start, To: start.Add(time.Hour), Reason: "move"}
	for _, c := range []struct {
		name string
		p    Planned
		key  string
	}{
		{"no reason", Planned{Window: Window{From: start, To: start.Add(time.Hour)}}, "reason"},
		{"no such monitor", Planned{Monitors: []string{"mxx"}, Window: once}, "monitors"},
		{"no pattern", Planned{Monitors: []string{"[m"}, Window: once}, "monitors"},
		{"no end", Planned{Window: Window{From: start, Reason: "x"}}, "window"},
		{"over already", Planned{Window: Window{From: start.Add(-2 * time.Hour), To: start.Add(-time.Hour), Reason: "x"}}, "to"},
		{"no cron", Planned{Window: Window{Cron: "at night", For: Span(time.Hour), Reason: "x"}}, "window"},
	} {
		bad, err := w.runner.Plan(t.Context(), &c.p, "li")
		if err != nil || len(bad) != 1 || bad[0].Path[0] != c.key {
			t.Errorf("%s: %+v, %v", c.name, bad, err)
		}
	}
	if len(w.store.windows) != 0 {
		t.Errorf("%+v", w.store.windows)
	}
}
