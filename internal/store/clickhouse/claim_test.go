package clickhouse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// TestTwoIntakesOfOneFile has two processes follow one file into one cluster: each line is stored once, also when the one
// that stores it ends, or dies and is not heard of any more.
func TestTwoIntakesOfOneFile(t *testing.T) {
	c := cluster(t, 1, 2)
	url := dsn(c, t.Name(), true)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	name := filepath.Join(t.TempDir(), "mail.log")
	written := 0
	write := func(n int) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for range n {
			fmt.Fprintf(f, "2026-11-22T10:%02d:%02d+00:00 mx1 postfix/smtp[16]: A%011d: to=<sun@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok)\n", written/60%60, written%60, written)
			written++
		}
	}
	var dead *Store // closed in between
	open := func() *Store {
		opt := options()
		opt.Lease = 20 * time.Second // long enough that a busy machine does not let it run out
		s, err := Open(ctx, url, opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if s != dead {
				s.Close()
			}
		})
		return s
	}
	begin := func(node string) (stop func()) {
		s := open()
		in, err := intake.New(intake.Options{Node: node, Poll: 20 * time.Millisecond, Flush: 20 * time.Millisecond, Settle: -1}, []intake.Config{{Kind: "files", Paths: []string{name}}}, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		run, end := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { _ = in.Run(run) })
		stop = sync.OnceFunc(func() { end(); wg.Wait() })
		t.Cleanup(stop)
		return stop
	}
	reader := open()
	until := func() {
		t.Helper()
		for {
			n := 0
			for _, err := range reader.Journeys(ctx, trace.Query{Kind: trace.ByFate}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			lines := 0
			if o, err := reader.Overview(ctx, trace.OverviewQuery{}); err != nil {
				t.Fatal(err)
			} else if lines = int(o.Totals.Delivered); lines > written || n > written {
				t.Fatalf("%d deliveries and %d journeys of %d lines: some were stored twice", lines, n, written)
			}
			if n == written && lines == written {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("%d journeys of %d lines: some were not stored", n, written)
			}
			time.Sleep(50 * time.Millisecond) // between two looks
		}
	}
	write(300)
	first, second := begin("one"), begin("two")
	until()
	for range 10 {
		write(50)
		until()
	}
	first() // a clean end lets go
	write(100)
	until()
	second()
	// A process that died holds the file until its lease is over.
	dead = open()
	if held, by, err := dead.Claim(ctx, "dead", "x", func(string) bool { return false }); err != nil || by != "" || !held.Held() {
		t.Fatalf("%v %q %v", held, by, err)
	}
	if _, by, err := open().Claim(ctx, "late", "x", func(file string) bool { return file == "x" }); err != nil || by != "dead" {
		t.Fatalf("claimed beside one who holds it: %q %v", by, err)
	}
	if err := dead.Close(); err != nil { // without letting go
		t.Fatal(err)
	}
	late := open()
	for {
		got, by, err := late.Claim(ctx, "late", "x", func(file string) bool { return file == "x" })
		if err != nil {
			t.Fatal(err)
		}
		if by == "" && got.Held() {
			break
		}
		time.Sleep(100 * time.Millisecond) // between two looks
	}
	write(100)
	begin("three")
	until()
}
