package web_test

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/web"
)

// summed is a store of which the sums alone are asked.
type summed struct {
	anyStore
	o trace.Overview
}

// anyStore is a store that nobody searches.
type anyStore struct{}

func (anyStore) Journeys(context.Context, trace.Query) iter.Seq2[*trace.Journey, error] {
	return func(func(*trace.Journey, error) bool) {}
}

func (anyStore) Journey(context.Context, string, []string) (*trace.Journey, error) {
	return nil, trace.ErrNoJourney
}

func (s *summed) Overview(context.Context, trace.OverviewQuery) (*trace.Overview, error) {
	o := s.o
	return &o, nil
}

var causesOfTest = []trace.CauseTotal{{Cause: "user-unknown", Count: 900, Rejected: 900}, {Cause: "greylisted", Count: 60, Deferred: 60}, {Cause: "mailbox-full", Count: 3, Bounced: 3}}

// What the overview says first is the worst that is known, with its state, whose job it is and what to do next.
func TestOverviewSaysWhetherMailIsAllRight(t *testing.T) {
	h := newHouse(t)
	now := h.clock.now()
	for name, c := range map[string]struct {
		totals      trace.Totals
		lag         time.Duration
		sources     []web.Source
		queue       []web.Queue
		fails       bool // a monitor
		state       string
		says, owner string
		next        string
	}{
		"all right":    {totals: trace.Totals{Received: 1000, Delivered: 9996, Bounced: 4}, state: "ok", says: "Mail is all right: 9996 deliveries, 99.9 % of", owner: "nobody"},
		"one":          {totals: trace.Totals{Received: 1, Delivered: 1}, state: "ok", says: "1 delivery, 100 %", owner: "nobody"},
		"only in":      {totals: trace.Totals{Received: 10}, state: "ok", says: "Mail comes in", owner: "nobody"},
		"silent":       {state: "could-not-test", says: "No mail was logged", owner: "nobody"},
		"some held up": {totals: trace.Totals{Received: 1000, Delivered: 900, Deferred: 60, Bounced: 40}, state: "warning", says: "Only 90 % of delivery attempts were accepted. Most often: "},
		"most held up": {totals: trace.Totals{Received: 1000, Delivered: 500, Deferred: 460, Bounced: 40}, state: "broken", says: "Only 50 %"},
		"not read":     {totals: trace.Totals{Delivered: 10}, sources: []web.Source{{Name: "mail.log"}, {Name: "other.log", Trouble: "permission denied"}}, state: "warning", says: "The log of other.log is not read: permission denied", owner: "server"},
		"read late":    {totals: trace.Totals{Delivered: 10}, lag: 5 * time.Minute, sources: []web.Source{{Name: "mail.log", Behind: 100 << 20}}, state: "warning", says: "Reading mail.log is 100 MB behind", owner: "server"},
		"quiet host":   {totals: trace.Totals{Delivered: 10}, lag: 5 * time.Hour, sources: []web.Source{{Name: "mail.log"}}, state: "ok", says: "Mail is all right"},
		"old queue":    {totals: trace.Totals{Delivered: 10}, queue: []web.Queue{{Host: "mx1", At: now, Messages: 7, Deferred: 7, Oldest: now.Add(-26 * time.Hour)}}, state: "broken", says: "7 messages wait in the queue, the oldest for 26 h on mx1", owner: "server", next: "mailwhy queue"},
		"monitor":      {totals: trace.Totals{Delivered: 9, Deferred: 1}, fails: true, state: "broken", says: "90 % of delivery attempts were accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			runner, _ := watch(t, h.clock.now)
			h.again(func(o *web.Options) {
				o.Know, o.Monitors = knowledge.Embedded(), runner
				o.Journeys = &summed{o: trace.Overview{Totals: c.totals, Causes: causesOfTest, Lag: c.lag}}
				o.Sources = func(finding.Lang) []web.Source { return c.sources }
				o.Queues = func() []web.Queue { return c.queue }
			})
			if c.fails {
				h.want(201, "operator", "POST", "/api/v1/monitors", map[string]any{"kind": "silence", "title": "Mail from partners", "args": map[string]any{"domain": "mine.example", "at_least": 3}, "fail_after": 1})
				h.want(200, "operator", "POST", "/api/v1/monitors/silence-mine.example/run", nil)
				c.says = "Mail from partners: "
			}
			var o struct {
				Headline struct{ State, Text, Owner, Next string }
				Newest   []struct {
					Verdict, Title, Text, Monitor string
				}
				LagMS int64 `json:"lag_ms"`
			}
			h.want(200, "viewer", "GET", "/api/v1/overview", nil).into(t, &o)
			if o.Headline.State != c.state || !strings.Contains(o.Headline.Text, c.says) || c.owner != "" && o.Headline.Owner != c.owner || c.next != "" && o.Headline.Next != c.next {
				t.Errorf("%+v", o.Headline)
			}
			if (len(o.Newest) > 0) != c.fails || c.fails && (o.Newest[0].Monitor != "silence-mine.example" || o.Newest[0].Title != "Mail from partners" || o.Newest[0].Text == "") {
				t.Errorf("%+v", o.Newest)
			}
			if o.LagMS != c.lag.Milliseconds() {
				t.Errorf("lag %d", o.LagMS)
			}
			zh := h.want(200, "viewer", "GET", "/api/v1/overview?lang=zh", nil)
			o.Headline.Text = ""
			if zh.into(t, &o); !strings.ContainsAny(o.Headline.Text, "邮的日这读队投") {
				t.Errorf("%+v", o.Headline)
			}
		})
	}
}
