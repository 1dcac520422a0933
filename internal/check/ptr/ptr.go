// Package ptr looks at the reverse names of addresses that send or take mail (row C2): is there one, does it lead back,
// does it look chosen.
//
// Promise: the rules about reverse names are said here, whoever asks: the check of a domain for its MX addresses, a
// delivery for its own. RFCs: 1912 section 2.1, 8501 (IPv6), 7001 (iprev, now 8601 section 3).
//
// It must not decide which addresses matter.
package ptr

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
)

var ruleMissing = &finding.Rule{
	ID: "ptr.missing", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title:  "no reverse name (PTR)",
	Says:   "{{.Addr}}{{if .Host}} ({{.Host}}){{end}} has no PTR record",
	OK:     "{{.Addr}} has the reverse name {{list .Names}}",
	Why:    "Most large providers refuse or defer mail from addresses without one.",
	Repair: "Ask the holder of the address range for a PTR record that names the mail server.",
	Refs:   []finding.Ref{finding.RFC(1912, "2.1"), {Title: "Google: Email sender guidelines", URL: "https://support.google.com/mail/answer/81126"}},
}

var ruleUnconfirmed = &finding.Rule{
	ID: "ptr.not-confirmed", Severity: finding.Warning, Owner: finding.OwnerNetwork,
	Title:  "the reverse name does not lead back",
	Says:   "the PTR of {{.Addr}} names {{list .Names}}, and {{if .Elsewhere}}that leads to {{list .Elsewhere}}{{else}}that has no address{{end}}",
	OK:     "{{.Name}} leads back to {{.Addr}}",
	Why:    "A reverse name that is not confirmed counts as none: anybody can write any name there.",
	Repair: "Give the name an address record for this address, or have the PTR changed to a name that leads back.",
	Refs:   []finding.Ref{finding.RFC(8601, "3"), finding.RFC(1912, "2.1")}, After: []string{"ptr.missing"},
}

var ruleGeneric = &finding.Rule{
	ID: "ptr.generic", Severity: finding.Warning, Owner: finding.OwnerNetwork,
	Title:  "the reverse name looks generic",
	Says:   "the reverse name {{.Name}} of {{.Addr}} looks like one of a whole range (\"{{.Mark}}\")",
	OK:     "{{.Name}} looks chosen",
	Why:    "Receivers take such an address for a home line or a rented machine that is not meant to send mail, and score or refuse it.",
	Repair: "Have the PTR changed to the name of the mail server.",
	Refs:   []finding.Ref{{Title: "M3AAWG: Sending domains and reverse DNS best practices"}},
}

var ruleMany = &finding.Rule{
	ID: "ptr.many", Severity: finding.Note, Owner: finding.OwnerNetwork,
	Title: "several reverse names",
	Says:  "{{.Addr}} has {{.N}} reverse names: {{list .Names}}",
	Why:   "Receivers look at one of them, chance says which.",
	Refs:  []finding.Ref{finding.RFC(1912, "2.1")},
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{ruleMissing, ruleUnconfirmed, ruleGeneric, ruleMany}

// Name is one reverse name and where it leads.
type Name struct {
	Name      string       `json:"name"`
	Addrs     []netip.Addr `json:"addrs,omitempty"`
	Confirmed bool         `json:"confirmed"`
	Fault     string       `json:"fault,omitempty"`
}

// Facts are the reverse names of an address.
type Facts struct {
	Addr    netip.Addr `json:"addr"`
	Host    string     `json:"host,omitempty"`    // the name by which we came to it
	Reverse string     `json:"reverse"`           // the name asked: 1.2.0.192.in-addr.arpa
	Names   []Name     `json:"names,omitempty"`   //
	Generic string     `json:"generic,omitempty"` // the mark of a generic name
	Fault   string     `json:"fault,omitempty"`

	err error
}

// Confirmed gives the first name that leads back, or "".
func (f *Facts) Confirmed() string {
	for _, n := range f.Names {
		if n.Confirmed {
			return n.Name
		}
	}
	return ""
}

// maxNames bounds the reverse names that are followed.
const maxNames = 10

// Look asks for the reverse names of an address and where they lead. host is the name by which we came to it, or "".
func Look(ctx context.Context, env *check.Env, addr netip.Addr, host string) *Facts {
	addr = addr.Unmap()
	f := &Facts{Addr: addr, Host: host, Reverse: Reverse(addr)}
	a, err := env.DNS.Resolve(ctx, f.Reverse, mail.TypePTR)
	if err != nil {
		f.err, f.Fault = err, err.Error()
		return f
	}
	for _, r := range a.Records[:min(len(a.Records), maxNames)] {
		f.Names = append(f.Names, Name{Name: r.Host})
	}
	t := mail.TypeA
	if addr.Is6() {
		t = mail.TypeAAAA
	}
	var wg sync.WaitGroup
	for i := range f.Names {
		wg.Go(func() { f.Names[i].look(ctx, env, addr, t) })
	}
	wg.Wait()
	if know, err := env.Know.ReverseNames(); err == nil {
		f.Generic = generic(f, know)
	}
	return f
}

func (n *Name) look(ctx context.Context, env *check.Env, addr netip.Addr, t mail.Type) {
	a, err := env.DNS.Resolve(ctx, n.Name, t)
	if err != nil {
		n.Fault = err.Error()
		return
	}
	for _, r := range a.Records {
		n.Addrs = append(n.Addrs, r.IP)
	}
	n.Confirmed = slices.Contains(n.Addrs, addr)
}

// generic gives the mark where every name is generic.
func generic(f *Facts, know *knowledge.ReverseNames) string {
	first := ""
	for _, n := range f.Names {
		mark, is := know.Generic(n.Name, f.Addr)
		if !is {
			return ""
		}
		if first == "" {
			first = mark
		}
	}
	return first
}

// Reverse is the name under which the reverse names of an address are found (RFC 1035 section 3.5, RFC 3596).
func Reverse(a netip.Addr) string {
	var b strings.Builder
	raw := a.Unmap().AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if len(raw) == 4 {
			b.WriteString(strconv.Itoa(int(raw[i])) + ".")
			continue
		}
		const hex = "0123456789abcdef"
		b.WriteByte(hex[raw[i]&15])
		b.WriteByte('.')
		b.WriteByte(hex[raw[i]>>4])
		b.WriteByte('.')
	}
	if len(raw) == 4 {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

// Judge makes findings of facts. wanted is the name the server should bear, or "" for the host by which we came.
func Judge(f *Facts, wanted string) []finding.Finding {
	s := finding.IP(f.Addr)
	if wanted == "" {
		wanted = f.Host
	}
	if f.err != nil {
		return []finding.Finding{ruleMissing.Untested(s, check.Why(f.err))}
	}
	prove := finding.Cmd("ip", f.Addr.String())
	ptr := f.Reverse + " PTR"
	if len(f.Names) == 0 {
		m := ruleMissing.Failed(s, finding.Args{"Addr": f.Addr, "Host": f.Host}).Prove(prove).
			Saw(finding.S("no PTR record at {{.Name}}", finding.Args{"Name": f.Reverse}), finding.S("a name that points back to {{.Addr}}", finding.Args{"Addr": f.Addr}))
		if wanted != "" {
			m = m.Mend(finding.Step{Kind: finding.DNSAdd, Target: ptr, New: wanted + "."})
		}
		return []finding.Finding{m}
	}
	var names, elsewhere []string
	unknown := false
	for _, n := range f.Names {
		names = append(names, n.Name)
		unknown = unknown || n.Fault != ""
		for _, a := range n.Addrs {
			elsewhere = append(elsewhere, a.String())
		}
	}
	out := []finding.Finding{ruleMissing.Passed(s, finding.Args{"Addr": f.Addr, "Names": names})}
	out = append(out, f.judgeConfirmed(s, names, elsewhere, unknown).Prove(prove))
	if f.Generic != "" {
		g := ruleGeneric.Failed(s, finding.Args{"Addr": f.Addr, "Name": names[0], "Mark": f.Generic}).Prove(prove)
		if wanted != "" && wanted != names[0] {
			g = g.Mend(finding.Step{Kind: finding.DNSReplace, Target: ptr, Old: names[0] + ".", New: wanted + "."})
		}
		out = append(out, g)
	} else {
		out = append(out, ruleGeneric.Passed(s, finding.Args{"Name": names[0]}))
	}
	if len(names) > 1 {
		out = append(out, ruleMany.Failed(s, finding.Args{"Addr": f.Addr, "N": len(names), "Names": names}))
	}
	return out
}

func (f *Facts) judgeConfirmed(s finding.Subject, names, elsewhere []string, unknown bool) finding.Finding {
	switch name := f.Confirmed(); {
	case name != "":
		return ruleUnconfirmed.Passed(s, finding.Args{"Name": name, "Addr": f.Addr})
	case unknown:
		return ruleUnconfirmed.Untested(s, finding.S("the addresses of {{list .Names}} could not be asked for", finding.Args{"Names": names}))
	}
	t := " A"
	if f.Addr.Is6() {
		t = " AAAA"
	}
	return ruleUnconfirmed.Failed(s, finding.Args{"Addr": f.Addr, "Names": names, "Elsewhere": elsewhere}).
		Mend(finding.Step{Kind: finding.DNSAdd, Target: names[0] + t, New: f.Addr.String()})
}

// Check looks at every address of a domain's mail servers. They need not be those that send, so what would be an error
// for a sender is a warning here.
var Check = check.Check[check.Servers]{Name: "ptr", Rules: Rules, Run: func(ctx context.Context, env *check.Env, t check.Servers) ([]finding.Finding, error) {
	addrs := t.Addresses()
	if len(addrs) > maxAddresses {
		addrs = addrs[:maxAddresses]
	}
	results := make([][]finding.Finding, len(addrs))
	var wg sync.WaitGroup
	for i, a := range addrs {
		if mail.Special(a.Addr) != "" && mail.Special(a.Addr) != "documentation" {
			continue // the mx pack says what is wrong; there is no public reverse zone to ask
		}
		wg.Go(func() { results[i] = Judge(Look(ctx, env, a.Addr, a.Host), "") })
	}
	wg.Wait()
	out := slices.Concat(results...)
	for i := range out {
		if out[i].Rule == ruleMissing && out[i].Outcome != finding.Pass {
			mild := finding.Warning
			out[i].Severity = &mild
		}
	}
	return out, nil
}}

// maxAddresses bounds the addresses of one domain that are looked at.
const maxAddresses = 50
