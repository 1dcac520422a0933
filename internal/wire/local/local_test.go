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
