package court

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// Role is why somebody is heard.
type Role string

// The roles.
const (
	Authority Role = "authority"
	System    Role = "system"
	Public    Role = "public"
	HostsFile Role = "hosts"
)

// Standing is what became of a testimony.
type Standing string

// The standings.
const (
	Agrees    Standing = "agrees"
	Declared  Standing = "declared"    // another answer, and --expect says so
	Old       Standing = "old"         // another answer whose TTL is running out: it was cached before a change
	Stale     Standing = "stale"       // another answer that should be gone
	Rewritten Standing = "rewritten"   // the answer it gives for any name that does not exist
	Filtered  Standing = "filtered"    // left out or led astray on purpose
	Inside    Standing = "inside"      // a private address where the world sees a public one
	Foreign   Standing = "foreign"     // an answer no authoritative server gives, and no cache explains
	Varies    Standing = "varies"      // the answer depends on who asks
	Refuses   Standing = "refuses"     // an error instead of an answer
	Silent    Standing = "silent"      // no answer
	NoWay     Standing = "unreachable" // this machine cannot get there
	Unjudged  Standing = "unjudged"    // there is nobody to compare with
)

// Testimony is what one server said to one question.
type Testimony struct {
	Who      string         `json:"who"`
	Role     Role           `json:"role"`
	Server   string         `json:"server"`
	At       time.Time      `json:"at"`
	Took     time.Duration  `json:"took"`
	Rcode    string         `json:"rcode,omitempty"`
	Values   []string       `json:"values,omitempty"` // in presentation form, sorted
	Chain    []string       `json:"chain,omitempty"`  // CNAME targets
	TTL      time.Duration  `json:"ttl"`              // of a negative answer: of its SOA
	Flags    []string       `json:"flags,omitempty"`  // AA, TC, RA, AD
	EDE      []dns.EDE      `json:"ede,omitempty"`
	SOA      string         `json:"soa,omitempty"`    // the zone a negative answer is from
	Serial   string         `json:"serial,omitempty"` // authorities: of the zone
	Fault    string         `json:"fault,omitempty"`
	Kind     wire.FaultKind `json:"fault_kind,omitempty"`
	Again    *Again         `json:"again,omitempty"` // the same question a moment later
	Due      time.Time      `json:"due,omitzero"`    // with --watch: when this answer should have run out, as first seen
	Standing Standing       `json:"standing"`
	Filter   knowledge.Text `json:"-"`

	final string // the last name of the CNAME chain
}

// Again is the answer to a question put twice.
type Again struct {
	Same bool          `json:"same"`
	TTL  time.Duration `json:"ttl"`
}

// key is the answer in a form that can be compared.
func (t *Testimony) key() string {
	switch {
	case len(t.Values) > 0:
		return strings.Join(t.Values, "\n")
	case t.Rcode == "NXDOMAIN":
		return "NXDOMAIN"
	}
	return "NODATA"
}

// spoke tells whether it is an answer that can be compared.
func (t *Testimony) spoke() bool {
	return t.Fault == "" && (t.Rcode == "NOERROR" || t.Rcode == "NXDOMAIN")
}

func (t *Testimony) flag(f string) bool { return slices.Contains(t.Flags, f) }

// take reads a reply.
func (t *Testimony) take(r *dns.Reply, name string, typ mail.Type) {
	t.Took, t.Rcode, t.EDE, t.Server = r.RTT, dns.RcodeName(r.Rcode), r.EDE, r.Server
	for _, f := range []struct {
		name string
		on   bool
	}{{"AA", r.AA}, {"TC", r.TC}, {"RA", r.RA}, {"AD", r.AD}} {
		if f.on {
			t.Flags = append(t.Flags, f.name)
		}
	}
	first := true
	lower := func(d time.Duration) {
		if first || d < t.TTL {
			t.TTL, first = d, false
		}
	}
	at := name
	for range len(r.Answer) { // the chain, whatever the order of its records
		i := slices.IndexFunc(r.Answer, func(x mail.Record) bool {
			return x.Type == mail.TypeCNAME && typ != mail.TypeCNAME && x.Name == at && !slices.Contains(t.Chain, x.Host)
		})
		if i < 0 {
			break
		}
		at = r.Answer[i].Host
		t.Chain = append(t.Chain, at)
		lower(r.Answer[i].TTL)
	}
	t.final = at
	for _, rr := range r.Of(typ) {
		if rr.Name == at {
			t.Values = append(t.Values, value(rr))
			lower(rr.TTL)
		}
	}
	slices.Sort(t.Values)
	t.Values = slices.Compact(t.Values)
	if len(t.Values) > 0 {
		return
	}
	for _, rr := range r.Authority {
		if rr.Type == mail.TypeSOA {
			t.SOA = or(rr.Name, ".")
			lower(rr.TTL)
		}
	}
}

// value writes a record so that the same thing always looks the same.
func value(r mail.Record) string {
	switch r.Type {
	case mail.TypeTXT, mail.TypeSPF:
		return check.QuoteTXT(strings.Join(r.TXT, ""))
	case mail.TypeMX:
		return fmt.Sprintf("%d %s", r.Pref, or(r.Host, "."))
	case mail.TypeNS, mail.TypeCNAME, mail.TypePTR:
		return or(r.Host, ".")
	}
	return r.Text
}

func (t *Testimony) dueKey(typ mail.Type) string {
	return t.Server + " " + dns.TypeName(typ) + " " + t.key()
}

// addresses reads values as addresses; nil where one is none.
func addresses(values []string) []netip.Addr {
	var out []netip.Addr
	for _, v := range values {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return nil
		}
		out = append(out, a)
	}
	return out
}
