package wiretest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Zone is a zone in memory. Names are canonical: lower case, with the trailing dot.
type Zone struct {
	Origin string
	rrs    map[string][]dns.RR // by owner
	have   map[string]bool     // owners and all names above them
	sec    *signer
}

// ReadZone reads a zone from master-file text. Its origin is the owner of the one SOA; a text without an SOA gets one
// at the $ORIGIN it starts with.
func ReadZone(text string) (*Zone, error) {
	z := &Zone{rrs: map[string][]dns.RR{}, have: map[string]bool{}}
	origin := "."
	if f := strings.Fields(text); len(f) > 1 && f[0] == "$ORIGIN" {
		origin = dns.CanonicalName(f[1])
	}
	p := dns.NewZoneParser(strings.NewReader(text), origin, "zone")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeSOA {
			z.Origin = rr.Header().Name
		}
		z.put(rr)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if z.Origin == "" {
		z.Origin = origin
		soa, err := dns.NewRR(origin + " 300 IN SOA ns1." + strings.TrimPrefix(origin, ".") + " hostmaster." + strings.TrimPrefix(origin, ".") + " 1 7200 900 1209600 300")
		if err != nil {
			return nil, err
		}
		z.put(soa)
	}
	for n := range z.rrs {
		if !dns.IsSubDomain(z.Origin, n) {
			return nil, fmt.Errorf("zone %s: %s is not below it", z.Origin, n)
		}
	}
	if len(z.rrs) == 0 {
		return nil, errors.New("an empty zone")
	}
	return z, nil
}

func (z *Zone) put(rr dns.RR) {
	n := rr.Header().Name
	z.rrs[n] = append(z.rrs[n], rr)
	for ; !z.have[n]; n = parent(n) {
		z.have[n] = true
	}
}

func (z *Zone) get(name string, t uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range z.rrs[name] {
		if rr.Header().Rrtype == t {
			out = append(out, rr)
		}
	}
	return out
}

func (z *Zone) first(name string, t uint16) dns.RR {
	if rrs := z.get(name, t); len(rrs) > 0 {
		return rrs[0]
	}
	return nil
}

func (z *Zone) all() []dns.RR {
	var names []string
	for n := range z.rrs {
		names = append(names, n)
	}
	slices.Sort(names)
	var out []dns.RR
	for _, n := range names {
		for _, rr := range z.rrs[n] {
			if rr.Header().Rrtype != dns.TypeSOA {
				out = append(out, rr)
			}
		}
	}
	return out
}

// exists tells whether a name has records or has names below it.
func (z *Zone) exists(name string) bool { return z.have[name] }

// cut gives the delegation point at or above a name, below the origin; "" where there is none.
func (z *Zone) cut(name string, t uint16) string {
	found := ""
	for n := name; n != z.Origin && n != "."; n = parent(n) {
		if len(z.get(n, dns.TypeNS)) > 0 && !(n == name && t == dns.TypeDS) {
			found = n
		}
	}
	return found
}

// answer fills in what the zone says. It gives the next name where a CNAME leads on and this server may follow it.
func (z *Zone) answer(m *dns.Msg, name string, t uint16, do, recursive bool) string {
	if c := z.cut(name, t); c != "" {
		z.refer(m, c, do, recursive)
		return ""
	}
	owner := name
	if !z.exists(name) {
		owner = z.wildcard(name)
	}
	if owner == "" {
		m.Rcode = dns.RcodeNameError
		z.deny(m, name, do, true)
		return ""
	}
	rrs := z.synth(owner, name, t)
	if len(rrs) == 0 && t != dns.TypeCNAME {
		if cn := z.synth(owner, name, dns.TypeCNAME); len(cn) > 0 {
			m.Answer = append(m.Answer, z.withSigs(cn, owner, do)...)
			return dns.CanonicalName(cn[0].(*dns.CNAME).Target)
		}
	}
	if len(rrs) == 0 {
		z.deny(m, name, do, false)
		return ""
	}
	m.Answer = append(m.Answer, z.withSigs(rrs, owner, do)...)
	if owner != name {
		z.denyWild(m, name, do)
	}
	return ""
}

// wildcard finds the wildcard that covers a name (RFC 4592): *.closest-encloser.
func (z *Zone) wildcard(name string) string {
	for n := parent(name); dns.IsSubDomain(z.Origin, n); n = parent(n) {
		if w := "*." + strings.TrimPrefix(n, "."); len(z.rrs[w]) > 0 {
			return w
		}
		if z.exists(n) || n == "." {
			return ""
		}
	}
	return ""
}

// synth gives the records of a type at owner under another name, as wildcards need.
func (z *Zone) synth(owner, name string, t uint16) []dns.RR {
	rrs := z.get(owner, t)
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}

// refer answers with a delegation. A recursive server that does not hold the child's zone cannot go on.
func (z *Zone) refer(m *dns.Msg, at string, do, recursive bool) {
	if recursive {
		m.Rcode = dns.RcodeServerFailure
		return
	}
	m.Authoritative = false
	m.Ns = append(m.Ns, z.get(at, dns.TypeNS)...)
	for _, ns := range z.get(at, dns.TypeNS) {
		host := dns.CanonicalName(ns.(*dns.NS).Ns)
		m.Extra = append(m.Extra, z.get(host, dns.TypeA)...)
		m.Extra = append(m.Extra, z.get(host, dns.TypeAAAA)...)
	}
	if z.sec != nil && do {
		if ds := z.get(at, dns.TypeDS); len(ds) > 0 {
			m.Ns = append(m.Ns, z.withSigs(ds, at, do)...)
		} else {
			z.proveNoType(m, at)
		}
	}
}

// deny adds the SOA and, from a signed zone, the proof that the name or type is not there.
func (z *Zone) deny(m *dns.Msg, name string, do, nxdomain bool) {
	m.Ns = append(m.Ns, z.withSigs(z.get(z.Origin, dns.TypeSOA), z.Origin, do)...)
	if z.sec == nil || !do {
		return
	}
	if nxdomain {
		z.proveNoName(m, name)
		return
	}
	z.proveNoType(m, name)
}

// denyWild adds the proof that the name itself is not there where a wildcard answered.
func (z *Zone) denyWild(m *dns.Msg, name string, do bool) {
	if z.sec != nil && do {
		z.proveNoName(m, name)
	}
}
