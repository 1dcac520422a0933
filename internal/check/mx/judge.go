package mx

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
)

type args = finding.Args

// Judge makes findings of facts.
func Judge(f *Facts) []finding.Finding {
	s := finding.Domain(f.Domain)
	prove := finding.Cmd("mx", f.Domain)
	if f.err != nil {
		return []finding.Finding{ruleNone.Untested(s, check.Why(f.err))}
	}
	if f.NXDomain {
		return []finding.Finding{ruleNoDomain.Failed(s, args{"Domain": f.Domain}).
			Saw(finding.Raw("NXDOMAIN"), finding.S("an MX record", nil)).Prove(prove)}
	}
	var out []finding.Finding
	out = append(out, judgeSet(f, s)...)
	if f.TakesMail() && len(f.MX) > 0 {
		out = append(out, judgeHosts(f, s)...)
		out = append(out, judgeSpread(f, s)...)
	}
	out = append(out, judgeViews(f, s)...)
	for i := range out {
		if out[i].Outcome == finding.Fail && out[i].Verify == nil {
			out[i].Verify = prove
		}
	}
	return out
}

// text is an MX record as it stands in a zone file.
func (x Exchange) text() string { return strconv.Itoa(int(x.Pref)) + " " + x.Host + "." }

// judgeSet looks at the records as a set: none, null, implicit, equal, twice.
func judgeSet(f *Facts, s finding.Subject) []finding.Finding {
	target := f.Domain + " MX"
	nullMX := finding.Step{Kind: finding.DNSAdd, Target: target, New: "0 ."}
	switch {
	case len(f.MX) == 0 && len(f.Own) == 0 && f.ownErr != nil:
		return []finding.Finding{ruleNone.Untested(s, check.Why(f.ownErr))}
	case len(f.MX) == 0 && f.Silent:
		return []finding.Finding{ruleParked.Failed(s, args{"Domain": f.Domain}).Mend(nullMX)}
	case len(f.MX) == 0 && len(f.Own) == 0:
		return []finding.Finding{ruleNone.Failed(s, args{"Domain": f.Domain}).
			Mend(finding.Step{Kind: finding.DNSAdd, Target: target, New: "10 mail." + f.Domain + "."})}
	case len(f.MX) == 0:
		return []finding.Finding{ruleImplicit.Failed(s, args{"Domain": f.Domain, "Addrs": texts(f.Own)}).
			Mend(finding.Step{Kind: finding.DNSAdd, Target: target, New: "10 " + f.Domain + "."})}
	case f.Null():
		out := []finding.Finding{ruleNull.Failed(s, args{"Domain": f.Domain})}
		if p := f.MX[0].Pref; p != 0 {
			out = append(out, ruleNullPref.Failed(s, args{"Domain": f.Domain, "Pref": int(p)}).
				Mend(finding.Step{Kind: finding.DNSReplace, Target: target, Old: f.MX[0].text(), New: "0 ."}))
		}
		return out
	}
	out := []finding.Finding{ruleNone.Passed(s, args{"Domain": f.Domain, "N": len(f.Servers().Hosts)})}
	return append(out, judgePrefs(f, s, target)...)
}

func judgePrefs(f *Facts, s finding.Subject, target string) []finding.Finding {
	var out []finding.Finding
	byPref, byHost := map[uint16][]string{}, map[string][]uint16{}
	var others []string
	null := -1
	for i, x := range f.MX {
		if x.Host == "" {
			null = i
			continue
		}
		others = append(others, x.Host)
		if !slices.Contains(byPref[x.Pref], x.Host) {
			byPref[x.Pref] = append(byPref[x.Pref], x.Host)
		}
		byHost[x.Host] = append(byHost[x.Host], x.Pref)
	}
	if null >= 0 {
		out = append(out, ruleNullCompany.Failed(s, args{"Domain": f.Domain, "Others": slices.Compact(others)}).
			Mend(finding.Step{Kind: finding.DNSDelete, Target: target, Old: strconv.Itoa(int(f.MX[null].Pref)) + " ."}))
	}
	done := map[string]bool{}
	for _, x := range f.MX {
		if hosts := byPref[x.Pref]; len(hosts) > 1 && !done[strconv.Itoa(int(x.Pref))] {
			done[strconv.Itoa(int(x.Pref))] = true
			out = append(out, ruleEqual.Failed(s, args{"Hosts": hosts, "Pref": int(x.Pref)}))
		}
		if prefs := byHost[x.Host]; len(prefs) > 1 && !done[x.Host] {
			done[x.Host] = true
			d := ruleDuplicate.Failed(s, args{"Host": x.Host, "N": len(prefs), "Prefs": numbers(prefs)})
			for _, p := range prefs[1:] {
				d = d.Mend(finding.Step{Kind: finding.DNSDelete, Target: target, Old: strconv.Itoa(int(p)) + " " + x.Host + "."})
			}
			out = append(out, d)
		}
	}
	return out
}

// judgeHosts looks at each host by itself.
func judgeHosts(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	var good, unknown int
	var names []string
	seen := map[string]bool{}
	for _, x := range f.MX {
		if x.Host == "" || seen[x.Host] {
			continue
		}
		seen[x.Host] = true
		names = append(names, x.Host)
		fs := judgeHost(f, x, s)
		out = append(out, fs...)
		if len(x.Addrs) > 0 {
			good++
		} else if x.err != nil {
			unknown++
		}
	}
	if good == 0 && unknown == 0 {
		out = append(out, ruleNoneReachable.Failed(s, args{"Domain": f.Domain, "Hosts": names}))
	}
	if good == len(names) {
		out = append(out, ruleNoAddress.Passed(s, nil))
	}
	return out
}

func judgeHost(f *Facts, x Exchange, s finding.Subject) []finding.Finding {
	target := f.Domain + " MX"
	host := finding.Host(x.Host)
	if ip, err := netip.ParseAddr(x.Host); err == nil {
		name := "mail." + f.Domain
		return []finding.Finding{ruleIP.Failed(s, args{"Domain": f.Domain, "Host": x.Host}).Mend(
			finding.Step{Kind: finding.DNSAdd, Target: name + " " + map[bool]string{true: "A", false: "AAAA"}[ip.Is4()], New: ip.String()},
			finding.Step{Kind: finding.DNSReplace, Target: target, Old: x.text(), New: fmt.Sprintf("%d %s.", x.Pref, name)})}
	}
	if badName(x.Host) {
		return []finding.Finding{ruleBadName.Failed(s, args{"Domain": f.Domain, "Host": x.Host})}
	}
	var out []finding.Finding
	if x.Alias != "" {
		out = append(out, ruleCNAME.Failed(host, args{"Host": x.Host, "Target": x.Alias}).
			Mend(finding.Step{Kind: finding.DNSReplace, Target: target, Old: x.text(), New: fmt.Sprintf("%d %s.", x.Pref, x.Alias)}))
	}
	if x.err != nil {
		return append(out, ruleNoAddress.Untested(host, check.Why(x.err)))
	}
	if len(x.Addrs) == 0 {
		return append(out, ruleNoAddress.Failed(host, args{"Host": x.Host, "Missing": x.Missing}).
			Mend(finding.Step{Kind: finding.DNSDelete, Target: target, Old: x.text()}))
	}
	for _, a := range x.Addrs {
		if kind := mail.Special(a); kind != "" {
			out = append(out, rulePrivate.Failed(host, args{"Host": x.Host, "Addr": a, "Kind": Kind(kind)}).
				Saw(finding.Raw(a.String()), finding.S("a public address", nil)))
		}
	}
	return out
}

// Kind says in words for what a special address (mail.Special) is set aside.
func Kind(special string) finding.Sentence {
	switch special {
	case "loopback":
		return finding.S("the machine itself (loopback)", nil)
	case "private":
		return finding.S("private", nil)
	case "shared":
		return finding.S("inside a provider's address translation (100.64.0.0/10)", nil)
	case "link-local":
		return finding.S("valid on one cable only (link-local)", nil)
	case "documentation":
		return finding.S("kept for documentation", nil)
	}
	return finding.S("not an address of the public Internet", nil)
}

// judgeSpread looks at all hosts together.
func judgeSpread(f *Facts, s finding.Subject) []finding.Finding {
	all := f.Servers().Addresses()
	if len(all) == 0 {
		return nil
	}
	var out []finding.Finding
	if len(all) == 1 {
		out = append(out, ruleSingle.Failed(s, args{"Domain": f.Domain, "Host": all[0].Host}))
	}
	v6 := slices.IndexFunc(all, func(a check.ServerAddr) bool { return a.Addr.Is6() })
	if v6 < 0 {
		out = append(out, ruleNoIPv6.Failed(s, args{"Domain": f.Domain}))
	} else {
		out = append(out, ruleNoIPv6.Passed(s, args{"Host": all[v6].Host}))
	}
	if len(all) > 1 {
		if net, ok := oneNetwork(all); ok {
			out = append(out, ruleOneNetwork.Failed(s, args{"N": len(all), "Net": net.String()}))
		}
	}
	return out
}

// oneNetwork tells whether all addresses are in one IPv4 /24 or one IPv6 /48.
func oneNetwork(all []check.ServerAddr) (netip.Prefix, bool) {
	var first netip.Prefix
	for i, a := range all {
		bits := 24
		if a.Addr.Is6() {
			bits = 48
		}
		p, _ := a.Addr.Prefix(bits)
		if i == 0 {
			first = p
		} else if p != first {
			return first, false
		}
	}
	return first, true
}

func judgeViews(f *Facts, s finding.Subject) []finding.Finding {
	groups := map[string][]string{}
	var order []string
	var ev []finding.Evidence
	for _, v := range f.Views {
		if v.Fault != "" {
			continue // the nameserver pack speaks of it
		}
		k := strings.Join(v.MX, ", ")
		if k == "" {
			k = "-"
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], v.Server)
		ev = append(ev, finding.Evidence{Source: "dns", Place: v.Server, Raw: f.Domain + " MX " + k})
	}
	switch len(order) {
	case 0:
		return nil
	case 1:
		return []finding.Finding{ruleDiffers.Passed(s, nil)}
	}
	var said []string
	for _, k := range order {
		said = append(said, k+" ("+strings.Join(groups[k], ", ")+")")
	}
	return []finding.Finding{ruleDiffers.Failed(s, args{"Domain": f.Domain, "Views": said}).With(ev...)}
}

// badName tells what cannot be a mail host: no dot, an underscore, a character no host name has.
func badName(h string) bool {
	if _, err := netip.ParseAddr(h); err == nil {
		return true
	}
	if !strings.Contains(h, ".") || len(h) > 253 {
		return true
	}
	for _, label := range strings.Split(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return true
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
				return true
			}
		}
	}
	return false
}

func texts(in []netip.Addr) []string {
	var out []string
	for _, a := range in {
		out = append(out, a.String())
	}
	return out
}

func numbers(in []uint16) []string {
	var out []string
	for _, n := range in {
		out = append(out, strconv.Itoa(int(n)))
	}
	return out
}
