package court

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

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
		if wire.Pause(ctx, pause) != nil {
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
