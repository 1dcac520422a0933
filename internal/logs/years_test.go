package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/mailwhy/mailwhy/internal/event"
)

// anyone is a dialect that takes every line.
type anyone struct{}

func (anyone) Software() event.Software { return event.Postfix }
func (anyone) Mine([]byte) bool         { return true }
func (anyone) Parse(e *event.Event, s event.Sink) Outcome {
	e.Kind = event.Stats
	s.Event(e)
	return Known
}

const plainStamp = "Jan _2 15:04:05"

// writeLog writes a line for each moment, with the moment in full behind the prefix, into a file last changed then.
func writeLog(t *testing.T, name string, times []time.Time, changed time.Time) string {
	t.Helper()
	var b bytes.Buffer
	for _, at := range times {
		fmt.Fprintf(&b, "%s mx1 postfix/qmgr[1]: %s\n", at.Format(plainStamp), at.Format(time.RFC3339))
	}
	text := b.Bytes()
	if filepath.Ext(name) == ".gz" {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(text)
		w.Close()
		text = z.Bytes()
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, changed, changed); err != nil {
		t.Fatal(err)
	}
	return name
}

// wrong reads the inputs and counts the lines whose time is not what stands behind their prefix.
func wrong(t *testing.T, in *Input) (n, lines int, example string) {
	t.Helper()
	r := in.Reader(time.UTC, []Dialect{anyone{}})
	err := in.Each(func(b []byte, base int64) error {
		r.Block(b, 0, base, event.SinkFunc(func(e *event.Event) {
			lines++
			if got := e.Time().Format(time.RFC3339); got != string(e.Msg) {
				n++
				example = fmt.Sprintf("%s is read as %s", e.Line, got)
			}
		}))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n, lines, example
}

func every(d time.Duration, from, to time.Time) (out []time.Time) {
	for at := from; at.Before(to); at = at.Add(d) {
		out = append(out, at)
	}
	return out
}

func date(s string) time.Time {
	at, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return at
}

func TestYears(t *testing.T) {
	threeYears := every(97*time.Minute, date("2023-08-05 06:00:00"), date("2026-11-22 03:00:00"))
	quietThenBusy := append(every(31*time.Hour, date("2022-01-03 00:00:00"), date("2025-12-30 00:00:00")), every(40*time.Second, date("2025-12-30 00:00:00"), date("2026-01-20 00:00:00"))...)
	midnight := every(time.Hour, date("2023-06-01 00:00:00"), date("2024-12-31 22:00:00"))
	for _, s := range []string{"2024-12-31 23:59:58", "2025-01-01 00:00:00", "2024-12-31 23:59:59", "2025-01-01 00:00:01", "2024-12-31 23:59:59", "2025-01-01 00:00:02"} {
		midnight = append(midnight, date(s))
	}
	midnight = append(midnight, every(time.Hour, date("2025-01-01 01:00:00"), date("2025-03-01 00:00:00"))...)
	setBack := append(every(time.Hour, date("2024-02-01 00:00:00"), date("2025-05-10 12:00:00")), every(time.Minute, date("2025-05-08 12:00:00"), date("2025-05-12 00:00:00"))...)
	cases := []struct {
		name    string
		times   []time.Time
		changed string
	}{
		{"three New Years", threeYears, "2026-11-22 03:00:00"},
		{"one New Year and less than a year", every(time.Hour, date("2025-03-01 00:00:00"), date("2026-02-20 00:00:00")), "2026-02-20 00:00:00"},
		{"exactly a year", every(time.Hour, date("2025-11-22 05:00:00"), date("2026-11-22 04:00:00")), "2026-11-22 04:00:00"},
		{"sparse at first, dense at the end", quietThenBusy, "2026-01-20 00:00:00"},
		{"lines out of order at New Year", midnight, "2025-03-01 00:00:00"},
		{"a clock set back by two days", setBack, "2025-05-12 00:00:00"},
		{"29 February tells the year of a copied file", every(time.Hour, date("2024-01-10 00:00:00"), date("2024-04-10 00:00:00")), "2026-11-22 00:00:00"},
		{"a small file of ten years", every(40*time.Hour, date("2016-04-02 00:00:00"), date("2026-04-01 00:00:00")), "2026-04-01 00:00:00"},
		{"the same days every year", []time.Time{date("2024-01-10 10:00:00"), date("2024-04-10 10:00:00"), date("2024-10-10 10:00:00"), date("2025-01-10 10:00:00"), date("2025-04-10 10:00:00"), date("2025-10-10 10:00:00")}, "2025-11-05 10:00:00"},
		{"a clock that goes days ahead", every(10*time.Minute, date("2026-11-22 01:45:00"), date("2026-11-30 05:00:00")), "2026-11-22 10:08:00"},
		{"a copy of last year's log", every(10*time.Minute, date("2025-11-24 01:45:00"), date("2025-11-30 05:00:00")), "2026-11-22 10:08:00"},
		{"a few lines of two years", []time.Time{date("2024-11-30 10:00:00"), date("2025-02-01 10:00:00"), date("2025-12-05 10:00:00")}, "2025-12-05 10:00:00"},
	}
	for _, c := range cases {
		for _, ext := range []string{"", ".gz"} {
			name := writeLog(t, filepath.Join(t.TempDir(), "mail.log"+ext), c.times, date(c.changed))
			in := open(t, name)
			n, lines, example := wrong(t, in)
			if ext == ".gz" { // a stream tells at its end, and is read again where that changes anything
				if late := in.Late(); late {
					again := open(t, name)
					again.Tell(in.Years())
					n, lines, example = wrong(t, again)
				}
			}
			if n > 0 || lines != len(c.times) {
				t.Errorf("%s%s: %d of %d lines wrong: %s", c.name, ext, n, lines, example)
			}
		}
	}
}

func open(t *testing.T, name string) *Input {
	t.Helper()
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// A machine that starts with its clock at the epoch must not add a year to everything in front.
func TestYearsUnsetClock(t *testing.T) {
	times := every(20*time.Minute, date("2024-10-01 00:00:00"), date("2026-07-14 10:00:00"))
	unset := len(times)
	times = append(times, date("1970-01-01 00:00:03"), date("1970-01-01 00:00:09"), date("1970-01-01 00:00:20"))
	times = append(times, every(20*time.Minute, date("2026-07-14 10:05:00"), date("2026-08-01 00:00:00"))...)
	in := open(t, writeLog(t, filepath.Join(t.TempDir(), "mail.log"), times, date("2026-08-01 00:00:00")))
	if n, _, example := wrong(t, in); n != 3 {
		t.Errorf("%d lines wrong, want the three at number %d whose year nothing tells: %s", n, unset, example)
	}
}

// A rotated set that was copied: every file has the time of copying, but each ends where the next begins.
func TestYearsOfRotatedSet(t *testing.T) {
	dir, copied := t.TempDir(), date("2026-11-22 00:00:00")
	spans := [][2]string{
		{"2023-09-01 00:00:00", "2024-03-01 00:00:00"}, {"2024-03-01 00:00:00", "2024-12-01 00:00:00"},
		{"2024-12-01 00:00:00", "2025-10-05 00:00:00"}, {"2025-10-05 00:00:00", "2026-11-21 00:00:00"},
	}
	var names []string
	for i, s := range spans {
		name := filepath.Join(dir, "mail.log")
		if i < 3 {
			name += fmt.Sprint(".", 3-i)
		}
		if i < 2 {
			name += ".gz"
		}
		names = append(names, writeLog(t, name, every(time.Hour, date(s[0]), date(s[1])), copied))
	}
	ends := Ends(names)
	var inputs []*Input
	for _, name := range names {
		inputs = append(inputs, open(t, name))
	}
	Chain(inputs)
	for i, name := range names {
		one := open(t, name)
		if end, ok := ends[name]; ok {
			one.Before(end)
		} else if i < 3 {
			t.Errorf("%s: nothing is known of its end", name)
		}
		for how, in := range map[string]*Input{"together": inputs[i], "one by one": one} {
			if n, lines, example := wrong(t, in); n > 0 {
				t.Errorf("%s, %s: %d of %d lines wrong: %s", name, how, n, lines, example)
			}
		}
	}
}

func FuzzYears(f *testing.F) {
	f.Add([]byte("Dec 31 23:59:59 a b: c\nJan  1 00:00:00 a b: c\nFeb 29 00:00:00 a b: c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		y := settle(sights(bytes.NewReader(text), int64(len(text)), text[:min(len(text), 64)]), date("2026-11-22 00:00:00"))
		z := settle(inBlock(nil, text, 0), date("2026-11-22 00:00:00"))
		for _, y := range []*Years{y, z} {
			if y != nil {
				y.near(int64(len(text)) / 2)
			}
		}
	})
}

// TestThinSightingsTellTheSame: of a stream only sightings an hour apart stay, the clock set back and the last one, and the
// years are those of all.
func TestThinSightingsTellTheSame(t *testing.T) {
	var all []sighting
	for i := range int64(500_000) { // two years, a line every two minutes
		all = append(all, sighting{i * 4096, i * 120 % leapYear})
	}
	all[7000].sec -= 7200
	few := thin(append([]sighting(nil), all...), 0)
	if len(few) > len(all)/25 || few[len(few)-1] != all[len(all)-1] {
		t.Errorf("%d of %d stay", len(few), len(all))
	}
	y, z := settle(all, date("2026-11-22 00:00:00")), settle(few, date("2026-11-22 00:00:00"))
	if y == nil || z == nil {
		t.Fatal("no years")
	}
	for i := range all {
		a, _, _ := y.near(all[i].off)
		b, _, _ := z.near(all[i].off)
		if d := a - b; i != 7000 && (d < -2*day || d > 2*day) { // every year has a 29th of February here
			t.Fatalf("line %d: %d and %d", i, a, b)
		}
	}
}
