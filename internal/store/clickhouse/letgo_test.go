package clickhouse

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
)

// TestLines lets lines go on one server and on a cluster with replicas.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		name             string
		shards, replicas int
	}{{"one server", 1, 1}, {"a cluster", 1, 2}} {
		t.Run(c.name, func(t *testing.T) {
			lab := cluster(t, c.shards, c.replicas)
			logs := data()
			if c.replicas > 1 {
				logs = "" // once is enough
			}
			storetest.Lines(t, logs, func(t *testing.T) (storetest.LettingGo, func()) {
				opt, clock := options(), storetest.Now()
				var mu sync.Mutex
				opt.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
				s, err := Open(context.Background(), dsn(lab, t.Name(), c.replicas > 1), opt)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				return s, func() {
					mu.Lock()
					clock = clock.AddDate(0, 0, 14) // another week
					mu.Unlock()
					line := []byte("Nov 22 11:59:00 mx9 sshd[1]: hello")
					n := int64(len(line) + 1)
					if err := s.Commit(context.Background(), &intake.Batch{Source: "file:later.log", Lines: [][]byte{line}, Ends: []int64{n}, To: intake.Position{File: "later.log", Offset: n}, Modified: storetest.Now()}); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}
