package dmarc

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Reading is how a receiver understands DMARC.
type Reading string

// The readings.
const (
	RFC7489 Reading = "rfc7489"
	RFC9989 Reading = "rfc9989"
)

// Readings lists both, the older first.
var Readings = [...]Reading{RFC7489, RFC9989}

// Meaning is what a receiver makes of a record, before it looks at any mail.
type Meaning struct {
	Applies  bool   `json:"applies"`            // false: the receiver does as if there were no record
	P        Policy `json:"p,omitempty"`        //
	SP       Policy `json:"sp,omitempty"`       // for subdomains; what is not given is filled from p
	NP       Policy `json:"np,omitempty"`       // for names that do not exist
	Fallback bool   `json:"fallback,omitempty"` // a policy tag is missing or wrong, so all policies are "none"
	Pct      int    `json:"pct"`                // share of failing mail the policy is for; 100 to RFC 9989
	Test     bool   `json:"test,omitempty"`     // t=y: one policy lower; never to RFC 7489
}

// Meaning applies RFC 7489 section 6.6.3 step 6, or RFC 9989 section 4.10.1: a record without a valid policy counts as
// p=none when it has a usable rua, and as no record otherwise.
func (r *Record) Meaning(g Reading) Meaning {
	m := Meaning{Pct: 100}
	if !IsRecord(r.Raw) {
		return m
	}
	m.Applies = true
	policies := []Policy{r.P, r.SP}
	if g == RFC9989 {
		policies = append(policies, r.NP)
		m.Test = r.T
	} else {
		m.Pct = r.Pct
	}
	for i, p := range policies {
		if p.Strength() < 0 && (i == 0 || p != "") {
			m.Fallback = true
		}
	}
	if m.Fallback {
		m.P, m.SP, m.NP = None, None, None
		m.Applies = usable(r.RUA)
		return m
	}
	m.P, m.SP = r.P, r.SP
	if m.SP == "" {
		m.SP = m.P
	}
	m.NP = m.SP
	if g == RFC9989 && r.NP != "" {
		m.NP = r.NP
	}
	return m
}

func usable(us []URI) bool {
	for _, u := range us {
		if u.Usable {
			return true
		}
	}
	return false
}

// normal gives a domain in the form everything here compares: lower case, no trailing dot.
func normal(d string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(d), ".")) }

// PublicSuffixOrg is the organizational domain by the public suffix list (RFC 7489 section 3.2): the public suffix and
// one label more. A public suffix itself is its own.
func PublicSuffixOrg(domain string) string {
	domain = normal(domain)
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return org
}

// MaxQueries is how many questions a tree walk may ask (RFC 9989 section 4.10).
const MaxQueries = 8

// Walk lists the domains a tree walk asks about, the domain itself first (RFC 9989 section 4.10 steps 1 to 7): of a
// name with eight or more labels the second question is about its last seven.
func Walk(domain string) []string {
	domain = normal(domain)
	if domain == "" {
		return nil
	}
	labels := strings.Split(domain, ".")
	out := []string{domain}
	rest := labels[1:]
	if len(labels) >= MaxQueries {
		rest = labels[len(labels)-(MaxQueries-1):]
	}
	for i := range rest {
		out = append(out, strings.Join(rest[i:], "."))
	}
	return out
}
