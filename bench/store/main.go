// Command store measures the embedded store on one log: import with all indexes, size, memory, look-ups of message-ids
// and recipients taken from random places of the log, searches for parts of addresses, the overview, live intake on one
// core. It prints rows of the table in docs/benchmarks.md.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

func main() {
	log := flag.String("log", "", "a plain log of Postfix")
	dir := flag.String("dir", "", "folder of the store; it is emptied, unless -keep")
	keep := flag.Bool("keep", false, "use the store as it is")
	looks := flag.Int("lookups", 2000, "look-ups of each kind")
	live := flag.Int("live", 10, "seconds of live intake at 20,000 lines/s")
	flag.Parse()
	if *log == "" || *dir == "" {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/store -log FILE -dir FOLDER")
		os.Exit(64)
	}
	if err := run(*log, *dir, *keep, *looks, *live); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(dir string) (*sqlite.Store, error) {
	return sqlite.Open(context.Background(), dir, sqlite.Options{Dialects: dialects.All(), Know: knowledge.Embedded(), Local: time.Local, Trouble: func(err error) { fmt.Fprintln(os.Stderr, err) }})
}

func run(log, dir string, keep bool, looks, live int) error {
	ctx := context.Background()
	if !keep {
		if err := imported(ctx, log, dir); err != nil {
			return err
		}
	}
	s, err := open(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	ids, rcpts := samples(log, looks)
	lookup(ctx, s, "message-id", ids, 20)
	lookup(ctx, s, "recipient", rcpts, 20)
	lookup(ctx, s, "recipient", rcpts, 100)
	var parts []string
	for _, r := range rcpts[:min(50, len(rcpts))] {
		parts = append(parts, "*"+strings.ToUpper(r[1:min(len(r), 7)])+"*")
	}
	lookup(ctx, s, "part of an address", parts, 20)
	for range 2 {
		start := time.Now()
		o, err := s.Overview(ctx, trace.OverviewQuery{})
		if err != nil {
			return err
		}
		fmt.Printf("| overview of %d hours, %d deliveries | %.1f ms |\n", len(o.Hours), o.Totals.Delivered, ms(time.Since(start)))
	}
	return liveIntake(ctx, log, dir+"-live", live)
}

func imported(ctx context.Context, log, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	s, err := open(dir)
	if err != nil {
		return err
	}
	in, err := logs.Open(log)
	if err != nil {
		return err
	}
	defer in.Close()
	start, cpu := time.Now(), used()
	out, err := s.Import(ctx, in, nil)
	if err == nil {
		err = s.Seal(ctx)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return err
	}
	wall := time.Since(start)
	fmt.Printf("| import of %.2f GB, %d lines, all indexes | %.1f s, %.0f lines/s, %.1f s of a core |\n", float64(out.Bytes)/1e9, out.Lines, wall.Seconds(), float64(out.Lines)/wall.Seconds(), (used() - cpu).Seconds())
	fmt.Printf("| size of the store | %.0f MB, %.3f of the log |\n| memory at most | %d MB |\n", float64(size(dir))/1e6, float64(size(dir))/float64(in.Size), peak())
	return nil
}

func size(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if st, err := d.Info(); err == nil {
				n += st.Size()
			}
		}
		return nil
	})
	return n
}

// samples takes message-ids and recipients from random places of the log: those that stand there often come often.
func samples(log string, n int) (ids, rcpts []string) {
	f, err := os.Open(log)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	st, _ := f.Stat()
	rnd := rand.New(rand.NewPCG(1, 2))
	id, to := regexp.MustCompile(`message-id=<([^>]{8,})>`), regexp.MustCompile(` to=<([^>]{8,})>, relay`)
	buf := make([]byte, 16<<10)
	for len(ids) < n || len(rcpts) < n {
		f.ReadAt(buf, rnd.Int64N(st.Size()-int64(len(buf))))
		if m := id.FindSubmatch(buf); m != nil && len(ids) < n {
			ids = append(ids, string(m[1]))
		}
		if m := to.FindSubmatch(buf); m != nil && len(rcpts) < n {
			rcpts = append(rcpts, string(m[1]))
		}
	}
	return ids, rcpts
}

func lookup(ctx context.Context, s *sqlite.Store, kind string, whats []string, limit int) {
	var took, cpu []time.Duration
	found := 0
	for _, what := range whats {
		q, err := trace.ParseQuery(what)
		if err != nil {
			continue
		}
		q.Newest, q.Limit = true, limit
		start, before := time.Now(), used()
		for _, err := range s.Journeys(ctx, q) {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			found++
		}
		took, cpu = append(took, time.Since(start)), append(cpu, used()-before)
	}
	slices.Sort(took)
	slices.Sort(cpu)
	n := len(took)
	fmt.Printf("| %s, %d look-ups, %.1f journeys each, the newest %d at most | p50 %.2f ms, p99 %.2f ms, max %.1f ms; of a core p50 %.2f ms, p99 %.2f ms |\n", kind, n, float64(found)/float64(n), limit, ms(took[n/2]), ms(took[n*99/100]), ms(took[n-1]), ms(cpu[n/2]), ms(cpu[n*99/100]))
}

// liveIntake commits ten batches of 2,000 lines a second on one core and tells how much of it that took.
func liveIntake(ctx context.Context, log, dir string, seconds int) error {
	if seconds == 0 {
		return nil
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer os.RemoveAll(dir)
	os.RemoveAll(dir)
	s, err := open(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	text := make([]byte, 400*20_000*seconds)
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	n, _ := f.Read(text)
	f.Close()
	lines := bytes.Split(text[:n], []byte("\n"))
	var waits []time.Duration
	cpu, start, at := used(), time.Now(), int64(0)
	from := intake.Position{}
	for i := range seconds * 10 {
		b := &intake.Batch{Source: "file:live", From: from, Modified: time.Now(), Read: time.Now(), Lines: lines[:2000]}
		lines = lines[2000:]
		for _, l := range b.Lines {
			at += int64(len(l)) + 1
			b.Ends = append(b.Ends, at)
		}
		b.To = intake.Position{File: "live", Offset: at}
		from = b.To
		began := time.Now()
		if err := s.Commit(ctx, b); err != nil {
			return err
		}
		waits = append(waits, time.Since(began))
		time.Sleep(time.Until(start.Add(time.Duration(i+1) * 100 * time.Millisecond)))
	}
	slices.Sort(waits)
	wall := time.Since(start)
	fmt.Printf("| live, 20,000 lines/s for %d s on one core | took %.1f s, %.0f %% of the core; a batch of 2,000 stored in p50 %.1f ms, p99 %.1f ms |\n", seconds, wall.Seconds(), 100*(used()-cpu).Seconds()/wall.Seconds(), ms(waits[len(waits)/2]), ms(waits[len(waits)*99/100]))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func used() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func peak() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Maxrss >> 10
}
