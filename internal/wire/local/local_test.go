package local

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestOutput(t *testing.T) {
	ctx := context.Background()
	out, err := Output(ctx, 5*time.Second, 100, "printf", "hello")
	if string(out) != "hello" || err != nil {
		t.Errorf("%q %v", out, err)
	}
	if _, err := Output(ctx, time.Second, 100, "no-such-program-here"); !errors.Is(err, ErrMissing) {
		t.Errorf("missing: %v", err)
	}
	if _, err := Output(ctx, 5*time.Second, 100, "sh", "-c", "echo trouble >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "trouble") {
		t.Errorf("a failing command: %v", err)
	}
	if out, err := Output(ctx, 5*time.Second, 1000, "yes"); err == nil || len(out) != 1000 {
		t.Errorf("an endless command: %d bytes, %v", len(out), err)
	}
	if _, err := Output(ctx, 50*time.Millisecond, 100, "sleep", "20"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow command: %v", err)
	}
}

func TestFollow(t *testing.T) {
	var got []string
	each := func(l []byte) error { got = append(got, string(l)); return nil }
	if err := Follow(t.Context(), 5, each, "printf", "one\\n\\nlonger than five\\nhalf"); err != nil || strings.Join(got, "|") != "one||longe|half" {
		t.Errorf("%q %v", got, err)
	}
	if err := Follow(t.Context(), 5, each, "no-such-program-here"); !errors.Is(err, ErrMissing) {
		t.Errorf("missing: %v", err)
	}
	if err := Follow(t.Context(), 100, each, "sh", "-c", "echo trouble >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "trouble") {
		t.Errorf("a failing command: %v", err)
	}
	stop := errors.New("enough")
	n := 0
	if err := Follow(t.Context(), 5, func([]byte) error { n++; return stop }, "yes"); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d lines, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Follow(ctx, 5, func([]byte) error { cancel(); return nil }, "yes"); !errors.Is(err, context.Canceled) {
		t.Errorf("an endless command, stopped: %v", err)
	}
}
