package wiretest

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Signing tells how a zone is signed. Signatures are made as they are asked for.
type Signing struct {
	From, Until time.Time         // validity of the signatures
	Algorithm   uint8             // 0 means ECDSAP256SHA256
	NSEC3       bool              // else NSEC
	OptOut      bool              // NSEC3 with opt-out: delegations without DS are not in the chain
	Iterations  uint16            // of NSEC3
	Spoil       map[string]string // "name TYPE" → "drop", "corrupt" or "expire": what is done to that signature; the name with its last dot
}

type signer struct {
	Signing
	ksk, zsk         *dns.DNSKEY
	kskPriv, zskPriv crypto.Signer
	chain            []dns.RR // NSEC or NSEC3, in order
}

// Sign signs a zone with a new pair of keys and gives the DS record to put into the parent, as a line of a zone file.
// Load everything else into the zone before.
func (z *Zone) Sign(s Signing) (ds string, err error) {
	if s.Algorithm == 0 {
		s.Algorithm = dns.ECDSAP256SHA256
	}
	sec := &signer{Signing: s}
	if sec.ksk, sec.kskPriv, err = newZoneKey(z.Origin, s.Algorithm, 257); err != nil {
		return "", err
	}
	if sec.zsk, sec.zskPriv, err = newZoneKey(z.Origin, s.Algorithm, 256); err != nil {
		return "", err
	}
	z.put(sec.ksk)
	z.put(sec.zsk)
	z.sec = sec
	if s.NSEC3 {
		z.chainNSEC3()
	} else {
		z.chainNSEC()
	}
	return sec.ksk.ToDS(dns.SHA256).String(), nil
}

func newZoneKey(zone string, alg uint8, flags uint16) (*dns.DNSKEY, crypto.Signer, error) {
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300}, Flags: flags, Protocol: 3, Algorithm: alg}
	bits := 256
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		bits = 1024
	case dns.ECDSAP384SHA384:
		bits = 384
	}
	priv, err := k.Generate(bits)
	if err != nil {
		return nil, nil, err
	}
	sign, ok := priv.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("algorithm %d cannot sign here", alg)
	}
	return k, sign, nil
}

// Put adds a record to a zone, signed or not: the DS of a child, a TLSA. line is a line of a zone file.
func (z *Zone) Put(line string) error {
	rr, err := dns.NewRR(line)
	if err != nil {
		return err
	}
	rr.Header().Name = dns.CanonicalName(rr.Header().Name)
	z.put(rr)
	if z.sec != nil {
		if z.sec.NSEC3 {
			z.chainNSEC3()
		} else {
			z.chainNSEC()
		}
	}
	return nil
}

// withSigs adds the signature of a set whose true owner is given (a wildcard where the set was made from one).
func (z *Zone) withSigs(rrs []dns.RR, owner string, do bool) []dns.RR {
	if z.sec == nil || !do || len(rrs) == 0 {
		return rrs
	}
	name := rrs[0].Header().Name
	set := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		set[i] = dns.Copy(rr)
		set[i].Header().Name = owner
	}
	sig := z.sign(set)
	if sig == nil {
		return rrs
	}
	sig.Hdr.Name = name
	return append(slices.Clone(rrs), sig)
}

func (z *Zone) sign(set []dns.RR) *dns.RRSIG {
	h := set[0].Header()
	if h.Rrtype == dns.TypeNS && h.Name != z.Origin {
		return nil // a delegation belongs to the child
	}
	key, priv := z.sec.zsk, z.sec.zskPriv
	if h.Rrtype == dns.TypeDNSKEY {
		key, priv = z.sec.ksk, z.sec.kskPriv
	}
	spoil := z.sec.Spoil[h.Name+" "+dns.TypeToString[h.Rrtype]]
	until := z.sec.Until
	if spoil == "expire" {
		until = z.sec.From.Add(time.Second)
	}
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl},
		Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: z.Origin, OrigTtl: h.Ttl,
		Inception: uint32(z.sec.From.Unix()), Expiration: uint32(until.Unix())}
	if spoil == "drop" || sig.Sign(priv, set) != nil {
		return nil
	}
	if spoil == "corrupt" {
		first := byte('A')
		if sig.Signature[0] == 'A' {
			first = 'B'
		}
		sig.Signature = string(first) + sig.Signature[1:]
	}
	return sig
}

// authoritative lists the names that have a place in the denial chain, in canonical order.
func (z *Zone) authoritative() []string {
	var out []string
	for n := range z.rrs {
		if c := z.cut(n, dns.TypeDS); c == "" || c == n {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, canonicalOrder)
	return out
}

// canonicalOrder compares names label by label from the right (RFC 4034 section 6.1).
func canonicalOrder(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}

func (z *Zone) typesAt(name string, extra ...uint16) []uint16 {
	ts := extra
	deleg := name != z.Origin && len(z.get(name, dns.TypeNS)) > 0
	for _, rr := range z.rrs[name] {
		if t := rr.Header().Rrtype; !deleg || t == dns.TypeNS || t == dns.TypeDS {
			ts = append(ts, t)
		}
	}
	if len(z.rrs[name]) > 0 && (!deleg || len(z.get(name, dns.TypeDS)) > 0) {
		ts = append(ts, dns.TypeRRSIG)
	}
	slices.Sort(ts)
	return slices.Compact(ts)
}

func (z *Zone) chainNSEC() {
	names := z.authoritative()
	z.sec.chain = nil
	for i, n := range names {
		z.sec.chain = append(z.sec.chain, &dns.NSEC{Hdr: dns.RR_Header{Name: n, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: z.typesAt(n, dns.TypeNSEC)})
	}
}

func (z *Zone) chainNSEC3() {
	z.sec.chain = nil
	var flags uint8
	if z.sec.OptOut {
		flags = 1
	}
	hashed := map[string]string{}
	for _, n := range z.authoritative() {
		if z.sec.OptOut && n != z.Origin && len(z.get(n, dns.TypeNS)) > 0 && len(z.get(n, dns.TypeDS)) == 0 {
			continue
		}
		for ; ; n = parent(n) { // empty non-terminals too
			hashed[dns.HashName(n, dns.SHA1, z.sec.Iterations, "")] = n
			if n == z.Origin {
				break
			}
		}
	}
	var hs []string
	for h := range hashed {
		hs = append(hs, h)
	}
	slices.Sort(hs)
	for i, h := range hs {
		z.sec.chain = append(z.sec.chain, &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: strings.ToLower(h) + "." + strings.TrimPrefix(z.Origin, "."), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 60},
			Hash: dns.SHA1, Flags: flags, Iterations: z.sec.Iterations, HashLength: 20, NextDomain: hs[(i+1)%len(hs)], TypeBitMap: z.typesAt(hashed[h])})
	}
}

// proveNoType adds the record that shows which types a name has.
func (z *Zone) proveNoType(m *dns.Msg, name string) {
	if z.sec.NSEC3 {
		for _, rr := range z.sec.chain {
			if rr.(*dns.NSEC3).Match(name) {
				z.prove(m, rr)
				return
			}
		}
		z.proveEncloser(m, name, false)
		return
	}
	for _, rr := range z.sec.chain {
		if rr.Header().Name == name {
			z.prove(m, rr)
			return
		}
	}
	z.coverNSEC(m, name) // an empty non-terminal
}

// proveNoName adds the records that show that a name is not there, nor a wildcard for it.
func (z *Zone) proveNoName(m *dns.Msg, name string) {
	if z.sec.NSEC3 {
		z.proveEncloser(m, name, true)
		return
	}
	z.coverNSEC(m, name)
	ce := parent(name)
	for !z.exists(ce) && ce != z.Origin {
		ce = parent(ce)
	}
	z.coverNSEC(m, "*."+strings.TrimPrefix(ce, "."))
}

func (z *Zone) coverNSEC(m *dns.Msg, name string) {
	for _, rr := range z.sec.chain {
		n := rr.(*dns.NSEC)
		after := canonicalOrder(n.Hdr.Name, name) < 0
		last := canonicalOrder(n.NextDomain, n.Hdr.Name) <= 0
		if after && (last || canonicalOrder(name, n.NextDomain) < 0) {
			z.prove(m, rr)
			return
		}
	}
}

func (z *Zone) proveEncloser(m *dns.Msg, name string, wild bool) {
	next, ce := name, parent(name)
	for ce != z.Origin && !z.hashed(ce) {
		next, ce = ce, parent(ce)
	}
	for _, rr := range z.sec.chain {
		n := rr.(*dns.NSEC3)
		if n.Match(ce) || n.Cover(next) || wild && n.Cover("*."+strings.TrimPrefix(ce, ".")) {
			z.prove(m, rr)
		}
	}
}

func (z *Zone) hashed(name string) bool {
	return slices.ContainsFunc(z.sec.chain, func(rr dns.RR) bool { return rr.(*dns.NSEC3).Match(name) })
}

func (z *Zone) prove(m *dns.Msg, rr dns.RR) {
	if !slices.Contains(m.Ns, rr) {
		m.Ns = append(m.Ns, z.withSigs([]dns.RR{rr}, rr.Header().Name, true)...)
	}
}
