package queue

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs/queue"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func entry(i int, sender, to, reason string, age time.Duration) *queue.Entry {
	return &queue.Entry{ID: fmt.Sprintf("4F2B1986D%02X", i), Queue: "deferred", Arrived: now.Add(-age), Size: 1000, Sender: sender,
		Recipients: []queue.Recipient{{Address: to, Reason: reason}}}
}

// calm is a queue in which nothing is alarming: ten young messages of ten senders to ten domains.
func calm(g *Gatherer) {
	for i := range 10 {
		g.Entry(entry(i, fmt.Sprintf("u%d@mine.example", i), fmt.Sprintf("x@d%d.example", i), "host mx said: 450 4.2.0 Greylisted", time.Minute))
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		rule   *finding.Rule
		before *Snapshot
		fill   func(*Gatherer)
	}{
		{rule: nil, fill: func(*Gatherer) {}},
		{rule: ruleStuck, fill: func(g *Gatherer) {
			for i := range 30 {
				g.Entry(entry(i, fmt.Sprintf("v%d@mine.example", i), "x@gone.example", "connect to mx.gone.example[192.0.2.9]:25: Connection timed out", 2*time.Hour))
			}
		}},
		{rule: ruleExpiring, fill: func(g *Gatherer) { g.Entry(entry(99, "a@b.example", "x@c.example", "", 5*24*time.Hour-2*time.Hour)) }},
		{rule: ruleHeld, fill: func(g *Gatherer) { // old as it is, it does not expire
			e := entry(99, "a@b.example", "x@c.example", "", 5*24*time.Hour)
			e.Queue = "hold"
			g.Entry(e)
		}},
		{rule: ruleGrowing, before: &Snapshot{now.Add(-time.Hour), 10}, fill: func(g *Gatherer) {
			for i := range 70 {
				g.Entry(entry(i, fmt.Sprintf("v%d@mine.example", i), fmt.Sprintf("x@e%d.example", i), "", time.Minute))
			}
		}},
		{rule: ruleBackscatter, fill: func(g *Gatherer) {
			for i := range 30 {
				g.Entry(entry(i, "", fmt.Sprintf("x@forged%d.example", i), "connect to forged: Connection refused", time.Minute))
			}
		}},
		{rule: ruleBounceStorm, fill: func(g *Gatherer) {
			for i := range 30 {
				g.Entry(entry(i, "", "news@mine.example", "", time.Minute))
			}
			for i := range 4 {
				g.Entry(entry(i, "", fmt.Sprintf("x@other%d.example", i), "", time.Minute))
			}
		}},
		{rule: ruleOneSender, fill: func(g *Gatherer) {
			for i := range 60 {
				g.Entry(entry(i, "news@mine.example", fmt.Sprintf("x@f%d.example", i), "", time.Minute))
			}
		}},
	} {
		name := "calm"
		if c.rule != nil {
			name = c.rule.ID
		}
		t.Run(name, func(t *testing.T) {
			g := NewGatherer(now, 5*24*time.Hour)
			calm(g)
			c.fill(g)
			f := g.Facts(queue.Summary{Format: queue.PostfixJSON}, c.before, knowledge.Embedded())
			r := Survey(&check.Env{Now: func() time.Time { return now }}, finding.Host("mx"), f, 10)
			var failed []*finding.Rule
			for _, x := range r.Findings {
				if x.Outcome == finding.Fail {
					failed = append(failed, x.Rule)
				}
			}
			var want []*finding.Rule
			if c.rule != nil {
				want = append(want, c.rule)
			}
			if !slices.Equal(failed, want) {
				for _, x := range failed {
					t.Log(x.ID)
				}
				t.Errorf("%d rules broken", len(failed))
			}
		})
	}
}

func TestFacts(t *testing.T) {
	g := NewGatherer(now, 5*24*time.Hour)
	calm(g)
	f := g.Facts(queue.Summary{Format: queue.EximText}, &Snapshot{now.Add(-2 * time.Hour), 20}, knowledge.Embedded())
	if f.Messages != 10 || f.Recipients != 10 || len(f.Domains) != 10 || f.Domains[0].Ages[0] != 1 || f.Growth.PerHour != -5 {
		t.Errorf("%+v", f)
	}
	if len(f.Causes) != 1 || f.Causes[0].ID != "greylisted" || f.Causes[0].Count != 10 {
		t.Errorf("causes %+v", f.Causes)
	}
}

// exiqgrep takes regular expressions, holds senders in angle brackets, and the whole address must match.
func TestPrintedEximSelections(t *testing.T) {
	f := &Facts{Format: queue.EximText}
	for _, c := range []struct{ got, want string }{
		{holdSender(f, "li+a@mine.example")[0].New, `exiqgrep -i -f '^<li\+a@mine\.example>$' | xargs exim -Mf`},
		{remove(f, "<>")[0].New, `exiqgrep -i -f '^<>$' | xargs exim -Mrm`},
		{removeDomain(f, "partner.example")[0].New, `exiqgrep -i -r '@partner\.example$' | xargs exim -Mrm`},
		{removeBounces(f, "news@mine.example")[0].New, `exiqgrep -i -f '^<>$' -r '^news@mine\.example$' | xargs exim -Mrm`},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

// A domain or sender from the queue is hostile: the printed commands must quote it.
func TestPrintedCommandsAreQuoted(t *testing.T) {
	for _, format := range []queue.Format{queue.PostfixJSON, queue.EximText, queue.Sendmail} {
		f := &Facts{Format: format}
		for _, s := range append(actions(f, "x';reboot;'"), holdSender(f, "a';reboot;'@b")...) {
			if strings.Contains(strings.ReplaceAll(s.New, `'\''`, ""), "';reboot") {
				t.Errorf("%s: %s", format, s.New)
			}
		}
	}
}
