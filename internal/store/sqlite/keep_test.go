package sqlite

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// filled opens a store of many small segments.
func filled(t *testing.T, folder string) *Store {
	t.Helper()
	opt := options()
	opt.Segment = 1
	opt.Trouble = func(err error) { t.Error(err) }
	s, err := Open(context.Background(), folder, opt)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Feed(t, s, rand.New(rand.NewPCG(1, 1)), 30, storetest.World())
	if err := s.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func count(t *testing.T, s *Store) (n int) {
	t.Helper()
	for _, err := range s.Journeys(context.Background(), trace.Query{Kind: trace.ByFate}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestCheckFindsDamage(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	s := filled(t, folder)
	if bad, err := s.Check(ctx, nil); err != nil || len(bad) > 0 {
		t.Fatalf("a sound store: %v, %v", bad, err)
	}
	st, err := s.Stats(ctx)
	if err != nil || len(st.Segments) < 2 || len(st.Sources) != 2 || st.Text == 0 || st.Segments[0].Since.IsZero() {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := newSegment(folder, st.Segments[0].Number).connect(false, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(c, "UPDATE page SET data = x'00' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s, err = Open(ctx, folder, options())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if bad, err := s.Check(ctx, nil); err != nil || len(bad) != 1 || !errors.Is(bad[0], errBroken) {
		t.Fatalf("a damaged index: %v, %v", bad, err)
	}
}

func TestRetention(t *testing.T) {
	ctx := context.Background()
	s := filled(t, t.TempDir())
	defer s.Close()
	all := count(t, s)
	st, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := st.Segments[0]
	before := first.Until.Add(time.Second)
	if gone, _, err := s.Retain(ctx, store.Retention{Before: before, DryRun: true}); err != nil || len(gone) != 1 || count(t, s) != all {
		t.Fatalf("a dry run: %v, %v", gone, err)
	}
	hold := store.Hold{ID: "h1", Since: first.Since.Add(time.Minute), Until: first.Since.Add(2 * time.Minute)}
	if gone, held, err := s.Retain(ctx, store.Retention{Before: before, Holds: []store.Hold{hold}}); err != nil || len(gone) != 0 || len(held) != 1 || count(t, s) != all {
		t.Fatalf("on hold: gone %v, held %v, %v", gone, held, err)
	}
	refused := errors.New("the record cannot be written")
	if _, _, err := s.Retain(ctx, store.Retention{Before: before, Record: func(store.Deletion) error { return refused }}); !errors.Is(err, refused) || count(t, s) != all {
		t.Fatalf("without a record: %v", err)
	}
	var told []store.Deletion
	gone, _, err := s.Retain(ctx, store.Retention{Before: before, Record: func(d store.Deletion) error { told = append(told, d); return nil }})
	if err != nil || len(gone) != 1 || len(told) != 1 || len(told[0].Hash) != 64 || !told[0].Until.Equal(first.Until) {
		t.Fatalf("%v, %v", gone, err)
	}
	if _, err := os.Stat(first.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if n := count(t, s); n == 0 || n >= all {
		t.Errorf("%d journeys of %d are left", n, all)
	}
	if gone, _, err := s.Retain(ctx, store.Retention{Before: storetest.Now().AddDate(1, 0, 0)}); err != nil || len(gone) != len(st.Segments)-2 {
		t.Errorf("%d segments gone, %v: the newest stays", len(gone), err)
	}
	storetest.Feed(t, s, rand.New(rand.NewPCG(2, 2)), 30, []storetest.File{{Name: "later.log", Text: storetest.World()[1].Text}})
}

func TestHolds(t *testing.T) {
	ctx := context.Background()
	s, err := OpenState(ctx, t.TempDir(), storetest.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := store.Hold{ID: "a", Until: storetest.Now(), Reason: "case 7", By: "li", At: storetest.Now()}
	if err := s.PutHold(ctx, h); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Holds(ctx); err != nil || len(got) != 1 || got[0].Reason != "case 7" || !got[0].Until.Equal(h.Until) || !got[0].Since.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := s.ReleaseHold(ctx, "b"); !errors.Is(err, ErrNoHold) {
		t.Errorf("a hold that is not there: %v", err)
	}
	if err := s.ReleaseHold(ctx, "a"); err != nil {
		t.Error(err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	ctx, folder, dir := context.Background(), t.TempDir(), t.TempDir()
	s := filled(t, folder) // stays open: a backup is made while the store is in use
	defer s.Close()
	all := count(t, s)
	if err := os.WriteFile(filepath.Join(folder, "audit.log"), []byte("a record\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "backup")
	m, err := Backup(ctx, folder, to, storetest.Now())
	if err != nil || len(m.Files) < 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := Backup(ctx, folder, to, storetest.Now()); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over another backup: %v", err)
	}
	again := filepath.Join(dir, "again")
	if _, err := Restore(ctx, to, again); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(again, "audit.log")); err != nil || string(b) != "a record\n" {
		t.Errorf("audit log %q, %v", b, err)
	}
	r, err := Open(ctx, again, options())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := count(t, r); n != all {
		t.Errorf("%d journeys after restoring, %d before", n, all)
	}
	p, _ := s.Position(ctx, "file:mx1.log")
	if q, err := r.Position(ctx, "file:mx1.log"); err != nil || !p.Same(q) || p.IsZero() {
		t.Errorf("position %+v, was %+v, %v", q, p, err)
	}
	if _, err := Restore(ctx, folder, filepath.Join(dir, "x")); !errors.Is(err, ErrNoBackup) {
		t.Errorf("a folder that is no backup: %v", err)
	}
	if err := os.WriteFile(filepath.Join(to, "audit.log"), []byte("a forged record\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(ctx, to, filepath.Join(dir, "y")); !errors.Is(err, ErrChanged) {
		t.Errorf("a changed backup: %v", err)
	}
}

// A segment of which the end is missing is named; the others are read all the same.
func TestCheckNamesACutSegment(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	s := filled(t, folder)
	st, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cut := st.Segments[0].Path
	info, err := os.Stat(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(cut, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	opt := options()
	opt.ReadOnly = true
	told := 0
	opt.Trouble = func(err error) {
		if told++; !strings.Contains(err.Error(), cut) {
			t.Error(err)
		}
	}
	s, err = Open(ctx, folder, opt)
	if err != nil {
		t.Fatalf("one cut segment keeps the store from being opened: %v", err)
	}
	defer s.Close()
	bad, err := s.Check(ctx, nil)
	if err != nil || len(bad) != 1 || !strings.Contains(bad[0].Error(), cut) {
		t.Errorf("bad %v, %v", bad, err)
	}
	if n := count(t, s); n == 0 || told != 1 {
		t.Errorf("%d journeys of the other segments, told %d times", n, told)
	}
}
