package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

func TestRetentionInServe(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	v := quietParts(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	v.now = func() time.Time { return now }
	s, err := sqlite.Open(ctx, dir, sqlite.Options{Dialects: dialects.All(), Now: v.now, Segment: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v.journeys = s
	if v.state, err = sqlite.OpenState(ctx, dir, v.now); err != nil {
		t.Fatal(err)
	}
	defer v.state.Close()
	name := filepath.Join(dir, "audit.log")
	if v.audit, err = audit.Open(name, v.now); err != nil {
		t.Fatal(err)
	}
	defer v.audit.Close()
	at := int64(0)
	for _, day := range []string{"2025-03-01", "2026-11-20", "2026-11-21"} { // a segment each
		line := []byte(day + "T10:00:00+00:00 mx1 postfix/qmgr[13]: A00000000001: removed")
		for line = bytes.Repeat(append(line, '\n'), 1100); len(line) > 0; {
			b := &intake.Batch{Source: "file:mail.log", From: intake.Position{File: "f", Offset: at}, Modified: now}
			if at == 0 {
				b.From = intake.Position{}
			}
			for _, l := range bytes.SplitAfter(line, []byte("\n")) {
				if len(l) > 0 {
					at += int64(len(l))
					b.Lines, b.Ends = append(b.Lines, l[:len(l)-1]), append(b.Ends, at)
				}
			}
			b.To = intake.Position{File: "f", Offset: at}
			if err := s.Commit(ctx, b); err != nil {
				t.Fatal(err)
			}
			line = nil
		}
	}
	if err := s.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	segments := func() int {
		st, err := s.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(st.Segments)
	}
	had := segments()
	r := &retaining{v: v}
	if err := r.once(ctx); err != nil || segments() != had {
		t.Fatalf("nothing is asked for: %d segments of %d, %v", segments(), had, err)
	}
	if err := r.reload(&Config{Retention: RetentionConfig{Journeys: "12mo"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.once(ctx); err != nil || segments() != had-1 {
		t.Fatalf("%d segments of %d, %v", segments(), had, err)
	}
	raw, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(raw), "store.delete") || !strings.Contains(string(raw), "2025-03-01T10:00:00Z") {
		t.Errorf("audit log %s, %v", raw, err)
	}
	if err := (&RetentionConfig{Journeys: "for ever"}).check(); err == nil {
		t.Error("a time nobody understands was taken")
	}
}
