package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ledger is a sink in one file: a JSON line for each batch, written at once. What is not whole was not stored.
type ledger struct {
	mu  sync.Mutex
	f   *os.File
	pos map[string]Position
}

type ledgerLine struct {
	Source string
	To     Position
	Lines  []string
}

func openLedger(name string) (*ledger, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	l := &ledger{f: f, pos: map[string]Position{}}
	whole, err := readLedger(f, func(e *ledgerLine) { l.pos[e.Source] = e.To })
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	return l, err
}

func readLedger(r io.Reader, each func(*ledgerLine)) (whole int64, err error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return whole, nil
		}
		var e ledgerLine
		if err := json.Unmarshal(b[:i], &e); err != nil {
			return whole, err
		}
		each(&e)
		whole, b = whole+int64(i)+1, b[i+1:]
	}
}

func (l *ledger) Position(_ context.Context, source string) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pos[source], nil
}

func (l *ledger) Commit(_ context.Context, b *Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, follows := b.Rest(l.pos[b.Source])
	if !follows {
		return ErrMoved
	}
	if from == len(b.Lines) {
		return nil
	}
	e := ledgerLine{Source: b.Source, To: b.To}
	e.To.At = b.Read
	for _, line := range b.Lines[from:] {
		e.Lines = append(e.Lines, string(line))
	}
	out, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := l.f.Write(append(out, '\n')); err != nil {
		return err
	}
	l.pos[b.Source] = e.To
	return nil
}

// TestChild is no test: it is the intake that TestKilled starts and kills.
func TestChild(t *testing.T) {
	dir := os.Getenv("MAILWHY_TEST_INTAKE")
	if dir == "" {
		t.Skip("runs only as the child of TestKilled")
	}
	l, err := openLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := New(quick(), []Config{follow(filepath.Join(dir, "mail.log"))}, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := in.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// logWriter appends numbered lines and rotates as logrotate does, by renaming or by copying and truncating.
type logWriter struct {
	path    string
	n       int
	rotated int
	rnd     *rand.Rand
	f       *os.File
	half    string // of a line of which the beginning was written
}

func (w *logWriter) step() error {
	if w.f == nil {
		f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		w.f = f
	}
	var b strings.Builder
	b.WriteString(w.half)
	w.half = ""
	for range 1 + w.rnd.IntN(20) {
		w.n++
		fmt.Fprintf(&b, "line %d %s\n", w.n, strings.Repeat("x", w.rnd.IntN(200)))
	}
	text := b.String()
	turn := w.rnd.IntN(30)
	if turn > 2 { // between rotations lines are written in pieces
		cut := len(text) - w.rnd.IntN(10)
		text, w.half = text[:cut], text[cut:]
	}
	if _, err := w.f.WriteString(text); err != nil {
		return err
	}
	switch turn {
	case 0, 1:
		return w.byRename()
	case 2:
		return w.byCopy()
	}
	return nil
}

// shift makes room for a new .1.
func (w *logWriter) shift() error {
	for k := w.rotated; k >= 1; k-- {
		if err := os.Rename(fmt.Sprint(w.path, ".", k), fmt.Sprint(w.path, ".", k+1)); err != nil {
			return err
		}
	}
	w.rotated++
	return nil
}

func (w *logWriter) byRename() error {
	if err := w.shift(); err != nil {
		return err
	}
	if err := os.Rename(w.path, w.path+".1"); err != nil {
		return err
	}
	err := w.f.Close()
	w.f = nil
	return err
}

func (w *logWriter) byCopy() error {
	if err := w.shift(); err != nil {
		return err
	}
	whole, err := os.ReadFile(w.path)
	if err == nil {
		err = os.WriteFile(w.path+".1", whole, 0o600)
	}
	if err == nil {
		err = os.Truncate(w.path, 0)
	}
	return err
}

// TestKilled kills an intake a hundred times while its file is written and rotated: nothing is lost, nothing comes twice.
func TestKilled(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 15
	}
	dir := t.TempDir()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	w := &logWriter{path: filepath.Join(dir, "mail.log"), rnd: rand.New(rand.NewPCG(seed, 1))}
	written := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				written <- nil
				return
			case <-time.After(time.Millisecond):
			}
			if err := w.step(); err != nil {
				written <- err
				return
			}
		}
	}()
	for range kills {
		c := child(t, dir)
		time.Sleep(time.Duration(rnd.IntN(30_000)) * time.Microsecond) // a random moment, and no wait for anything
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
	}
	close(stop)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if w.half != "" {
		write(t, w.path, w.half)
	}
	before := len(awaitLedger(t, filepath.Join(dir, "ledger"), 0))
	c := child(t, dir)
	lines := awaitLedger(t, filepath.Join(dir, "ledger"), w.n)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the last intake: %v", err)
	}
	for i, l := range lines {
		if want := fmt.Sprintf("line %d ", i+1); !strings.HasPrefix(l, want) {
			t.Fatalf("of %d lines number %d is %.40q, want %q", len(lines), i+1, l, want)
		}
	}
	t.Logf("%d kills, %d lines, %d rotations; %d lines were stored by those that were killed", kills, w.n, w.rotated, before)
}

func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestChild$")
	c.Env = append(os.Environ(), "MAILWHY_TEST_INTAKE="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitLedger waits until as many lines are stored.
func awaitLedger(t *testing.T, name string, n int) (lines []string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		lines = lines[:0]
		if f, err := os.Open(name); err == nil {
			if _, err := readLedger(f, func(e *ledgerLine) { lines = append(lines, e.Lines...) }); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		if len(lines) >= n {
			return lines
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines stored, %d written", len(lines), n)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}
