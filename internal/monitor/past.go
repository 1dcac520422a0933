package monitor

import (
	"context"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// History gives when the messages of a question came or went, in order; see FlowQuery. ErrTooMuch where they are too many.
type History func(ctx context.Context, q FlowQuery) ([]time.Time, error)

// mostReplayed bounds the runs that a replay makes up.
const mostReplayed = 200_000

// past makes the samples that a monitor would have left since a time, had it been there: the same check at the times of its
// schedule, over the mail that the store knows of. It begins where the first message makes a whole look back possible:
// before that the store knows nothing, which is not that nothing came.
func (r *Runner) past(ctx context.Context, def *Definition, kind *Kind, since time.Time, each func(*Sample) bool) error {
	q, within, err := kind.past(def.Args)
	if err != nil {
		return err
	}
	now := r.o.Now()
	q.Since, q.Until = since.Add(-within-time.Hour), now // an hour more: whole hours are counted
	times, err := r.o.History(ctx, q)
	if err != nil || len(times) == 0 {
		return err
	}
	if from := times[0].Add(within); from.After(since) {
		since = from
	}
	made, err := r.o.Store.Windows(ctx)
	if err != nil {
		return err
	}
	at := Next(def.ID, def.Every.D(), def.Jitter.D(), time.Time{}, since)
	for n := 0; !at.After(now) && n < mostReplayed; n++ {
		s, err := pastSample(ctx, def, kind, at, times)
		if err != nil {
			return err
		}
		s.Maintenance = slices.ContainsFunc(made, func(p Planned) bool { return p.Covers(def.ID, s.At) })
		if !each(s) {
			return nil
		}
		at = Next(def.ID, def.Every.D(), def.Jitter.D(), at, at)
	}
	return nil
}

// pastSample runs the kind as it would have run at a time. That the logs were taken in then is believed.
func pastSample(ctx context.Context, def *Definition, kind *Kind, at time.Time, times []time.Time) (*Sample, error) {
	d := &Doors{
		Env: &check.Env{Now: func() time.Time { return at }},
		Flow: func(_ context.Context, q FlowQuery) (int64, time.Time, error) {
			first, _ := slices.BinarySearchFunc(times, q.From(), time.Time.Compare)
			end, _ := slices.BinarySearchFunc(times, q.Until, time.Time.Compare)
			return int64(end - first), q.Until, nil
		},
	}
	res, err := kind.run(ctx, d, def.Args)
	if err != nil {
		return nil, err
	}
	finding.Order(res.Report.Findings)
	return &Sample{Monitor: def.ID, At: at, Points: []Point{Look("", res.Report, res.Values)}}, nil
}
