package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// worlds are the logs of storetest twice, with other ids and hosts the second time: four sources.
func worlds() []storetest.File {
	files := storetest.World()
	for _, f := range storetest.World() {
		text := f.Text
		for _, r := range [][2]string{{"A0000", "D0000"}, {"B0000", "E0000"}, {"C0000", "F0000"}, {"mx1", "mx3"}, {"mx2", "mx4"}, {"SESSIONABC", "SESSIONXYZ"}, {"<m", "<n"}} {
			text = bytes.ReplaceAll(text, []byte(r[0]), []byte(r[1]))
		}
		files = append(files, storetest.File{Name: "site2-" + f.Name, Text: text})
	}
	return files
}

// feed commits a file from a place on in batches as intake does: what fails is tried again until ctx ends. step is called before each.
func feed(ctx context.Context, s *Store, f storetest.File, at, lines int, step func()) error {
	for at < len(f.Text) {
		step()
		b := storetest.BatchOf(f, at, lines)
		for {
			err := s.Commit(ctx, b)
			if err == nil {
				break
			}
			if ctx.Err() != nil || errors.Is(err, intake.ErrMoved) {
				return err
			}
		}
		at = int(b.To.Offset)
	}
	return nil
}

// whole waits until all servers are up and have everything that was stored.
func whole(t *testing.T, ctx context.Context, s *Store, servers int) {
	t.Helper()
	hosts, err := s.hosts(ctx)
	if err != nil || len(hosts) != servers {
		t.Fatalf("hosts %v, %v", hosts, err)
	}
	for {
		n := uint64(0)
		var err error
		for _, h := range hosts {
			sql := "SELECT count() FROM " + s.at(h, "system", "replicas") + " WHERE database = " + quote(s.db) + " AND queue_size = 0 AND (log_pointer > log_max_index OR log_max_index = 0) AND is_readonly = 0"
			err = errors.Join(err, s.asked(ctx, sql, func(r driver.Rows) error {
				var m uint64
				err := r.Scan(&m)
				n += m
				return err
			}))
		}
		if err == nil && n == uint64(servers*len(tables)) {
			return
		}
		if wire.Pause(ctx, 50*time.Millisecond) != nil {
			t.Fatalf("%d tables are whole, want %d; %v", n, servers*len(tables), err)
		}
	}
}

// TestClusterLosesAServer kills servers of two shards with two replicas each while logs are taken in and asked for:
// nothing is lost, nothing comes twice, and every question is answered.
func TestClusterLosesAServer(t *testing.T) {
	c := cluster(t, 2, 2)
	url := dsn(c, t.Name(), true)
	s := open(t, url)
	files := worlds()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var steps atomic.Int64
	var once sync.Once
	var writing, reading sync.WaitGroup
	begun := make([]int, len(files)) // in order: it is that of lines of one moment
	for i, f := range files {
		b := storetest.BatchOf(f, 0, 25)
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
		begun[i] = int(b.To.Offset)
	}
	used := 0
	for _, srv := range []int{0, 2} {
		n := uint64(0)
		for _, h := range []string{c.Servers[srv].Addr(), c.Servers[srv+1].Addr()} {
			if err := s.asked(ctx, "SELECT count() FROM "+s.at(h, s.db, s.bare("piece")), func(r driver.Rows) error {
				var m uint64
				err := r.Scan(&m)
				n += m
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if n > 0 {
			used++
		}
	}
	if used != 2 {
		t.Error("all sources are on one shard: give them other names")
	}
	for i, f := range files {
		writing.Go(func() {
			err := feed(ctx, s, f, begun[i], 25, func() {
				if steps.Add(1) == 40 {
					once.Do(func() { go c.Servers[1].Kill() }) // in the middle of what the others write
				}
			})
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		})
	}
	done := make(chan struct{})
	asked := 0
	reading.Go(func() {
		for {
			for _, err := range s.Journeys(ctx, storetest.Ask(t, "A00000000007")) {
				if err != nil {
					t.Errorf("a question while a server is down: %v", err)
					return
				}
			}
			asked++
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond): // leaves the machine to those who write
			}
		}
	})
	writing.Wait()
	close(done)
	reading.Wait()
	c.Servers[1].Kill() // waits until it is gone
	if t.Failed() {
		return
	}
	t.Logf("%d questions were answered meanwhile", asked)
	if err := c.Servers[1].Restart(ctx); err != nil {
		t.Fatal(err)
	}
	whole(t, ctx, s, 4)
	same(t, s, files)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// The other replica of the shard goes: all is there, and the positions are known to one who begins now.
	c.Servers[0].Kill()
	s = open(t, url)
	defer s.Close()
	same(t, s, files)
	for _, f := range files {
		p, err := s.Position(ctx, "file:"+f.Name)
		if err != nil || p.Offset != int64(len(f.Text)) {
			t.Errorf("position of %s is %+v, want %d; %v", f.Name, p, len(f.Text), err)
		}
	}
	// Both replicas of a shard are gone: nothing is said to be where it was left, instead of taking it in again.
	c.Servers[1].Kill()
	last := open(t, dsn(c, t.Name(), true))
	defer last.Close()
	if _, err := last.Position(ctx, "file:"+files[0].Name); !errors.Is(err, errBehind) {
		t.Errorf("with a shard down: %v, want %v", err, errBehind)
	}
}

// same holds the store against the files, in journeys and in numbers.
func same(t *testing.T, s *Store, files []storetest.File) {
	t.Helper()
	for _, what := range []string{"li@mine.example", "D00000000007", "*@partner.example", "203.0.113.0/24", "subject:number 12"} {
		if storetest.Compare(t, s, files, storetest.Ask(t, what)) == 0 {
			t.Errorf("%s: nothing", what)
		}
	}
	o, err := s.Overview(context.Background(), trace.OverviewQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if o.Totals.Received != 240 || o.Totals.Delivered != 240 || o.Totals.Bounced != 120 || o.Totals.Rejected != 120 || len(o.Hosts) != 4 {
		t.Errorf("totals %+v of %d hosts", o.Totals, len(o.Hosts))
	}
}
