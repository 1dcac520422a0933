package monitor

import (
	"hash/fnv"
	"strconv"
	"time"

	"github.com/adhocore/gronx"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Next tells when a monitor is due. Runs stand on a grid of every, shifted by a share of every that the name decides, so
// that a hundred monitors do not start in one moment; each run is moved by up to jitter either way, so that nobody can wait
// for it. last is the start of the run before, zero for none. A clock that was set back does not stop the monitor.
func Next(id string, every, jitter time.Duration, last, now time.Time) time.Time {
	if every <= 0 {
		every = time.Minute
	}
	jitter = min(jitter, every/2)
	phase := share(id, every)
	if last.After(now.Add(jitter)) { // the clock was set back
		last = time.Time{}
	}
	slot := func(n int64) time.Time {
		at := time.Unix(0, n*int64(every)).Add(phase)
		if jitter > 0 {
			at = at.Add(share(id+strconv.FormatInt(n, 10), 2*jitter) - jitter)
		}
		return at
	}
	from := now
	if !last.IsZero() {
		from = last
	}
	for n := from.Add(-phase).UnixNano()/int64(every) - 1; ; n++ {
		at := slot(n)
		if last.IsZero() && at.Before(now) {
			continue
		}
		if at.Sub(last) > every/2 {
			if at.Before(now) && now.Sub(at) > every { // slept over several: one run, now
				return now
			}
			return at
		}
	}
}

// share is a part of whole that the word decides.
func share(word string, whole time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(word))
	return time.Duration(h.Sum64() % uint64(max(whole, 1)))
}

// Window is a maintenance window: from–to once, or a cron expression and how long it lasts. Runs within it are kept and
// never counted, and nothing is told.
type Window struct {
	Cron   string    `toml:"cron,omitempty" json:"cron,omitempty"`     // minute hour day month weekday
	For    Span      `toml:"for,omitempty" json:"for,omitzero"`        // with cron
	Zone   string    `toml:"zone,omitempty" json:"zone,omitempty"`     // of the cron expression; "" is the machine's
	From   time.Time `toml:"from,omitempty" json:"from,omitzero"`      //
	To     time.Time `toml:"to,omitempty" json:"to,omitzero"`          //
	Reason string    `toml:"reason,omitempty" json:"reason,omitempty"` //
}

// longestWindow bounds a window of a cron expression.
const longestWindow = 7 * 24 * time.Hour

// Covers tells whether the window is open at a time.
func (w *Window) Covers(at time.Time) bool {
	if w.Cron == "" {
		return !at.Before(w.From) && at.Before(w.To)
	}
	zone := time.Local
	if w.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(w.Zone); err != nil {
			return false
		}
	}
	began, err := gronx.PrevTickBefore(w.Cron, at.In(zone), true)
	return err == nil && at.Sub(began) < w.For.D()
}

// check says what is wrong with a window.
func (w *Window) check() finding.Sentence {
	switch {
	case w.Cron == "" && (w.From.IsZero() || w.To.IsZero()):
		return finding.S("a maintenance window wants cron and for, or from and to", nil)
	case w.Cron != "" && (!w.From.IsZero() || !w.To.IsZero()):
		return finding.S("a maintenance window has either cron and for, or from and to, not both", nil)
	case w.Cron == "" && !w.To.After(w.From):
		return finding.S("the maintenance window ends before it begins", nil)
	case w.Cron == "":
		return finding.Sentence{}
	case !gronx.IsValid(w.Cron):
		return finding.S("{{.Cron}} is no cron expression: give five fields such as \"0 2 * * 0\" (Sundays at two)", finding.Args{"Cron": w.Cron})
	case w.For.D() <= 0 || w.For.D() > longestWindow:
		return finding.S("for of a maintenance window wants a span up to 7d", nil)
	}
	if w.Zone != "" {
		if _, err := time.LoadLocation(w.Zone); err != nil {
			return finding.S("{{.Zone}} is no time zone this machine knows", finding.Args{"Zone": w.Zone})
		}
	}
	return finding.Sentence{}
}
