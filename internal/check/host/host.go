// Package host is the survey of `mailwhy ip ADDRESS`: what a receiver sees of a sending address before the first byte of
// mail: its reverse name and whether that is confirmed, whether it looks like a customer line, the network that announces
// it, who holds that network and whether its route is covered, how old the domain of its name is, and the blocklists.
package host

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/origin"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/registry"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
)

// Options say how far to look.
type Options struct {
	Registry   registry.Options
	NoRegistry bool // ask no registry and no RPKI validator
}

// Facts are what was seen of an address; JSON: docs/json.md.
type Facts struct {
	Address netip.Addr       `json:"address"`
	PTR     *ptr.Facts       `json:"ptr"`
	Network *origin.Facts    `json:"network,omitempty"`
	Holder  *registry.Facts  `json:"holder,omitempty"` // of the network
	Routes  []*registry.RPKI `json:"routes,omitempty"` // one per network that announces the prefix
	Domain  *registry.Facts  `json:"domain,omitempty"` // of the reverse name
	Lists   *blocklist.Facts `json:"blocklists,omitempty"`
}

// maxRoutes bounds the routes that are held against RPKI.
const maxRoutes = 3

// Survey looks at one address.
func Survey(ctx context.Context, env *check.Env, addr netip.Addr, opt Options) (*finding.Report, error) {
	start := env.Now()
	f := &Facts{Address: addr}
	ask := !opt.NoRegistry && mail.Special(addr) == ""
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { f.lookName(ctx, env, opt, ask) })
	wg.Go(func() { f.lookNetwork(ctx, env, opt, ask) })
	if ask {
		wg.Go(func() { f.Holder = registry.LookIP(ctx, env, addr, opt.Registry) })
	}
	f.Lists, err = blocklist.Look(ctx, env, []string{addr.String()}, blocklist.Options{})
	wg.Wait()
	if err != nil {
		return nil, err
	}
	at := finding.Subject{Kind: finding.KindIP, Name: addr.String()}
	return check.NewReport(env, "ip", at, start, f.judge(at), f.sections(), f), nil
}

// lookName finds the reverse name, and how old its domain is where the name can be believed.
func (f *Facts) lookName(ctx context.Context, env *check.Env, opt Options, ask bool) {
	f.PTR = ptr.Look(ctx, env, f.Address, "")
	name := f.PTR.Confirmed()
	if name == "" || !ask {
		return
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		f.Domain = registry.LookDomain(ctx, env, d, opt.Registry)
	}
}

// lookNetwork finds who announces the address, and holds the routes against RPKI.
func (f *Facts) lookNetwork(ctx context.Context, env *check.Env, opt Options, ask bool) {
	f.Network = origin.Look(ctx, env, f.Address)
	if !ask || !f.Network.Prefix.IsValid() {
		return
	}
	var wg sync.WaitGroup
	f.Routes = make([]*registry.RPKI, min(len(f.Network.Networks), maxRoutes))
	for i := range f.Routes {
		wg.Go(func() {
			f.Routes[i] = registry.LookRPKI(ctx, env, f.Network.Networks[i].AS, f.Network.Prefix, opt.Registry)
		})
	}
	wg.Wait()
}

func (f *Facts) judge(at finding.Subject) []finding.Finding {
	prove := finding.Cmd("ip", f.Address.String())
	fs := slices.Concat(ptr.Judge(f.PTR, ""), origin.Judge(f.Network))
	if whom := f.whom(); whom != "" {
		for i := range fs {
			if x := &fs[i]; x.Outcome == finding.Fail && x.Rule.ID == "ptr.missing" {
				*x = x.Mend(finding.Step{Kind: finding.Ask, Target: whom, New: ptr.Reverse(f.Address) + ". PTR"})
			}
		}
	}
	if f.Holder != nil {
		fs = append(fs, registry.JudgeNetwork(f.Holder, at)...)
	}
	for _, r := range f.Routes {
		fs = append(fs, registry.JudgeRoute(r, at, prove)...)
	}
	if f.Domain != nil {
		fs = append(fs, registry.JudgeDomain(f.Domain, prove)...)
	}
	return append(fs, blocklist.Brief(f.Lists)...)
}

// whom names who can give the address a reverse name: the holder of the network and how to reach him.
func (f *Facts) whom() string {
	if f.Holder == nil {
		return ""
	}
	words := slices.Clone(f.Holder.Abuse)
	if f.Holder.Holder != "" {
		words = append([]string{f.Holder.Holder}, words...)
	}
	return strings.Join(words, ", ")
}

func (f *Facts) sections() []finding.Section {
	out := origin.Section(f.Network)
	if f.Holder != nil {
		var route *registry.RPKI
		if len(f.Routes) > 0 {
			route = f.Routes[0]
		}
		out = append(out, registry.Section(finding.S("The holder of the network", nil), f.Holder, route)...)
	}
	if f.Domain != nil {
		out = append(out, registry.Section(finding.S("The domain of the reverse name, {{.Domain}}", finding.Args{"Domain": f.Domain.Object}), f.Domain, nil)...)
	}
	return append(out, blocklist.Sections(f.Lists)...)
}
