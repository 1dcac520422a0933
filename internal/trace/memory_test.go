package trace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// wideLog writes a log of messages that pass a filter under a second queue id, of refused clients, and of others' mail
// between them.
func wideLog(t *testing.T, n int) string {
	var b strings.Builder
	line := func(at int, format string, args ...any) {
		fmt.Fprintf(&b, "Nov 22 %02d:%02d:%02d mx1 postfix/", 8+at/3600%12, at/60%60, at%60)
		fmt.Fprintf(&b, format+"\n", args...)
	}
	for i := range n {
		line(i/10, "smtpd[%d]: NOQUEUE: reject: RCPT from unknown[192.0.2.%d]: 554 5.7.1 <x%d@mine.example>: Relay access denied; from=<a@wide.example> to=<x%d@mine.example> proto=ESMTP helo=<h>", 100+i%40, i%7, i, i)
		line(i/10, "qmgr[13]: A%011X: from=<s%d@wide.example>, size=9, nrcpt=1 (queue active)", i, i)
		line(i/10, "smtp[23]: A%011X: to=<li@mine.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as B%011X)", i, i)
		line(i/10, "qmgr[13]: F%011X: from=<s%d@other.example>, size=9, nrcpt=1 (queue active)", i, i)
		line(i/10, "lmtp[24]: B%011X: to=<li@mine.example>, relay=store[192.0.2.7]:24, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as C%07X)", i, i%50)
		line(i/10, "qmgr[13]: B%011X: removed", i)
	}
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPutAsideIsTheSame: what a wide search puts aside, ids, lines and their order, changes nothing in what it gives.
func TestPutAsideIsTheSame(t *testing.T) {
	log := wideLog(t, 6000)
	ask := func(what string, memory, workers int) (lines []string, journeys []*Journey) {
		q, err := ParseQuery(what)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Scan(context.Background(), open(t, []string{log}), q, Options{Dialects: dialects.All(), Workers: workers, MemFound: memory, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, l := range f.RawLines(context.Background()) {
			lines = append(lines, string(l))
		}
		for j := range f.Journeys(context.Background()) {
			journeys = append(journeys, j)
		}
		if memory > 0 && (f.room.size == 0 || f.shelf.end == 0) {
			t.Errorf("%s: %d bytes of ids and %d of lines put aside", what, f.room.size, f.shelf.end)
		}
		if err := f.Err(); err != nil {
			t.Error(err)
		}
		return lines, journeys
	}
	for _, what := range []string{"*@wide.example", "192.0.2.0/24", "li@mine.example"} {
		lines, journeys := ask(what, 0, 1)
		if len(journeys) < 280 {
			t.Fatalf("%s: %d journeys", what, len(journeys))
		}
		for workers := range 3 {
			gotLines, got := ask(what, 100_000, workers)
			if !slices.Equal(gotLines, lines) {
				t.Errorf("%s, %d workers: %d lines, want %d, or others", what, workers, len(gotLines), len(lines))
			}
			if len(got) != len(journeys) {
				t.Fatalf("%s, %d workers: %d journeys, want %d", what, workers, len(got), len(journeys))
			}
			for i := range got {
				if !reflect.DeepEqual(got[i], journeys[i]) {
					t.Fatalf("%s, %d workers: journey %d is\n%+v\nwant\n%+v", what, workers, i, got[i], journeys[i])
				}
			}
		}
	}
}

// TestRoomWithoutDisk: where there is nowhere to put anything, memory is used.
func TestRoomWithoutDisk(t *testing.T) {
	r := &room{dir: filepath.Join(t.TempDir(), "missing"), left: 100}
	for range 3 {
		w := r.longs(1000)
		w[999] = 1
	}
	if r.err == nil || r.size != 0 {
		t.Errorf("error %v, %d bytes of a file", r.err, r.size)
	}
	r.close()
}

// TestIDTable holds numbers while it grows, on the heap and in a file.
func TestIDTable(t *testing.T) {
	room := &room{dir: t.TempDir(), left: 200_000}
	defer room.close()
	table := idTable{room: room}
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []uint64
	for n := range int32(60_000) {
		h := rnd.Uint64() | 1
		all = append(all, h)
		if table.add(h, n); n%3 == 0 {
			table.define(h)
		}
	}
	for n, h := range all {
		if got, defined, ok := table.look(h); !ok || int(got) != n || defined != (n%3 == 0) {
			t.Fatalf("id %d: number %d, defined %v, there %v", n, got, defined, ok)
		}
		if table.has(h ^ 1) {
			t.Fatalf("an id that was never added is there")
		}
	}
	if room.size == 0 {
		t.Error("all of it is on the heap")
	}
}

// TestRefsAreSorted whether they fit a run or not.
func TestRefsAreSorted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var refs []lineRef
	for i := range 5000 {
		refs = append(refs, lineRef{rnd.Int32N(900), int32(i / 2000), int64(i%2000) << 30})
	}
	want := slices.Clone(refs)
	slices.SortStableFunc(want, func(a, b lineRef) int { return int(a.journey - b.journey) })
	for _, longest := range []int{7, 1000, 5000, 1 << 20} {
		s := refSorter{longest: longest, spill: spill{dir: t.TempDir()}}
		for _, r := range refs {
			s.add(r)
		}
		var got []lineRef
		for r, err := range s.sorted() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		s.spill.close()
		if !slices.Equal(got, want) {
			t.Errorf("runs of %d: not in order", longest)
		}
	}
}
