package spf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// clientNames are the names of the client that resolve back to it, at most MaxPTR of them looked at (section 5.5).
// A failing look-up counts as no name.
func (c *checker) clientNames(s *Step) []string {
	if c.names != nil {
		return *c.names
	}
	var names []string
	a, err := c.m.Resolve(c.ctx, ReverseName(c.in.IP), mail.TypePTR)
	if err != nil {
		c.names = &names
		return nil
	}
	if len(a.Records) > MaxPTR {
		a.Records = a.Records[:MaxPTR:MaxPTR]
	}
	for _, rr := range a.Records {
		c.m.ahead(rr.Host, c.addressType(), nil)
	}
	for _, rr := range a.Records {
		if !validDomain(rr.Host) {
			continue
		}
		addrs, err := c.m.Resolve(c.ctx, rr.Host, c.addressType())
		if err != nil {
			continue
		}
		step := Step{Kind: StepAddress, Domain: s.Domain, Depth: s.Depth, Term: s.Term, Pos: s.Pos, Target: rr.Host}
		ok := false
		for _, ip := range addrs.Records {
			step.Values = append(step.Values, ip.IP.String())
			ok = ok || ip.IP == c.in.IP
		}
		c.add(step)
		if ok {
			names = append(names, strings.ToLower(strings.TrimSuffix(rr.Host, ".")))
		}
	}
	c.names = &names
	return names
}

func (c *checker) ptr(t *Term, s *Step) bool {
	s.Target = c.target(t, s.Domain)
	if s.Target == "" {
		return false
	}
	s.Values = c.clientNames(s)
	for _, n := range s.Values {
		if within(n, s.Target) {
			return true
		}
	}
	return false
}

// within tells whether a name is a domain or lies below it.
func within(name, domain string) bool {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// validated is the macro p for a domain: its own name, else one below it, else any, else "unknown" (section 7.3).
func (c *checker) validated(domain string) string {
	names := c.clientNames(&Step{Domain: domain})
	domain = strings.ToLower(domain)
	best := "unknown"
	for _, n := range names {
		switch {
		case n == domain:
			return n
		case within(n, domain) && !within(best, domain):
			best = n
		case best == "unknown":
			best = n
		}
	}
	return best
}

// explain fetches and expands the explanation of a fail (section 6.2). Any fault gives "".
func (c *checker) explain(t *Term, domain string) string {
	name := c.target(t, domain)
	if name == "" {
		return ""
	}
	a, err := c.m.Resolve(c.ctx, name, mail.TypeTXT)
	if err != nil || len(a.Records) != 1 {
		return ""
	}
	text := a.Texts()[0]
	m := parseMacro(text, true)
	if m.bad != nil {
		return ""
	}
	out := m.expand(&c.v)
	c.add(Step{Kind: StepExplain, Domain: domain, Term: t.Text, Pos: t.Pos, Target: name, Values: []string{out}})
	return out
}

// ahead asks in the background for what the terms of a record will need.
func (c *checker) ahead(rec *Record, domain string, depth int) {
	if depth > MaxLookups {
		return
	}
	all := rec.All() != nil
	for i := range rec.Terms {
		t := &rec.Terms[i]
		if t.Name == "all" && !t.Modifier {
			break
		}
		if !t.Asks() || all && t.Modifier || t.spec.uses("p") {
			continue
		}
		v := c.base
		v.domain = domain
		name := domain
		if t.Domain != "" {
			name = fit(t.spec.expand(&v))
		}
		switch t.Name {
		case "include", "redirect":
			c.m.ahead(name, mail.TypeTXT, func(a *mail.Answer) { c.aheadOf(a, name, depth+1) })
		case "a":
			c.m.ahead(name, c.addressType(), nil)
		case "exists":
			c.m.ahead(name, mail.TypeA, nil)
		case "mx":
			c.m.ahead(name, mail.TypeMX, nil)
		case "ptr":
			c.m.ahead(ReverseName(c.in.IP), mail.TypePTR, nil)
		}
	}
}

func (c *checker) aheadOf(a *mail.Answer, name string, depth int) {
	for _, txt := range a.Texts() {
		if IsRecord(txt) {
			if rec := Parse(txt); rec.Valid() {
				c.ahead(rec, name, depth)
			}
			return
		}
	}
}

// ReverseName is the name under in-addr.arpa or ip6.arpa where an address has its PTR records.
func ReverseName(ip netip.Addr) string {
	if ip.Is4() {
		b := ip.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	labels := strings.Split(strings.ToLower(dotted(ip)), ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + ".ip6.arpa"
}
