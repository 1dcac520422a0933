package nameserver

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

type args = finding.Args

func noRoute(err error) bool { return wire.Classify("", err).Kind == wire.NoRoute }

// Judge makes findings of facts.
func Judge(f *Facts) []finding.Finding {
	if f.err != nil {
		return []finding.Finding{ruleSilent.Untested(finding.Domain(f.Domain), check.Why(f.err))}
	}
	d := f.Delegation
	if d.NXDomain && d.Zone != f.Domain {
		return []finding.Finding{ruleSilent.NA(finding.Domain(f.Domain))}
	}
	s := finding.Domain(d.Zone)
	var out []finding.Finding
	out = append(out, judgeNames(d, s)...)
	out = append(out, judgeParent(d, s)...)
	out = append(out, judgeAnswers(f, s)...)
	out = append(out, judgeExposure(f, s)...)
	for i := range out {
		if out[i].Outcome == finding.Fail {
			out[i].Verify = finding.Cmd("check", f.Domain)
		}
	}
	return out
}

// judgeNames looks at the list of servers: how many, where, with what names.
func judgeNames(d *dns.Delegation, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	servers := d.Servers()
	switch len(servers) {
	case 0:
		out = append(out, ruleSingle.Failed(s, args{"Zone": d.Zone, "Host": ""}))
	case 1:
		out = append(out, ruleSingle.Failed(s, args{"Zone": d.Zone, "Host": servers[0].Host}))
	default:
		out = append(out, ruleSingle.Passed(s, args{"Zone": d.Zone, "N": len(servers)}))
	}
	var all []netip.Addr
	for _, n := range servers {
		h := finding.Host(n.Host)
		if n.Alias {
			out = append(out, ruleAlias.Failed(h, args{"Host": n.Host}))
		}
		if len(n.Addrs) == 0 && n.Fault == "" {
			out = append(out, ruleNoAddress.Failed(h, args{"Host": n.Host}))
		} else if len(n.Addrs) == 0 {
			out = append(out, ruleNoAddress.Untested(h, finding.S("the address of {{.Host}} could not be asked for: {{.Text}}", args{"Host": n.Host, "Text": n.Fault})))
		}
		for _, a := range n.Addrs {
			if mail.Special(a) != "" {
				out = append(out, rulePrivate.Failed(h, args{"Host": n.Host, "Addr": a}))
			}
		}
		all = append(all, n.Addrs...)
	}
	if len(servers) > 1 && len(all) > 1 {
		if net, one := oneNetwork(all); one {
			out = append(out, ruleOneNetwork.Failed(s, args{"Zone": d.Zone, "Net": net.String()}))
		} else {
			out = append(out, ruleOneNetwork.Passed(s, nil))
		}
	}
	return out
}

func oneNetwork(all []netip.Addr) (netip.Prefix, bool) {
	prefix := func(a netip.Addr) netip.Prefix {
		bits := 24
		if a.Is6() {
			bits = 48
		}
		p, _ := a.Prefix(bits)
		return p
	}
	first := prefix(all[0])
	return first, !slices.ContainsFunc(all, func(a netip.Addr) bool { return prefix(a) != first })
}

// judgeParent holds the delegation to what the zone says itself.
func judgeParent(d *dns.Delegation, s finding.Subject) []finding.Finding {
	if d.Shared {
		return []finding.Finding{ruleDelegation.NA(s)}
	}
	if len(d.ParentNS) == 0 {
		if d.Fault == "" {
			return nil
		}
		if d.Parent == "" && d.Asked == "" && len(d.Hops) == 0 {
			return []finding.Finding{ruleDelegation.Untested(s, finding.S("the resolver knows no zone above {{.Zone}}", args{"Zone": d.Zone}))}
		}
		return []finding.Finding{ruleDelegation.Untested(s, finding.S("the parent zone's servers could not be asked: {{.Text}}", args{"Text": d.Fault}))}
	}
	var out []finding.Finding
	if len(d.ChildNS) > 0 {
		onlyParent, onlyChild := minus(d.ParentNS, d.ChildNS), minus(d.ChildNS, d.ParentNS)
		if len(onlyParent)+len(onlyChild) > 0 {
			out = append(out, ruleDelegation.Failed(s, args{"OnlyParent": onlyParent, "OnlyChild": onlyChild, "Both": len(onlyParent) > 0 && len(onlyChild) > 0}).
				With(finding.Evidence{Source: "dns", Place: d.Asked, Raw: hosts(d.ParentNS)}, finding.Evidence{Source: "dns", Place: d.Zone, Raw: hosts(d.ChildNS)}))
		} else {
			out = append(out, ruleDelegation.Passed(s, nil))
		}
	}
	bad := false
	for _, n := range d.ParentNS {
		inside := n.Host == d.Zone || len(n.Host) > len(d.Zone) && n.Host[len(n.Host)-len(d.Zone)-1:] == "."+d.Zone
		own := n.Addrs
		for _, c := range d.ChildNS {
			if c.Host == n.Host {
				own = c.Addrs
			}
		}
		switch {
		case inside && len(n.Glue) == 0:
			bad = true
			out = append(out, ruleGlueMissing.Failed(finding.Host(n.Host), args{"Host": n.Host, "Zone": d.Zone}))
		case len(n.Glue) > 0 && len(own) > 0 && !slices.ContainsFunc(n.Glue, func(a netip.Addr) bool { return slices.Contains(own, a) }):
			bad = true
			out = append(out, ruleGlueDiffers.Failed(finding.Host(n.Host), args{"Host": n.Host, "Glue": texts(n.Glue), "Addrs": texts(own)}))
		}
	}
	if !bad {
		out = append(out, ruleGlueMissing.Passed(s, nil))
	}
	return out
}

// judgeAnswers looks at what each server answered.
func judgeAnswers(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	zone := f.Delegation.Zone
	var answered, silent, lame, unreached int
	if f.blocked() {
		return []finding.Finding{ruleSilent.Untested(s, finding.S("the resolver knows {{.Zone}}, but no name server answers this machine directly: port 53 is probably blocked on the way", args{"Zone": zone}))}
	}
	var serials []string
	bySerial := map[uint32]bool{}
	for _, sv := range f.Servers {
		subject := finding.Host(sv.Host)
		switch {
		case sv.NoRoute:
			unreached++
			out = append(out, ruleSilent.Untested(subject, finding.S("this machine cannot reach {{.Addr}}: {{.Text}}", args{"Addr": sv.Addr, "Text": sv.Fault})))
		case sv.Fault != "":
			silent++
			out = append(out, ruleSilent.Failed(subject, args{"Host": sv.Host, "Addr": sv.Addr, "Fault": sv.Fault}))
		case !sv.AA || sv.SOA == nil:
			lame++
			answer := dns.RcodeName(sv.Rcode)
			out = append(out, ruleLame.Failed(subject, args{"Host": sv.Host, "Addr": sv.Addr, "Zone": zone, "Answer": answer}).
				With(finding.Evidence{Source: "dns", Place: sv.Addr.String(), Raw: zone + " SOA: " + answer}))
		default:
			answered++
			if !bySerial[sv.SOA.Serial] {
				bySerial[sv.SOA.Serial] = true
			}
			serials = append(serials, fmt.Sprintf("%d (%s)", sv.SOA.Serial, sv.Host))
		}
	}
	switch {
	case answered == 0 && len(f.Servers) > 0 && unreached == 0:
		out = append(out, ruleSilentAll.Failed(s, args{"Zone": zone, "N": len(f.Servers)}))
	case answered > 0 && silent == 0 && unreached == 0:
		out = append(out, ruleSilent.Passed(s, args{"N": len(f.Servers)}))
	}
	if lame == 0 && answered > 0 {
		out = append(out, ruleLame.Passed(s, nil))
	}
	if len(bySerial) > 1 {
		out = append(out, ruleSerial.Failed(s, args{"Serials": serials}))
	}
	for _, sv := range f.Servers {
		if sv.SOA != nil {
			if len(bySerial) == 1 {
				out = append(out, ruleSerial.Passed(s, args{"Serial": int64(sv.SOA.Serial)}))
			}
			out = append(out, judgeTimers(sv.SOA, zone, s))
			break
		}
	}
	return out
}

// blocked tells that the silence of all servers says more of our own path than of them: the resolver has the zone from
// somewhere, and no server at all, not even the parent's, has answered us directly.
func (f *Facts) blocked() bool {
	return len(f.Servers) > 0 && f.Delegation.Asked == "" && len(f.Delegation.ChildNS) > 0 &&
		!slices.ContainsFunc(f.Servers, func(s Server) bool { return s.Fault == "" })
}

// The usual ranges in seconds; RFC 1912 section 2.2 gives the lower half of them, RIPE-203 the upper.
var timers = []struct {
	name        string
	of          func(*SOA) uint32
	least, most uint32
}{
	{"refresh", func(s *SOA) uint32 { return s.Refresh }, 600, 86_400 * 2},
	{"retry", func(s *SOA) uint32 { return s.Retry }, 60, 86_400},
	{"expire", func(s *SOA) uint32 { return s.Expire }, 86_400 * 7, 86_400 * 60},
	{"minimum", func(s *SOA) uint32 { return s.Minimum }, 0, 86_400},
}

func judgeTimers(soa *SOA, zone string, s finding.Subject) finding.Finding {
	var odd []string
	for _, t := range timers {
		if v := t.of(soa); v < t.least || v > t.most {
			odd = append(odd, fmt.Sprintf("%s %d (%d–%d)", t.name, v, t.least, t.most))
		}
	}
	if soa.Retry > soa.Refresh {
		odd = append(odd, fmt.Sprintf("retry %d > refresh %d", soa.Retry, soa.Refresh))
	}
	if len(odd) > 0 {
		return ruleTimers.Failed(s, args{"Zone": zone, "Odd": odd})
	}
	return ruleTimers.Passed(s, nil)
}

// judgeExposure looks at what strangers are given.
func judgeExposure(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	var asked, recursive, transfer, noTCP int
	for _, sv := range f.Servers {
		h := finding.Host(sv.Host)
		a := args{"Host": sv.Host, "Addr": sv.Addr, "Zone": f.Delegation.Zone, "Fault": sv.TCPFault}
		if !sv.TCPAsked || sv.Fault != "" {
			continue
		}
		asked++
		if sv.Recursion {
			recursive++
			out = append(out, ruleRecursion.Failed(h, a))
		}
		if sv.Transfer {
			transfer++
			out = append(out, ruleTransfer.Failed(h, a))
		}
		if sv.TCPFault != "" {
			noTCP++
			out = append(out, ruleTCP.Failed(h, a))
		}
	}
	if asked == 0 {
		return out
	}
	for _, r := range []struct {
		rule *finding.Rule
		n    int
	}{{ruleRecursion, recursive}, {ruleTransfer, transfer}, {ruleTCP, noTCP}} {
		if r.n == 0 {
			out = append(out, r.rule.Passed(s, nil))
		}
	}
	return out
}

func minus(a, b []dns.NameServer) []string {
	var out []string
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y dns.NameServer) bool { return y.Host == x.Host }) {
			out = append(out, x.Host)
		}
	}
	return out
}

func hosts(ns []dns.NameServer) string {
	s := "NS"
	for _, n := range ns {
		s += " " + n.Host
	}
	return s
}

func texts(in []netip.Addr) []string {
	var out []string
	for _, a := range in {
		out = append(out, a.String())
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// Sections shows the servers.
func Sections(f *Facts) []finding.Section {
	if !f.Known() || len(f.Servers) == 0 {
		return nil
	}
	sec := finding.Section{Title: finding.S("Name servers of {{.Zone}}", args{"Zone": f.Delegation.Zone}), Folded: true,
		Columns: []finding.Sentence{finding.S("name server", nil), finding.S("address", nil), finding.S("serial", nil), finding.S("time", nil), finding.S("answer", nil)}}
	for _, sv := range f.Servers {
		serial, says, took := finding.Raw(""), finding.Raw(sv.Fault), finding.Raw("")
		if sv.Fault == "" {
			took = finding.S("{{.Took}}", args{"Took": sv.RTT})
			says = finding.S("with authority", nil)
			if !sv.AA {
				says = finding.Raw(dns.RcodeName(sv.Rcode))
			}
		}
		if sv.SOA != nil {
			serial = finding.Raw(fmt.Sprint(sv.SOA.Serial))
		}
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(sv.Host), finding.Raw(sv.Addr.String()), serial, took, says))
	}
	return []finding.Section{sec}
}
