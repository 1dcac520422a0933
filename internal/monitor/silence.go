package monitor

import (
	"cmp"
	"context"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// directions are what absence of mail may speak of.
func directions() []string { return []string{"received", "delivered"} }

type silenceArgs struct {
	Direction string `json:"direction"`
	Within    Span   `json:"within"`
	AtLeast   int64  `json:"at_least"`
	Domain    string `json:"domain"`
	Host      string `json:"host"`
}

// query is what is asked of the store, and how far back.
func (c *silenceArgs) query() (FlowQuery, time.Duration) {
	return FlowQuery{Direction: cmp.Or(c.Direction, "received"), Domain: c.Domain, Host: c.Host}, cmp.Or(c.Within.D(), time.Hour)
}

func silenceKind() Kind {
	k := define(Kind{
		Name: "silence", Title: finding.M("Absence of mail"), About: finding.M("messages received or delivered are fewer than there always are"), Every: 5 * time.Minute, FailAfter: 2, ClearAfter: 1,
		Fields: []Field{
			{Name: "direction", Label: finding.M("Received or delivered"), Type: "choice", Choices: directions()},
			{Name: "within", Label: finding.M("Within"), Type: "span", Example: "1h"},
			{Name: "at_least", Label: finding.M("At least"), Type: "number", Example: "1"},
			{Name: "domain", Label: finding.M("Domain"), Type: "text"},
			{Name: "host", Label: finding.M("Host"), Type: "text"},
		},
		Measures: []Measure{{"messages", "1", finding.M("messages within the span")}},
	}, func(c *silenceArgs) string { return cmp.Or(c.Domain, c.Host) },
		func(c *silenceArgs, bad func(string, finding.Sentence)) {
			if c.Direction != "" && c.Direction != "received" && c.Direction != "delivered" {
				bad("direction", finding.S("unknown word {{.Word}}: one of {{list .All}}", finding.Args{"Word": cut(c.Direction), "All": directions()}))
			}
			if w := c.Within.D(); w != 0 && (w < time.Minute || w > 31*24*hour) {
				bad("within", finding.S("wants a span from 1m to 31d", nil))
			}
			if c.AtLeast < 0 {
				bad("at_least", finding.S("wants a number from 1 on", nil))
			}
		},
		func(ctx context.Context, d *Doors, c *silenceArgs) (*Result, error) {
			s := finding.Subject{Kind: finding.KindLog, Name: cmp.Or(c.Domain, c.Host)}
			if d.Flow == nil {
				return untestable(d.Env, ruleSilence, s, finding.S("no store of mail logs is at hand", nil)), nil
			}
			q, within := c.query()
			q.Until = d.Env.Now()
			q.Since = q.Until.Add(-within)
			n, newest, err := d.Flow(ctx, q)
			if err != nil {
				return nil, err
			}
			f := silence(s, q, n, max(c.AtLeast, 1), newest)
			r := check.NewReport(d.Env, "monitor", s, q.Until, []finding.Finding{f}, nil, nil)
			if f.Outcome == finding.Unknown {
				return &Result{Report: r}, nil
			}
			return &Result{Report: r, Values: map[string]float64{"messages": float64(n)}}, nil
		})
	k.past = func(args map[string]any) (FlowQuery, time.Duration, error) {
		c, err := decode[silenceArgs](args)
		q, within := c.query()
		return q, within, err
	}
	return k
}

// silence judges a count. newest is the newest thing the store has: where the logs themselves stopped before the span began,
// nobody knows whether mail came.
func silence(s finding.Subject, q FlowQuery, n, least int64, newest time.Time) finding.Finding {
	if n < least && newest.Before(q.Since) {
		why := finding.S("no log line was taken in since {{.Newest}}", finding.Args{"Newest": newest})
		if newest.IsZero() {
			why = finding.S("no log line was ever taken in", nil)
		}
		return ruleSilence.Untested(s, why)
	}
	direction := finding.M("received")
	if q.Direction == "delivered" {
		direction = finding.M("delivered")
	}
	args := finding.Args{"N": n, "Direction": direction, "Within": q.Until.Sub(q.Since), "Least": least}
	if n < least {
		return ruleSilence.Failed(s, args)
	}
	return ruleSilence.Passed(s, args)
}
