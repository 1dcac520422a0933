package monitor

import (
	"fmt"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	every := 5 * time.Minute
	starts := map[time.Time]int{}
	for i := range 60 {
		id := fmt.Sprintf("monitor-%d", i)
		last, now := time.Time{}, start
		for run := range 50 {
			at := Next(id, every, 30*time.Second, last, now)
			if run == 0 {
				starts[at.Truncate(time.Minute)]++
				if at.Before(now) || at.Sub(now) > every+time.Minute {
					t.Fatalf("%s: first run %s after the start", id, at.Sub(now))
				}
			} else if gap := at.Sub(last); gap < every-70*time.Second || gap > every+70*time.Second {
				t.Fatalf("%s: %s between two runs", id, gap)
			}
			last, now = at, at
		}
	}
	for at, n := range starts {
		if n > 30 {
			t.Errorf("%d of 60 monitors begin in the minute %s", n, at)
		}
	}
}

func TestNextAfterTrouble(t *testing.T) {
	every := 5 * time.Minute
	if got := Next("m", every, 0, start, start.Add(3*time.Hour)); !got.Equal(start.Add(3 * time.Hour)) {
		t.Errorf("after a long sleep: %s", got)
	}
	back := start.Add(-24 * time.Hour) // the clock was set back
	if got := Next("m", every, 0, start, back); got.Before(back) || got.Sub(back) > every {
		t.Errorf("after the clock was set back: in %s", got.Sub(back))
	}
	if got := Next("m", 0, time.Hour, time.Time{}, start); got.Sub(start) > 2*time.Minute {
		t.Errorf("without a span: in %s", got.Sub(start))
	}
}

func TestWindow(t *testing.T) {
	sunday := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	w := Window{Cron: "0 2 * * 0", For: Span(2 * time.Hour), Zone: "UTC"}
	for _, c := range []struct {
		at   time.Time
		want bool
	}{{sunday.Add(-time.Second), false}, {sunday, true}, {sunday.Add(119 * time.Minute), true}, {sunday.Add(2 * time.Hour), false}, {sunday.AddDate(0, 0, 1), false}} {
		if got := w.Covers(c.at); got != c.want {
			t.Errorf("%s: %v", c.at, got)
		}
	}
	once := Window{From: sunday, To: sunday.Add(time.Hour)}
	if once.Covers(sunday.Add(-time.Minute)) || !once.Covers(sunday) || once.Covers(sunday.Add(time.Hour)) {
		t.Error("from and to")
	}
	for _, bad := range []Window{
		{}, {Cron: "at noon", For: Span(time.Hour)}, {Cron: "0 2 * * 0"}, {Cron: "0 2 * * 0", For: Span(time.Hour), Zone: "Mars/Olympus"},
		{From: sunday, To: sunday}, {From: sunday, To: sunday.Add(1), Cron: "0 2 * * 0", For: 1},
	} {
		if s := bad.check(); s.IsZero() {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestSpan(t *testing.T) {
	for _, c := range []string{"30s", "5m", "1h", "90m", "7d", "1h30m", "0s"} {
		var s Span
		if err := s.UnmarshalText([]byte(c)); err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		var again Span
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s became %s: %v", c, s, err)
		}
	}
	for _, bad := range []string{"", "5", "-5m", "abc", "99999999d"} {
		if _, err := ParseSpan(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
