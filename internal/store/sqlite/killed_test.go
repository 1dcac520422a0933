package sqlite

import (
	"context"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/intake/intaketest"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
)

// TestChild is no test: it takes in the log that TestKilled writes, until it is killed.
func TestChild(t *testing.T) {
	dir := os.Getenv("MAILWHY_TEST_STORE")
	if dir == "" {
		t.Skip("runs only as the child of TestKilled")
	}
	opt := options()
	opt.Segment = 64 << 10 // a new segment often
	s, err := Open(context.Background(), filepath.Join(dir, "store"), opt)
	if err != nil {
		t.Fatal(err)
	}
	in, err := intake.New(intake.Options{Flush: time.Millisecond, Poll: 5 * time.Millisecond, Settle: -1}, []intake.Config{{Kind: "files", Paths: []string{filepath.Join(dir, "mail.log")}}}, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestKilled kills intake and store together while a log is written and rotated: every line is stored once.
func TestKilled(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 5
	}
	dir, seed := t.TempDir(), rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	w := &intaketest.Writer{Path: filepath.Join(dir, "mail.log"), Rand: rand.New(rand.NewPCG(seed, 1))}
	stop := w.Start()
	child := func() (kill func()) {
		c := osexec.Command(os.Args[0], "-test.run=^TestChild$")
		c.Env = append(os.Environ(), "MAILWHY_TEST_STORE="+dir)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait() // killed
		}
	}
	for range kills {
		kill := child()
		time.Sleep(time.Duration(rnd.IntN(80_000)) * time.Microsecond) // a random moment, and no wait for anything
		kill()
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	before := len(delivered(t, dir))
	kill := child()
	var got map[string]int
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) { // between two looks
		if got = delivered(t, dir); len(got) >= w.N {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines stored, %d written", len(got), w.N)
		}
	}
	kill()
	got = delivered(t, dir)
	for i := range w.N {
		if n := got[intaketest.QueueID(i+1)]; n != 1 {
			t.Fatalf("line %d of %d is stored %d times", i+1, w.N, n)
		}
	}
	t.Logf("%d kills, %d lines, %d rotations; %d lines were stored by those that were killed", kills, w.N, w.Rotated, before)
}

// delivered counts the deliveries of each queue id.
func delivered(t *testing.T, dir string) map[string]int {
	t.Helper()
	opt := options()
	opt.ReadOnly = true
	s, err := Open(context.Background(), filepath.Join(dir, "store"), opt)
	if err != nil {
		return nil // nothing was stored yet
	}
	defer s.Close()
	got := map[string]int{}
	for j, err := range s.Journeys(context.Background(), storetest.Ask(t, "sun@partner.example")) {
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range j.Steps {
			got[step.QueueID]++
		}
	}
	return got
}
