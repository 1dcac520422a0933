package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
)

func TestReports(t *testing.T) {
	ctx := context.Background()
	s, err := OpenState(ctx, t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	sum := func(id string, begun time.Time) *feedback.Sum {
		m := feedback.NewSum()
		m.Reports, m.Messages, m.Aligned, m.Begin, m.End = 1, 10, 9, begun.Unix(), begun.Add(24*time.Hour).Unix()
		m.Heads = []dmarcxml.Report{{Org: "receiver.example", ID: id}}
		m.Domains = []*feedback.Domain{{Name: "mine.example", Messages: 10, Aligned: 9}}
		return m
	}
	const box = "imaps://li@mail.mine.example/Reports"
	keep := func(from, to uint32, m *feedback.Sum) error {
		return s.Keep(ctx, &intake.Report{Mailbox: box, From: intake.Mark{Validity: valid(from), UID: from}, To: intake.Mark{Validity: 7, UID: to}, Sum: m, Read: day})
	}
	if err := keep(0, 1, sum("a", day)); err != nil {
		t.Fatal(err)
	}
	if err := keep(0, 1, sum("a", day)); err != nil {
		t.Errorf("the same message again: %v", err)
	}
	if err := keep(1, 2, sum("a", day)); err != nil { // another message with the report that is there
		t.Fatal(err)
	}
	if err := keep(2, 3, feedback.NewSum()); err != nil { // holds none
		t.Fatal(err)
	}
	if err := keep(3, 4, sum("b", day.AddDate(0, 0, 5))); err != nil {
		t.Fatal(err)
	}
	if err := keep(9, 10, sum("c", day)); !errors.Is(err, intake.ErrMoved) {
		t.Errorf("from a mark that is not the stored one: %v", err)
	}
	if m, err := s.Mark(ctx, box); err != nil || m != (intake.Mark{Validity: 7, UID: 4}) {
		t.Errorf("%+v, %v", m, err)
	}
	count := func(since time.Time) (n uint64) {
		if err := s.EachReport(ctx, since, func(_ time.Time, m *feedback.Sum) error { n += m.Domains[0].Messages; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(day); n != 20 {
		t.Errorf("%d messages, want those of two reports", n)
	}
	if n := count(day.AddDate(0, 0, 4)); n != 10 {
		t.Errorf("%d messages since later", n)
	}
}

func valid(uid uint32) uint32 {
	if uid == 0 {
		return 0
	}
	return 7
}
