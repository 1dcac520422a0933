package change

import (
	"net/netip"
	"strings"
	"time"
)

// Kind of objection.
type ObjectionKind string

// The objections; those up to Ended are final.
const (
	NotBlockable ObjectionKind = "not-blockable" // no address, network or domain
	NoReason     ObjectionKind = "no-reason"
	Private      ObjectionKind = "private"  // a range that is not routed on the Internet
	Own          ObjectionKind = "own"      // ours
	Partner      ObjectionKind = "partner"  // the admin said never
	TooWide      ObjectionKind = "too-wide" // more addresses than the guard allows
	Ended        ObjectionKind = "ended"    // it would end before it began
	Shared       ObjectionKind = "shared"   // a mailbox provider sends from there: many innocent senders
	TooLong      ObjectionKind = "too-long" // longer than the guard allows; the end was set to the longest
	Covered      ObjectionKind = "covered"  // another entry does that already
)

// Objection is a reason against an entry, or something to know about it.
type Objection struct {
	Kind ObjectionKind
	What string // the entry
	By   string // the protected network or name, or the other entry
	ID   string // of the other entry
}

// Final tells whether the entry cannot be made.
func (o Objection) Final() bool {
	return o.Kind != Shared && o.Kind != TooLong && o.Kind != Covered
}

// Guard is what is never blocked, and how far one entry may go.
type Guard struct {
	Own      []netip.Prefix // our networks
	OwnNames []string       // our domains
	Partners []netip.Prefix
	Names    []string // domains of partners; those below are meant too
	Shared   []Range  // networks from which many innocent people send: an entry is made, with a warning
	Bits4    int      // shortest prefix of one entry; 0: 16
	Bits6    int      // 0: 32
	Longest  time.Duration
}

// Range is a network with its holder.
type Range struct {
	Net  netip.Prefix
	Name string
}

// special are the ranges that never stand for a stranger's mail server. RFC 6890, RFC 6598, RFC 4193, RFC 5771.
var special = [...]string{"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
	"224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8"}

// Objections are the reasons against the entry. An end beyond the longest is moved.
func (g *Guard) Objections(e *Entry, now time.Time) (out []Objection) {
	add := func(k ObjectionKind, by string) { out = append(out, Objection{Kind: k, What: e.What, By: by}) }
	if e.Reason == "" {
		add(NoReason, "")
	}
	if !e.Until.After(now) {
		add(Ended, "")
	}
	if g.Longest > 0 && e.Until.Sub(now) > g.Longest {
		e.Until = now.Add(g.Longest).UTC().Truncate(time.Second)
		add(TooLong, "")
	}
	p, isNet := e.Network()
	if !isNet {
		for _, list := range []struct {
			kind  ObjectionKind
			names []string
		}{{Own, g.OwnNames}, {Partner, g.Names}} {
			for _, n := range list.names {
				if n = strings.ToLower(strings.Trim(n, ".")); covers(e.What, n) || covers(n, e.What) {
					add(list.kind, n)
				}
			}
		}
		return out
	}
	if p.Addr().Is4() && p.Bits() < orDefault(g.Bits4, 16) || !p.Addr().Is4() && p.Bits() < orDefault(g.Bits6, 32) {
		add(TooWide, "")
	}
	for _, s := range special {
		if n := netip.MustParsePrefix(s); n.Overlaps(p) {
			add(Private, s)
			break
		}
	}
	for _, n := range g.Own {
		if n.Overlaps(p) {
			add(Own, n.String())
		}
	}
	for _, n := range g.Partners {
		if n.Overlaps(p) {
			add(Partner, n.String())
		}
	}
	for _, r := range g.Shared {
		if r.Net.Overlaps(p) {
			add(Shared, r.Name)
			break
		}
	}
	return out
}

func orDefault(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}
