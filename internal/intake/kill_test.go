package intake

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/mailwhy/mailwhy/internal/intake/intaketest"
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
	w := &intaketest.Writer{Path: filepath.Join(dir, "mail.log"), Rand: rand.New(rand.NewPCG(seed, 1))}
	stop := w.Start()
	for range kills {
		c := child(t, dir)
		time.Sleep(time.Duration(rnd.IntN(30_000)) * time.Microsecond) // a random moment, and no wait for anything
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	before := len(awaitLedger(t, filepath.Join(dir, "ledger"), 0))
	c := child(t, dir)
	lines := awaitLedger(t, filepath.Join(dir, "ledger"), w.N)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the last intake: %v", err)
	}
	for i, l := range lines {
		if want := intaketest.QueueID(i + 1); !strings.Contains(l, want) {
			t.Fatalf("of %d lines number %d is %.40q, want %q", len(lines), i+1, l, want)
		}
	}
	t.Logf("%d kills, %d lines, %d rotations; %d lines were stored by those that were killed", kills, w.N, w.Rotated, before)
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
