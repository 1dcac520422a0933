package sqlite

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// aged opens a store of which all segments but the newest are sealed as soon as later is called.
func aged(t *testing.T) (storetest.LettingGo, func()) {
	t.Helper()
	opt, clock := options(), storetest.Now()
	var mu sync.Mutex
	opt.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	opt.Segment = 300 << 10
	opt.Trouble = func(err error) { t.Error(err) }
	s, err := Open(context.Background(), t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, func() {
		t.Helper()
		mu.Lock()
		clock = clock.AddDate(0, 0, 1) // a new day, a new segment
		mu.Unlock()
		commitLine(t, s, "later.log", "Nov 22 11:59:00 mx9 sshd[1]: hello")
		if err := s.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func commitLine(t *testing.T, s *Store, source, line string) {
	t.Helper()
	n := int64(len(line) + 1)
	b := &intake.Batch{Source: "file:" + source, Lines: [][]byte{[]byte(line)}, Ends: []int64{n}, To: intake.Position{File: source, Offset: n}, Modified: storetest.Now()}
	if err := s.Commit(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) { storetest.Lines(t, data(), aged) }

// What was let go is on the disk no more: neither the lines nor what they were found by.
func TestLinesLeaveTheDisk(t *testing.T) {
	ctx := context.Background()
	ls, later := aged(t)
	s := ls.(*Store)
	commitLine(t, s, "a.log", "Nov 22 10:00:00 mx1 dovecot: imap-login: Login: user=<geheim.person@mine.example>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=77, TLS, session=<abcdefgh>")
	commitLine(t, s, "b.log", "Nov 22 10:00:00 mx1 postfix/smtp[16]: A00000000001: to=<wang@partner.example>, relay=mx.partner.example[192.0.2.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok)")
	// The last line of each source stays, for the file is known again by it.
	for _, name := range []string{"c.log", "d.log"} {
		text := "Nov 22 10:00:01 mx1 dovecot: imap-login: Login: user=<" + name + "-geheim@mine.example>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=77, TLS, session=<abcdefgh>"
		last := "Nov 22 10:00:02 mx1 sshd[1]: the end"
		ends := []int64{int64(len(text) + 1), int64(len(text) + len(last) + 2)}
		b := &intake.Batch{Source: "file:" + name, Lines: [][]byte{[]byte(text), []byte(last)}, Ends: ends, To: intake.Position{File: name, Offset: ends[1]}, Modified: storetest.Now()}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	later()
	known := func() (out []intake.Known) {
		out, err := s.Known(ctx, func(f string) bool { return f == "c.log" })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := known()
	if _, _, err := s.LetGo(ctx, store.Retention{Before: storetest.Now().AddDate(0, 0, 3)}); err != nil {
		t.Fatal(err)
	}
	after := known()
	if len(before) != 1 || len(after) != 1 || before[0].End != after[0].End || !bytes.HasSuffix(before[0].Tail, after[0].Tail) || len(after[0].Tail) == 0 {
		t.Errorf("the file was known by %+v and is by %+v", before, after)
	}
	if bad, err := s.Check(ctx, nil); err != nil || len(bad) > 0 {
		t.Errorf("the store is not sound any more: %v %v", bad, err)
	}
	var values int
	snap, err := s.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Values(ctx, 'a', "geheim@mine", func(v []byte) {
		if bytes.Contains(v, []byte("geheim@mine")) {
			values++
		}
	}); err != nil {
		t.Fatal(err)
	}
	snap.release()
	if values != 0 {
		t.Errorf("%d addresses of logins are still found by a part", values)
	}
	files, _ := filepath.Glob(filepath.Join(s.folder, "journeys", "*"))
	for _, f := range files {
		if raw, err := os.ReadFile(f); err != nil || bytes.Contains(raw, []byte("-geheim@")) {
			t.Errorf("%s holds what was let go (%v)", f, err)
		}
	}
}

// Searches go on while lines are let go, and find the same messages.
func TestLinesGoWhileTheyAreSearched(t *testing.T) {
	ctx := context.Background()
	ls, later := aged(t)
	s := ls.(*Store)
	storetest.Feed(t, s, rand.New(rand.NewPCG(4, 4)), 200, storetest.World())
	later()
	want := count(t, s)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := 0
				for j, err := range s.Journeys(ctx, trace.Query{Kind: trace.ByFate}) {
					if err != nil {
						t.Error(err)
						return
					}
					if len(j.QueueIDs) > 0 || len(j.Rejects) > 0 {
						n++
					}
				}
				if n == 0 || n > want {
					t.Errorf("%d journeys of %d", n, want)
				}
			}
		})
	}
	_, _, err := s.LetGo(ctx, store.Retention{Before: storetest.Now().AddDate(0, 0, 3)})
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
}
