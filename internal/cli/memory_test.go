package cli

import (
	"runtime/debug"
	"testing"
)

// TestHoldHeap: what it sets ends with it.
func TestHoldHeap(t *testing.T) {
	percent := debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	limit := debug.SetMemoryLimit(-1)
	end := holdHeap(-1, 1<<30)
	if got := debug.SetMemoryLimit(-1); got != 1<<30 {
		t.Errorf("the bound is %d", got)
	}
	end()
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("the bound stays %d, was %d", got, limit)
	}
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("the percentage stays %d", got)
	}
}
