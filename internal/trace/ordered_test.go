package trace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/logs"
)

// manyMessages are the lines of n messages to one recipient, each interleaved with the next.
func manyMessages(n int) string {
	var b strings.Builder
	for i := range n + 1 {
		if i < n {
			fmt.Fprintf(&b, "Nov 22 10:00:00 mx1 postfix/cleanup[12]: A%011d: message-id=<m%d@mine.example>\n", i, i)
		}
		if i > 0 {
			fmt.Fprintf(&b, "Nov 22 10:00:01 mx1 postfix/local[18]: A%011d: to=<li@mine.example>, relay=local, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (delivered to mailbox)\n", i-1)
		}
	}
	return b.String()
}

// TestJourneysBuiltTogether: all workers build the journeys that one builds, in the same order, and end when no more is wanted.
func TestJourneysBuiltTogether(t *testing.T) {
	const n = 500
	first := func(workers, wanted int) (out []string) {
		in, err := logs.FromReader("log", strings.NewReader(manyMessages(n)), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for j := range look(t, []*logs.Input{in}, "li@mine.example", workers).Journeys(ctx) {
			if out = append(out, j.ID()+fmt.Sprint(len(j.Steps), j.State)); len(out) == wanted {
				break
			}
		}
		return out
	}
	want := first(1, n+1)
	if len(want) != n {
		t.Fatalf("%d journeys of %d", len(want), n)
	}
	for _, wanted := range []int{1, 2, 40, n, n + 1} {
		if got := first(3, wanted); !slices.Equal(got, want[:min(wanted, n)]) {
			t.Errorf("%d wanted: %d built, or others", wanted, len(got))
		}
	}
}

// TestJourneysGivenUp: where the search is given up in the middle, the journeys end.
func TestJourneysGivenUp(t *testing.T) {
	in, err := logs.FromReader("log", strings.NewReader(manyMessages(500)), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	f := look(t, []*logs.Input{in}, "li@mine.example", 2)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for range f.Journeys(ctx) {
		if n++; n == 3 {
			cancel()
		}
	}
	if n < 3 || n == 500 {
		t.Errorf("%d journeys", n)
	}
}
