package monitor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

func flaps(n int) *int { return &n }

// jump sets the clock of the world.
func (w *world) jump(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(by)
}

// A clock that is set neither opens nor closes anything by itself, and nobody waits for the time that was taken away.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{day, -day} {
		t.Run(by.String(), func(t *testing.T) {
			w := newWorld(t, Definition{Settings: Settings{FailAfter: 3, ClearAfter: 2, Remind: Span(10 * time.Minute), FlapChanges: flaps(0)}}, Defaults{})
			w.want(w.run(2, Failing), "")
			w.jump(by)
			w.want(w.run(1, Failing), "opened") // the third in a row, whatever the time between
			w.jump(by)
			want := "reminded"
			if by < 0 {
				want = "" // told a moment ago
			}
			w.want(w.run(1, Failing), want)
			w.want(w.run(10, Failing), "reminded")
			w.jump(by)
			w.want(w.run(1, OK), "")
			w.want(w.run(1, OK), "resolved")
			for _, i := range w.store.incidents {
				if i.Ended.Before(i.Started) {
					t.Errorf("it ended at %s, before it began at %s", i.Ended, i.Started)
				}
			}
		})
	}
}

// After the clock was set back, flapping still ends after its span without a change.
func TestFlappingEndsAfterTheClockWasSetBack(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, ClearAfter: 1, FlapChanges: flaps(3), FlapWithin: Span(10 * time.Minute)}}, Defaults{})
	w.run(1, OK)
	w.want(w.run(1, Failing), "opened")
	w.want(w.run(1, OK), "resolved")
	w.want(w.run(1, Failing), "flapping")
	w.run(1, OK)
	w.jump(-day)
	w.want(w.run(9, OK), "")
	w.want(w.run(4, OK), "calm")
}

// The schedule after the clock was set: one run at once where a day was skipped and no flood of those missed; no day of
// silence where it was set back.
func TestScheduleAfterTheClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{day, -day} {
		w := newWorld(t, Definition{Settings: Settings{Every: Span(5 * time.Minute), Jitter: Span(time.Second)}}, Defaults{})
		r := w.runner
		due := func() int {
			ids, _ := r.due()
			for _, id := range ids {
				if _, err := r.Run(context.Background(), id); err != nil {
					t.Fatal(err)
				}
			}
			return len(ids)
		}
		hour := func() (n int) {
			for range 60 {
				n += due()
				w.jump(time.Minute)
			}
			return n
		}
		if n := hour(); n < 11 || n > 13 {
			t.Fatalf("%d runs in the first hour", n)
		}
		w.jump(by)
		if n := hour(); n < 11 || n > 14 {
			t.Errorf("%d runs in the hour after the clock was set by %s", n, by)
		}
	}
}

// Of two vantage points both must see it where the quorum is two.
func TestRunnerQuorumOfTwo(t *testing.T) {
	w := newWorld(t, Definition{From: []string{"a", "b"}, Quorum: 2, Settings: Settings{FailAfter: 2, ClearAfter: 1}}, Defaults{})
	w.sees = map[string]Verdict{"b": OK}
	w.want(w.run(3, Failing), "")
	w.sees = map[string]Verdict{"b": Unknown}
	w.want(w.run(3, Failing), "")
	w.sees = nil
	w.want(w.run(2, Failing), "opened")
	w.sees = map[string]Verdict{"b": OK} // no quorum any more
	w.want(w.run(1, Failing), "resolved")
}

// "Could not test" has a clock of its own, and what comes after it is held against the last known state.
func TestBlindnessHasItsOwnClock(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 3, ClearAfter: 2, BlindAfter: 4}}, Defaults{})
	w.run(1, OK)
	w.want(w.run(2, Failing), "")
	w.want(w.run(4, Unknown), "blind") // told after four, and it broke no row of failures
	w.want(w.run(1, Failing), "sees opened")
	since := w.told[1].Event.Since
	w.want(w.run(5, Unknown), "blind")
	if n := w.told[0]; n.Event.Before != Failing || n.Incident == nil || !n.Incident.Ended.IsZero() {
		t.Errorf("blind says %+v", n.Event)
	}
	w.want(w.run(1, Failing), "sees") // still that incident
	if s := w.store.states["m"]; s.Known != Failing || !s.Since.Equal(since) || len(w.store.incidents) != 1 {
		t.Errorf("%+v, %d incidents", s, len(w.store.incidents))
	}
	w.want(w.run(2, OK), "resolved")
}

// Who acknowledges an incident hears no more of it but its end and what is new.
func TestAcknowledged(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, ClearAfter: 1, Remind: Span(5 * time.Minute)}}, Defaults{})
	w.want(w.run(6, Failing), "opened reminded")
	if err := w.store.Acknowledge(t.Context(), w.told[0].Event.Incident, Ack{By: "zhao", At: w.now()}); err != nil {
		t.Fatal(err)
	}
	w.want(w.run(20, Failing), "")
	w.want(w.run(1, OK), "resolved")
	w.want(w.run(6, Failing), "opened reminded") // the next one is another's
}

// A window that comes by the clock is open at its time only, and a failure that goes on is told when it closes.
func TestMaintenanceByTheClock(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 2, Maintenance: []Window{{Cron: "10 3 * * *", For: Span(5 * time.Minute), Zone: "UTC", Reason: "backup"}}}}, Defaults{})
	w.want(w.run(10, OK), "")     // 03:00
	w.want(w.run(5, Failing), "") // 03:10
	w.want(w.run(1, Failing), "") // 03:15, the first that counts
	w.want(w.run(1, Failing), "opened")
	var within []string
	for i, s := range w.store.samples {
		if s.Maintenance {
			within = append(within, fmt.Sprint(i))
		}
	}
	if got := strings.Join(within, " "); got != "10 11 12 13 14" {
		t.Errorf("in maintenance: %s", got)
	}
}

// A mute keeps its reason and its end; when it is over, what still fails is told.
func TestMuteEndsByItself(t *testing.T) {
	w := newWorld(t, Definition{Settings: Settings{FailAfter: 1, ClearAfter: 1, FlapChanges: flaps(0)}}, Defaults{})
	until := w.now().Add(10 * time.Minute)
	if err := w.store.PutMute(t.Context(), "m", &Mute{Reason: "moving", By: "zhao", Until: until}); err != nil {
		t.Fatal(err)
	}
	w.want(w.run(10, Failing), "")
	w.want(w.run(1, Failing), "reminded")
	if m, err := w.store.Mute(t.Context(), "m", until.Add(-time.Second)); err != nil || m == nil || m.Reason != "moving" || m.By != "zhao" {
		t.Errorf("%+v %v", m, err)
	}
}

// Runs of one monitor move by the jitter and no further, and not all alike.
func TestJitter(t *testing.T) {
	every, jitter := 10*time.Minute, time.Minute
	var gaps []time.Duration
	last := Next("m", every, jitter, time.Time{}, start)
	for range 40 {
		next := Next("m", every, jitter, last, last)
		gaps, last = append(gaps, next.Sub(last)), next
	}
	if least, most := slices.Min(gaps), slices.Max(gaps); least < every-2*jitter || most > every+2*jitter || most-least < jitter/2 {
		t.Errorf("from %s to %s between two runs", least, most)
	}
}
