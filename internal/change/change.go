// Package change is where mailwhy changes the world, or asks permission to. It holds the blocklist desk: entries that are
// proposed with a reason and evidence, decided by a person, end by themselves, and are handed to mail servers as files.
//
// Promise: nothing is blocked silently. Every entry says why, who asked, who decided and until when; nothing becomes
// active without a decision, unless the admin gave that very rule a free hand; networks of our own, private ranges and
// partners are never blocked. The desk writes files and never touches a firewall or a server: an export is text.
package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// State is where an entry stands.
type State string

// The states.
const (
	Proposed State = "proposed" // waits for a decision
	Active   State = "active"
	Refused  State = "refused"
	Expired  State = "expired" // its time is over
	Removed  State = "removed" // taken back before its time
)

// Entry is one line of the desk. Entries are never deleted: what was blocked once can be looked up.
type Entry struct {
	ID       string    `json:"id"`                 // of what, who and when; stable
	What     string    `json:"what"`               // network in canonical form (203.0.113.7/32) or domain name, lower case, A-labels
	Reason   string    `json:"reason"`             //
	Evidence []string  `json:"evidence,omitempty"` // lines, references; verbatim and hostile
	Rule     string    `json:"rule,omitempty"`     // the rule that proposed it; empty: a person
	By       string    `json:"by"`                 //
	At       time.Time `json:"at"`                 //
	Until    time.Time `json:"until"`              // never zero
	Decided  *Act      `json:"decided,omitempty"`  // approval or refusal
	Approved bool      `json:"approved,omitempty"` //
	Ended    *Act      `json:"ended,omitempty"`    // taken back
}

// Act is something a person did to an entry.
type Act struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// State tells where the entry stands at a time.
func (e *Entry) State(now time.Time) State {
	switch {
	case e.Ended != nil:
		return Removed
	case e.Decided != nil && !e.Approved:
		return Refused
	case !now.Before(e.Until):
		return Expired
	case e.Decided == nil:
		return Proposed
	}
	return Active
}

// Network gives the network of the entry; ok is false for a domain.
func (e *Entry) Network() (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(e.What)
	return p, err == nil
}

// Store is what the desk needs of a store. Put of an entry that is there replaces it.
type Store interface {
	PutBlock(ctx context.Context, e *Entry) error
	Blocks(ctx context.Context) ([]Entry, error) // all, the oldest first
}

// The errors of the desk.
var (
	ErrNoEntry = errors.New("no such entry")
	ErrState   = errors.New("the entry stands elsewhere")
)

// ParseWhat reads an address, a network or a domain into the form Entry.What has; ok is false for anything else. Host bits
// of a network are cleared, an IPv4 address in IPv6 form becomes IPv4.
func ParseWhat(s string) (what string, ok bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()).String(), true
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		if a := p.Addr(); a.Is4In6() {
			if p.Bits() < 96 {
				return "", false
			}
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked().String(), true
	}
	d, err := idna.Lookup.ToASCII(strings.ToLower(strings.Trim(s, ".")))
	if err != nil || len(d) > 253 || !strings.Contains(d, ".") || strings.Contains(s, "/") || !nameLike(d) {
		return "", false
	}
	return d, true
}

// nameLike keeps out what is a number or would break a line of an export.
func nameLike(d string) bool {
	labels := strings.Split(d, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// Desk keeps the entries.
type Desk struct {
	Store Store
	Guard Guard
	Now   func() time.Time
	Free  []string // rules whose proposals become active at once: the admin said so
}

// Proposal asks for an entry.
type Proposal struct {
	What     string // as ParseWhat takes it
	Reason   string
	Evidence []string
	Rule, By string
	Until    time.Time
}

// Propose puts an entry on the desk, or gives the objections and no entry. An entry that is already covered by an active
// one or waits in the same form is not put there twice: the one that is there comes back, with a note.
func (d *Desk) Propose(ctx context.Context, p Proposal) (*Entry, []Objection, error) {
	what, ok := ParseWhat(p.What)
	now := d.Now()
	e := &Entry{What: what, Reason: oneLine(p.Reason), Evidence: p.Evidence, Rule: p.Rule, By: oneLine(p.By), At: now.UTC().Truncate(time.Second), Until: p.Until.UTC().Truncate(time.Second)}
	if !ok {
		return nil, []Objection{{Kind: NotBlockable, What: p.What}}, nil
	}
	obs := d.Guard.Objections(e, now)
	if slices.ContainsFunc(obs, func(o Objection) bool { return o.Final() }) {
		return nil, obs, nil
	}
	all, err := d.Store.Blocks(ctx)
	if err != nil {
		return nil, obs, err
	}
	for i := range all {
		had := &all[i]
		switch s := had.State(now); {
		case s == Active && covers(had.What, what) && !had.Until.Before(e.Until), s == Proposed && had.What == what:
			return had, append(obs, Objection{Kind: Covered, What: what, By: had.What, ID: had.ID}), nil
		}
	}
	e.ID = newID(e, all)
	if e.Rule != "" && slices.Contains(d.Free, e.Rule) {
		e.Decided, e.Approved = &Act{By: "rule " + e.Rule, At: e.At}, true
	}
	return e, obs, d.Store.PutBlock(ctx, e)
}

// Decide approves or refuses a proposal.
func (d *Desk) Decide(ctx context.Context, id, by string, approve bool, note string) (*Entry, []Objection, error) {
	e, err := d.find(ctx, id, Proposed)
	if err != nil {
		return e, nil, err
	}
	if approve {
		// What is protected may have grown since the proposal was made.
		if obs := d.Guard.Objections(e, d.Now()); slices.ContainsFunc(obs, func(o Objection) bool { return o.Final() }) {
			return e, obs, nil
		}
	}
	e.Decided, e.Approved = &Act{By: oneLine(by), At: d.Now().UTC().Truncate(time.Second), Note: oneLine(note)}, approve
	return e, nil, d.Store.PutBlock(ctx, e)
}

// Remove takes an active entry back before its time.
func (d *Desk) Remove(ctx context.Context, id, by, note string) (*Entry, error) {
	e, err := d.find(ctx, id, Active)
	if err != nil {
		return e, err
	}
	e.Ended = &Act{By: oneLine(by), At: d.Now().UTC().Truncate(time.Second), Note: oneLine(note)}
	return e, d.Store.PutBlock(ctx, e)
}

// List gives the entries in a state, all for "", the oldest first.
func (d *Desk) List(ctx context.Context, s State) ([]Entry, error) {
	all, err := d.Store.Blocks(ctx)
	now := d.Now()
	return slices.DeleteFunc(all, func(e Entry) bool { return s != "" && e.State(now) != s }), err
}

// find gives the entry with the id or a beginning of it that only one entry has. ErrState comes with the entry.
func (d *Desk) find(ctx context.Context, id string, want State) (*Entry, error) {
	all, err := d.Store.Blocks(ctx)
	if err != nil {
		return nil, err
	}
	var got *Entry
	for i := range all {
		if all[i].ID == id {
			got = &all[i]
			break
		}
		if len(id) >= 3 && strings.HasPrefix(all[i].ID, id) {
			if got != nil {
				return nil, ErrNoEntry
			}
			got = &all[i]
		}
	}
	if got == nil {
		return nil, ErrNoEntry
	}
	if got.State(d.Now()) != want {
		return got, ErrState
	}
	return got, nil
}

// covers tells whether an entry blocks all that another would.
func covers(outer, inner string) bool {
	a, err1 := netip.ParsePrefix(outer)
	b, err2 := netip.ParsePrefix(inner)
	if err1 == nil && err2 == nil {
		return a.Bits() <= b.Bits() && a.Contains(b.Addr())
	}
	return err1 != nil && err2 != nil && (outer == inner || strings.HasSuffix(inner, "."+outer))
}

func newID(e *Entry, all []Entry) string {
	sum := sha256.Sum256([]byte(e.What + "\n" + e.By + "\n" + e.At.Format(time.RFC3339)))
	id := hex.EncodeToString(sum[:])
	for n := 6; ; n += 2 {
		if n >= len(id) || !slices.ContainsFunc(all, func(o Entry) bool { return o.ID == id[:n] }) {
			return id[:min(n, len(id))]
		}
	}
}

// oneLine keeps a person's words on one line of bounded length: they are written into files as comments.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}
