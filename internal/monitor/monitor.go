// Package monitor repeats the checks of mailwhy on a schedule, notices when something changes for longer than a moment,
// and keeps what happened as incidents.
//
// Promise: what a run saw (a Sample) is kept apart from what is thought of it (an Observation) and from what follows (State
// and Events): judging and stepping are pure, take the time from their arguments, and can be done again over stored samples
// (replay). "Could not test" never counts as broken and never as mended: it has a clock of its own, and what comes after it
// is compared with the last known state. One monitor never runs twice at the same moment; the number of runs at once is
// bounded. Nothing is announced that is not stored, and what is stored is announced, also after a crash.
//
// It must not send alerts itself (that is notify, behind Announcer), and it must not change anything in the world: a rule
// may propose an action, and whoever applies it is behind Applier.
package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Verdict is what one run says of its subject.
type Verdict string

// The verdicts. None is that of a monitor that has not settled yet.
const (
	None    Verdict = ""
	OK      Verdict = "ok"
	Failing Verdict = "failing"
	Unknown Verdict = "unknown" // could not test
)

// Said is a sentence as it is stored: in every language, because its particulars are gone by the time it is read.
type Said struct {
	EN string `json:"en"`
	ZH string `json:"zh,omitempty"`
}

// Say says a sentence in every language. It is cut where it is too long to be read in an alert.
func Say(s finding.Sentence) Said {
	if s.IsZero() {
		return Said{}
	}
	en, zh := cut(s.In(finding.EN)), cut(s.In(finding.ZH))
	if zh == en {
		zh = ""
	}
	return Said{en, zh}
}

// longest bounds a stored sentence, in bytes.
const longest = 1000

func cut(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// Sentence gives it back as a sentence.
func (s Said) Sentence() finding.Sentence {
	if s.EN == "" {
		return finding.Sentence{}
	}
	return finding.Both(s.EN, s.ZH)
}

// IsZero tells that nothing was said.
func (s Said) IsZero() bool { return s.EN == "" }

// Span is a duration in configuration and JSON: "30s", "5m", "24h", "7d".
type Span time.Duration

// D is the duration.
func (s Span) D() time.Duration { return time.Duration(s) }

// String writes the shortest form that is read back as the same.
func (s Span) String() string {
	d := time.Duration(s)
	if d > 0 && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	out := d.String()
	if strings.HasSuffix(out, "m0s") {
		out = strings.TrimSuffix(out, "0s")
	}
	if strings.HasSuffix(out, "h0m") {
		out = strings.TrimSuffix(out, "0m")
	}
	return out
}

// MarshalText writes a span.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a span.
func (s *Span) UnmarshalText(b []byte) error {
	d, err := ParseSpan(string(b))
	*s = Span(d)
	return err
}

// ParseSpan reads "90m", "24h", "7d". It is not negative.
func ParseSpan(word string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(word, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no span of time: give one like 30s, 5m, 24h, 7d", word)
	}
	return d, nil
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
