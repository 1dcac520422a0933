package sqlite

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// TestReadersBesideWriter asks the store, and a second one that was opened on the folder as another process does, while
// lines come in and segments are sealed: what was found once stays found, and nothing fails.
func TestReadersBesideWriter(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	opt := options()
	opt.Segment = 100 << 10
	opt.Trouble = func(err error) { t.Error(err) }
	s, err := Open(ctx, folder, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	opt.ReadOnly = true
	other, err := Open(ctx, folder, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, r := range []*Store{s, other} {
		readers.Go(func() {
			most := 0
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				n := 0
				for _, err := range r.Journeys(ctx, trace.Query{Kind: trace.ByFate, Rejected: true}) {
					if err != nil {
						t.Error(err)
						return
					}
					n++
				}
				if n < most {
					t.Errorf("%d refusals, %d were found before", n, most)
					return
				}
				most = n
				if _, err := r.Overview(ctx, trace.OverviewQuery{}); err != nil {
					t.Error(err)
					return
				}
			}
			if most != 60 {
				t.Errorf("%d refusals at the end, want 60", most)
			}
		})
	}
	storetest.Feed(t, s, rand.New(rand.NewPCG(1, 1)), 25, storetest.World())
	close(done)
	readers.Wait()
}
