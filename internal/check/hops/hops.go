// Package hops reads the way of a message from its Received fields: who passed it to whom, how long each hop took,
// whose clock is wrong, and where belief ends.
//
// Promise: a pure function over the fields. The newest lines were written by our own servers and can be believed; from
// the first line that a stranger may have written on, everything is a claim (the trust line). A delay is never
// negative: where two stamps contradict each other the clock that does not fit the rest is named. RFC 5321 section 4.4,
// RFC 5322 section 3.6.7. It looks nothing up.
package hops

import (
	"net/netip"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/mail/received"
)

// Options say whom to believe and which numbers decide.
type Options struct {
	Trust []string      // our own border: host names (and all below them), addresses, prefixes; empty: guessed
	Slow  time.Duration // a hop that takes longer is named; 0 means 5 min
	Slack time.Duration // stamps may contradict each other by this much, since they have whole seconds; 0 means 2 s
	Max   int           // newest lines that are looked at; 0 means 200
}

// Path is the way of a message.
type Path struct {
	Hops     []Hop         `json:"hops"`                    // oldest first
	Unseen   int           `json:"hops_not_read,omitempty"` // older lines beyond the limit
	Total    time.Duration `json:"-"`
	Seconds  float64       `json:"total_seconds"`       // from the oldest stamp to the newest, of the clocks that agree
	Border   int           `json:"border_hop"`          // number of the oldest hop that can be believed; 0: none
	Guessed  bool          `json:"border_guessed"`      // nobody said where our border is
	Origin   netip.Addr    `json:"origin_ip,omitzero"`  // the client's address in the oldest believed relay line
	Slowest  int           `json:"slow_hop,omitempty"`  // number of the hop that took longest, where it was slow
	Zone     string        `json:"zone,omitempty"`      // times are shown in this zone, that of the newest hop
	Claimed  netip.Addr    `json:"claimed_ip,omitzero"` // the oldest client address beyond the trust line: a claim
	location *time.Location
}

// Hop is one Received line with what the others tell about it.
type Hop struct {
	N int `json:"n"` // 1 is the oldest
	*received.Hop
	Line     int                `json:"line"` // of the field in the file
	Delay    *float64           `json:"delay_seconds,omitempty"`
	Skew     *float64           `json:"clock_skew_seconds,omitempty"` // how far this host's clock is off, at least; negative: behind
	ZoneSlip bool               `json:"zone_slip,omitempty"`          // the skew is whole hours: the time zone is set wrong, not the clock
	Believed bool               `json:"believed"`
	Doubts   []finding.Sentence `json:"doubts,omitempty"` // marks of forgery
	Forged   bool               `json:"forged,omitempty"` // enough of them to say so
	delay    time.Duration
}

// Read takes the Received fields of a header, newest first as they stand, and works the way out.
func Read(fields []*header.Field, o Options) *Path {
	if o.Slow <= 0 {
		o.Slow = 5 * time.Minute
	}
	if o.Slack <= 0 {
		o.Slack = 2 * time.Second
	}
	if o.Max <= 0 {
		o.Max = 200
	}
	p := &Path{location: time.UTC}
	if len(fields) > o.Max {
		p.Unseen = len(fields) - o.Max
		fields = fields[:o.Max]
	}
	n := len(fields)
	p.Hops = make([]Hop, n)
	for i, f := range fields {
		p.Hops[n-1-i] = Hop{N: n - i, Hop: received.Parse(string(f.RawValue())), Line: f.Line}
	}
	p.zone()
	p.clocks(o)
	p.believe(o)
	p.doubt()
	return p
}

// zone picks the zone all times are shown in: that of the newest stamp.
func (p *Path) zone() {
	for i := len(p.Hops) - 1; i >= 0; i-- {
		if t := p.Hops[i].Time; !t.IsZero() {
			_, off := t.Zone()
			p.location = time.FixedZone(t.Format("-0700"), off)
			p.Zone = t.Format("-0700")
			return
		}
	}
}

// When is the hop's time in the zone of the path.
func (p *Path) When(h *Hop) string {
	if h.Time.IsZero() {
		return ""
	}
	return h.Time.In(p.location).Format("2006-01-02 15:04:05 -0700")
}

// clocks finds the stamps that contradict the others and gives the rest their delays. The largest set of hops whose
// times do not run backwards is taken for right; among equals the one with more of the newer hops, since those are
// ours.
func (p *Path) clocks(o Options) {
	good := p.agreeing(o.Slack)
	prev := -1
	for i := range p.Hops {
		h := &p.Hops[i]
		switch {
		case h.Time.IsZero():
		case !good[i]:
			p.skew(i, good)
		case prev >= 0:
			h.delay = max(h.Time.Sub(p.Hops[prev].Time), 0)
			s := h.delay.Seconds()
			h.Delay = &s
			p.Total += h.delay
			if h.delay >= o.Slow && (p.Slowest == 0 || h.delay > p.Hops[p.Slowest-1].delay) {
				p.Slowest = h.N
			}
			prev = i
		default:
			prev = i
		}
	}
	p.Seconds = p.Total.Seconds()
}

// agreeing marks the longest chain of stamps that does not run backwards.
func (p *Path) agreeing(slack time.Duration) []bool {
	n := len(p.Hops)
	length, next := make([]int, n), make([]int, n)
	best := -1
	for i := n - 1; i >= 0; i-- {
		next[i] = -1
		if p.Hops[i].Time.IsZero() {
			continue
		}
		length[i] = 1
		for j := n - 1; j > i; j-- { // newer partners first: they win among equals
			if length[j] > 0 && length[j]+1 > length[i] && !p.Hops[j].Time.Before(p.Hops[i].Time.Add(-slack)) {
				length[i], next[i] = length[j]+1, j
			}
		}
		if best < 0 || length[i] > length[best] {
			best = i
		}
	}
	good := make([]bool, n)
	for i := best; i >= 0; i = next[i] {
		good[i] = true
	}
	return good
}

// skew says how far the clock of a hop is off, at least: as far as its stamp lies outside its neighbours'.
func (p *Path) skew(i int, good []bool) {
	h := &p.Hops[i]
	var off time.Duration
	for j := i - 1; j >= 0; j-- {
		if good[j] && h.Time.Before(p.Hops[j].Time) {
			off = h.Time.Sub(p.Hops[j].Time)
		}
		if good[j] {
			break
		}
	}
	for j := i + 1; j < len(p.Hops) && off == 0; j++ {
		if good[j] {
			off = max(h.Time.Sub(p.Hops[j].Time), 0)
			break
		}
	}
	s := off.Seconds()
	h.Skew = &s
	h.ZoneSlip = wholeHours(off)
}

// wholeHours tells whether a difference is that of two time zones: whole half hours give or take two minutes, up to 14 h.
func wholeHours(d time.Duration) bool {
	d = d.Abs()
	rest := (d + time.Minute*2) % (30 * time.Minute)
	return d >= 28*time.Minute && d <= 14*time.Hour+5*time.Minute && rest <= 4*time.Minute
}

// Name is the best name of the host that passed the message on in this hop.
func (h *Hop) Name() string {
	for _, s := range []string{h.RDNS, h.HELO, h.From} {
		if s != "" {
			return s
		}
	}
	if h.IP.IsValid() {
		return h.IP.String()
	}
	return ""
}

// Receiver is the host that wrote the line.
func (h *Hop) Receiver() string {
	if h.By != "" {
		return h.By
	}
	return h.Name()
}

// BorderHost is the host that wrote the oldest line that can be believed, "" where there is none.
func (p *Path) BorderHost() string {
	if b := p.border(); b != nil {
		return b.By
	}
	return ""
}

// Believed is the number of lines that can be believed.
func (p *Path) Believed() (n int) {
	for i := range p.Hops {
		if p.Hops[i].Believed {
			n++
		}
	}
	return n
}
