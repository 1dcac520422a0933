package delivery

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/dane"
	"github.com/mailwhy/mailwhy/internal/mail/mtasts"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

// Route is where the DNS sends mail for a domain.
type Route struct {
	Servers  check.Servers `json:"servers"`
	Implicit bool          `json:"implicit,omitempty"` // no MX: the domain's own address
	NXDomain bool          `json:"nxdomain,omitempty"`
	Views    []View        `json:"views,omitempty"` // what each resolver says
	Fault    string        `json:"fault,omitempty"`
	Took     time.Duration `json:"-"` // differs between runs
	err      error
}

// View is the MX set as one resolver gives it.
type View struct {
	Server string   `json:"server"`
	MX     []string `json:"mx,omitempty"` // "10 mx.example", sorted
	Fault  string   `json:"fault,omitempty"`

	rtt time.Duration
}

// Bounds: what a mail server would not go beyond either.
const (
	maxHosts     = 10
	maxAddresses = 16
)

// lookRoute asks for the MX records, the addresses of their hosts, and what each resolver says.
func lookRoute(ctx context.Context, env *check.Env, domain string) *Route {
	start := time.Now()
	r := &Route{Servers: check.Servers{Domain: domain}}
	var wg sync.WaitGroup
	wg.Go(func() { r.Views = views(ctx, env, domain) })
	r.resolve(ctx, env, domain)
	wg.Wait()
	r.Took = time.Since(start)
	return r
}

func (r *Route) resolve(ctx context.Context, env *check.Env, domain string) {
	a, err := env.DNS.Resolve(ctx, domain, mail.TypeMX)
	if err != nil {
		r.err, r.Fault = err, err.Error()
		return
	}
	r.NXDomain = a.NXDomain
	recs := slices.Clone(a.Records)
	slices.SortStableFunc(recs, func(x, y mail.Record) int {
		return cmp.Or(cmp.Compare(x.Pref, y.Pref), strings.Compare(x.Host, y.Host))
	})
	if len(recs) == 1 && recs[0].Host == "" {
		r.Servers.Null = true
		return
	}
	if len(recs) == 0 && !a.NXDomain {
		r.Implicit = true
		recs = []mail.Record{{Host: domain}}
	}
	for _, m := range recs {
		if m.Host != "" && len(r.Servers.Hosts) < maxHosts {
			r.Servers.Hosts = append(r.Servers.Hosts, check.MailServer{Name: m.Host, Pref: m.Pref})
		}
	}
	r.addresses(ctx, env)
}

func (r *Route) addresses(ctx context.Context, env *check.Env) {
	errs := make([]error, len(r.Servers.Hosts))
	var wg sync.WaitGroup
	for i := range r.Servers.Hosts {
		wg.Go(func() { r.Servers.Hosts[i].Addrs, errs[i] = addressesOf(ctx, env, r.Servers.Hosts[i].Name) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil && r.err == nil {
			r.err, r.Fault = err, err.Error()
		}
	}
}

// addressesOf gives the addresses of a host, IPv6 first as RFC 6724 has it, each family in numeric order so that two
// runs try them alike.
func addressesOf(ctx context.Context, env *check.Env, host string) (out []netip.Addr, err error) {
	if a, perr := netip.ParseAddr(host); perr == nil {
		return []netip.Addr{a}, nil
	}
	types := []mail.Type{mail.TypeAAAA, mail.TypeA}
	if env.Probe.NoIPv6 {
		types = types[1:]
	}
	for _, t := range types {
		a, aerr := env.DNS.Resolve(ctx, host, t)
		if aerr != nil {
			err = aerr
			continue
		}
		var ips []netip.Addr
		for i := range a.Records {
			ips = append(ips, a.Records[i].IP)
		}
		slices.SortFunc(ips, netip.Addr.Compare)
		out = append(out, ips...)
	}
	if len(out) > 0 {
		err = nil
	}
	return out, err
}

// lookHost is the route through a smarthost.
func lookHost(ctx context.Context, env *check.Env, host string) *Route {
	r := &Route{Servers: check.Servers{Hosts: []check.MailServer{{Name: host}}}}
	r.addresses(ctx, env)
	return r
}

// views asks every resolver of the run by itself.
func views(ctx context.Context, env *check.Env, domain string) []View {
	// Through the tape: another machine that replays has other resolvers.
	servers, err := wire.Observe(env.Tape, "resolvers", struct{}{}, env.DNS.Servers)
	if err != nil {
		return nil
	}
	out := make([]View, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			out[i].Server = s
			rep, err := env.DNS.Ask(ctx, s, dns.Question{Name: domain, Type: mail.TypeMX, Recursion: true})
			switch {
			case err != nil:
				out[i].Fault = err.Error()
			case rep.Rcode != 0 && rep.Rcode != 3:
				out[i].Fault = dns.RcodeName(rep.Rcode)
			default:
				out[i].rtt = rep.RTT
				for _, x := range rep.Of(mail.TypeMX) {
					out[i].MX = append(out[i].MX, strings.TrimSuffix(x.Text, "."))
				}
				slices.Sort(out[i].MX)
			}
		})
	}
	wg.Wait()
	return out
}

// agree tells how many resolvers answered, and whether all of them said the same.
func (r *Route) agree() (answered int, same bool) {
	same = true
	var first *View
	for i := range r.Views {
		v := &r.Views[i]
		if v.Fault != "" {
			continue
		}
		answered++
		if first == nil {
			first = v
		} else {
			same = same && slices.Equal(first.MX, v.MX)
		}
	}
	return answered, same
}

// slowest is how long the last resolver took for the MX records.
func (r *Route) slowest() (d time.Duration) {
	for i := range r.Views {
		d = max(d, r.Views[i].rtt)
	}
	return d
}

// lookSTS fetches the MTA-STS policy, where there is one.
func lookSTS(ctx context.Context, env *check.Env, domain string) *STS {
	found, err := mtasts.Lookup(ctx, env.DNS, domain)
	if err != nil || found.Record == nil {
		return nil
	}
	s := &STS{Found: found}
	resp, err := env.HTTP().Get(ctx, http.Request{URL: mtasts.URL(domain), MaxBytes: mtasts.MaxPolicy})
	switch {
	case err != nil:
		s.Fault = err.Error()
	case resp.Fault != nil:
		s.Fault = resp.Fault.Error()
	case resp.TLS != nil && !resp.TLS.Trusted():
		s.Fault = "the certificate of " + mtasts.Host(domain) + " is not trusted"
	case !resp.OK():
		s.Fault = "no policy file"
	default:
		s.Policy = mtasts.ParsePolicy(resp.Body)
		if !s.Policy.Valid() {
			s.Fault = "the policy file is not valid"
		}
	}
	return s
}

// enforced tells that senders must honour the policy.
func (s *STS) enforced() bool {
	return s != nil && s.Fault == "" && s.Policy != nil && s.Policy.Mode == mtasts.Enforce
}

// judgeSTS holds one server against the policy: "met", or what is wrong.
func (s *STS) holds(a *Attempt) string {
	if s == nil || s.Policy == nil || s.Fault != "" || s.Policy.Mode == mtasts.None {
		return ""
	}
	tls := a.Session.TLS
	switch {
	case !s.Policy.Match(a.Host):
		return "host"
	case a.Session.Caps == nil && tls == nil:
		return "" // never came that far
	case tls == nil || tls.Fault != nil:
		return "no-tls"
	case !tls.Trusted():
		return "certificate"
	}
	return "met"
}

// lookDANE holds the certificate a server showed against its TLSA records.
func lookDANE(ctx context.Context, env *check.Env, domain string, a *Attempt) *DANE {
	port := int(a.Session.Plan.Port)
	if port == 0 {
		port = 25
	}
	found, err := dane.Lookup(ctx, env.DNS, a.Host, port)
	if err != nil || len(found.Records) == 0 || !found.Secure {
		return nil
	}
	d := &DANE{Found: found}
	if tls := a.Session.TLS; tls != nil && tls.Fault == nil {
		d.Verdict = dane.Verify(found.Records, tls.Certificates(), []string{found.Base, a.Host, domain}, env.Now())
	}
	return d
}
