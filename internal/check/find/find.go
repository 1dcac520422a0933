// Package find answers "what do I type into my mail program": it gathers the settings of an address or a domain from
// every public source, tries each server, and gives the best first.
//
// Promise: no password is sent and no login tried. Sources: SRV records (RFC 6186, 8314), autoconfig files, Autodiscover
// answers (over verified TLS only; redirects to http or to private addresses are not followed), the provider known by
// its domain or its MX, and names that are often right. Bounded in questions, redirects and connections.
package find

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/autoconf"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds of a run.
const (
	maxCandidates = 32
	maxRedirects  = 4
)

// Source says where a setting comes from. They are listed by how much they are worth.
type Source string

// The sources.
const (
	SRV          Source = "srv"
	Autoconfig   Source = "autoconfig"
	Autodiscover Source = "autodiscover"
	ByDomain     Source = "provider"
	ByMX         Source = "provider-of-mx"
	Guess        Source = "guess"
)

var worth = []Source{ByDomain, SRV, Autoconfig, Autodiscover, ByMX, Guess}

// Candidate is one server that may be typed in.
type Candidate struct {
	autoconf.Server
	From    []Source        `json:"from"` // best first
	State   State           `json:"state"`
	Auth    []string        `json:"login_methods,omitempty"`  // offered once TLS is up
	Dead    []string        `json:"dead_addresses,omitempty"` // addresses of the host that fail, where others work
	TLS     *wire.Handshake `json:"-"`
	Trust   string          `json:"trust,omitempty"` // why the certificate is not believed
	Text    string          `json:"text,omitempty"`  // the fault's own words
	Version string          `json:"version,omitempty"`
}

// State is what came of trying a server.
type State string

// The states.
const (
	Works    State = "works"       // TLS agreed, certificate believed
	Distrust State = "certificate" // TLS agreed, certificate not believed
	Absent   State = "no-such-host"
	Silent   State = "no-answer" // refused, or no answer
	NotTried State = "not-tried"
)

// Asked is what came of asking a source.
type Asked struct {
	Source  Source `json:"source"`
	Where   string `json:"where"`
	Result  string `json:"result"`         // found, none, refused, broken, unsafe, failed
	Text    string `json:"text,omitempty"` // the reason in the words of the other side
	Servers int    `json:"servers"`
}

// Facts are what was found.
type Facts struct {
	Domain     string      `json:"domain"`
	Address    string      `json:"address,omitempty"`
	MX         []string    `json:"mx"`
	Provider   string      `json:"provider,omitempty"` // ID in the table of providers
	Family     string      `json:"family,omitempty"`   // ID of whom the MX belongs to
	Asked      []Asked     `json:"asked"`
	Candidates []Candidate `json:"candidates"`  // best first
	Absent     []string    `json:"not_offered"` // services that SRV records declare absent
	provider   *knowledge.Provider
	family     *knowledge.Family
	dnsFault   error
}

// Best gives the best server of a type that works, or nil.
func (f *Facts) Best(kind string) *Candidate {
	for i := range f.Candidates {
		if c := &f.Candidates[i]; c.Type == kind && c.State == Works {
			return c
		}
	}
	return nil
}

var errOffline = errors.New("--offline")

// look gathers the facts about a domain. address may be "".
func look(ctx context.Context, env *check.Env, domain, address string) (*Facts, error) {
	f := &Facts{Domain: domain, Address: address, MX: []string{}, Absent: []string{}}
	table, err := env.Know.Providers()
	if err != nil {
		return nil, err
	}
	families, err := env.Know.Families()
	if err != nil {
		return nil, err
	}
	if env.Probe.Offline {
		f.dnsFault, f.Asked, f.Candidates = errOffline, []Asked{}, []Candidate{}
		return f, nil
	}
	l := &looker{env: env, f: f}
	var wg sync.WaitGroup
	wg.Go(func() { l.mx(ctx, table, families) })
	wg.Go(func() { l.srv(ctx) })
	wg.Go(func() { l.autoconfig(ctx) })
	wg.Go(func() { l.autodiscover(ctx) })
	wg.Wait()
	if p := table.OfDomain(domain); p != nil {
		f.provider = p
		l.provider(p, ByDomain, domain)
	}
	if f.provider == nil && len(l.found) == 0 && f.dnsFault == nil {
		l.guess()
	}
	if f.provider != nil {
		f.Provider = f.provider.ID
	}
	if f.family != nil {
		f.Family = f.family.ID
	}
	slices.SortStableFunc(f.Asked, func(a, b Asked) int {
		return cmp.Or(cmp.Compare(slices.Index(worth, a.Source), slices.Index(worth, b.Source)), cmp.Compare(a.Where, b.Where))
	})
	f.Candidates = l.merged()
	l.try(ctx)
	rank(f.Candidates)
	return f, nil
}

type looker struct {
	env   *check.Env
	f     *Facts
	mu    sync.Mutex
	found []Candidate
}

func (l *looker) note(a Asked, servers ...autoconf.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.Servers = len(servers)
	l.f.Asked = append(l.f.Asked, a)
	for _, s := range servers {
		l.found = append(l.found, Candidate{Server: s, From: []Source{a.Source}, State: NotTried})
	}
}

func (l *looker) mx(ctx context.Context, table *knowledge.Providers, families *knowledge.Families) {
	ans, err := l.env.DNS.Resolve(ctx, l.f.Domain, mail.TypeMX)
	if err != nil {
		l.f.dnsFault = err
		return
	}
	recs := slices.Clone(ans.Records)
	slices.SortStableFunc(recs, func(a, b mail.Record) int { return cmp.Compare(a.Pref, b.Pref) })
	var p *knowledge.Provider
	for _, r := range recs {
		if r.Host == "" {
			continue
		}
		l.f.MX = append(l.f.MX, r.Host)
		if p == nil {
			p = table.OfMX(r.Host)
		}
		if l.f.family == nil {
			l.f.family = families.OfHost(r.Host)
		}
	}
	if p != nil && table.OfDomain(l.f.Domain) == nil {
		l.f.provider = p
		l.provider(p, ByMX, l.f.MX[0])
	}
}

func (l *looker) provider(p *knowledge.Provider, s Source, where string) {
	list, err := p.List()
	if err != nil {
		return // a test reads the table
	}
	var out []autoconf.Server
	for _, x := range list {
		out = append(out, autoconf.Server{Type: x.Type, Host: x.Host, Port: x.Port, Security: x.Security})
	}
	l.note(Asked{Source: s, Where: where, Result: "found"}, out...)
}

// services are the SRV labels of RFC 6186 and RFC 8314.
var services = []struct{ label, kind, security string }{
	{"_imaps", "imap", "tls"}, {"_imap", "imap", "starttls"}, {"_pop3s", "pop3", "tls"}, {"_pop3", "pop3", "starttls"},
	{"_submissions", "smtp", "tls"}, {"_submission", "smtp", "starttls"}, {"_sieve", "sieve", "starttls"},
}

func (l *looker) srv(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() {
			name := s.label + "._tcp." + l.f.Domain
			ans, err := l.env.DNS.Resolve(ctx, name, mail.TypeSRV)
			if err != nil {
				l.note(Asked{Source: SRV, Where: name, Result: "failed", Text: err.Error()})
				return
			}
			var out []autoconf.Server
			for _, r := range ans.Records {
				if r.Host == "" { // RFC 6186 section 3.4: decidedly not offered
					l.mu.Lock()
					l.f.Absent = append(l.f.Absent, strings.TrimPrefix(s.label, "_"))
					l.mu.Unlock()
				} else if len(out) < 5 {
					out = append(out, autoconf.Server{Type: s.kind, Host: strings.ToLower(r.Host), Port: r.Port, Security: s.security})
				}
			}
			if len(out) > 0 {
				l.note(Asked{Source: SRV, Where: name, Result: "found"}, out...)
			}
		})
	}
	wg.Wait()
	slices.Sort(l.f.Absent)
}

func (l *looker) guess() {
	d := l.f.Domain
	l.note(Asked{Source: Guess, Where: d, Result: "found"},
		autoconf.Server{Type: "imap", Host: "imap." + d, Port: 993, Security: "tls"}, autoconf.Server{Type: "imap", Host: "mail." + d, Port: 993, Security: "tls"},
		autoconf.Server{Type: "imap", Host: "mail." + d, Port: 143, Security: "starttls"},
		autoconf.Server{Type: "pop3", Host: "pop." + d, Port: 995, Security: "tls"}, autoconf.Server{Type: "pop3", Host: "mail." + d, Port: 995, Security: "tls"},
		autoconf.Server{Type: "smtp", Host: "smtp." + d, Port: 465, Security: "tls"}, autoconf.Server{Type: "smtp", Host: "smtp." + d, Port: 587, Security: "starttls"},
		autoconf.Server{Type: "smtp", Host: "mail." + d, Port: 465, Security: "tls"}, autoconf.Server{Type: "smtp", Host: "mail." + d, Port: 587, Security: "starttls"})
}

// merged makes one candidate of each server, with all its sources, best first.
func (l *looker) merged() []Candidate {
	out := []Candidate{}
	for _, c := range l.found {
		i := slices.IndexFunc(out, func(o Candidate) bool {
			return o.Type == c.Type && o.Host == c.Host && o.Port == c.Port && o.Security == c.Security
		})
		if i < 0 {
			out = append(out, c)
		} else if !slices.Contains(out[i].From, c.From[0]) {
			out[i].From = append(out[i].From, c.From[0])
		}
	}
	for i := range out {
		slices.SortFunc(out[i].From, func(a, b Source) int { return cmp.Compare(slices.Index(worth, a), slices.Index(worth, b)) })
	}
	rank(out)
	return out[:min(len(out), maxCandidates)]
}

var (
	kinds  = []string{"imap", "pop3", "smtp", "sieve"}
	states = []State{Works, NotTried, Distrust, Silent, Absent}
)

// rank orders candidates: by type, then what works, then the better source, then TLS from the start (RFC 8314).
func rank(cs []Candidate) {
	safe := []string{"tls", "starttls", "plain"}
	slices.SortStableFunc(cs, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Type), slices.Index(kinds, b.Type)),
			cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)),
			cmp.Compare(slices.Index(worth, a.From[0]), slices.Index(worth, b.From[0])),
			cmp.Compare(slices.Index(safe, a.Security), slices.Index(safe, b.Security)),
			cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
	})
}

// try connects to every candidate, six at once.
func (l *looker) try(ctx context.Context) {
	slots := make(chan struct{}, 6)
	var wg sync.WaitGroup
	for i := range l.f.Candidates {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			l.tryOne(ctx, &l.f.Candidates[i])
		})
	}
	wg.Wait()
}

// subject is what a report is about.
func subject(f *Facts) finding.Subject {
	if f.Address != "" {
		return finding.Subject{Kind: finding.KindAddress, Name: f.Address}
	}
	return finding.Domain(f.Domain)
}
