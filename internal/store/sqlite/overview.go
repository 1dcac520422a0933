package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// hourRow is one row of the hourly numbers.
type hourRow struct {
	digest.HourKey
	digest.Sum
}

// Overview sums the hourly numbers of a span. Those of sealed segments are kept in memory once they were read.
func (s *Store) Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	segs, err := s.segments()
	if err != nil {
		return nil, err
	}
	sum := newSummary(q)
	for _, g := range segs {
		v, err := s.view(ctx, g)
		if err != nil {
			if err == errUnborn {
				continue
			}
			return nil, fmt.Errorf("segment %s: %w", g.path, err)
		}
		err = v.sum(sum)
		v.release()
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", g.path, err)
		}
	}
	return sum.overview(), nil
}

func (v *view) sum(sum *summary) error {
	v.seg.mu.Lock()
	rows := v.seg.hours
	v.seg.mu.Unlock()
	if rows == nil {
		var err error
		if rows, err = v.hours(sum); err != nil {
			return err
		}
		if v.final {
			v.seg.mu.Lock()
			v.seg.hours = rows
			v.seg.mu.Unlock()
		}
	}
	for i := range rows {
		sum.add(&rows[i])
	}
	return query(v.c, "SELECT name, last, stored, lag FROM host", func(st *sqlite.Stmt) error {
		sum.host(st.ColumnText(0), st.ColumnInt64(1), st.ColumnInt64(2), st.ColumnInt64(3))
		return nil
	})
}

func (v *view) hours(sum *summary) (rows []hourRow, err error) {
	rows = []hourRow{}
	intern := func(w string) string {
		if had, ok := sum.words[w]; ok {
			return had
		}
		sum.words[w] = w
		return w
	}
	err = query(v.c, "SELECT hour, host, fate, direction, provider, cause, n, bytes, delay FROM hour", func(st *sqlite.Stmt) error {
		r := hourRow{}
		r.Hour, r.Host, r.Fate, r.Direction = st.ColumnInt64(0), intern(st.ColumnText(1)), digest.Fates(st.ColumnInt(2)), digest.Direction(st.ColumnInt(3))
		r.Provider, r.Cause, r.N, r.Bytes, r.Delay = intern(st.ColumnText(4)), intern(st.ColumnText(5)), st.ColumnInt64(6), st.ColumnInt64(7), time.Duration(st.ColumnInt64(8))
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

// summary collects an overview.
type summary struct {
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
	words     map[string]string
}

func newSummary(q trace.OverviewQuery) *summary {
	s := &summary{q: q, since: -1 << 62, until: 1 << 62, lastHour: -1, hours: map[int64]*trace.HourTotals{}, providers: map[string]*trace.ProviderTotal{}, causes: map[string]*trace.CauseTotal{},
		hosts: map[string]*trace.HostSeen{}, words: map[string]string{}}
	if !q.Since.IsZero() {
		s.since = q.Since.Unix() / 3600
	}
	if !q.Until.IsZero() {
		s.until = (q.Until.Unix() + 3599) / 3600
	}
	return s
}

func (s *summary) add(r *hourRow) {
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

func (s *summary) host(name string, last, stored, lag int64) {
	if h := s.hosts[name]; h != nil && h.LastSeen.UnixNano() >= last || len(s.q.Hosts) > 0 && !slices.Contains(s.q.Hosts, name) {
		return
	}
	s.hosts[name] = &trace.HostSeen{Name: name, LastSeen: time.Unix(0, last).UTC(), Stored: time.Unix(0, stored).UTC(), Lag: time.Duration(max(lag, 0)), Skew: time.Duration(max(-lag, 0))}
}

func (s *summary) overview() *trace.Overview {
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
