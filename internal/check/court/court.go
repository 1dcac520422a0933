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
