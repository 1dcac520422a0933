package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

// Monitors is the contract of monitor.Store. open gives an empty store; reopen gives the same one as another process would
// see it.
func Monitors(t *testing.T, open func(t *testing.T) (store monitor.Store, reopen func() monitor.Store)) {
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	ctx := context.Background()
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	event := func(kind monitor.EventKind, n int, v monitor.Verdict) monitor.Event {
		when := at.Add(time.Duration(n) * time.Minute)
		return monitor.Event{ID: "m/" + string(kind) + "/" + when.String(), Kind: kind, At: when, Monitor: "m", Incident: "m-1", Since: at,
			Observation: monitor.Observation{At: when, Verdict: v, Text: monitor.Said{EN: "down", ZH: "停机"}, Owner: finding.OwnerServer, Next: []string{"server", "mx"}}}
	}
	sample := func(n int, ms float64) *monitor.Sample {
		return &monitor.Sample{Monitor: "m", At: at.Add(time.Duration(n) * time.Minute), Took: time.Second, Points: []monitor.Point{{
			Values: map[string]float64{monitor.Response: ms / 1000}, Headline: monitor.Said{EN: "fine"},
			Failed: []monitor.Seen{{Rule: "a.b", Subject: "mx", Severity: finding.Warning, Text: monitor.Said{EN: "weak"}, Next: finding.Command{"tls", "mx:25"}}},
		}}}
	}
	t.Run("definitions", func(t *testing.T) {
		s, reopen := open(t)
		d := monitor.Definition{ID: "m", Kind: "server", Args: map[string]any{"host": "mx.mine.example"}, Settings: monitor.Settings{Every: monitor.Span(time.Minute)}}
		must(t, s.PutMonitor(ctx, &d))
		d.Title = "again"
		must(t, s.PutMonitor(ctx, &d))
		got, err := reopen().Monitors(ctx)
		if err != nil || len(got) != 1 || got[0].Title != "again" || got[0].Every != d.Every || got[0].Args["host"] != "mx.mine.example" {
			t.Errorf("%+v, %v", got, err)
		}
		must(t, s.DropMonitor(ctx, "m"))
		if got, err := s.Monitors(ctx); err != nil || len(got) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("commit", func(t *testing.T) {
		s, reopen := open(t)
		if st, err := s.State(ctx, "m"); err != nil || st.Known != monitor.None || st.Runs != 0 {
			t.Fatalf("before the first run: %+v, %v", st, err)
		}
		silent := event(monitor.Widened, 2, monitor.Failing)
		silent.Silent = true
		must(t, s.Commit(ctx, &monitor.Commit{Monitor: "m", State: monitor.State{Known: monitor.Failing, Incident: "m-1", Runs: 7, Since: at}, Sample: sample(1, 250),
			Events: []monitor.Event{event(monitor.Opened, 1, monitor.Failing)}}))
		must(t, s.Commit(ctx, &monitor.Commit{Monitor: "m", State: monitor.State{Known: monitor.Failing, Incident: "m-1", Runs: 8}, Sample: sample(2, 260), Events: []monitor.Event{silent}}))
		s = reopen()
		st, err := s.State(ctx, "m")
		if err != nil || st.Runs != 8 || st.Incident != "m-1" {
			t.Errorf("%+v, %v", st, err)
		}
		waiting, err := s.Unannounced(ctx, 10)
		if err != nil || len(waiting) != 1 || waiting[0].Kind != monitor.Opened || waiting[0].Observation.Text.ZH != "停机" {
			t.Fatalf("%+v, %v", waiting, err)
		}
		must(t, s.Announced(ctx, waiting[0].ID))
		if again, err := s.Unannounced(ctx, 10); err != nil || len(again) != 0 {
			t.Errorf("announced, and still waiting: %+v, %v", again, err)
		}
		i, err := s.Incident(ctx, "m-1")
		if err != nil || len(i.History) != 2 || i.History[0].Kind != monitor.Opened || !i.Ended.IsZero() || !i.Started.Equal(at) || i.Text.EN != "down" || i.Owner != finding.OwnerServer {
			t.Errorf("%+v, %v", i, err)
		}
		must(t, s.Acknowledge(ctx, "m-1", monitor.Ack{By: "zhao", At: at, Note: "on it"}))
		must(t, s.Commit(ctx, &monitor.Commit{Monitor: "m", Events: []monitor.Event{event(monitor.Resolved, 9, monitor.OK)}}))
		i, err = s.Incident(ctx, "m-1")
		if err != nil || i.Ack == nil || i.Ack.By != "zhao" || !i.Ended.Equal(at.Add(9*time.Minute)) {
			t.Errorf("%+v, %v", i, err)
		}
		if err := s.Acknowledge(ctx, "m-1", monitor.Ack{}); !errors.Is(err, monitor.ErrClosed) {
			t.Errorf("acknowledged what is over: %v", err)
		}
		if err := s.Acknowledge(ctx, "nobody", monitor.Ack{}); !errors.Is(err, monitor.ErrNone) {
			t.Errorf("acknowledged nothing: %v", err)
		}
		if _, err := s.Incident(ctx, "nobody"); !errors.Is(err, monitor.ErrNone) {
			t.Errorf("%v", err)
		}
	})
	t.Run("samples", func(t *testing.T) {
		s, _ := open(t)
		for n := range 10 {
			must(t, s.Commit(ctx, &monitor.Commit{Monitor: "m", Sample: sample(n, float64(n))}))
		}
		var got []monitor.Sample
		must(t, s.Samples(ctx, "m", at.Add(3*time.Minute), at.Add(7*time.Minute), func(x *monitor.Sample) bool { got = append(got, *x); return true }))
		if len(got) != 4 || !got[0].At.Equal(at.Add(3*time.Minute)) || got[0].Points[0].Values[monitor.Response] != 0.003 || got[0].Points[0].Failed[0].Rule != "a.b" ||
			got[0].Points[0].Failed[0].Severity != finding.Warning || got[0].Took != time.Second {
			t.Errorf("%+v", got)
		}
		n := 0
		must(t, s.Samples(ctx, "m", time.Time{}, time.Time{}, func(*monitor.Sample) bool { n++; return n < 2 }))
		if n != 2 {
			t.Errorf("went on to %d", n)
		}
		if gone, err := s.Prune(ctx, at.Add(8*time.Minute), at); err != nil || gone != 8 {
			t.Errorf("pruned %d, %v", gone, err)
		}
		n = 0
		must(t, s.Samples(ctx, "m", time.Time{}, time.Time{}, func(x *monitor.Sample) bool { n += len(x.Points[0].Failed); return true }))
		if n != 2 {
			t.Errorf("%d samples with their words left, want 2", n)
		}
	})
	t.Run("incidents", func(t *testing.T) {
		s, _ := open(t)
		for n := range 5 {
			e := event(monitor.Opened, n*10, monitor.Failing)
			e.Incident, e.Since = e.ID, e.At
			must(t, s.Commit(ctx, &monitor.Commit{Monitor: "m", Events: []monitor.Event{e}}))
			if n < 3 {
				r := event(monitor.Resolved, n*10+5, monitor.OK)
				r.Incident = e.Incident
				must(t, s.Commit(ctx, &monitor.Commit{Monitor: "m", Events: []monitor.Event{r}}))
			}
		}
		count := func(q monitor.IncidentQuery) []monitor.Incident {
			got, err := s.Incidents(ctx, q)
			must(t, err)
			return got
		}
		all := count(monitor.IncidentQuery{})
		if len(all) != 5 || !all[0].Started.After(all[4].Started) {
			t.Errorf("%+v", all)
		}
		if got := count(monitor.IncidentQuery{Open: true, Monitor: "m"}); len(got) != 2 {
			t.Errorf("%d open", len(got))
		}
		if got := count(monitor.IncidentQuery{Monitor: "other"}); len(got) != 0 {
			t.Errorf("%d of another monitor", len(got))
		}
		if got := count(monitor.IncidentQuery{Since: at.Add(20 * time.Minute)}); len(got) != 3 {
			t.Errorf("%d since", len(got))
		}
		if got := count(monitor.IncidentQuery{Before: all[1].ID, Limit: 2}); len(got) != 2 || got[0].ID != all[2].ID {
			t.Errorf("second page: %+v", got)
		}
		if _, err := s.Prune(ctx, at, at.Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := count(monitor.IncidentQuery{}); len(got) != 2 {
			t.Errorf("%d left: open incidents are not forgotten, closed ones are", len(got))
		}
	})
	t.Run("mutes", func(t *testing.T) {
		s, reopen := open(t)
		must(t, s.PutMute(ctx, "m", &monitor.Mute{Reason: "moving", By: "zhao", Until: at.Add(time.Hour)}))
		if m, err := reopen().Mute(ctx, "m", at); err != nil || m == nil || m.Reason != "moving" {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err := s.Mute(ctx, "m", at.Add(time.Hour)); err != nil || m != nil {
			t.Errorf("after its end: %+v, %v", m, err)
		}
		must(t, s.PutMute(ctx, "m", nil))
		if m, err := s.Mute(ctx, "m", at); err != nil || m != nil {
			t.Errorf("ended: %+v, %v", m, err)
		}
	})
	t.Run("maintenance", func(t *testing.T) {
		s, reopen := open(t)
		once := monitor.Planned{ID: "a", Monitors: []string{"m"}, By: "li", At: at, Window: monitor.Window{From: at, To: at.Add(time.Hour), Reason: "moving"}}
		weekly := monitor.Planned{ID: "b", Window: monitor.Window{Cron: "0 2 * * 0", For: monitor.Span(time.Hour), Reason: "backup"}}
		must(t, s.PutWindow(ctx, &once))
		must(t, s.PutWindow(ctx, &weekly))
		once.Reason = "moving again"
		must(t, s.PutWindow(ctx, &once))
		got, err := reopen().Windows(ctx)
		if err != nil || len(got) != 2 || got[0].Reason != "moving again" || !got[0].To.Equal(at.Add(time.Hour)) || got[0].Monitors[0] != "m" || got[1].For.D() != time.Hour {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Prune(ctx, at, at.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Windows(ctx); err != nil || len(got) != 1 || got[0].ID != "b" {
			t.Errorf("one that is over is forgotten, one that comes again is not: %+v, %v", got, err)
		}
		must(t, s.DropWindow(ctx, "b"))
		if got, err := s.Windows(ctx); err != nil || len(got) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("proposals", func(t *testing.T) {
		s, _ := open(t)
		p := monitor.Proposal{ID: "p", Monitor: "m", At: at, State: monitor.ProposalOpen, For: monitor.Span(time.Hour), Hash: "h", Steps: []finding.Step{{Kind: finding.DNSReplace, Target: "a MX", Old: "1", New: "2"}}}
		must(t, s.PutProposal(ctx, &p))
		must(t, s.PutProposal(ctx, &p)) // the same run again
		if got, err := s.Proposals(ctx, true, 10); err != nil || len(got) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		must(t, s.DecideProposal(ctx, "p", monitor.ProposalOpen, monitor.ProposalApproved, "li", at, "yes"))
		got, err := s.Proposal(ctx, "p")
		if err != nil || got.State != monitor.ProposalApproved || got.By != "li" || !got.Until.Equal(at.Add(time.Hour)) || got.Steps[0].New != "2" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.DecideProposal(ctx, "p", monitor.ProposalOpen, monitor.ProposalRefused, "wu", at, ""); !errors.Is(err, monitor.ErrClosed) {
			t.Errorf("decided twice: %v", err)
		}
		if err := s.DecideProposal(ctx, "q", monitor.ProposalOpen, monitor.ProposalRefused, "wu", at, ""); !errors.Is(err, monitor.ErrNone) {
			t.Errorf("%v", err)
		}
		must(t, s.DecideProposal(ctx, "p", monitor.ProposalApproved, monitor.ProposalEnded, "li", at.Add(time.Hour), ""))
		if got, err := s.Proposals(ctx, true, 10); err != nil || len(got) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := s.Proposals(ctx, false, 10); err != nil || len(got) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
