package mx

import (
	"context"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// Exchange is one MX record with what its host leads to.
type Exchange struct {
	Pref    uint16       `json:"pref"`
	Host    string       `json:"host"`            // "" is the null MX
	Alias   string       `json:"alias,omitempty"` // the end of the CNAME chain, where the host is an alias
	Addrs   []netip.Addr `json:"addrs,omitempty"` // IPv4 first
	Missing bool         `json:"missing,omitempty"`
	Fault   string       `json:"fault,omitempty"` // why the addresses are not known

	err error
}

// View is the MX set one name server gives.
type View struct {
	Server string   `json:"server"`          // host and address
	MX     []string `json:"mx,omitempty"`    // "10 mx1.example", sorted
	Fault  string   `json:"fault,omitempty"` // why there is no answer
}

// Facts are what is known of a domain's mail exchangers.
type Facts struct {
	Domain   string       `json:"domain"`
	NXDomain bool         `json:"nxdomain,omitempty"`
	MX       []Exchange   `json:"mx"` // by preference, then name
	Own      []netip.Addr `json:"own,omitempty"`
	Silent   bool         `json:"sends_nothing,omitempty"` // SPF says that the domain sends no mail
	Views    []View       `json:"views,omitempty"`
	Secure   bool         `json:"secure,omitempty"`

	err    error // the MX question failed
	ownErr error
}

// Look asks for the MX records and all that hangs on them.
func Look(ctx context.Context, env *check.Env, domain string) (*Facts, error) {
	var v []View
	var wg sync.WaitGroup
	wg.Go(func() { v = Views(ctx, env, domain) })
	f := LookHosts(ctx, env, domain)
	wg.Wait()
	f.Views = v
	return f, nil
}

// LookHosts asks for the MX records and their hosts only: what is needed to begin with the servers themselves, three
// round trips before the name servers have spoken.
func LookHosts(ctx context.Context, env *check.Env, domain string) *Facts {
	f := &Facts{Domain: domain}
	var wg sync.WaitGroup
	wg.Go(func() { f.Own, _, f.ownErr = addresses(ctx, env, domain) })
	wg.Go(func() { f.Silent = sendsNothing(ctx, env, domain) })
	a, err := env.DNS.Resolve(ctx, domain, mail.TypeMX)
	if err != nil {
		wg.Wait()
		f.err = err
		return f
	}
	f.NXDomain, f.Secure = a.NXDomain, a.Secure
	for _, r := range a.Records[:min(len(a.Records), maxHosts)] {
		f.MX = append(f.MX, Exchange{Pref: r.Pref, Host: r.Host})
	}
	slices.SortStableFunc(f.MX, func(a, b Exchange) int {
		if a.Pref != b.Pref {
			return int(a.Pref) - int(b.Pref)
		}
		return strings.Compare(a.Host, b.Host)
	})
	for i := range f.MX {
		wg.Go(func() { f.MX[i].look(ctx, env) })
	}
	wg.Wait()
	return f
}

// maxHosts bounds the MX records that are followed.
const maxHosts = 50

func (x *Exchange) look(ctx context.Context, env *check.Env) {
	if x.Host == "" || badName(x.Host) {
		return
	}
	var a *mail.Answer
	x.Addrs, a, x.err = addresses(ctx, env, x.Host)
	if x.err != nil {
		x.Fault = x.err.Error()
	}
	if a != nil {
		x.Missing = a.NXDomain
		if len(a.Chain) > 0 {
			x.Alias = a.Final
		}
	}
}

// addresses asks for A and AAAA at once. The error is set only where neither is known and one failed.
func addresses(ctx context.Context, env *check.Env, name string) (out []netip.Addr, v4 *mail.Answer, err error) {
	var v6 *mail.Answer
	var err6 error
	var wg sync.WaitGroup
	wg.Go(func() { v6, err6 = env.DNS.Resolve(ctx, name, mail.TypeAAAA) })
	v4, err = env.DNS.Resolve(ctx, name, mail.TypeA)
	wg.Wait()
	for _, a := range []*mail.Answer{v4, v6} {
		if a != nil {
			for _, r := range a.Records {
				out = append(out, r.IP)
			}
		}
	}
	switch {
	case v4 == nil:
		v4 = v6
	case v6 != nil && len(v4.Chain) == 0 && len(v6.Chain) > 0:
		v4 = v6
	}
	if err == nil {
		err = err6
	}
	if len(out) > 0 {
		err = nil
	}
	return out, v4, err
}

// sendsNothing tells whether SPF says that no server at all may send for the domain.
func sendsNothing(ctx context.Context, env *check.Env, domain string) bool {
	a, err := env.DNS.Resolve(ctx, domain, mail.TypeTXT)
	if err != nil {
		return false
	}
	for _, s := range a.Texts() {
		if strings.EqualFold(strings.Join(strings.Fields(s), " "), "v=spf1 -all") {
			return true
		}
	}
	return false
}

// Views asks each name server itself.
func Views(ctx context.Context, env *check.Env, domain string) []View {
	d, err := env.DNS.Delegation(ctx, domain)
	if err != nil {
		return nil
	}
	type place struct {
		host string
		addr netip.Addr
	}
	var places []place
	for _, s := range d.Servers() {
		for _, ip := range s.Addrs {
			if slices.ContainsFunc(places, func(p place) bool { return p.addr == ip }) {
				break // two names of one server
			}
			if !env.Probe.NoIPv6 || ip.Is4() {
				places = append(places, place{s.Host, ip})
				break // one address per host: the zone is the same on all of them
			}
		}
	}
	out := make([]View, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		wg.Go(func() {
			out[i].Server = p.host + " " + p.addr.String()
			r, err := env.DNS.Ask(ctx, p.addr.String(), dns.Question{Name: domain, Type: mail.TypeMX})
			switch {
			case err != nil:
				out[i].Fault = err.Error()
			case r.Rcode != 0 && r.Rcode != 3 || !r.AA:
				out[i].Fault = "not authoritative"
			default:
				for _, x := range r.Of(mail.TypeMX) {
					out[i].MX = append(out[i].MX, strings.TrimSuffix(x.Text, "."))
				}
				sort.Strings(out[i].MX)
			}
		})
	}
	wg.Wait()
	return out
}

// Null tells whether the domain declares that it takes no mail.
func (f *Facts) Null() bool { return len(f.MX) == 1 && f.MX[0].Host == "" }

// TakesMail tells whether there is anything to deliver to.
func (f *Facts) TakesMail() bool {
	return len(f.MX) > 0 && !f.Null() || len(f.MX) == 0 && len(f.Own) > 0
}

// Known tells whether the MX question was answered.
func (f *Facts) Known() bool { return f.err == nil }

// Servers gives the mail servers in the order senders try them, as the checks that talk to them take it.
func (f *Facts) Servers() *check.Servers {
	s := &check.Servers{Domain: f.Domain, Null: f.Null()}
	if len(f.MX) == 0 && len(f.Own) > 0 {
		s.Hosts = []check.MailServer{{Name: f.Domain, Addrs: f.Own}}
		return s
	}
	seen := map[string]bool{}
	for _, x := range f.MX {
		if x.Host != "" && !seen[x.Host] {
			seen[x.Host] = true
			s.Hosts = append(s.Hosts, check.MailServer{Name: x.Host, Pref: x.Pref, Addrs: x.Addrs})
		}
	}
	return s
}

// Check is the pack as a value.
var Check = check.Check[string]{Name: "mx", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	f, err := Look(ctx, env, domain)
	if err != nil {
		return nil, err
	}
	return Judge(f), nil
}}
