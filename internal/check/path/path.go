// Package path is the survey of `mailwhy path HOST[:PORT]`: the routers on the way to a mail server, what each of them
// costs, and where the way ends, asked by ICMP echo, UDP and TCP to the mail port, over IPv4 and IPv6.
//
// Promise: few packets (MaxPackets for an address), spaced; the mail port itself gets at most a handful of connections.
// What a router does not answer is never taken for what it does not forward: loss and delay count where they stay up to
// the end. RFCs: 1812 section 4.3.2.8 (routers limit what they answer), 1191, 8201 and 2923 (path MTU and its black
// holes), 6598 (carrier-grade NAT), 1918, 4193.
//
// It must not open a session with the server: see delivery.
package path

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/route"
)

// Options say what to ask.
type Options struct {
	Host    string        // name or address
	Port    uint16        // 0 means 25
	Rounds  int           // of the method that measures; 0 means 10, and more where something is lost
	MaxHops int           // 0 means 30
	Wait    time.Duration // for each answer; 0 means up to 1 s, and less where the way is known to be quick
	Methods []route.Method
}

// Bounds.
const (
	defaultRounds = 10
	maxRounds     = 100
	defaultHops   = 30
	MaxPackets    = 4000 // for one address, whatever is asked for
	portRounds    = 3    // of TCP
)

// Facts are what was seen of the way; JSON: docs/json.md.
type Facts struct {
	Host  string   `json:"host"`
	Port  uint16   `json:"port"`
	Mail  []string `json:"mx,omitempty"` // where the mail for the name goes, if elsewhere
	Ways  []*Way   `json:"ways"`         // one per address family
	Fault string   `json:"fault,omitempty"`

	why finding.Sentence
}

// Way is the way to one address.
type Way struct {
	Addr   netip.Addr `json:"addr"`
	Name   string     `json:"name,omitempty"`   // the host the address belongs to
	Source netip.Addr `json:"source,omitzero"`  // our own address on this way
	Traces []*Trace   `json:"traces,omitempty"` // a method each
	Nodes  []Node     `json:"nodes,omitempty"`  // each address on the way once
	MTU    *MTU       `json:"mtu,omitempty"`

	packets int
}

// Trace is what one method saw.
type Trace struct {
	Method route.Method `json:"method"`
	Rounds int          `json:"rounds"`
	Hops   []Hop        `json:"hops,omitempty"` // the first is one hop away
	End    End          `json:"end"`            // how the way ended
	Fault  *wire.Fault  `json:"fault,omitempty"`
}

// End is how a way ended: at which hop, who said what. A kind of "" is silence.
type End struct {
	TTL  int        `json:"ttl,omitempty"`
	Kind route.Kind `json:"kind,omitempty"`
	From netip.Addr `json:"from,omitzero"`
	Code string     `json:"code,omitempty"`
}

// Hop is what the router at one distance answered. Times are of the answers that came.
type Hop struct {
	TTL    int           `json:"ttl"`
	Sent   int           `json:"sent"`
	Lost   int           `json:"lost"`
	Addrs  []netip.Addr  `json:"addrs,omitempty"`
	Best   time.Duration `json:"best_ns,omitempty"`
	Avg    time.Duration `json:"avg_ns,omitempty"`
	Worst  time.Duration `json:"worst_ns,omitempty"`
	Jitter time.Duration `json:"jitter_ns,omitempty"` // mean difference of neighbouring times
	Left   int           `json:"left,omitempty"`      // hop limit the last answer arrived with
	Ends   int           `json:"ends,omitempty"`      // answers that ended the way here

	took []time.Duration
}

// loss is a share of 1.
func (h *Hop) loss() float64 {
	if h.Sent == 0 {
		return 0
	}
	return float64(h.Lost) / float64(h.Sent)
}

// answers tells how often the hop answered.
func (h *Hop) answers() int { return h.Sent - h.Lost }

func (h *Hop) addr() netip.Addr {
	if len(h.Addrs) == 0 {
		return netip.Addr{}
	}
	return h.Addrs[0]
}

func (t *Trace) reached() bool { return t != nil && t.End.Kind == route.Reply }

// Node is an address on the way.
type Node struct {
	Addr  netip.Addr `json:"addr"`
	Name  string     `json:"name,omitempty"`  // reverse name, hostile
	AS    uint32     `json:"as,omitempty"`    // that announces it
	Owner string     `json:"owner,omitempty"` // of the AS, hostile
	Kind  string     `json:"kind,omitempty"`  // "private", "cgnat", … as mail.Special has it
}

// Survey looks at the ways to a host.
func Survey(ctx context.Context, env *check.Env, opt Options) (*finding.Report, error) {
	start := env.Now()
	f := Look(ctx, env, opt)
	fs := Judge(f)
	r := check.NewReport(env, "path", finding.Subject{Kind: finding.KindHost, Name: f.Host}, start, fs, sections(f), f)
	if h, ok := headline(f, fs); ok {
		r.Headline = h
	}
	return r, nil
}

// Look asks the routers.
func Look(ctx context.Context, env *check.Env, opt Options) *Facts {
	opt = opt.complete()
	f := &Facts{Host: opt.Host, Port: opt.Port}
	if env.Probe.Offline {
		f.cannot(finding.S("the network was not asked (--offline)", nil))
		return f
	}
	f.addresses(ctx, env)
	f.permit(env)
	source, _ := netip.ParseAddr(env.Probe.Source)
	var wg sync.WaitGroup
	for _, w := range f.Ways {
		wg.Go(func() { w.look(ctx, env, opt, source) })
	}
	wg.Wait()
	return f
}

func (o Options) complete() Options {
	if o.Port == 0 {
		o.Port = 25
	}
	if o.Rounds <= 0 {
		o.Rounds = defaultRounds
	}
	o.Rounds = min(o.Rounds, maxRounds)
	if o.MaxHops <= 0 || o.MaxHops > 64 {
		o.MaxHops = defaultHops
	}
	if len(o.Methods) == 0 {
		o.Methods = []route.Method{route.ICMP, route.UDP, route.TCP}
	}
	return o
}

func (f *Facts) cannot(why finding.Sentence) { f.why, f.Fault = why, why.String() }

// addresses finds the first address of each family: of the host, or of its first MX where it has no address itself.
func (f *Facts) addresses(ctx context.Context, env *check.Env) {
	if a, err := netip.ParseAddr(f.Host); err == nil {
		f.Ways = []*Way{{Addr: a.Unmap().WithZone("")}}
		return
	}
	if env.DNS == nil {
		f.cannot(finding.S("no resolver was given", nil))
		return
	}
	if mx, err := env.DNS.Resolve(ctx, f.Host, mail.TypeMX); err == nil {
		slices.SortStableFunc(mx.Records, func(a, b mail.Record) int { return int(a.Pref) - int(b.Pref) })
		for _, r := range mx.Records[:min(len(mx.Records), 10)] {
			if r.Host != "" && r.Host != "." {
				f.Mail = append(f.Mail, r.Host)
			}
		}
	}
	err := f.resolve(ctx, env, f.Host)
	if len(f.Ways) == 0 && len(f.Mail) > 0 {
		err = f.resolve(ctx, env, f.Mail[0])
		f.Mail = nil
	}
	if slices.Contains(f.Mail, f.Host) {
		f.Mail = nil
	}
	if len(f.Ways) == 0 && err != nil {
		f.cannot(check.Why(err))
	}
}

// permit leaves out the ways that may not be asked about on behalf of whoever asks.
func (f *Facts) permit(env *check.Env) {
	if env.Allow == nil {
		return
	}
	f.Ways = slices.DeleteFunc(f.Ways, func(w *Way) bool {
		err := env.Allow(netip.AddrPortFrom(w.Addr, f.Port).String())
		if err != nil {
			f.cannot(check.Why(err))
		}
		return err != nil
	})
	if len(f.Ways) > 0 {
		f.why, f.Fault = finding.Sentence{}, ""
	}
}

func (f *Facts) resolve(ctx context.Context, env *check.Env, name string) (err error) {
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		if t == mail.TypeAAAA && env.Probe.NoIPv6 {
			continue
		}
		a, rerr := env.DNS.Resolve(ctx, name, t)
		if rerr != nil {
			err = rerr
			continue
		}
		for _, r := range a.Records {
			if r.IP.IsValid() {
				f.Ways = append(f.Ways, &Way{Addr: r.IP, Name: name})
				break
			}
		}
	}
	return err
}
