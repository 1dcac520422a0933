package dns

import (
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// maxIterations is the number of NSEC3 hash rounds above which a zone counts as unsigned (RFC 9276 section 3.2).
const maxIterations = 150

// maxDenials bounds the NSEC and NSEC3 records of one answer that are verified; eight is more than any proof needs.
const maxDenials = 8

const optOut = "NSEC3 opt-out"

type denyKind int

const (
	denyBroken   denyKind = iota
	denyNoCut             // the name is in the same zone
	denyInsecure          // a child zone is cut off there, without DS
)

// denial is the verified NSEC and NSEC3 records of an answer.
type denial struct {
	zone    string
	nsec    []*miekg.NSEC
	nsec3   []*miekg.NSEC3
	bad     *Break // why a record was not taken
	tooMany bool   // NSEC3 with more iterations than we do
	expires time.Time
}

// newDenial takes the denial records that carry a valid signature of the zone.
func newDenial(m *miekg.Msg, zone string, keys []*miekg.DNSKEY, now time.Time) *denial {
	d := &denial{zone: zone}
	for _, rr := range m.Ns {
		h := rr.Header()
		if h.Rrtype != miekg.TypeNSEC && h.Rrtype != miekg.TypeNSEC3 || len(d.nsec)+len(d.nsec3) >= maxDenials {
			continue
		}
		set, sigs := pick(m.Ns, normal(h.Name), h.Rrtype)
		sig, b := verify(set[:1], sigs, zone, keys, now)
		if b != nil {
			d.bad = b
			continue
		}
		if e := expiry(sig, now); d.expires.IsZero() || e.Before(d.expires) {
			d.expires = e
		}
		switch v := rr.(type) {
		case *miekg.NSEC:
			d.nsec = append(d.nsec, v)
		case *miekg.NSEC3:
			switch {
			case v.Hash != miekg.SHA1: // unknown: ignored (RFC 5155 section 8.1)
			case v.Iterations > maxIterations:
				d.tooMany = true
			default:
				d.nsec3 = append(d.nsec3, v)
			}
		}
	}
	return d
}

// failure is the break where the records prove nothing.
func (d *denial) failure(name, t string) Break {
	switch {
	case d.bad != nil:
		return *d.bad
	case len(d.nsec)+len(d.nsec3) == 0:
		return Break{Kind: DenialMissing, Zone: d.zone, Name: name, Type: t}
	}
	return Break{Kind: DenialWrong, Zone: d.zone, Name: name, Type: t}
}

type verdict struct {
	kind denyKind
	by   string
	brk  Break
}

// deny tells what the absence of a DS at a name means (RFC 4035 section 5.2, RFC 5155 section 8.9).
func deny(m *miekg.Msg, name string, t uint16, zone string, keys []*miekg.DNSKEY, now time.Time) verdict {
	d := newDenial(m, zone, keys, now)
	for _, n := range d.nsec {
		if normal(n.Hdr.Name) == name {
			return d.atName(name, "NSEC", n.TypeBitMap)
		}
	}
	for _, n := range d.nsec3 {
		if n.Match(name + ".") {
			return d.atName(name, "NSEC3", n.TypeBitMap)
		}
	}
	if d.tooMany {
		return verdict{kind: denyInsecure, by: "NSEC3 with too many iterations"}
	}
	for _, n := range d.nsec {
		if coversNSEC(n, name) { // the name does not exist, or only has names below it
			return verdict{kind: denyNoCut, by: "NSEC"}
		}
	}
	if _, cover := d.encloser(name); cover != nil {
		if cover.Flags&1 == 1 {
			return verdict{kind: denyInsecure, by: optOut}
		}
		return verdict{kind: denyNoCut, by: "NSEC3"}
	}
	return verdict{brk: d.failure(name, "DS")}
}

// atName reads the types at the name itself.
func (d *denial) atName(name, by string, types []uint16) verdict {
	has := func(t uint16) bool { return slices.Contains(types, t) }
	switch {
	case has(miekg.TypeDS) || has(miekg.TypeSOA): // it is there, or this is the child's own record
		return verdict{brk: Break{Kind: DenialWrong, Zone: d.zone, Name: name, Type: "DS"}}
	case has(miekg.TypeNS):
		return verdict{kind: denyInsecure, by: by}
	}
	return verdict{kind: denyNoCut, by: by}
}

// covers tells whether a record shows that the name does not exist.
func (d *denial) covers(name string) bool {
	for _, n := range d.nsec {
		if coversNSEC(n, name) {
			return true
		}
	}
	return slices.ContainsFunc(d.nsec3, func(n *miekg.NSEC3) bool { return n.Cover(name + ".") })
}

func coversNSEC(n *miekg.NSEC, name string) bool {
	owner, next := normal(n.Hdr.Name), normal(n.NextDomain)
	if less := order(owner, name); less >= 0 {
		return false
	}
	// A record at a delegation says nothing of names below it (RFC 6840 section 4.1).
	if under(name, owner) && slices.Contains(n.TypeBitMap, miekg.TypeNS) && !slices.Contains(n.TypeBitMap, miekg.TypeSOA) {
		return false
	}
	return order(next, owner) <= 0 || order(name, next) < 0
}

// order compares two normal names in canonical order (RFC 4034 section 6.1).
func order(a, b string) int {
	x, y := miekg.SplitDomainName(a), miekg.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}

// encloser finds the closest encloser of a name and the NSEC3 that covers the next closer name (RFC 5155 section 8.3).
func (d *denial) encloser(name string) (ce string, cover *miekg.NSEC3) {
	next := name
	for n := up(name); under(n, d.zone); next, n = n, up(n) {
		if slices.ContainsFunc(d.nsec3, func(r *miekg.NSEC3) bool { return r.Match(fqdn(n)) }) {
			for _, r := range d.nsec3 {
				if r.Cover(next + ".") {
					return n, r
				}
			}
			return n, nil
		}
		if n == "" {
			break
		}
	}
	return "", nil
}

func fqdn(name string) string {
	if name == "" {
		return "."
	}
	return name + "."
}

// absent proves that a name (nx) or its type does not exist. by is what proved it.
func (d *denial) absent(name string, t uint16, nx bool) (by string, brk *Break) {
	lacks := func(types []uint16) bool {
		return !slices.Contains(types, t) && !slices.Contains(types, miekg.TypeCNAME)
	}
	fail := func() (string, *Break) {
		b := d.failure(name, TypeName(mail.Type(t)))
		return "", &b
	}
	for _, n := range d.nsec {
		if !nx && normal(n.Hdr.Name) == name {
			if lacks(n.TypeBitMap) {
				return "NSEC", nil
			}
			return fail()
		}
	}
	for _, n := range d.nsec3 {
		if !nx && n.Match(fqdn(name)) {
			if lacks(n.TypeBitMap) {
				return "NSEC3", nil
			}
			return fail()
		}
	}
	if d.tooMany {
		return optOut, nil
	}
	if len(d.nsec3) > 0 {
		return d.absent3(name, nx, lacks, fail)
	}
	for _, n := range d.nsec {
		if !coversNSEC(n, name) {
			continue
		}
		if strings.HasSuffix(normal(n.NextDomain), "."+name) { // an empty non-terminal
			if nx {
				return fail()
			}
			return "NSEC", nil
		}
		wild := "*." + closest(n, name, d.zone)
		wild = strings.TrimSuffix(wild, ".")
		for _, w := range d.nsec {
			if nx && coversNSEC(w, wild) || !nx && normal(w.Hdr.Name) == wild && lacks(w.TypeBitMap) {
				return "NSEC", nil
			}
		}
	}
	return fail()
}

func (d *denial) absent3(name string, nx bool, lacks func([]uint16) bool, fail func() (string, *Break)) (string, *Break) {
	ce, cover := d.encloser(name)
	if cover == nil {
		return fail()
	}
	wild := strings.TrimSuffix("*."+ce, ".") + "."
	for _, r := range d.nsec3 {
		if nx && r.Cover(wild) || !nx && r.Match(wild) && lacks(r.TypeBitMap) {
			return "NSEC3", nil
		}
	}
	if cover.Flags&1 == 1 {
		return optOut, nil
	}
	return fail()
}

// closest gives the closest encloser an NSEC that covers a name implies: the longer of what the name shares with the
// owner and with the next name.
func closest(n *miekg.NSEC, name, zone string) string {
	best := zone
	for _, other := range []string{normal(n.Hdr.Name), normal(n.NextDomain)} {
		for a := up(name); under(a, zone); a = up(a) {
			if under(other, a) {
				if len(a) > len(best) {
					best = a
				}
				break
			}
			if a == "" {
				break
			}
		}
	}
	return best
}
