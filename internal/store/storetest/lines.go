package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// LettingGo is a store that can let the raw lines of journeys go.
type LettingGo interface {
	Store
	LetGo(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error)
}

// Lines is the contract of letting raw lines go: the journeys of messages stay as they were, to the last byte of their JSON
// but for the lines; the numbers of charts stay; nothing goes that is held or not recorded. open gives a store, and what makes
// it old enough that its lines may go. Without data there are no real logs.
func Lines(t *testing.T, data string, open func(t *testing.T) (s LettingGo, later func())) {
	t.Run("a small world", func(t *testing.T) { letGo(t, open, World(), Questions()) })
	if data == "" {
		return
	}
	t.Run("real logs", func(t *testing.T) {
		for _, f := range realFiles(t, data) {
			t.Run(f.Name, func(t *testing.T) { letGo(t, open, []File{f}, words(f.Text)) })
		}
	})
}

func letGo(t *testing.T, open func(t *testing.T) (LettingGo, func()), files []File, questions []string) {
	ctx := context.Background()
	s, later := open(t)
	Feed(t, s, rand.New(rand.NewPCG(3, 3)), 200, files)
	later()
	queries := []trace.Query{{Kind: trace.ByFate}}
	for _, w := range questions {
		queries = append(queries, Ask(t, w))
	}
	var before [][]string
	for _, q := range queries {
		before = append(before, messages(t, s, q, true))
	}
	if len(before[0]) < 20 {
		t.Fatalf("%d messages", len(before[0]))
	}
	sums := overviewOf(t, s)
	r := store.Retention{Before: Now().AddDate(0, 0, 3), Holds: []store.Hold{{Reason: "case 7"}}}
	if gone, held, err := s.LetGo(ctx, r); err != nil || len(gone) != 0 || len(held) == 0 {
		t.Fatalf("on hold: gone %+v, held %+v, %v", gone, held, err)
	}
	r.Holds, r.DryRun = nil, true
	dry, _, err := s.LetGo(ctx, r)
	if err != nil || len(dry) == 0 {
		t.Fatalf("a dry run: %+v, %v", dry, err)
	}
	refused := errors.New("the record cannot be written")
	r.DryRun, r.Record = false, func(store.Deletion) error { return refused }
	if _, _, err := s.LetGo(ctx, r); !errors.Is(err, refused) {
		t.Fatalf("without a record: %v", err)
	}
	if !slices.Equal(messages(t, s, queries[0], true), before[0]) || !hasLines(t, s) {
		t.Fatal("lines went, or messages, although that could not be recorded")
	}
	var told []store.Deletion
	r.Record = func(d store.Deletion) error { told = append(told, d); return nil }
	gone, _, err := s.LetGo(ctx, r)
	if err != nil || len(gone) != len(dry) || len(told) != len(gone) || told[0].Text <= 0 || told[0].Until.IsZero() {
		t.Fatalf("gone %+v, told %+v, %v", gone, told, err)
	}
	for i, q := range queries {
		if after := messages(t, s, q, false); !slices.Equal(after, before[i]) {
			t.Errorf("%q: %d messages, %d before: %s", q.What, len(after), len(before[i]), firstDifference(after, before[i]))
		}
	}
	if hasLines(t, s) {
		t.Error("lines are still given")
	}
	if now := overviewOf(t, s); now != sums {
		t.Errorf("the numbers were %+v and are %+v", sums, now)
	}
	if again, _, err := s.LetGo(ctx, r); err != nil || len(again) != 0 {
		t.Errorf("let go twice: %+v, %v", again, err)
	}
}

// messages gives the journeys of messages as JSON; blank takes the lines out.
func messages(t *testing.T, s Store, q trace.Query, blank bool) []string {
	t.Helper()
	var js []*trace.Journey
	for _, j := range found(t, s, q) {
		if len(j.QueueIDs) == 0 && len(j.MessageIDs) == 0 && len(j.Rejects) == 0 {
			continue
		}
		j.ID() // of what it was
		for i := range j.Steps {
			if blank {
				j.Steps[i].Line = ""
			}
		}
		js = append(js, j)
	}
	return asJSON(t, js)
}

func hasLines(t *testing.T, s Store) bool {
	t.Helper()
	for _, j := range found(t, s, trace.Query{Kind: trace.ByFate}) {
		if slices.ContainsFunc(j.Steps, func(st trace.Step) bool { return st.Line != "" }) {
			return true
		}
	}
	return false
}

func overviewOf(t *testing.T, s Store) trace.Totals {
	t.Helper()
	o, err := s.Overview(context.Background(), trace.OverviewQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return o.Totals
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		x, y := "", ""
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			n := 0
			for n < min(len(x), len(y)) && x[n] == y[n] {
				n++
			}
			n = max(0, n-200)
			return strings.Join([]string{x[n:min(len(x), n+600)], y[n:min(len(y), n+600)]}, "\n")
		}
	}
	return ""
}
