package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// flowStore is a store of mail logs that can be asked how much mail there was.
type flowStore interface {
	trace.Store
	Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error)
}

// flow tells monitors how much mail came and went.
type flow struct {
	open func(context.Context) (s flowStore, done func(), err error)
	read func() bool // tells that all logs were read to their end a moment ago; nil: not known
}

// flow is that of the service's own store.
func (v *service) flow() *flow {
	return &flow{read: v.readToTheEnd, open: func(context.Context) (flowStore, func(), error) {
		if v.journeys == nil {
			return nil, nil, errors.New("no store of mail logs is at hand")
		}
		return v.journeys, func() {}, nil
	}}
}

// readToTheEnd tells that log files are followed, and that nothing of them waits to be read or stored: what is not in the
// store was not logged.
func (v *service) readToTheEnd() bool {
	if v.taken == nil {
		return false
	}
	followed := false
	for _, s := range v.taken().Sources {
		if s.Behind > 0 || s.Spooled > 0 || !s.Trouble.IsZero() {
			return false
		}
		followed = followed || s.File != ""
	}
	return followed
}

// count counts messages: those of one domain by their journeys, all others in the hourly sums of the store. newest is the
// time up to which the logs are known.
func (f *flow) count(ctx context.Context, q monitor.FlowQuery) (n int64, newest time.Time, err error) {
	read := f.read != nil && f.read() // before the count: what comes in between only adds to it
	s, done, err := f.open(ctx)
	if err != nil {
		return 0, newest, err
	}
	defer done()
	o := trace.OverviewQuery{Since: q.From(), Until: q.Until}
	if q.Host != "" {
		o.Hosts = []string{q.Host}
	}
	sum, err := s.Overview(ctx, o)
	if err != nil {
		return 0, newest, err
	}
	for _, h := range sum.Hosts {
		if h.LastSeen.After(newest) {
			newest = h.LastSeen
		}
	}
	if read && !newest.IsZero() {
		newest = q.Until
	}
	switch {
	case q.Domain != "":
		n, err = messagesOf(ctx, s, &q)
	case q.Direction == "delivered":
		n = sum.Totals.Delivered
	default:
		n = sum.Totals.Received
	}
	return n, newest, err
}

// enoughMessages ends the count of one domain's messages; mostTimes is what a replay goes through.
const enoughMessages, mostTimes = 10_000, 3_000_000

// messagesOf counts the messages of one domain.
func messagesOf(ctx context.Context, s flowStore, q *monitor.FlowQuery) (n int64, err error) {
	want, err := flowQuery(q)
	if err != nil {
		return 0, err
	}
	for _, err := range s.Journeys(ctx, want) {
		if err != nil {
			return n, err
		}
		if n++; n >= enoughMessages {
			break
		}
	}
	return n, nil
}

// flowQuery asks for the messages themselves.
func flowQuery(q *monitor.FlowQuery) (trace.Query, error) {
	want := trace.Query{Kind: trace.ByFate}
	if q.Domain != "" {
		var err error
		if want, err = trace.ParseQuery("domain:" + q.Domain); err != nil {
			return want, err
		}
	}
	want.Since, want.Until = q.Since, q.Until
	if q.Direction == "delivered" {
		want.Status = event.Sent
	}
	return want, nil
}

// times gives when messages came, or were delivered, in order.
func (f *flow) times(ctx context.Context, q monitor.FlowQuery) (out []time.Time, err error) {
	s, done, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	want, err := flowQuery(&q)
	if err != nil {
		return nil, err
	}
	for j, err := range s.Journeys(ctx, want) {
		if err != nil {
			return nil, err
		}
		if len(out) >= mostTimes {
			return nil, monitor.ErrTooMuch
		}
		if q.Host != "" && !slices.Contains(j.Hosts, q.Host) {
			continue
		}
		out = append(out, flowTimes(j, q.Direction == "delivered")...)
	}
	slices.SortFunc(out, time.Time.Compare)
	return out, nil
}

// flowTimes are the moments of a journey that the hourly sums of a store count, too: when it was taken in, or when each of
// its recipients had it.
func flowTimes(j *trace.Journey, delivered bool) (out []time.Time) {
	if !delivered {
		if j.State == trace.RejectedS || j.Started.IsZero() {
			return nil
		}
		return []time.Time{j.Started}
	}
	for i := range j.Recipients {
		if r := &j.Recipients[i]; r.Status == event.Sent.String() && !r.At.IsZero() {
			out = append(out, r.At)
		}
	}
	return out
}
