package nameserver

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// SOA is a start of authority as one server gives it; times are in seconds.
type SOA struct {
	MName   string `json:"mname"`
	RName   string `json:"rname"`
	Serial  uint32 `json:"serial"`
	Refresh uint32 `json:"refresh"`
	Retry   uint32 `json:"retry"`
	Expire  uint32 `json:"expire"`
	Minimum uint32 `json:"minimum"`
}

// Server is one address of one name server and what it said.
type Server struct {
	Host      string        `json:"host"`
	Addr      netip.Addr    `json:"addr"`
	RTT       time.Duration `json:"rtt,omitempty"`
	AA        bool          `json:"aa"`
	Rcode     int           `json:"rcode"`
	SOA       *SOA          `json:"soa,omitempty"`
	Fault     string        `json:"fault,omitempty"` // why no answer came
	NoRoute   bool          `json:"no_route,omitempty"`
	Recursion bool          `json:"recursion,omitempty"` // resolves foreign names
	Transfer  bool          `json:"transfer,omitempty"`  // hands out the zone
	TCPFault  string        `json:"tcp_fault,omitempty"`
	TCPAsked  bool          `json:"tcp_asked,omitempty"`
}

// Facts are what is known of a domain's name servers.
type Facts struct {
	Domain     string          `json:"domain"`
	Delegation *dns.Delegation `json:"delegation"`
	Servers    []Server        `json:"servers"`

	err error
}

// Known tells whether the delegation could be found.
func (f *Facts) Known() bool { return f.err == nil && f.Delegation != nil }

// maxServers bounds the addresses that are asked.
const maxServers = 32

// Look finds the delegation and asks every server.
func Look(ctx context.Context, env *check.Env, domain string) *Facts {
	f := &Facts{Domain: domain}
	f.Delegation, f.err = env.DNS.Delegation(ctx, domain)
	if f.err != nil || f.Delegation.NXDomain && f.Delegation.Zone != domain {
		return f
	}
	seen := map[netip.Addr]bool{}
	for _, side := range [][]dns.NameServer{f.Delegation.ChildNS, f.Delegation.ParentNS} {
		for _, s := range side {
			for _, ip := range s.Addrs {
				if !seen[ip] && len(f.Servers) < maxServers && (!env.Probe.NoIPv6 || ip.Is4()) {
					seen[ip] = true
					f.Servers = append(f.Servers, Server{Host: s.Host, Addr: ip})
				}
			}
		}
	}
	var wg sync.WaitGroup
	for i := range f.Servers {
		wg.Go(func() { f.Servers[i].look(ctx, env, f.Delegation.Zone) })
	}
	wg.Wait()
	return f
}

func (s *Server) look(ctx context.Context, env *check.Env, zone string) {
	var wg sync.WaitGroup
	if !env.Probe.Many {
		wg.Go(func() { s.recursion(ctx, env) })
		wg.Go(func() { s.tcp(ctx, env, zone) })
		wg.Go(func() { s.transfer(ctx, env, zone) })
	}
	s.soa(ctx, env, zone)
	wg.Wait()
}

func (s *Server) soa(ctx context.Context, env *check.Env, zone string) {
	r, err := env.DNS.Ask(ctx, s.Addr.String(), dns.Question{Name: zone, Type: mail.TypeSOA})
	if err != nil {
		s.Fault, s.NoRoute = bare(err), noRoute(err)
		return
	}
	s.RTT, s.AA, s.Rcode = r.RTT, r.AA, r.Rcode
	if soa := r.Of(mail.TypeSOA); len(soa) > 0 {
		s.SOA = readSOA(soa[0].Text)
	}
}

// bare is the text of a fault without the server's address, which every sentence names already.
func bare(err error) string {
	text := wire.Classify("", err).Text
	if _, after, ok := strings.Cut(text, ":53: "); ok {
		return after
	}
	return text
}

// readSOA reads the presentation form; nil where it is none.
func readSOA(text string) *SOA {
	f := strings.Fields(text)
	if len(f) != 7 {
		return nil
	}
	var n [5]uint32
	for i := range n {
		v, err := strconv.ParseUint(f[i+2], 10, 32)
		if err != nil {
			return nil
		}
		n[i] = uint32(v)
	}
	return &SOA{strings.TrimSuffix(f[0], "."), strings.TrimSuffix(f[1], "."), n[0], n[1], n[2], n[3], n[4]}
}

// foreign is a name no ordinary name server holds. It lies under a name reserved for such use, so that nobody is
// bothered by the question.
const foreign = "recursion-test.example.com"

func (s *Server) recursion(ctx context.Context, env *check.Env) {
	r, err := env.DNS.Ask(ctx, s.Addr.String(), dns.Question{Name: foreign, Type: mail.TypeA, Recursion: true})
	s.Recursion = err == nil && r.RA && !r.AA && (r.Rcode == 0 || r.Rcode == 3) && len(r.Answer)+len(r.Authority) > 0
}

func (s *Server) tcp(ctx context.Context, env *check.Env, zone string) {
	_, err := env.DNS.Ask(ctx, s.Addr.String(), dns.Question{Name: zone, Type: mail.TypeSOA, TCP: true})
	s.TCPAsked = true
	if err != nil {
		s.TCPFault = bare(err)
	}
}

const typeAXFR mail.Type = 252

// transfer asks for the zone and reads no more than the first message.
func (s *Server) transfer(ctx context.Context, env *check.Env, zone string) {
	r, err := env.DNS.Ask(ctx, s.Addr.String(), dns.Question{Name: zone, Type: typeAXFR, TCP: true, NoEDNS: true})
	s.Transfer = err == nil && r.Rcode == 0 && len(r.Answer) > 0 && r.Answer[0].Type == mail.TypeSOA
}

// Check is the pack as a value.
var Check = check.Check[string]{Name: "nameserver", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env, domain)), nil
}}
