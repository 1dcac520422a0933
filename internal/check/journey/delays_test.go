package journey

import (
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// TestDelayParts: only what took time is told.
func TestDelayParts(t *testing.T) {
	s := finding.S("{{list .Parts}}", finding.Args{"Parts": delayParts(&trace.Split{Before: 2 * time.Second, Transfer: 300 * time.Millisecond})})
	if got, want := s.In(finding.EN), "2 s before the queue and 300 ms sending"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := s.In(finding.ZH), "入队前 2 秒和传输 300 毫秒"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
