package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/runs"
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
	if v.audit, err = openSigning(dir, v.now); err != nil {
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
	for i, started := range []time.Time{now.AddDate(0, -13, 0), now.AddDate(0, -1, 0)} {
		run := &runs.Run{ID: strconv.Itoa(i), Kind: "check", Args: map[string]string{}, State: runs.Done, Started: started, Ended: started.Add(time.Second)}
		if err := v.state.PutRun(ctx, run); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.reload(&Config{Retention: RetentionConfig{Preset: "12mo"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.once(ctx); err != nil || segments() != had-1 {
		t.Fatalf("%d segments of %d, %v", segments(), had, err)
	}
	if list, err := v.state.Runs(ctx, runs.Query{Limit: 10}); err != nil || len(list) != 1 {
		t.Errorf("%d runs are left, %v", len(list), err)
	}
	if err := r.once(ctx); err != nil {
		t.Error(err)
	}
	if got := v.audit.Head().Count; got != 2 {
		t.Errorf("%d records of deletions, want 2: one of a segment, one of runs", got)
	}
	raw, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(raw), "store.delete") || !strings.Contains(string(raw), "2025-03-01T10:00:00Z") {
		t.Errorf("audit log %s, %v", raw, err)
	}
	keys, err := readKeys("", dir)
	if err != nil || len(keys) != 1 {
		t.Fatal(err)
	}
	if rep := auditReport(name, bytes.NewReader(raw), audit.Head{}, keys); rep.Headline.State != finding.StateOK || rep.Facts.(*AuditFacts).Signed != 2 {
		t.Errorf("%+v", rep.Facts)
	}
	forged := bytes.Replace(raw, []byte("2025-03-01T10:00:00Z"), []byte("2025-03-02T10:00:00Z"), 1)
	if rep := auditReport(name, bytes.NewReader(forged), audit.Head{}, keys); rep.Headline.State != finding.StateBroken {
		t.Errorf("a changed record: %+v", rep.Headline)
	}
	// A clock that jumps is not believed for a day, neither forwards nor backwards; then it is.
	var ran time.Duration
	r.steady = func() time.Duration { return ran }
	turns := func(n int, hour time.Duration) {
		t.Helper()
		for range n {
			if err := r.turn(ctx); err != nil {
				t.Fatal(err)
			}
			now, ran = now.Add(hour), ran+time.Hour
		}
	}
	turns(3, time.Hour)
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour, 3 * 366 * 24 * time.Hour, -3 * 366 * 24 * time.Hour} {
		now = now.Add(jump)
		turns(12, time.Hour)
	}
	if n := segments(); n != had-1 {
		t.Errorf("a clock that was wrong for half a day cost %d of %d segments", had-1-n, had-1)
	}
	now = now.AddDate(3, 0, 0)
	turns(24, time.Hour)
	if n := segments(); n != had-1 {
		t.Errorf("%d segments of %d within a day after the clock was set", n, had-1)
	}
	turns(2, time.Hour)
	if n := segments(); n != 1 {
		t.Errorf("%d segments are left when the clock stands for a day: only the newest stays", n)
	}
	now = now.AddDate(3, 0, 0) // everything is old now, the audit log too
	if err := r.once(ctx); err != nil {
		t.Error(err)
	}
	rs, err := v.audit.Page(-1, 10, nil)
	if err != nil || len(rs) == 0 || rs[0].What != "audit.delete" || rs[len(rs)-1].N == 0 {
		t.Errorf("%+v %v", rs, err)
	}
}

func TestRetentionConfig(t *testing.T) {
	for _, bad := range []RetentionConfig{{Journeys: "for ever"}, {Preset: "7mo"}, {Audit: "-1d"}} {
		found := false
		bad.problems(func(string, finding.Sentence) { found = true })
		if !found {
			t.Errorf("%+v was taken", bad)
		}
	}
	c := RetentionConfig{Preset: "6mo", Lines: "30d", Reports: "400d", Runs: "forever"}
	c.problems(func(key string, says finding.Sentence) { t.Errorf("%s: %s", key, says) })
	if got := c.keeps(); len(got) != 4 || got[keptLines] != "30d" || got[keptJourneys] != "6mo" || got[keptReports] != "400d" || got[keptAudit] != "12mo" {
		t.Errorf("%v", got)
	}
}
