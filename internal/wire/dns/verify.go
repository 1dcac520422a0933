package dns

import (
	"context"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// maxVerifications bounds the signatures tried per set: colliding key tags must not buy an attacker our time
// (CVE-2023-50387).
const maxVerifications = 6

// pick gives the records of a set and the signatures over it.
func pick(rrs []miekg.RR, owner string, t uint16) (set []miekg.RR, sigs []*miekg.RRSIG) {
	for _, rr := range rrs {
		h := rr.Header()
		if normal(h.Name) != owner {
			continue
		}
		if h.Rrtype == t {
			set = append(set, rr)
		} else if s, ok := rr.(*miekg.RRSIG); ok && s.TypeCovered == t {
			sigs = append(sigs, s)
		}
	}
	return set, sigs
}

// verify finds a signature over the set by one of the keys of the zone that holds now. Where none does, the break
// tells the most telling reason.
func verify(set []miekg.RR, sigs []*miekg.RRSIG, zone string, keys []*miekg.DNSKEY, now time.Time) (*miekg.RRSIG, *Break) {
	h := set[0].Header()
	b := &Break{Kind: SigMissing, Zone: zone, Name: normal(h.Name), Type: TypeName(mail.Type(h.Rrtype))}
	note := func(k BreakKind, s *miekg.RRSIG, at uint32) {
		if rank(k) >= rank(b.Kind) {
			b.Kind, b.At = k, time.Time{}
			if at != 0 {
				b.At = serialTime(at, now)
			}
			b.Tags = append(b.Tags, s.KeyTag)
		}
	}
	tried := 0
	for _, s := range sigs {
		if normal(s.SignerName) != zone || int(s.Labels) > miekg.CountLabel(h.Name) {
			note(SigUnknownKey, s, 0)
			continue
		}
		if !knownAlgorithm(s.Algorithm) {
			note(AlgorithmTooNew, s, 0)
			continue
		}
		found := false
		for _, k := range keys {
			if k.KeyTag() != s.KeyTag || k.Algorithm != s.Algorithm || tried >= maxVerifications {
				continue
			}
			found = true
			tried++
			switch {
			case s.Verify(k, set) != nil:
				note(SigWrong, s, 0)
			case !s.ValidityPeriod(now) && serialTime(s.Expiration, now).Before(now):
				note(SigExpired, s, s.Expiration)
			case !s.ValidityPeriod(now):
				note(SigEarly, s, s.Inception)
			default:
				return s, nil
			}
		}
		if !found {
			note(SigUnknownKey, s, 0)
		}
	}
	return nil, b
}

// rank orders reasons by how much they tell.
func rank(k BreakKind) int {
	for i, x := range [...]BreakKind{SigMissing, AlgorithmTooNew, SigUnknownKey, SigWrong, SigEarly, SigExpired} {
		if x == k {
			return i
		}
	}
	return 0
}

// serialTime turns the 32 bits of a signature's time into the moment nearest to now (RFC 4034 section 3.1.5).
func serialTime(t uint32, now time.Time) time.Time {
	return time.Unix(now.Unix()+int64(int32(t-uint32(now.Unix()))), 0).UTC()
}

func expiry(s *miekg.RRSIG, now time.Time) time.Time { return serialTime(s.Expiration, now) }

// prove validates the answer in a message.
func (c *Client) prove(ctx context.Context, m *miekg.Msg, name string, t mail.Type) *Proof {
	p := &Proof{Name: name, Type: TypeName(t), State: Secure}
	owner := name
	if len(m.Question) > 0 {
		owner = normal(m.Question[0].Name)
	}
	for range maxChain {
		set, sigs := pick(m.Answer, owner, uint16(t))
		next := ""
		if len(set) == 0 {
			if set, sigs = pick(m.Answer, owner, miekg.TypeCNAME); len(set) > 0 {
				next = normal(set[0].(*miekg.CNAME).Target)
			}
		}
		if len(set) == 0 {
			if len(p.Links) > 0 && len(m.Ns) == 0 {
				return p // a chain that ends in another zone, whose answer is asked for next
			}
			c.proveAbsent(ctx, p, m, owner, uint16(t))
			return p
		}
		if next != "" && len(sigs) == 0 && c.fromDNAME(ctx, p, m, owner, next) {
			owner = next
			continue
		}
		if !c.proveSet(ctx, p, m, set, sigs) || next == "" {
			return p
		}
		owner = next
	}
	return p
}

// proveSet validates one set of the answer and tells whether to go on.
func (c *Client) proveSet(ctx context.Context, p *Proof, m *miekg.Msg, set []miekg.RR, sigs []*miekg.RRSIG) bool {
	h := set[0].Header()
	owner := normal(h.Name)
	zone := owner
	for _, s := range sigs {
		if z := normal(s.SignerName); under(owner, z) {
			zone = z
			break
		}
	}
	tr := c.trustOf(ctx, owner, zone)
	c.adopt(p, tr)
	if tr.State != Secure {
		return false
	}
	sig, b := verify(set, sigs, tr.Zone, tr.keys, c.now())
	if b != nil {
		p.State, p.Break = Bogus, b
		return false
	}
	p.until(expiry(sig, c.now()))
	if int(sig.Labels) < miekg.CountLabel(h.Name) && !strings.HasPrefix(owner, "*.") {
		return c.proveWildcard(p, m, tr, sig, owner)
	}
	return true
}

// proveWildcard wants the proof that the name itself is absent where a wildcard answered (RFC 4035 section 5.3.4).
func (c *Client) proveWildcard(p *Proof, m *miekg.Msg, tr *trust, sig *miekg.RRSIG, owner string) bool {
	closer := owner
	for miekg.CountLabel(closer+".") > int(sig.Labels)+1 {
		closer = up(closer)
	}
	d := newDenial(m, tr.Zone, tr.keys, c.now())
	if d.covers(closer) || d.bad == nil && d.tooMany {
		return true
	}
	b := d.failure(owner, "NSEC")
	p.State, p.Break = Bogus, &b
	return false
}

// fromDNAME accepts the unsigned CNAME that a signed DNAME stands for (RFC 6672 section 5.3.1).
func (c *Client) fromDNAME(ctx context.Context, p *Proof, m *miekg.Msg, owner, target string) bool {
	for _, rr := range m.Answer {
		d, ok := rr.(*miekg.DNAME)
		if !ok {
			continue
		}
		from := normal(d.Hdr.Name)
		if owner == from || !under(owner, from) || strings.TrimSuffix(owner, from)+normal(d.Target) != target {
			continue
		}
		set, sigs := pick(m.Answer, from, miekg.TypeDNAME)
		return c.proveSet(ctx, p, m, set, sigs)
	}
	return false
}

// proveAbsent validates that a name or type does not exist.
func (c *Client) proveAbsent(ctx context.Context, p *Proof, m *miekg.Msg, owner string, t uint16) {
	zone := owner
	for _, rr := range m.Ns {
		if s, ok := rr.(*miekg.RRSIG); ok && under(owner, normal(s.SignerName)) {
			zone = normal(s.SignerName)
			break
		}
		if s, ok := rr.(*miekg.SOA); ok && under(owner, normal(s.Hdr.Name)) {
			zone = normal(s.Hdr.Name)
		}
	}
	tr := c.trustOf(ctx, owner, zone)
	c.adopt(p, tr)
	if tr.State != Secure {
		return
	}
	d := newDenial(m, tr.Zone, tr.keys, c.now())
	by, b := d.absent(owner, t, m.Rcode == miekg.RcodeNameError)
	if b != nil {
		p.State, p.Break = Bogus, b
		return
	}
	if by == optOut {
		p.State = Insecure
	}
	p.Denial = by
	p.until(d.expires)
}

// adopt takes over the chain of a zone; the worst state of all zones an answer touches is its state.
func (c *Client) adopt(p *Proof, tr *trust) {
	p.Links, p.Zone = tr.links(), tr.Zone
	for i := range p.Links {
		if p.Links[i].State == Secure {
			p.until(p.Links[i].Expires)
		}
	}
	if tr.State != Secure {
		p.State, p.Break = tr.State, tr.brk
	}
}

func (p *Proof) until(t time.Time) {
	if !t.IsZero() && (p.Expires.IsZero() || t.Before(p.Expires)) {
		p.Expires = t
	}
}
