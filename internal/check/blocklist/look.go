// Package blocklist asks DNS blocklists about addresses and domains, and believes a list only after testing it.
//
// Promise: a list counts only if, in the same run, its own test points answer as RFC 5782 section 5 wants: the listed
// one listed, the clean one clean. An answer outside 127.0.0.0/8, an error answer (127.255.255.0/24), a list that
// lists everything or nothing, a resolver that fails: all these are "could not test", never "listed" and never "clean".
// Which lists there are and what they mean is the table knowledge/tables/blocklists.toml.
package blocklist

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
)

// State is what a list said about a subject.
type State string

// The states.
const (
	Listed   State = "listed"
	Clean    State = "clean"
	Untested State = "could-not-test"
	Good     State = "good" // an allowlist, or a good word of a mixed list
)

// Reason says why a list could not be believed.
type Reason string

// The reasons.
const (
	NoAnswer    Reason = "no-answer"        // time-out, SERVFAIL: our resolver or the list's servers
	Refused     Reason = "refused"          // an error answer: public resolver, over the limit, typing error
	Rewritten   Reason = "rewritten"        // an answer outside 127/8: a resolver that invents addresses, or a parked zone
	ListsAll    Reason = "lists-everything" // its clean test point is listed: a dead or broken zone
	ListsNone   Reason = "lists-nothing"    // its listed test point is not listed: a dead zone, or it ignores us
	UnknownCode Reason = "unknown-code"     // an answer nobody wrote down, in a list whose meanings matter
	NeedsKey    Reason = "needs-key"
)

// Entry is what one list said about one subject; JSON: docs/json.md.
type Entry struct {
	List    string        `json:"list"` // id
	Name    string        `json:"name"`
	Zone    string        `json:"zone"`
	Weight  int           `json:"weight"`
	State   State         `json:"state"`
	Reason  Reason        `json:"reason,omitempty"`
	Detail  string        `json:"detail,omitempty"` // of the reason: an answer, an error's text
	Query   string        `json:"query,omitempty"`  // the name asked; a key in it is masked
	Answers []string      `json:"answers,omitempty"`
	Means   []string      `json:"means,omitempty"` // English
	Text    []string      `json:"text,omitempty"`  // TXT, hostile
	TTL     time.Duration `json:"ttl,omitempty"`
	Delist  string        `json:"delist,omitempty"`
	Took    time.Duration `json:"took"` // of the slowest of its answers

	meanings []knowledge.Text
}

// Subject is an address or a domain with what the lists say about it.
type Subject struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind"` // "v4", "v6", "domain"
	Entries []Entry `json:"entries"`
	History []Spell `json:"history,omitempty"` // the newest first
}

// Count tells how many lists are in a state.
func (s *Subject) Count(st State) (n int) {
	for i := range s.Entries {
		if s.Entries[i].State == st {
			n++
		}
	}
	return n
}

// Listings gives the entries in which the subject is listed, heaviest first as the table has it.
func (s *Subject) Listings() []Entry {
	var out []Entry
	for _, e := range s.Entries {
		if e.State == Listed {
			out = append(out, e)
		}
	}
	return out
}

// Facts are the answers about all subjects.
type Facts struct {
	Subjects []Subject `json:"subjects"`
	Lists    int       `json:"lists"` // asked
	Dead     []string  `json:"dead"`  // names of lists known to be dead, which were not asked
}

// Options narrow or widen the questions.
type Options struct {
	Keys map[string]string // by list id: Spamhaus DQS and the like. Secret
	Only []string          // ids or zones; empty: all

	History History // what was seen before, and where to keep what is seen now; nil: nowhere
}

// Look asks all lists about all subjects at once. The error is non-nil only when the table cannot be read.
func Look(ctx context.Context, env *check.Env, subjects []string, opt Options) (*Facts, error) {
	table, err := env.Know.Blocklists()
	if err != nil {
		return nil, err
	}
	e := &engine{r: env.DNS, opt: opt, now: env.Now, secret: env.Tape == nil}
	return e.look(ctx, table, subjects), nil
}

// engine is one Look under way.
type engine struct {
	r      mail.Resolver
	opt    Options
	now    func() time.Time
	secret bool // keys may be used: nothing is recorded
}

func (e *engine) look(ctx context.Context, table *knowledge.Blocklists, subjects []string) *Facts {
	f := &Facts{}
	var lists []*knowledge.Blocklist
	for i := range table.Lists {
		l := &table.Lists[i]
		switch {
		case !l.Alive():
			f.Dead = append(f.Dead, l.Name)
		case e.wanted(l):
			lists = append(lists, l)
		}
	}
	f.Lists = len(lists)
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, name := range subjects {
		s := Subject{Name: name, Kind: kindOf(name)}
		for _, l := range lists {
			if l.Takes(s.Kind) {
				s.Entries = append(s.Entries, Entry{List: l.ID})
			}
		}
		f.Subjects = append(f.Subjects, s)
	}
	for si := range f.Subjects {
		s := &f.Subjects[si]
		n := 0
		for _, l := range lists {
			if !l.Takes(s.Kind) {
				continue
			}
			entry := &s.Entries[n]
			n++
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				*entry = e.ask(ctx, l, s.Name, s.Kind)
			})
		}
	}
	wg.Wait()
	return f
}

// atOnce bounds the lists that are asked at one moment; tables have some sixty, an admin's own may have thousands.
const atOnce = 512

func (e *engine) wanted(l *knowledge.Blocklist) bool {
	if len(e.opt.Only) == 0 {
		return true
	}
	for _, o := range e.opt.Only {
		if strings.EqualFold(o, l.ID) || strings.EqualFold(o, l.Zone) {
			return true
		}
	}
	return false
}

func kindOf(name string) string {
	a, err := netip.ParseAddr(name)
	switch {
	case err != nil:
		return "domain"
	case a.Unmap().Is4():
		return "v4"
	}
	return "v6"
}

// Label is the part of a question before the zone: reversed octets, reversed nibbles, or the domain (RFC 5782 sections
// 2.1, 2.4 and 3).
func Label(name string) string {
	a, err := netip.ParseAddr(name)
	if err != nil {
		return strings.ToLower(strings.TrimSuffix(name, "."))
	}
	a = a.Unmap()
	if a.Is4() {
		p := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d", p[3], p[2], p[1], p[0])
	}
	var b strings.Builder
	p := a.As16()
	for i := len(p) - 1; i >= 0; i-- {
		b.WriteString(strconv.FormatUint(uint64(p[i]&15), 16) + "." + strconv.FormatUint(uint64(p[i]>>4), 16))
		if i > 0 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// testPoints are the labels that must be listed and must not be (RFC 5782 section 5), "" for none.
func testPoints(l *knowledge.Blocklist, kind string) (listed, clean string) {
	switch kind {
	case "v4":
		listed, clean = Label("127.0.0.2"), Label("127.0.0.1")
	case "v6":
		listed, clean = v6Label(2), v6Label(1)
	default:
		listed, clean = "test", "invalid"
	}
	pick := func(own, std string) string {
		switch own {
		case "":
			return std
		case "none":
			return ""
		}
		return own
	}
	return pick(l.TestListed, listed), pick(l.TestClean, clean)
}

// v6Label is the label of ::FFFF:7F00:n, which RFC 5782 writes out as an IPv6 address.
func v6Label(n byte) string {
	var b []string
	for _, x := range []byte{n, 0, 0, 0x7f, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} {
		b = append(b, strconv.FormatUint(uint64(x&15), 16), strconv.FormatUint(uint64(x>>4), 16))
	}
	return strings.Join(b, ".")
}

// got is one answer to one question.
type got struct {
	addrs []netip.Addr
	ttl   time.Duration
	err   error
	took  time.Duration
	text  []string // TXT of a listing
}

func (e *engine) resolve(ctx context.Context, name string) got {
	start := e.now()
	a, err := e.r.Resolve(ctx, name, mail.TypeA)
	g := got{err: err, took: e.now().Sub(start)}
	if err == nil {
		g.ttl = a.TTL
		for _, rr := range a.Records {
			g.addrs = append(g.addrs, rr.IP)
		}
	}
	return g
}

// ask asks one list about one subject, its test points at the same time, and decides what to believe.
func (e *engine) ask(ctx context.Context, l *knowledge.Blocklist, name, kind string) Entry {
	en := Entry{List: l.ID, Name: l.Name, Zone: l.Zone, Weight: l.Weight, Delist: l.Delist}
	zone, shown := e.zone(l)
	label := Label(name)
	en.Query = label + "." + shown
	yes, no := testPoints(l, kind)
	var subject, listed, clean got
	var wg sync.WaitGroup
	wg.Go(func() {
		if subject = e.resolve(ctx, label+"."+zone); len(subject.addrs) > 0 {
			subject.text = e.text(ctx, label+"."+zone) // at once: the test points may be slower
		}
	})
	if yes != "" {
		wg.Go(func() { listed = e.resolve(ctx, yes+"."+zone) })
	}
	if no != "" {
		wg.Go(func() { clean = e.resolve(ctx, no+"."+zone) })
	}
	wg.Wait()
	en.Took = max(subject.took, listed.took, clean.took)
	en.TTL = subject.ttl
	for _, a := range subject.addrs {
		en.Answers = append(en.Answers, a.String())
	}
	en.State = Untested
	if en.Reason, en.Detail = doubt(l, subject, listed, clean, yes != ""); en.Reason != "" {
		if en.Reason == Refused && l.Public == "registration" && en.Detail == "" {
			en.Reason = NeedsKey
		}
		return en
	}
	read(l, &en, subject)
	return en
}

// zone gives the zone to ask and the one to show, in which a key is masked.
func (e *engine) zone(l *knowledge.Blocklist) (ask, shown string) {
	if k := e.opt.Keys[l.ID]; k != "" && l.Key != "" && e.secret {
		return strings.Replace(l.Key, "{key}", k, 1), strings.Replace(l.Key, "{key}", "***", 1)
	}
	return l.Zone, l.Zone
}

// doubt says why an answer cannot be believed, or "".
func doubt(l *knowledge.Blocklist, subject, listed, clean got, hasListed bool) (Reason, string) {
	for _, g := range []got{subject, listed, clean} {
		for _, a := range g.addrs {
			if r := errorAnswer(l, a); r != "" {
				return r, a.String()
			}
		}
	}
	for _, g := range []got{subject, listed, clean} {
		if g.err != nil {
			return NoAnswer, g.err.Error()
		}
	}
	if len(clean.addrs) > 0 {
		return ListsAll, clean.addrs[0].String()
	}
	if hasListed && len(listed.addrs) == 0 {
		return ListsNone, ""
	}
	return "", ""
}

// errorAnswer recognises an answer that is no listing: outside 127/8, of the range for errors, or an error by the
// table.
func errorAnswer(l *knowledge.Blocklist, a netip.Addr) Reason {
	p := a.As16()
	switch {
	case !a.Is4() || p[12] != 127:
		return Rewritten
	case p[13] == 255 && p[14] == 255:
		return Refused
	}
	for _, c := range l.Means(a) {
		if c.Error {
			return Refused
		}
	}
	return ""
}

// read turns a believable answer into a state.
func read(l *knowledge.Blocklist, en *Entry, g got) {
	if len(g.addrs) == 0 {
		en.State = Clean
		return
	}
	en.State = Listed
	if l.Allow {
		en.State = Good
	}
	good, known := true, false
	for _, a := range g.addrs {
		for _, c := range l.Means(a) {
			known, good = true, good && c.Good
			en.Means = append(en.Means, c.Means.EN)
			en.meanings = append(en.meanings, c.Means)
		}
	}
	switch {
	case known && good:
		en.State = Good
	case !known && !l.Allow && len(l.Codes) > 1:
		en.State, en.Reason, en.Detail = Untested, UnknownCode, en.Answers[0]
	}
	en.Text = g.text
}

// text asks why an entry is there.
func (e *engine) text(ctx context.Context, name string) (out []string) {
	if t, err := e.r.Resolve(ctx, name, mail.TypeTXT); err == nil {
		for _, s := range t.Texts() {
			out = append(out, s[:min(len(s), 300)])
		}
	}
	return out
}

// subjectOf gives the finding's subject.
func subjectOf(s *Subject) finding.Subject {
	if s.Kind == "domain" {
		return finding.Domain(s.Name)
	}
	return finding.Subject{Kind: finding.KindIP, Name: s.Name}
}
