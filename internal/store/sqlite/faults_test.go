package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// storeOnFullDisk stores on a small file system that becomes full, and goes on when there is room again.
func storeOnFullDisk(t *testing.T, small string) {
	ctx := context.Background()
	folder := filepath.Join(small, fmt.Sprintf("store-%d", os.Getpid()))
	defer os.RemoveAll(folder)
	s, err := Open(ctx, folder, options())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := storetest.World()[0]
	ballast := filepath.Join(small, fmt.Sprintf("ballast-%d", os.Getpid()))
	defer os.Remove(ballast)
	at := 0
	step := func() error {
		b := storetest.BatchOf(f, at, 50)
		err := s.Commit(ctx, b)
		if err == nil {
			at = int(b.To.Offset)
		}
		return err
	}
	for range 3 {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, ballast)
	failed := error(nil)
	for range 200 {
		if failed = step(); failed != nil || at >= len(f.Text) {
			break
		}
	}
	if failed == nil || errors.Is(failed, intake.ErrMoved) {
		t.Fatalf("a full disk: %v", failed)
	}
	if !strings.Contains(failed.Error(), "full") || !strings.Contains(failed.Error(), folder) {
		t.Errorf("the error does not say that the disk is full, and where: %v", failed)
	}
	p, err := s.Position(ctx, "file:"+f.Name)
	if err != nil || p.Offset != int64(at) {
		t.Fatalf("position %d, stored up to %d; %v", p.Offset, at, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for at < len(f.Text) {
		if err := step(); err != nil {
			t.Fatalf("with room again: %v", err)
		}
	}
	if bad, err := s.Check(ctx, nil); err != nil || len(bad) > 0 {
		t.Errorf("damage: %v, %v", bad, err)
	}
	n := 0
	for _, err := range s.Journeys(ctx, trace.Query{Kind: trace.ByFate, Rejected: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 60 {
		t.Errorf("%d refusals, want 60", n)
	}
}

// fill writes until nothing fits any more.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		err = nil
	}
}
