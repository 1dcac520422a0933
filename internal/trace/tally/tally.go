// Package tally turns events into numbers: totals, per hour, per sender, recipient, domain, host, relay, reason.
//
// Promise: facts only; what is alarming is said elsewhere. Parts are filled in parallel, one per block of lines, and
// joined in the order of the log; a message's state is let go when it leaves the queue, or is not told
// of for days. Every table is bounded: beyond
// its limit the rare keys are forgotten, counts of the others stay exact from then on or are lower bounds, the number
// of distinct keys becomes an estimate, and both are said (Table.Cut). So memory is flat in the size of the log.
//
// Numbers that pflogsumm also reports are counted as it counts them (docs/logs.md lists the differences).
package tally

import (
	"bytes"
	"hash/maphash"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// Options say how much is remembered. The zero value is good.
type Options struct {
	Keys  int       // entries per table; 0 means 100,000
	Since time.Time // events before are ignored; zero: none
	Until time.Time // events after are ignored; zero: none
}

// Tally is the running sum. One goroutine joins parts into it.
type Tally struct {
	opt   Options
	seed  maphash.Seed
	msgs  messages
	key   []byte // of a reason, used again
	hours map[int64]*Hour
	at    int64 // time of the last event of the input
	back  int64 // how often the input went back in time
	now   *Hour // the hour of the last event
	nowAt int64

	total      Totals
	first      int64
	last       int64
	senders    *table[Address]
	senderDoms *table[Address]
	rcpts      *table[Address]
	rcptDoms   *table[Address]
	clients    *table[Client]
	relays     *table[Relay]
	reasons    *table[reason]
	accounts   *table[account]
	sources    *table[source]
	words      *table[int64] // warnings, fatals, panics, filter verdicts: level and text
	tls        *table[int64]
	hosts      *table[int64]
}

// New makes an empty tally.
func New(opt Options) *Tally {
	if opt.Keys == 0 {
		opt.Keys = 100_000
	}
	t := &Tally{opt: opt, seed: maphash.MakeSeed(), hours: map[int64]*Hour{}, first: 1 << 62}
	t.senders = newTable(opt.Keys, addressWeight)
	t.senderDoms = newTable(opt.Keys, addressWeight)
	t.rcpts = newTable(opt.Keys, addressWeight)
	t.rcptDoms = newTable(opt.Keys, addressWeight)
	t.clients = newTable(opt.Keys, func(c *Client) int64 { return c.Connections + c.Messages + c.Rejected })
	t.relays = newTable(opt.Keys, func(r *Relay) int64 { return r.Sent + r.Deferred + r.Bounced })
	t.reasons = newTable(min(opt.Keys, 20_000), func(r *reason) int64 { return r.n })
	t.accounts = newTable(opt.Keys, func(a *account) int64 { return a.OK + a.Failed })
	t.sources = newTable(opt.Keys, func(s *source) int64 { return s.OK + s.Failed })
	count := func(n *int64) int64 { return *n }
	t.words = newTable(5_000, count)
	t.tls = newTable(1_000, count)
	t.hosts = newTable(10_000, count)
	return t
}

func addressWeight(a *Address) int64 { return a.Messages + a.Deferrals + a.Bounces }

// Part makes a part for this tally; use it again after Reset.
func (t *Tally) Part() *Part {
	p := &Part{seed: t.seed, since: -1 << 62, until: 1 << 62}
	if !t.opt.Since.IsZero() {
		p.since = t.opt.Since.UnixNano()
	}
	if !t.opt.Until.IsZero() {
		p.until = t.opt.Until.UnixNano()
	}
	return p
}

// backwards is how much earlier than the one before an event is where a clock was set back. The end of summer time is less.
const backwards = int64(90 * time.Minute)

// Join adds a part. Parts must come in the order of the log; the slices in a part may be reused afterwards.
func (t *Tally) Join(p *Part) {
	for i := range p.recs {
		r := &p.recs[i]
		if r.at != 0 {
			if r.at < t.at-backwards {
				t.back++
			}
			t.at = r.at
		}
		t.clock(r.at)
		t.one(r)
	}
	for i := range p.hours {
		h, of := &p.hours[i], t.hour(p.hours[i].at)
		of.Connections += h.connects
		of.Clients += h.clients
	}
	if p.first < p.last {
		t.first, t.last = min(t.first, p.first), max(t.last, p.last)
	}
}

func (t *Tally) clock(at int64) {
	h := at - at%int64(time.Hour)
	if t.now == nil || h != t.nowAt {
		if t.now != nil {
			t.now.InQueue = int64(t.msgs.len())
		}
		t.now, t.nowAt = t.hour(h), h
		t.msgs.clock(h)
	}
}

func (t *Tally) hour(at int64) *Hour {
	h := t.hours[at]
	if h == nil {
		h = &Hour{At: time.Unix(0, at)}
		t.hours[at] = h
	}
	return h
}

// one adds what one event tells.
func (t *Tally) one(r *rec) {
	switch r.kind {
	case event.Received:
		t.received(r)
	case event.Active:
		t.active(r)
	case event.Delivery:
		t.delivery(r)
	case event.Removed:
		t.msgs.remove(r.id)
	case event.Reject, event.Hold:
		t.reject(r)
	case event.Connect:
		t.clients.at(r.hb, r.b).Connections++
	case event.Auth, event.Login:
		t.login(r, true)
	case event.AuthFailed, event.LoginFailed:
		t.login(r, false)
	case event.TLS, event.TLSFailed:
		*t.tls.at(r.ha, r.a) += r.size
		if r.kind == event.TLS && bytes.HasPrefix(r.a, []byte("in ")) {
			t.now.TLS += r.size
		}
	case event.Warning, event.Trouble, event.Started, event.Filter, event.Sieve, event.Screen, event.Policy, event.ConnectError, event.Lost:
		t.word(r)
	}
}
