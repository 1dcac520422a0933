// Package queue says what a mail queue tells: what waits, how long, for which destinations and why, whose job that is,
// what will expire and when, whether it grows, and whether it is full of bounces to forged senders.
//
// Promise: facts are gathered from entries pushed one at a time and are small however long the queue is; judge is pure.
// Commands that act on the queue are printed for the admin and never run.
package queue

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs/queue"
)

// Ages are the upper bounds of the columns of the age table, in minutes, as qshape has them; the last column is open.
var Ages = []int{5, 10, 20, 40, 80, 160, 320, 640, 1280}

// Facts is the survey's own part of the JSON.
type Facts struct {
	Format     queue.Format     `json:"format"`
	At         time.Time        `json:"at"`
	Messages   int64            `json:"messages"`
	Recipients int64            `json:"recipients"`
	Bytes      int64            `json:"bytes"`
	Strange    int64            `json:"strange_lines"`
	ByQueue    map[string]int64 `json:"by_queue"`
	Bounces    int64            `json:"bounces"`              // messages from the null sender
	BouncesTo  *Sender          `json:"bounces_to,omitempty"` // who gets most of them
	Oldest     []Old            `json:"oldest"`
	Domains    []Domain         `json:"domains"`
	Causes     []Cause          `json:"causes"`
	Senders    []Sender         `json:"senders"`
	Held       int64            `json:"held"` // on hold (Postfix) or frozen (Exim)
	Expiring   []Expiry         `json:"expiring"`
	Lifetime   float64          `json:"lifetime_hours"`
	Growth     *Growth          `json:"growth,omitempty"`
}

// Old is one of the oldest messages.
type Old struct {
	ID     string    `json:"id"`
	Sender string    `json:"sender"`
	To     string    `json:"to"`
	At     time.Time `json:"arrived"`
	Reason string    `json:"reason,omitempty"`
}

// Domain is a destination and how long its messages have waited. Ages has a number per column of the age table.
type Domain struct {
	Name   string        `json:"domain"`
	Total  int64         `json:"total"`
	Ages   []int64       `json:"ages"`
	Oldest time.Duration `json:"oldest_ns"`
	Reason string        `json:"reason,omitempty"` // the most recent one
}

// Cause is why messages wait, over all wordings.
type Cause struct {
	ID        string        `json:"cause"`
	Name      string        `json:"name"`
	Count     int64         `json:"count"`
	Permanent bool          `json:"permanent"`
	Owner     finding.Owner `json:"owner"`
	Example   string        `json:"example"`
	Domains   []string      `json:"domains"` // at most five
	name      knowledge.Text
}

// Sender is who has messages waiting; the null sender is "<>".
type Sender struct {
	Address string `json:"sender"`
	Count   int64  `json:"count"`
}

// Expiry tells how many messages reach the end of their lifetime within a span from the listing.
type Expiry struct {
	Within float64 `json:"within_hours"`
	Count  int64   `json:"count"`
}

// Growth compares with an earlier listing.
type Growth struct {
	Since    time.Time `json:"since"`
	Messages int64     `json:"messages"` // more (or, negative, fewer) than then
	PerHour  float64   `json:"per_hour"`
}

// Snapshot is what must be kept of a listing to compare the next one with it.
type Snapshot struct {
	At       time.Time `json:"at"`
	Messages int64     `json:"messages"`
}

// The spans of the expiry forecast.
var horizons = []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}

// keysAtMost bounds the tables of domains, senders and reasons.
const keysAtMost = 50_000

// Gatherer takes entries and sums them.
type Gatherer struct {
	f        Facts
	now      time.Time
	lifetime time.Duration
	domains  map[string]*Domain
	senders  map[string]int64
	told     map[string]int64 // recipients of bounces
	reasons  map[string]*reason
	expire   [3]int64
}

type reason struct {
	n       int64
	domains []string
}

// NewGatherer makes one. now is the time of the listing; lifetime is how long the server keeps trying.
func NewGatherer(now time.Time, lifetime time.Duration) *Gatherer {
	return &Gatherer{now: now, lifetime: lifetime, domains: map[string]*Domain{}, senders: map[string]int64{}, told: map[string]int64{}, reasons: map[string]*reason{},
		f: Facts{At: now, ByQueue: map[string]int64{}, Lifetime: lifetime.Hours()}}
}

// Entry adds one message.
func (g *Gatherer) Entry(e *queue.Entry) {
	g.f.Messages++
	g.f.Bytes += e.Size
	g.f.Recipients += int64(len(e.Recipients))
	if e.Queue != "" {
		g.f.ByQueue[e.Queue]++
	}
	sender := e.Sender
	if sender == "" {
		sender = "<>"
		g.f.Bounces++
		for _, r := range e.Recipients {
			count(g.told, strings.ToLower(r.Address))
		}
	}
	count(g.senders, sender)
	g.old(e)
	age := g.now.Sub(e.Arrived)
	if held(e) {
		g.f.Held++
	}
	for i, h := range horizons {
		if left := g.lifetime - age; left <= h && !held(e) {
			g.expire[i]++
		}
	}
	seen := map[string]bool{}
	for _, r := range e.Recipients {
		d := domainOf(r.Address)
		if !seen[d] { // a message counts once per destination, as in qshape
			seen[d] = true
			g.domain(d, age, r.Reason)
		}
		g.reason(d, r.Reason)
	}
}

// held tells a message that the server leaves alone until somebody releases it: neither tried nor expired by its age.
func held(e *queue.Entry) bool { return e.Queue == "hold" || e.Queue == "frozen" }

// count counts a word in a table of a bounded number of words.
func count(m map[string]int64, word string) {
	if _, known := m[word]; known || len(m) < keysAtMost {
		m[word]++
	}
}

func domainOf(addr string) string {
	if i := strings.LastIndexByte(addr, '@'); i >= 0 {
		return strings.ToLower(addr[i+1:])
	}
	return "(local)"
}

func (g *Gatherer) domain(name string, age time.Duration, why string) {
	d := g.domains[name]
	if d == nil {
		if len(g.domains) >= keysAtMost {
			return
		}
		d = &Domain{Name: name, Ages: make([]int64, len(Ages)+1)}
		g.domains[name] = d
	}
	d.Total++
	d.Oldest = max(d.Oldest, age)
	i := 0
	for i < len(Ages) && age >= time.Duration(Ages[i])*time.Minute {
		i++
	}
	d.Ages[i]++
	if why != "" {
		d.Reason = why
	}
}

func (g *Gatherer) reason(domain, why string) {
	r := g.reasons[why]
	if r == nil {
		if len(g.reasons) >= keysAtMost {
			return
		}
		r = &reason{}
		g.reasons[why] = r
	}
	r.n++
	if len(r.domains) < 5 && !slices.Contains(r.domains, domain) {
		r.domains = append(r.domains, domain)
	}
}

// oldestShown is how many of the oldest messages are named.
const oldestShown = 5

func (g *Gatherer) old(e *queue.Entry) {
	if n := len(g.f.Oldest); n == oldestShown && !e.Arrived.Before(g.f.Oldest[n-1].At) {
		return
	}
	o := Old{ID: e.ID, Sender: e.Sender, At: e.Arrived}
	if len(e.Recipients) > 0 {
		o.To, o.Reason = e.Recipients[0].Address, e.Recipients[0].Reason
	}
	g.f.Oldest = append(g.f.Oldest, o)
	slices.SortStableFunc(g.f.Oldest, func(a, b Old) int { return a.At.Compare(b.At) })
	g.f.Oldest = g.f.Oldest[:min(len(g.f.Oldest), oldestShown)]
}

// Facts closes the sum. before is an earlier snapshot or nil.
func (g *Gatherer) Facts(sum queue.Summary, before *Snapshot, know *knowledge.Base) *Facts {
	f := &g.f
	f.Format, f.Strange = sum.Format, sum.Strange
	for _, d := range g.domains {
		f.Domains = append(f.Domains, *d)
	}
	slices.SortFunc(f.Domains, func(a, b Domain) int { return cmp.Or(cmp.Compare(b.Total, a.Total), strings.Compare(a.Name, b.Name)) })
	for s, n := range g.senders {
		f.Senders = append(f.Senders, Sender{s, n})
	}
	slices.SortFunc(f.Senders, func(a, b Sender) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Address, b.Address))
	})
	for to, n := range g.told {
		if b := f.BouncesTo; b == nil || n > b.Count || n == b.Count && to < b.Address {
			f.BouncesTo = &Sender{to, n}
		}
	}
	f.Causes = g.causes(know)
	for i, h := range horizons {
		f.Expiring = append(f.Expiring, Expiry{h.Hours(), g.expire[i]})
	}
	if before != nil && before.At.Before(g.now) {
		more := f.Messages - before.Messages
		f.Growth = &Growth{before.At, more, float64(more) / g.now.Sub(before.At).Hours()}
	}
	return f
}

// causes folds the wordings into causes by the reply table.
func (g *Gatherer) causes(know *knowledge.Base) []Cause {
	at := map[string]*Cause{}
	for text, r := range g.reasons {
		if text == "" {
			continue
		}
		read := know.ReadReply(knowledge.SaidIn(text), knowledge.ReplyContext{Code: notFinal})
		c := at[read.Cause]
		if c == nil {
			c = &Cause{ID: read.Cause, Name: read.CauseName.EN, name: read.CauseName, Permanent: read.Permanent, Owner: read.Owner}
			at[read.Cause] = c
		}
		if c.Example == "" || text < c.Example {
			c.Example = text // the same one whatever the order of the map
		}
		c.Count += r.n
		for _, d := range r.domains {
			if len(c.Domains) < 5 && !slices.Contains(c.Domains, d) {
				c.Domains = append(c.Domains, d)
			}
		}
	}
	var out []Cause
	for _, c := range at {
		slices.Sort(c.Domains)
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cause) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.ID, b.ID)) })
	return out
}

// notFinal tells the reply table that a reason without a code of its own is not final: the message still waits.
const notFinal = "421"
