package dns

import (
	"context"
	_ "embed"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

//go:embed root.hints
var rootHints string

// Roots gives the addresses of the real root servers, IPv4 first.
func Roots() []string {
	var v4, v6 []string
	for line := range strings.Lines(rootHints) {
		f := strings.Fields(line)
		if len(f) == 3 && !strings.HasPrefix(line, "#") {
			v4, v6 = append(v4, f[1]), append(v6, f[2])
		}
	}
	return append(v4, v6...)
}

// NameServer is a server of a zone, as one side names it.
type NameServer struct {
	Host  string       `json:"host"`
	Addrs []netip.Addr `json:"addrs,omitempty"`
	Glue  []netip.Addr `json:"glue,omitempty"`  // addresses the parent hands out with the referral
	Alias bool         `json:"alias,omitempty"` // the name is a CNAME, which NS targets must not be
	Fault string       `json:"fault,omitempty"` // why there is no address
}

// Hop is one step of a walk down the tree.
type Hop struct {
	Zone   string        `json:"zone"`   // the zone the servers are asked about; "" is the root
	Server string        `json:"server"` // who answered
	RTT    time.Duration `json:"rtt"`
	Says   string        `json:"says"` // "referral", "answer", "no such name", "no such type" or what went wrong
	To     string        `json:"to,omitempty"`
}

// Delegation is how the tree leads to the zone that holds a name.
type Delegation struct {
	Zone     string       `json:"zone"`               // the closest enclosing zone
	Parent   string       `json:"parent"`             // the zone above it
	ParentNS []NameServer `json:"parent_ns"`          // what the parent says, with glue
	ChildNS  []NameServer `json:"child_ns"`           // what the zone itself says
	Asked    string       `json:"asked,omitempty"`    // the parent's server that answered
	Shared   bool         `json:"shared,omitempty"`   // the parent's servers serve the zone too, so the parent's side is not to be seen
	NXDomain bool         `json:"nxdomain,omitempty"` // no such domain
	Hops     []Hop        `json:"hops,omitempty"`
	Fault    string       `json:"fault,omitempty"` // why the parent's side is not known
}

// Servers gives the name servers with their addresses: the child's where it names any, else the parent's.
func (d *Delegation) Servers() []NameServer {
	if len(d.ChildNS) > 0 {
		return d.ChildNS
	}
	return d.ParentNS
}

// maxNameServers bounds the servers of a zone that are looked at; real zones have at most thirteen.
const maxNameServers = 16

// Delegation finds the zone that holds a name, what its parent says of its servers, and what it says itself. The
// resolvers lead to the parent's servers, which are then asked directly; where Options.Roots is set, or the resolvers
// fail, the walk starts at the root. It returns an error only where neither way leads anywhere.
func (c *Client) Delegation(ctx context.Context, name string) (*Delegation, error) {
	name = normal(name)
	if len(c.opt.Roots) > 0 {
		return c.Walk(ctx, name)
	}
	d := &Delegation{Zone: name}
	names := append([]string{""}, ancestors(name, "")...)
	for _, n := range names[max(0, len(names)-3):] {
		go c.Resolve(ctx, n, mail.TypeNS) // all at once: only the closest may be a zone
	}
	zones, err := c.zonesAbove(ctx, name, d)
	if err != nil {
		return c.aroundResolver(ctx, d, name, err)
	}
	d.Zone = zones[0].Name
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { d.ChildNS = c.addresses(ctx, hostsOf(zones[0].Records), nil) })
	if len(zones) < 2 {
		d.Fault = "the resolver knows no zone above " + shown(d.Zone)
		return d, nil
	}
	d.Parent = zones[1].Name
	hosts := hostsOf(zones[1].Records)
	c.askParent(ctx, d, c.addresses(ctx, hosts[:min(len(hosts), 4)], nil))
	return d, nil
}

// aroundResolver finds the delegation of a name that the resolvers fail on, as when all its servers are dead: by the
// parent's servers, if the resolvers know those, else by a walk from the root.
func (c *Client) aroundResolver(ctx context.Context, d *Delegation, name string, cause error) (*Delegation, error) {
	if above, err := c.zonesAbove(ctx, up(name), d); err == nil && name != "" && ctx.Err() == nil {
		d.Zone, d.Parent, d.NXDomain = name, above[0].Name, false
		hosts := hostsOf(above[0].Records)
		c.askParent(ctx, d, c.addresses(ctx, hosts[:min(len(hosts), 4)], nil))
		if d.Asked != "" {
			return d, nil
		}
	}
	if w, err := c.Walk(ctx, name); err == nil {
		return w, nil
	}
	return nil, cause
}

// zonesAbove gives the NS answers of the closest enclosing zone and of the one above it.
func (c *Client) zonesAbove(ctx context.Context, name string, d *Delegation) ([]*mail.Answer, error) {
	var zones []*mail.Answer
	for n := name; len(zones) < 2; n = up(n) {
		a, err := c.Resolve(ctx, n, mail.TypeNS)
		switch {
		case err != nil && len(zones) == 0:
			return nil, err
		case err != nil:
			return zones, nil
		}
		if n == name {
			d.NXDomain = a.NXDomain
		}
		if len(a.Records) > 0 && a.Final == n {
			zones = append(zones, a)
		}
		if n == "" {
			break
		}
	}
	if len(zones) == 0 {
		return nil, &wire.Fault{Kind: wire.OtherFault, Op: "dns", Text: "no zone found above " + shown(name)}
	}
	return zones, nil
}

// askParent asks the parent's servers for the delegation until one answers.
func (c *Client) askParent(ctx context.Context, d *Delegation, servers []NameServer) {
	tried := 0
	for _, s := range servers {
		for _, ip := range s.Addrs {
			if tried++; tried > 3 {
				return
			}
			r, err := c.Ask(ctx, ip.String(), Question{Name: d.Zone, Type: mail.TypeNS})
			if err != nil {
				d.Fault = err.Error()
				continue
			}
			if c.parentSays(ctx, d, r) {
				d.Fault = ""
				return
			}
			d.Fault = r.Server + " answers " + RcodeName(r.Rcode) + " for " + shown(d.Zone)
		}
	}
}

// parentSays reads the delegation out of a reply of the parent's server.
func (c *Client) parentSays(ctx context.Context, d *Delegation, r *Reply) bool {
	if zone, ns := r.Referral(); zone == d.Zone && len(ns) > 0 {
		d.Asked = r.Server
		d.ParentNS = c.addresses(ctx, hostsOf(ns), r.Additional)
		return true
	}
	if r.AA && r.Rcode == 0 && len(r.Of(mail.TypeNS)) > 0 {
		d.Asked, d.Shared = r.Server, true
		return true
	}
	return false
}

func hostsOf(rrs []mail.Record) []string {
	var out []string
	for _, r := range rrs {
		if r.Type == mail.TypeNS && !slices.Contains(out, r.Host) && len(out) < maxNameServers {
			out = append(out, r.Host)
		}
	}
	slices.Sort(out)
	return out
}

// addresses looks up the addresses of name servers, all at once.
func (c *Client) addresses(ctx context.Context, hosts []string, glue []mail.Record) []NameServer {
	out := make([]NameServer, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		out[i].Host = h
		for _, g := range glue {
			if g.Name == h && g.IP.IsValid() {
				out[i].Glue = append(out[i].Glue, g.IP)
			}
		}
		wg.Go(func() { c.address(ctx, &out[i]) })
	}
	wg.Wait()
	return out
}

func (c *Client) address(ctx context.Context, s *NameServer) {
	answers := make([]*mail.Answer, 2)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		if t == mail.TypeAAAA && c.opt.NoIPv6 {
			continue
		}
		wg.Go(func() { answers[i], errs[i] = c.Resolve(ctx, s.Host, t) })
	}
	wg.Wait()
	for i, a := range answers {
		if errs[i] != nil {
			s.Fault = errs[i].Error()
		}
		if a == nil {
			continue
		}
		s.Alias = s.Alias || len(a.Chain) > 0
		for _, r := range a.Records {
			s.Addrs = append(s.Addrs, r.IP)
		}
	}
	if len(s.Addrs) > 0 {
		s.Fault = ""
	}
}

// maxHops bounds a walk: no name has more zone cuts that matter.
const maxHops = 16

// Walk goes from the root servers down to the zone that holds a name, asking authoritative servers only; addresses
// that a referral comes without are found by walks of their own.
func (c *Client) Walk(ctx context.Context, name string) (*Delegation, error) {
	return c.walk(ctx, normal(name), 0)
}

func (c *Client) walk(ctx context.Context, name string, depth int) (*Delegation, error) {
	roots := c.opt.Roots
	if len(roots) == 0 {
		roots = Roots()
	}
	d := &Delegation{}
	servers, zone := roots, ""
	var ns []NameServer
	for range maxHops {
		r, err := c.askAny(ctx, servers, Question{Name: name, Type: mail.TypeNS})
		if err != nil {
			d.Hops = append(d.Hops, Hop{Zone: zone, Says: err.Error()})
			d.Fault = err.Error()
			return d, wire.Classify("dns", err)
		}
		hop := Hop{Zone: zone, Server: r.Server, RTT: r.RTT}
		next, rrs := r.Referral()
		if len(rrs) == 0 || next == zone || !under(next, zone) || !under(name, next) {
			return c.arrive(ctx, d, r, hop, name, zone, ns, depth)
		}
		hop.Says, hop.To = "referral", next
		d.Hops = append(d.Hops, hop)
		d.Parent, d.Asked, zone = zone, r.Server, next
		ns = c.referred(ctx, hostsOf(rrs), r.Additional, depth)
		if servers = flat(ns); len(servers) == 0 {
			d.Zone, d.ParentNS, d.Fault = next, ns, "no name server of "+shown(next)+" has an address"
			return d, nil
		}
	}
	return d, &wire.Fault{Kind: wire.Limit, Op: "dns", Text: "more than 16 referrals for " + name}
}

// arrive ends a walk at servers that know.
func (c *Client) arrive(ctx context.Context, d *Delegation, r *Reply, hop Hop, name, zone string, ns []NameServer, depth int) (*Delegation, error) {
	switch {
	case r.Rcode == 3:
		hop.Says, d.NXDomain = "no such name", true
	case r.Rcode != 0:
		hop.Says = RcodeName(r.Rcode)
	case len(r.Of(mail.TypeNS)) == 0:
		hop.Says = "no such type"
	default:
		hop.Says = "answer"
	}
	d.Hops = append(d.Hops, hop)
	d.Zone, d.ParentNS = zone, ns
	child := r.Of(mail.TypeNS)
	if len(child) > 0 && child[0].Name == name && name != zone {
		d.Parent, d.Zone, d.Shared, d.ParentNS, d.Asked = zone, name, true, nil, r.Server
	} else if name != d.Zone { // a name inside the zone: ask for the zone's own view
		if again, err := c.askAny(ctx, []string{r.Server}, Question{Name: d.Zone, Type: mail.TypeNS}); err == nil {
			child = again.Of(mail.TypeNS)
		}
	}
	extra := r.Additional
	for _, s := range ns { // what the parent said of a host is as good
		for _, ip := range s.Addrs {
			extra = append(extra, mail.Record{Name: s.Host, IP: ip})
		}
	}
	d.ChildNS = c.referred(ctx, hostsOf(child), extra, depth)
	return d, nil
}

// referred gives the servers of a referral with their addresses: from glue, else from the resolvers, else from a walk.
func (c *Client) referred(ctx context.Context, hosts []string, extra []mail.Record, depth int) []NameServer {
	out := make([]NameServer, 0, len(hosts))
	for _, h := range hosts {
		s := NameServer{Host: h}
		for _, g := range extra {
			if g.Name == h && g.IP.IsValid() {
				s.Glue = append(s.Glue, g.IP)
			}
		}
		s.Addrs = slices.Clone(s.Glue)
		out = append(out, s)
	}
	for i := range out[:min(len(out), 4)] {
		if depth > 0 && len(flat(out)) > 0 {
			break // on the way to an address, one server is enough
		}
		if len(out[i].Addrs) == 0 {
			out[i].Addrs = c.walkAddr(ctx, out[i].Host, depth+1)
		}
	}
	return out
}

// walkAddr finds an address of a host without a resolver.
func (c *Client) walkAddr(ctx context.Context, host string, depth int) []netip.Addr {
	if depth > 2 {
		return nil
	}
	d, err := c.walk(ctx, host, depth)
	if err != nil {
		return nil
	}
	servers := flat(d.ParentNS)
	if len(servers) == 0 && d.Asked != "" {
		servers = []string{d.Asked}
	}
	r, err := c.askAny(ctx, servers, Question{Name: host, Type: mail.TypeA})
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range r.Of(mail.TypeA) {
		out = append(out, a.IP)
	}
	return out
}

func flat(ns []NameServer) []string {
	var out []string
	for _, s := range ns {
		for _, a := range s.Addrs {
			out = append(out, a.String())
		}
	}
	return out
}

// askAny asks servers in turn, four at most, until one gives an answer that is no refusal.
func (c *Client) askAny(ctx context.Context, servers []string, q Question) (*Reply, error) {
	err := errors.New("no server to ask")
	for _, s := range servers[:min(len(servers), 4)] {
		r, aerr := c.Ask(ctx, s, q)
		if aerr == nil && useful(r.Rcode) {
			return r, nil
		}
		if err = aerr; err == nil {
			err = &wire.Fault{Kind: wire.Protocol, Op: "dns", Text: r.Server + " answers " + RcodeName(r.Rcode)}
		}
	}
	return nil, err
}
