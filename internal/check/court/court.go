// Package court is the survey of `mailwhy resolve NAME [TYPE…]` (row N1): the authoritative servers, the system's
// resolvers, the hosts file and well-known public resolvers are asked the same question at the same moment; who differs
// is told why: propagation, a declared view, rewriting, a filter, staleness, or an answer nobody is entitled to give.
// A root server that answers like a resolver gives away a network that answers in everybody's place.
//
// Promise: the truth is what authoritative servers say, found by walking down from the root (or from the parent, where
// the root cannot be reached); where none answers, nobody is called a liar. A public resolver that cannot be reached
// makes a row and no finding. RFCs: 1034, 2308 (negative answers), 8020, 8767 (stale answers), 8914 (extended errors),
// 6761 section 6.4 (.invalid).
//
// It must not judge the zone itself: the packs of nameserver and dnssec do that.
package court

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// Options are what to ask, and whom. The zero value asks the system's resolvers and the public ones of the table for
// addresses and mail servers.
type Options struct {
	Types    []mail.Type                // none: A and MX
	Expect   []string                   // answers declared to be right inside: "192.0.2.1", "10 mail.a.example"
	Public   []knowledge.PublicResolver // nil: those of the table
	System   []string                   // nil: those of this machine
	Hosts    string                     // "": /etc/hosts
	NSSwitch string                     // "": /etc/nsswitch.conf
	Pause    time.Duration              // before a doubtful answer is asked for again, to see its TTL run; 0: 1.1 s

	due map[string]time.Time // by server, type and answer: when it must be gone at the latest; kept by Watch
}

// Role is why somebody is heard.
type Role string

// The roles.
const (
	Authority Role = "authority"
	System    Role = "system"
	Public    Role = "public"
	HostsFile Role = "hosts"
)

// Standing is what became of a testimony.
type Standing string

// The standings.
const (
	Agrees    Standing = "agrees"
	Declared  Standing = "declared"    // another answer, and --expect says so
	Old       Standing = "old"         // another answer whose TTL is running out: it was cached before a change
	Stale     Standing = "stale"       // another answer that should be gone
	Rewritten Standing = "rewritten"   // the answer it gives for any name that does not exist
	Filtered  Standing = "filtered"    // left out or led astray on purpose
	Inside    Standing = "inside"      // a private address where the world sees a public one
	Foreign   Standing = "foreign"     // an answer no authoritative server gives, and no cache explains
	Varies    Standing = "varies"      // the answer depends on who asks
	Refuses   Standing = "refuses"     // an error instead of an answer
	Silent    Standing = "silent"      // no answer
	NoWay     Standing = "unreachable" // this machine cannot get there
	Unjudged  Standing = "unjudged"    // there is nobody to compare with
)

// Testimony is what one server said to one question.
type Testimony struct {
	Who      string         `json:"who"`
	Role     Role           `json:"role"`
	Server   string         `json:"server"`
	At       time.Time      `json:"at"`
	Took     time.Duration  `json:"took"`
	Rcode    string         `json:"rcode,omitempty"`
	Values   []string       `json:"values,omitempty"` // in presentation form, sorted
	Chain    []string       `json:"chain,omitempty"`  // CNAME targets
	TTL      time.Duration  `json:"ttl"`              // of a negative answer: of its SOA
	Flags    []string       `json:"flags,omitempty"`  // AA, TC, RA, AD
	EDE      []dns.EDE      `json:"ede,omitempty"`
	SOA      string         `json:"soa,omitempty"`    // the zone a negative answer is from
	Serial   string         `json:"serial,omitempty"` // authorities: of the zone
	Fault    string         `json:"fault,omitempty"`
	Kind     wire.FaultKind `json:"fault_kind,omitempty"`
	Again    *Again         `json:"again,omitempty"` // the same question a moment later
	Due      time.Time      `json:"due,omitzero"`    // with --watch: when this answer should have run out, as first seen
	Standing Standing       `json:"standing"`
	Filter   knowledge.Text `json:"-"`

	final string // the last name of the CNAME chain
}

// Again is the answer to a question put twice.
type Again struct {
	Same bool          `json:"same"`
	TTL  time.Duration `json:"ttl"`
}

// key is the answer in a form that can be compared.
func (t *Testimony) key() string {
	switch {
	case len(t.Values) > 0:
		return strings.Join(t.Values, "\n")
	case t.Rcode == "NXDOMAIN":
		return "NXDOMAIN"
	}
	return "NODATA"
}

// spoke tells whether it is an answer that can be compared.
func (t *Testimony) spoke() bool {
	return t.Fault == "" && (t.Rcode == "NOERROR" || t.Rcode == "NXDOMAIN")
}

func (t *Testimony) flag(f string) bool { return slices.Contains(t.Flags, f) }

// Question is one type of the name, and what everybody said.
type Question struct {
	Type string      `json:"type"`
	Says []Testimony `json:"says"`
	End  string      `json:"end"` // the name at the end of the CNAMEs, as the authorities lead

	t mail.Type
}

// Invented is what somebody said of names that do not exist.
type Invented struct {
	Who    string   `json:"who"`
	Role   Role     `json:"role"`
	Server string   `json:"server"`
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"`
	Rcode  string   `json:"rcode,omitempty"`
	Fault  string   `json:"fault,omitempty"`
}

// Facts are everything seen; JSON: docs/json.md.
type Facts struct {
	Name       string            `json:"name"`
	Expect     []string          `json:"expect,omitempty"`
	At         time.Time         `json:"at"`
	Local      *dns.Local        `json:"local"`
	Zones      []*dns.Delegation `json:"zones,omitempty"` // of the name, then of what its CNAMEs lead to
	ZoneFault  string            `json:"zone_fault,omitempty"`
	Root       *Testimony        `json:"root,omitempty"` // what a root server says of itself; a resolver in its place gives itself away
	Random     string            `json:"random"`         // a name that should not exist
	Invented   []Invented        `json:"invented,omitempty"`
	Questions  []Question        `json:"questions"`
	Slow       time.Duration     `json:"slow"` // what counts as slow
	Offline    bool              `json:"offline,omitempty"`
	SystemFail string            `json:"system_fault,omitempty"` // why the system's resolvers are not known
}

// witness is somebody to ask besides the authorities.
type witness struct {
	who    string
	role   Role
	server string
	filter knowledge.Text
}

// Look asks everybody.
func Look(ctx context.Context, env *check.Env, name string, opt Options) (*Facts, error) {
	f := &Facts{Name: name, Expect: opt.Expect, At: env.Now(), Offline: env.Probe.Offline}
	f.Local = dns.ReadLocal(env.Tape, or(opt.Hosts, dns.HostsFile), or(opt.NSSwitch, dns.NSSwitchFile), name)
	table, err := env.Know.Resolvers()
	if err != nil {
		return nil, err
	}
	f.Slow = time.Duration(table.SlowMS) * time.Millisecond
	if len(opt.Types) == 0 {
		opt.Types = []mail.Type{mail.TypeA, mail.TypeMX}
	}
	for _, t := range opt.Types {
		f.Questions = append(f.Questions, Question{Type: dns.TypeName(t), t: t, End: name})
	}
	if f.Offline {
		return f, nil
	}
	if opt.Public == nil {
		opt.Public = table.Resolvers
	}
	if f.Random, err = wire.Observe(env.Tape, "court.random", name, func() (string, error) {
		return fmt.Sprintf("mailwhy-%08x", rand.Uint32()), nil
	}); err != nil {
		return nil, err
	}
	l := &looker{env: env, f: f, opt: opt}
	l.all(ctx, witnesses(env, f, &opt))
	weigh(f)
	if l.again(ctx) {
		weigh(f)
	}
	return f, nil
}

// Intercepted tells that somebody on the way answers in place of the servers that are asked: a root server has
// authority over the root and never offers recursion.
func (f *Facts) Intercepted() bool {
	return f.Root != nil && f.Root.Fault == "" && (f.Root.flag("RA") || f.Root.spoke() && !f.Root.flag("AA"))
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// witnesses lists whom to ask: the system's resolvers, then the public ones, each end once.
func witnesses(env *check.Env, f *Facts, opt *Options) []witness {
	if opt.System == nil {
		sys, err := wire.Observe(env.Tape, "resolv.conf", "", dns.SystemServers)
		if err != nil {
			f.SystemFail = err.Error()
		}
		opt.System = sys
	}
	var out []witness
	seen := map[string]bool{}
	add := func(w witness) {
		spec, err := dns.ParseServer(w.server)
		if err == nil && !seen[spec] {
			seen[spec] = true
			w.server = spec
			out = append(out, w)
		}
	}
	for _, s := range opt.System {
		add(witness{who: s, role: System, server: s})
	}
	for _, p := range opt.Public {
		add(witness{p.Name, Public, p.Server, p.Filter})
	}
	return out
}

// Survey is the report of one look.
func Survey(ctx context.Context, env *check.Env, name string, opt Options) (*finding.Report, error) {
	start := env.Now()
	f, err := Look(ctx, env, name, opt)
	if err != nil {
		return nil, err
	}
	r := check.NewReport(env, "resolve", finding.Domain(name), start, Judge(f), Sections(f), f)
	if h := agreed(f); h != nil && r.Headline.State == finding.StateOK && !f.Offline {
		r.Headline = *h
	}
	return r, nil
}

// Watch looks again and again until all that can be compared agree, limit has passed (0: none) or ctx ends; report, when not nil, is called after
// each look that found a difference. It gives the last report. An answer that outlives the TTL it was first seen with
// is told from one that is running out.
func Watch(ctx context.Context, env *check.Env, name string, opt Options, every, limit time.Duration, report func(differ int, until time.Time)) (*finding.Report, error) {
	opt.due = map[string]time.Time{}
	var stop <-chan time.Time
	if limit > 0 {
		stop = time.After(limit)
	}
	for {
		r, err := Survey(ctx, env, name, opt)
		if err != nil {
			return nil, err
		}
		f := r.Facts.(*Facts)
		n, until := f.Differ()
		if n == 0 || f.Offline || env.Tape != nil && env.Tape.Replaying() {
			return r, nil
		}
		if report != nil {
			report(n, until)
		}
		select {
		case <-time.After(every):
		case <-stop:
			return r, nil
		case <-ctx.Done():
			return r, nil
		}
	}
}

// Differ counts the answers that are neither right nor declared, and tells when the last of the cached ones runs out.
func (f *Facts) Differ() (n int, until time.Time) {
	for i := range f.Questions {
		for j := range f.Questions[i].Says {
			switch t := &f.Questions[i].Says[j]; t.Standing {
			case Old:
				n++
				if e := t.At.Add(t.TTL); e.After(until) {
					until = e
				}
			case Stale, Foreign:
				n++
			case Unjudged:
				if t.Role != Authority && len(split(f.Questions[i].Says)) > 1 {
					n++
				}
			}
		}
		if len(split(authorities(f.Questions[i].Says))) > 1 {
			n++
		}
	}
	return n, until
}

// looker is one look.
type looker struct {
	env *check.Env
	f   *Facts
	opt Options
	mu  sync.Mutex
}

// all asks witnesses and finds and asks the authorities at once.
func (l *looker) all(ctx context.Context, ws []witness) {
	heard := make([][]Testimony, len(l.f.Questions))
	for q := range heard {
		heard[q] = make([]Testimony, len(ws))
	}
	invented := make([][2]Invented, len(ws))
	courts := make([][]Testimony, len(l.f.Questions))
	var wg sync.WaitGroup
	wg.Go(func() { l.authorities(ctx, courts) })
	wg.Go(func() {
		r := l.hear(ctx, witness{who: "root", role: Authority, server: dns.Roots()[0]}, "", mail.TypeSOA, false)
		l.f.Root = &r
	})
	for i, w := range ws {
		for q := range l.f.Questions {
			wg.Go(func() { heard[q][i] = l.hear(ctx, w, l.f.Name, l.f.Questions[q].t, true) })
		}
		for n, name := range []string{l.f.Random + "." + l.f.Name, l.f.Random + ".invalid"} {
			wg.Go(func() { invented[i][n] = l.invent(ctx, w, name, true) })
		}
	}
	wg.Wait()
	for q := range l.f.Questions {
		l.f.Questions[q].Says = append(courts[q], heard[q]...)
	}
	for _, two := range invented {
		l.f.Invented = append(l.f.Invented, two[:]...)
	}
}

// maxAuthorities bounds the addresses of a zone's servers that are asked.
const maxAuthorities = 16

// maxStages bounds the zones that CNAMEs are followed through.
const maxStages = 4

// authorities finds the servers of the zone and asks them; where their answer is an alias that leads into another zone,
// that zone's servers are heard as well.
func (l *looker) authorities(ctx context.Context, out [][]Testimony) {
	d, err := l.delegation(ctx, l.f.Name)
	if err != nil {
		l.f.ZoneFault = err.Error()
		return
	}
	l.f.Zones = append(l.f.Zones, d)
	var wg sync.WaitGroup
	for q := range out {
		wg.Go(func() { out[q] = l.zoneSays(ctx, d, l.f.Name, l.f.Questions[q].t) })
	}
	for _, w := range serversOf(d, l.env.Probe.NoIPv6)[:min(2, len(serversOf(d, l.env.Probe.NoIPv6)))] {
		wg.Go(func() {
			inv := l.invent(ctx, w, l.f.Random+"."+l.f.Name, false)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.f.Invented = append(l.f.Invented, inv)
		})
	}
	wg.Wait()
	for q := range out {
		for range maxStages {
			next := leadsTo(out[q], l.f.Questions[q].End, l.f.Questions[q].t)
			if next == "" {
				break
			}
			l.f.Questions[q].End = next
			nd, err := l.delegation(ctx, next)
			if err != nil {
				l.f.ZoneFault = err.Error()
				break
			}
			if !slices.ContainsFunc(l.f.Zones, func(z *dns.Delegation) bool { return z.Zone == nd.Zone }) {
				l.f.Zones = append(l.f.Zones, nd)
			}
			out[q] = l.zoneSays(ctx, nd, next, l.f.Questions[q].t)
		}
	}
}

// leadsTo gives the name that the authorities' aliases end at, where they do not answer for it themselves.
func leadsTo(says []Testimony, at string, t mail.Type) string {
	if t == mail.TypeCNAME {
		return ""
	}
	for i := range says {
		s := &says[i]
		if s.spoke() && s.flag("AA") && len(s.Values) == 0 && s.SOA == "" && s.final != "" && s.final != at {
			return s.final
		}
	}
	return ""
}

// delegation walks from the root; where that leads nowhere, the resolvers lead to the parent. Both ways are gone at
// once, so that a network without a way to the root costs no extra time.
func (l *looker) delegation(ctx context.Context, name string) (*dns.Delegation, error) {
	type way struct {
		d   *dns.Delegation
		err error
	}
	walk, stub := make(chan way, 1), make(chan way, 1)
	wait := 8 * time.Second
	if t := l.env.Probe.Timeout; t > 0 {
		wait = min(wait, t)
	}
	wctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	go func() { d, err := l.env.DNS.Walk(wctx, name); walk <- way{d, err} }()
	go func() { d, err := l.env.DNS.Delegation(ctx, name); stub <- way{d, err} }()
	w := <-walk
	if w.err == nil && len(serversOf(w.d, l.env.Probe.NoIPv6)) > 0 {
		return w.d, nil
	}
	s := <-stub
	if s.err == nil {
		return s.d, nil
	}
	if w.err == nil {
		return w.d, nil
	}
	return nil, s.err
}

func serversOf(d *dns.Delegation, noIPv6 bool) []witness {
	var out []witness
	for _, s := range d.Servers() {
		for _, a := range s.Addrs {
			if len(out) < maxAuthorities && !(noIPv6 && a.Is6()) {
				out = append(out, witness{who: s.Host, role: Authority, server: a.String()})
			}
		}
	}
	return out
}

// zoneSays asks all servers of a zone.
func (l *looker) zoneSays(ctx context.Context, d *dns.Delegation, name string, t mail.Type) []Testimony {
	servers := serversOf(d, l.env.Probe.NoIPv6)
	out := make([]Testimony, len(servers))
	serials := make([]string, len(servers))
	var wg sync.WaitGroup
	for i, w := range servers {
		wg.Go(func() { out[i] = l.hear(ctx, w, name, t, false) })
		wg.Go(func() {
			r, err := l.env.DNS.Ask(ctx, w.server, dns.Question{Name: d.Zone, Type: mail.TypeSOA})
			if err == nil {
				serials[i] = serialOf(r.Of(mail.TypeSOA))
			}
		})
	}
	wg.Wait()
	for i := range out {
		out[i].Serial = serials[i]
	}
	return out
}

// serialOf takes the third field of an SOA.
func serialOf(soa []mail.Record) string {
	if len(soa) == 0 {
		return ""
	}
	if f := strings.Fields(soa[0].Text); len(f) > 2 {
		return f[2]
	}
	return ""
}

// hear puts one question to one server.
func (l *looker) hear(ctx context.Context, w witness, name string, t mail.Type, recursion bool) Testimony {
	out := Testimony{Who: w.who, Role: w.role, Server: w.server, At: l.env.Now(), Filter: w.filter}
	r, err := l.env.DNS.Ask(ctx, w.server, dns.Question{Name: name, Type: t, Recursion: recursion})
	out.Took = l.env.Now().Sub(out.At)
	if err != nil {
		f := wire.Classify("dns", err)
		out.Fault, out.Kind = f.Text, f.Kind
		return out
	}
	out.take(r, name, t)
	if due, ok := l.opt.due[out.dueKey(t)]; ok {
		out.Due = due
	}
	return out
}

// take reads a reply.
func (t *Testimony) take(r *dns.Reply, name string, typ mail.Type) {
	t.Took, t.Rcode, t.EDE, t.Server = r.RTT, dns.RcodeName(r.Rcode), r.EDE, r.Server
	for _, f := range []struct {
		name string
		on   bool
	}{{"AA", r.AA}, {"TC", r.TC}, {"RA", r.RA}, {"AD", r.AD}} {
		if f.on {
			t.Flags = append(t.Flags, f.name)
		}
	}
	first := true
	lower := func(d time.Duration) {
		if first || d < t.TTL {
			t.TTL, first = d, false
		}
	}
	at := name
	for range len(r.Answer) { // the chain, whatever the order of its records
		i := slices.IndexFunc(r.Answer, func(x mail.Record) bool {
			return x.Type == mail.TypeCNAME && typ != mail.TypeCNAME && x.Name == at && !slices.Contains(t.Chain, x.Host)
		})
		if i < 0 {
			break
		}
		at = r.Answer[i].Host
		t.Chain = append(t.Chain, at)
		lower(r.Answer[i].TTL)
	}
	t.final = at
	for _, rr := range r.Of(typ) {
		if rr.Name == at {
			t.Values = append(t.Values, value(rr))
			lower(rr.TTL)
		}
	}
	slices.Sort(t.Values)
	t.Values = slices.Compact(t.Values)
	if len(t.Values) > 0 {
		return
	}
	for _, rr := range r.Authority {
		if rr.Type == mail.TypeSOA {
			t.SOA = or(rr.Name, ".")
			lower(rr.TTL)
		}
	}
}

// value writes a record so that the same thing always looks the same.
func value(r mail.Record) string {
	switch r.Type {
	case mail.TypeTXT, mail.TypeSPF:
		return check.QuoteTXT(strings.Join(r.TXT, ""))
	case mail.TypeMX:
		return fmt.Sprintf("%d %s", r.Pref, or(r.Host, "."))
	case mail.TypeNS, mail.TypeCNAME, mail.TypePTR:
		return or(r.Host, ".")
	}
	return r.Text
}

func (l *looker) invent(ctx context.Context, w witness, name string, recursion bool) Invented {
	out := Invented{Who: w.who, Role: w.role, Server: w.server, Name: name}
	r, err := l.env.DNS.Ask(ctx, w.server, dns.Question{Name: name, Type: mail.TypeA, Recursion: recursion})
	if err != nil {
		out.Fault = err.Error()
		return out
	}
	out.Rcode = dns.RcodeName(r.Rcode)
	for _, rr := range r.Of(mail.TypeA) {
		out.Values = append(out.Values, rr.IP.String())
	}
	slices.Sort(out.Values)
	return out
}

// again puts the questions with a doubtful answer a second time: the TTL of a cached answer runs, that of one made up
// on the spot stands. It tells whether there were any.
func (l *looker) again(ctx context.Context) bool {
	type doubt struct {
		t   *Testimony
		typ mail.Type
	}
	var doubts []doubt
	for q := range l.f.Questions {
		for i := range l.f.Questions[q].Says {
			if t := &l.f.Questions[q].Says[i]; t.Standing == Old {
				doubts = append(doubts, doubt{t, l.f.Questions[q].t})
			}
		}
	}
	if len(doubts) == 0 {
		return false
	}
	if l.env.Tape == nil || !l.env.Tape.Replaying() {
		pause := l.opt.Pause
		if pause == 0 {
			pause = 1100 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
	var wg sync.WaitGroup
	for _, d := range doubts {
		wg.Go(func() {
			w := witness{who: d.t.Who, role: d.t.Role, server: d.t.Server}
			if s := l.hear(ctx, w, l.f.Name, d.typ, true); s.spoke() {
				d.t.Again = &Again{Same: s.key() == d.t.key(), TTL: s.TTL}
			}
		})
	}
	wg.Wait()
	for _, d := range doubts {
		if k := d.t.dueKey(d.typ); l.opt.due != nil && l.opt.due[k].IsZero() {
			l.opt.due[k] = d.t.At.Add(d.t.TTL)
		}
	}
	return true
}

func (t *Testimony) dueKey(typ mail.Type) string {
	return t.Server + " " + dns.TypeName(typ) + " " + t.key()
}

// addresses reads values as addresses; nil where one is none.
func addresses(values []string) []netip.Addr {
	var out []netip.Addr
	for _, v := range values {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return nil
		}
		out = append(out, a)
	}
	return out
}
