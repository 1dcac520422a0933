package clickhouse

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// TestRetain stores one line a week, each when it was logged, and lets the oldest weeks go on every replica.
func TestRetain(t *testing.T) {
	c := cluster(t, 1, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	now := storetest.Now().AddDate(0, 0, -35)
	opt := options()
	opt.Now = func() time.Time { return now }
	s, err := Open(ctx, dsn(c, t.Name(), true), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var last time.Time
	for i := range 6 {
		line := fmt.Appendf(nil, "%s mx1 postfix/smtp[16]: A%011d: to=<sun@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok)", now.Format(time.RFC3339), i)
		b := &intake.Batch{Source: "file:mail.log", Lines: [][]byte{line}, Modified: now, From: intake.Position{File: "f", Offset: int64(i) * 1000}, To: intake.Position{File: "f", Offset: int64(i+1) * 1000}, Ends: []int64{int64(i+1) * 1000}}
		if i == 0 {
			b.From = intake.Position{}
		}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // a source that says nothing any more
			if err := s.Commit(ctx, &intake.Batch{Source: "file:old.log", Lines: b.Lines, Ends: []int64{77}, To: intake.Position{File: "g", Offset: 77}, Modified: now}); err != nil {
				t.Fatal(err)
			}
		}
		last, now = now, now.AddDate(0, 0, 7)
	}
	now = last
	left := func() (n int) {
		for _, err := range s.Journeys(ctx, trace.Query{Kind: trace.ByFate}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	r := store.Retention{Before: now.AddDate(0, 0, -15), DryRun: true, Holds: []store.Hold{{Since: now.AddDate(0, 0, -29), Until: now.AddDate(0, 0, -27)}}}
	gone, held, err := s.Retain(ctx, r)
	if err != nil || len(gone) != 2 || len(held) != 1 || left() != 6 {
		t.Fatalf("a dry run: gone %+v, held %+v, %v", gone, held, err)
	}
	r.DryRun = false
	var told []store.Deletion
	r.Record = func(d store.Deletion) error { told = append(told, d); return nil }
	gone, held, err = s.Retain(ctx, r)
	if err != nil || len(gone) != 2 || len(held) != 1 || len(told) != 2 || told[0].Text == 0 || told[0].Until.IsZero() {
		t.Fatalf("gone %+v, held %+v, told %+v, %v", gone, held, told, err)
	}
	if n := left(); n != 4 {
		t.Errorf("%d journeys are left, want 4", n)
	}
	whole(t, ctx, s, 2)
	for _, srv := range c.Servers {
		if got, err := srv.Ask(ctx, "SELECT count() FROM "+s.local("piece")+" WHERE bare = 0"); err != nil || got != "4" {
			t.Errorf("%s holds %s pieces, %v", srv.Addr(), got, err)
		}
	}
	other, err := Open(ctx, dsn(c, t.Name(), true), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for name, want := range map[string]int64{"file:mail.log": 6000, "file:old.log": 77} {
		if p, err := other.Position(ctx, name); err != nil || p.Offset != want {
			t.Errorf("position of %s is %+v, want %d; %v", name, p, want, err)
		}
	}
	if o, err := s.Overview(ctx, trace.OverviewQuery{}); err != nil || o.Totals.Delivered != 4 {
		t.Errorf("%+v %v", o, err)
	}
}
