package court

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// grace is what an answer may outlive its TTL by before it counts as stale: clocks and rounding.
const grace = 5 * time.Second

// weigh gives each testimony its standing.
func weigh(f *Facts) {
	for q := range f.Questions {
		question := &f.Questions[q]
		truth := truths(question.Says)
		for i := range question.Says {
			t := &question.Says[i]
			t.Standing = f.standing(t, question, truth)
		}
		scattered(question)
	}
}

// truths are the answers that authoritative servers give.
func truths(says []Testimony) map[string]bool {
	out := map[string]bool{}
	for _, t := range authorities(says) {
		out[t.key()] = true
	}
	return out
}

// authorities are the testimonies that count as the zone's own word.
func authorities(says []Testimony) []*Testimony {
	var out []*Testimony
	for i := range says {
		if t := &says[i]; t.Role == Authority && t.spoke() && t.flag("AA") {
			out = append(out, t)
		}
	}
	return out
}

// split sorts testimonies by answer.
func split[T Testimony | *Testimony](says []T) map[string][]*Testimony {
	out := map[string][]*Testimony{}
	for i := range says {
		t, ok := any(says[i]).(*Testimony)
		if !ok {
			v := any(says[i]).(Testimony)
			t = &v
		}
		if t.spoke() {
			out[t.key()] = append(out[t.key()], t)
		}
	}
	return out
}

func (f *Facts) standing(t *Testimony, q *Question, truth map[string]bool) Standing {
	switch {
	case t.Fault != "" && (t.Kind == "no-route" || t.Kind == "unreachable" || t.Kind == "off-tape" || t.Kind == "canceled"):
		return NoWay
	case t.Fault != "":
		return Silent
	case !t.spoke(), t.Role == Authority && !t.flag("AA"):
		return Refuses
	case t.Role == Authority:
		return Agrees
	case f.declared(t):
		return Declared
	case truth[t.key()] && !t.stale():
		return Agrees
	case f.madeUp(t):
		return Rewritten
	case t.flaggedFilter():
		return Filtered
	case len(truth) == 0:
		return Unjudged
	case truth[t.key()]:
		return Agrees
	case t.stale():
		return Stale
	}
	return f.other(t, q, truth)
}

// other tells the reason of an answer that no authoritative server gives now.
func (f *Facts) other(t *Testimony, q *Question, truth map[string]bool) Standing {
	missing := len(t.Values) == 0
	switch {
	case missing && (t.SOA == "" || !f.ownZone(t.SOA)):
		return Filtered // a cached "no" brings the zone's own SOA along (RFC 2308 section 5)
	case !missing && sinkhole(t.Values):
		return Filtered
	case !missing && private(t.Values) && !anyPrivate(truth):
		return Inside
	case !t.Due.IsZero() && t.At.After(t.Due.Add(grace)):
		return Stale
	case t.Again == nil:
		return Old
	case !t.Again.Same:
		return Varies
	case t.Again.TTL == t.TTL: // a cache behind which there are several may also give a higher one
		return Foreign
	}
	return Old
}

// declared tells an answer that the admin expects: each of its values is one of those given.
func (f *Facts) declared(t *Testimony) bool {
	if len(f.Expect) == 0 || len(t.Values) == 0 {
		return false
	}
	for _, v := range t.Values {
		if !slices.ContainsFunc(f.Expect, func(e string) bool { return same(e, v) }) {
			return false
		}
	}
	return true
}

// same compares a value as users write it with ours: letter case, a last dot and the quotes of TXT aside.
func same(given, v string) bool {
	if a, err := netip.ParseAddr(given); err == nil {
		b, err := netip.ParseAddr(v)
		return err == nil && a == b
	}
	return strings.EqualFold(strings.TrimSuffix(given, "."), v) || `"`+given+`"` == v
}

// stale tells what the server itself says is out of date: EDE 3 and 19 (RFC 8914 section 4).
func (t *Testimony) stale() bool {
	for _, e := range t.EDE {
		if e.Code == 3 || e.Code == 19 {
			return true
		}
	}
	return false
}

// flaggedFilter tells what the server itself says it left out: Blocked, Censored, Filtered, Prohibited.
func (t *Testimony) flaggedFilter() bool {
	for _, e := range t.EDE {
		if e.Code >= 15 && e.Code <= 18 {
			return true
		}
	}
	return false
}

// madeUp tells an answer that the same server gives for a name that does not exist.
func (f *Facts) madeUp(t *Testimony) bool {
	if len(t.Values) == 0 {
		return false
	}
	for _, inv := range f.rewriters() {
		if inv.Server == t.Server && slices.Equal(inv.Values, t.Values) {
			return true
		}
	}
	return false
}

// rewriters are the servers that give addresses for a name that does not exist: one below .invalid (RFC 6761 section
// 6.4), or a random one that the zone's own servers say is not there. One that overrides the whole domain, random names
// included, and nothing else, does not rewrite: it has an entry for the domain.
func (f *Facts) rewriters() []Invented {
	denied := slices.ContainsFunc(f.Invented, func(i Invented) bool { return i.Role == Authority && i.Rcode == "NXDOMAIN" })
	var out []Invented
	for _, i := range f.Invented {
		if i.Role != Authority && len(i.Values) > 0 && (strings.HasSuffix(i.Name, ".invalid") || denied && !f.overrides(&i)) &&
			!slices.ContainsFunc(out, func(o Invented) bool { return o.Server == i.Server }) {
			out = append(out, i)
		}
	}
	return out
}

// overrides tells that the server gives the same addresses for the name itself, where the zone's own servers give others.
func (f *Facts) overrides(inv *Invented) bool {
	for q := range f.Questions {
		truth := truths(f.Questions[q].Says)
		if len(truth) == 0 || truth["NXDOMAIN"] || truth["NODATA"] {
			continue
		}
		for i := range f.Questions[q].Says {
			if t := &f.Questions[q].Says[i]; t.Server == inv.Server && slices.Equal(t.Values, inv.Values) && !truth[t.key()] {
				return true
			}
		}
	}
	return false
}

// ownZone tells whether an SOA is of a zone above the name, or above what its aliases lead to.
func (f *Facts) ownZone(soa string) bool {
	for _, z := range f.Zones {
		for _, zone := range []string{z.Zone, z.Parent} {
			if zone != "" && strings.EqualFold(soa, zone) {
				return true
			}
		}
	}
	return false
}

// sinkhole tells addresses that lead nowhere.
func sinkhole(values []string) bool {
	as := addresses(values)
	for _, a := range as {
		if !a.IsUnspecified() && !a.IsLoopback() {
			return false
		}
	}
	return len(as) > 0
}

func private(values []string) bool {
	as := addresses(values)
	for _, a := range as {
		if !a.IsPrivate() && !a.IsLinkLocalUnicast() {
			return false
		}
	}
	return len(as) > 0
}

func anyPrivate(truth map[string]bool) bool {
	for k := range truth {
		if private(strings.Split(k, "\n")) {
			return true
		}
	}
	return false
}

// manyAnswers is how many different answers to a question about addresses tell that they depend on who asks.
const manyAnswers = 3

// scattered takes several different answers for what they are: a name whose addresses are chosen by who asks. One old
// answer is the same everywhere; three different ones that run out are not. Answers that do not run are not counted:
// three resolvers may have three entries of their own.
func scattered(q *Question) {
	if q.t != mail.TypeA && q.t != mail.TypeAAAA {
		return
	}
	keys := map[string]bool{}
	for i := range q.Says {
		if t := &q.Says[i]; (t.Standing == Old && t.Again != nil || t.Standing == Varies) && len(t.Values) > 0 {
			keys[t.key()] = true
		}
	}
	if len(keys) < manyAnswers && !turns(q.Says) {
		return
	}
	for i := range q.Says {
		if t := &q.Says[i]; (t.Standing == Old || t.Standing == Foreign) && len(t.Values) > 0 {
			t.Standing = Varies
		}
	}
}

// turns tells that servers of one zone with one serial give different answers: they choose.
func turns(says []Testimony) bool {
	as := authorities(says)
	serials := map[string]bool{}
	for _, t := range as {
		serials[t.Serial] = true
	}
	return len(serials) == 1 && len(split(as)) > 1
}
