package sqlite

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
)

// knownWorld is a store and a log that is followed, rotated and imported.
type knownWorld struct {
	t    *testing.T
	s    *Store
	path string
	n    int // lines written
}

func newKnownWorld(t *testing.T) *knownWorld {
	s, err := Open(context.Background(), t.TempDir(), options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &knownWorld{t: t, s: s, path: filepath.Join(t.TempDir(), "mail.log")}
}

func (w *knownWorld) write(n int) {
	w.t.Helper()
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for range n {
		w.n++
		if _, err := fmt.Fprintf(f, "Nov 22 10:00:00 mx1 postfix/smtp[16]: A%011d: to=<sun@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok %d)\n", w.n, w.n); err != nil {
			w.t.Fatal(err)
		}
	}
}

// follow lets an intake read the log until all that was written is stored, as a serve would between two starts.
func (w *knownWorld) follow(path string) {
	w.t.Helper()
	in, err := intake.New(intake.Options{Flush: time.Millisecond, Poll: 5 * time.Millisecond, Settle: -1}, []intake.Config{{Kind: "files", Paths: []string{path}}}, w.s, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) { // between two looks
		if len(w.stored()) >= w.n && w.read(path) {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d lines of %d are stored", len(w.stored()), w.n)
		}
	}
	stop()
	if err := <-ended; err != nil {
		w.t.Fatal(err)
	}
}

// read tells whether a source was read to the end of the file that is written.
func (w *knownWorld) read(path string) bool {
	p, err := w.s.Position(context.Background(), "file:"+path)
	st, serr := os.Stat(path)
	return err == nil && serr == nil && p.Offset == st.Size()
}

func (w *knownWorld) load(path string) {
	w.t.Helper()
	in, err := logs.Open(path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer in.Close()
	if _, err := w.s.Import(context.Background(), in, nil); err != nil {
		w.t.Fatal(err)
	}
}

// stored counts the lines by their queue ids.
func (w *knownWorld) stored() map[string]int {
	w.t.Helper()
	got := map[string]int{}
	for j, err := range w.s.Journeys(context.Background(), storetest.Ask(w.t, "sun@partner.example")) {
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range j.Steps {
			got[s.QueueID]++
		}
	}
	return got
}

func (w *knownWorld) want(what string) {
	w.t.Helper()
	got := w.stored()
	if len(got) != w.n {
		w.t.Errorf("%s: %d lines are stored, %d were written", what, len(got), w.n)
	}
	for id, n := range got {
		if n != 1 {
			w.t.Fatalf("%s: %s is stored %d times", what, id, n)
		}
	}
}

func (w *knownWorld) rotate(pack bool) {
	w.t.Helper()
	if !pack {
		if err := os.Rename(w.path, w.path+".1"); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	raw, err := os.ReadFile(w.path + ".1")
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		w.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path+".2.gz", b.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Remove(w.path + ".1"); err != nil {
		w.t.Fatal(err)
	}
}

// A log that is both followed and imported is stored once, whatever its files are called by then.
func TestFollowedAndImported(t *testing.T) {
	w := newKnownWorld(t)
	w.write(900)
	w.follow(w.path)
	w.load(w.path)
	w.want("followed, then imported")
	w.write(300)
	w.load(w.path)
	w.want("the rest imported")
	w.follow(w.path)
	w.want("followed again")
	w.write(100)
	w.rotate(false)
	w.load(w.path + ".1")
	w.want("its end imported after it was rotated")
	w.write(50)
	w.follow(w.path)
	w.want("followed after that")
	w.rotate(true)
	w.load(w.path + ".2.gz")
	w.want("imported packed")
	copied := filepath.Join(t.TempDir(), "copy.log")
	raw, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	w.load(copied)
	w.want("a copy imported")
	w.follow(copied)
	w.want("a copy followed")
}

func TestImportedAndFollowed(t *testing.T) {
	w := newKnownWorld(t)
	w.write(500)
	w.load(w.path)
	w.rotate(false)
	w.write(30)
	w.follow(w.path)
	w.want("imported, rotated, then followed")
	w.rotate(true)
	other := newKnownWorld(t)
	other.path, other.n = w.path, w.n
	other.load(w.path + ".2.gz")
	other.follow(w.path)
	other.want("the packed history imported, then followed")
}

// Files that only begin alike are two.
func TestFilesThatBeginAlike(t *testing.T) {
	w := newKnownWorld(t)
	w.write(100)
	w.load(w.path)
	raw, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	other := filepath.Join(t.TempDir(), "other.log")
	text := bytes.ReplaceAll(bytes.Join(lines[60:], nil), []byte(": A0"), []byte(": B0"))
	if err := os.WriteFile(other, append(bytes.Join(lines[:60], nil), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.load(other)
	if got := w.stored(); len(got) != 140 || got["A00000000001"] != 2 || got["B00000000061"] != 1 {
		t.Errorf("%d ids, %v", len(got), got)
	}
}
