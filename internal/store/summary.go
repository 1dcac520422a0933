package store

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Hour is one row of the hourly numbers.
type Hour struct {
	digest.HourKey
	digest.Sum
}

// Summary collects an overview of hourly numbers, from whatever tables they come. Make it with NewSummary.
type Summary struct {
	q         trace.OverviewQuery
	since     int64 // hours
	until     int64
	hours     map[int64]*trace.HourTotals
	last      *trace.HourTotals
	lastHour  int64
	providers map[string]*trace.ProviderTotal
	causes    map[string]*trace.CauseTotal
	hosts     map[string]*trace.HostSeen
	total     trace.Totals
}

// NewSummary begins the overview of a query.
func NewSummary(q trace.OverviewQuery) *Summary {
	s := &Summary{q: q, since: -1 << 62, until: 1 << 62, lastHour: -1, hours: map[int64]*trace.HourTotals{}, providers: map[string]*trace.ProviderTotal{}, causes: map[string]*trace.CauseTotal{},
		hosts: map[string]*trace.HostSeen{}}
	if !q.Since.IsZero() {
		s.since = q.Since.Unix() / 3600
	}
	if !q.Until.IsZero() {
		s.until = (q.Until.Unix() + 3599) / 3600
	}
	return s
}

// Add takes in a row. Rows that the query does not ask for are passed over.
func (s *Summary) Add(r *Hour) {
	if r.Hour < s.since || r.Hour >= s.until || len(s.q.Hosts) > 0 && !slices.Contains(s.q.Hosts, r.Host) {
		return
	}
	if s.last == nil || r.Hour != s.lastHour {
		h := s.hours[r.Hour]
		if h == nil {
			h = &trace.HourTotals{At: time.Unix(r.Hour*3600, 0).UTC()}
			if r.Hour != 0 { // lines without a time count in the sum only
				s.hours[r.Hour] = h
			}
		}
		s.last, s.lastHour = h, r.Hour
	}
	var t trace.Totals
	switch r.Fate {
	case digest.Received:
		t.Received, t.Bytes = r.N, r.Bytes
	case digest.Delivered:
		t.Delivered, t.Delay = r.N, r.Delay
		switch r.Direction {
		case digest.In:
			t.In = r.N
		case digest.Out:
			t.Out = r.N
		}
	case digest.Deferred:
		t.Deferred = r.N
	case digest.Bounced:
		t.Bounced = r.N
	case digest.Rejected:
		t.Rejected = r.N
	case digest.Discarded:
		t.Discarded = r.N
	}
	s.last.Add(&t)
	s.total.Add(&t)
	if r.Direction == digest.Out {
		p := s.providers[r.Provider]
		if p == nil {
			p = &trace.ProviderTotal{Provider: r.Provider}
			s.providers[r.Provider] = p
		}
		p.Delivered, p.Deferred, p.Bounced = p.Delivered+t.Delivered, p.Deferred+t.Deferred, p.Bounced+t.Bounced
	}
	if r.Cause != "" {
		c := s.causes[r.Cause]
		if c == nil {
			c = &trace.CauseTotal{Cause: r.Cause}
			s.causes[r.Cause] = c
		}
		c.Count, c.Deferred, c.Bounced, c.Rejected = c.Count+r.N, c.Deferred+t.Deferred, c.Bounced+t.Bounced, c.Rejected+t.Rejected
	}
}

// Host takes in a machine that was heard: the time of its latest line, when that was stored, and how far it was behind then,
// all in ns.
func (s *Summary) Host(name string, last, stored, lag int64) {
	if h := s.hosts[name]; h != nil && h.LastSeen.UnixNano() >= last || len(s.q.Hosts) > 0 && !slices.Contains(s.q.Hosts, name) {
		return
	}
	s.hosts[name] = &trace.HostSeen{Name: name, LastSeen: time.Unix(0, last).UTC(), Stored: time.Unix(0, stored).UTC(), Lag: time.Duration(max(lag, 0)), Skew: time.Duration(max(-lag, 0))}
}

// Overview gives the sums.
func (s *Summary) Overview() *trace.Overview {
	o := &trace.Overview{Totals: s.total, Hours: []trace.HourTotals{}, Providers: []trace.ProviderTotal{}, Causes: []trace.CauseTotal{}, Hosts: []trace.HostSeen{}}
	for _, h := range slices.Sorted(maps.Keys(s.hours)) {
		o.Hours = append(o.Hours, *s.hours[h])
	}
	if n := len(o.Hours); n > 0 {
		o.Since, o.Until = o.Hours[0].At, o.Hours[n-1].At.Add(time.Hour)
	}
	for _, p := range s.providers {
		if all := p.Delivered + p.Deferred + p.Bounced; all > 0 {
			p.Acceptance = float64(p.Delivered) / float64(all)
			o.Providers = append(o.Providers, *p)
		}
	}
	slices.SortFunc(o.Providers, func(a, b trace.ProviderTotal) int {
		return cmp.Or(cmp.Compare(b.Delivered+b.Deferred+b.Bounced, a.Delivered+a.Deferred+a.Bounced), cmp.Compare(a.Provider, b.Provider))
	})
	for _, c := range s.causes {
		o.Causes = append(o.Causes, *c)
	}
	slices.SortFunc(o.Causes, func(a, b trace.CauseTotal) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Cause, b.Cause))
	})
	for _, name := range slices.Sorted(maps.Keys(s.hosts)) {
		o.Hosts = append(o.Hosts, *s.hosts[name])
		o.Lag = max(o.Lag, s.hosts[name].Lag)
	}
	return o
}
