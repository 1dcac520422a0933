// Package origin tells which network an address belongs to (row N3): the autonomous system that announces it, the
// prefix, the country of registration, the name of the holder, from a service that answers by DNS.
//
// Promise: a service is believed only when it knows its own test point, asked in the same run; an address that is not
// announced is told from a service that cannot be asked. RFCs: 6996 (private AS numbers), 6890 (special addresses).
//
// It must not decide whether a network is good or bad.
package origin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
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

var (
	ruleAnnounced = &finding.Rule{
		ID: "origin.announced", Severity: finding.Warning, Owner: finding.OwnerNetwork,
		Title:  "no network announces the address",
		Says:   "{{.Service}} knows no network that announces {{.Addr}}",
		OK:     "{{.Addr}} is in {{.Prefix}}, announced by AS{{.AS}}{{if .Name}} ({{.Name}}){{end}}{{if .Country}}, registered in {{.Country}}{{end}}",
		Why:    "No answer finds its way back to such an address. Where mail claims to come from it, the claim is false or the route was there for a short time only.",
		Repair: "If it is yours, have your provider announce the prefix.",
		Refs:   []finding.Ref{{Title: "Team Cymru: IP to ASN mapping", URL: "https://www.team-cymru.com/ip-asn-mapping"}},
	}
	ruleMany = &finding.Rule{
		ID: "origin.many", Severity: finding.Note, Owner: finding.OwnerNetwork,
		Title: "several networks announce the address",
		Says:  "{{.Prefix}} is announced by {{list .AS}}",
		Why:   "That is usual for anycast and while a network moves; otherwise somebody may announce what is not theirs.",
		Refs:  []finding.Ref{finding.RFC(1930, "7")},
	}
)

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{ruleAnnounced, ruleMany}

// Network is an autonomous system.
type Network struct {
	AS       uint32 `json:"as"`
	Name     string `json:"name,omitempty"` // as the registry has it, hostile
	Country  string `json:"country,omitempty"`
	Registry string `json:"registry,omitempty"`
}

// Facts are what is known of the network an address is in.
type Facts struct {
	Addr      netip.Addr   `json:"addr"`
	Special   bool         `json:"special,omitempty"`   // private, loopback and the like: no network announces it
	Service   string       `json:"service,omitempty"`   // who told
	Prefix    netip.Prefix `json:"prefix,omitzero"`     // the longest that is announced
	Country   string       `json:"country,omitempty"`   // of the registration, two letters
	Registry  string       `json:"registry,omitempty"`  // arin, ripencc, apnic, lacnic, afrinic
	Allocated string       `json:"allocated,omitempty"` // date of the registration
	Networks  []Network    `json:"networks,omitempty"`  // who announces the prefix
	Unknown   bool         `json:"unknown,omitempty"`   // nobody announces it
	Fault     string       `json:"fault,omitempty"`     // why nothing is known

	why finding.Sentence
}

// Look asks the services of the table in turn until one knows; they are asked nothing about special addresses.
func Look(ctx context.Context, env *check.Env, addr netip.Addr) *Facts {
	f := &Facts{Addr: addr.Unmap().WithZone("")}
	if !f.Addr.IsGlobalUnicast() || f.Addr.IsPrivate() || shared.Contains(f.Addr) {
		f.Special = true
		return f
	}
	table, err := env.Know.Origins()
	switch {
	case err != nil:
		f.cannot(finding.Raw(err.Error()))
		return f
	case env.Probe.Offline || env.DNS == nil:
		f.cannot(finding.S("the network may not be asked (--offline)", nil))
		return f
	case len(table.Origins) == 0:
		f.cannot(finding.S("no service is known that could tell", nil))
	}
	for i := range table.Origins {
		if f.ask(ctx, env, &table.Origins[i]) {
			break
		}
	}
	return f
}

// shared is the range that providers put between their customers and the world (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

func (f *Facts) cannot(why finding.Sentence) { f.why, f.Fault = why, why.String() }

// ask puts the question to one service, together with its test question. It tells whether the service is believed.
func (f *Facts) ask(ctx context.Context, env *check.Env, z *knowledge.OriginZone) bool {
	f.Service = z.Name
	var rows, test []row
	var err, terr error
	var wg sync.WaitGroup
	wg.Go(func() { rows, err = rowsOf(ctx, env, f.Addr, z) })
	wg.Go(func() {
		if a, perr := netip.ParseAddr(z.Test); perr == nil {
			test, terr = rowsOf(ctx, env, a, z)
		}
	})
	wg.Wait()
	if err = errors.Join(err, terr); err != nil {
		f.cannot(check.Why(err))
		return false
	}
	if !slices.ContainsFunc(test, func(r row) bool { return slices.Contains(r.as, z.TestAS) }) {
		f.cannot(finding.S("{{.Service}} does not know its own test point {{.Test}}: it cannot be reached from here, or somebody answers in its place", finding.Args{"Service": z.Name, "Test": z.Test}))
		return false
	}
	f.why, f.Fault = finding.Sentence{}, ""
	best := -1
	for i, r := range rows {
		if r.prefix.Contains(f.Addr) && (best < 0 || r.prefix.Bits() > rows[best].prefix.Bits()) {
			best = i
		}
	}
	if best < 0 {
		f.Unknown = true
		return true
	}
	r := rows[best]
	f.Prefix, f.Country, f.Registry, f.Allocated = r.prefix, r.country, r.registry, r.date
	f.Networks = make([]Network, len(r.as))
	for i, as := range r.as {
		wg.Go(func() { f.Networks[i] = holder(ctx, env, as, z) })
	}
	wg.Wait()
	return true
}

// maxRows bounds the answers that are read, maxAS the networks of one answer.
const (
	maxRows = 16
	maxAS   = 8
)

func rowsOf(ctx context.Context, env *check.Env, a netip.Addr, z *knowledge.OriginZone) ([]row, error) {
	zone := z.V4
	if a.Is6() {
		zone = z.V6
	}
	ans, err := env.DNS.Resolve(ctx, reversed(a)+"."+zone, mail.TypeTXT)
	if err != nil {
		return nil, err
	}
	var out []row
	for _, t := range ans.Texts()[:min(len(ans.Records), maxRows)] {
		if r, ok := parseRow(t); ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// holder asks for the name of a network; one that cannot be had is left out.
func holder(ctx context.Context, env *check.Env, as uint32, z *knowledge.OriginZone) Network {
	n := Network{AS: as}
	ans, err := env.DNS.Resolve(ctx, fmt.Sprintf("AS%d.%s", as, z.ASN), mail.TypeTXT)
	if err != nil || len(ans.Records) == 0 {
		return n
	}
	if p := fields(ans.Texts()[0]); len(p) >= 5 && p[0] == strconv.FormatUint(uint64(as), 10) {
		n.Country, n.Registry, n.Name = p[1], p[2], strings.Join(p[4:], " | ")
	}
	return n
}

// row is one answer: "23028 | 216.90.108.0/24 | US | arin | 1998-09-25".
type row struct {
	as                      []uint32
	prefix                  netip.Prefix
	country, registry, date string
}

func parseRow(s string) (r row, ok bool) {
	p := fields(s)
	if len(p) < 3 {
		return r, false
	}
	for w := range strings.FieldsSeq(p[0]) {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil || n == 0 {
			return r, false
		}
		if len(r.as) < maxAS {
			r.as = append(r.as, uint32(n))
		}
	}
	prefix, err := netip.ParsePrefix(p[1])
	if err != nil || len(r.as) == 0 {
		return r, false
	}
	r.prefix, r.country = prefix.Masked(), p[2]
	if len(p) > 3 {
		r.registry = p[3]
	}
	if len(p) > 4 {
		r.date = p[4]
	}
	return r, true
}

func fields(s string) []string {
	p := strings.Split(s, "|")
	for i := range p {
		p[i] = strings.TrimSpace(p[i])
	}
	return p
}

// reversed writes an address as DNS services want it: octets of IPv4, nibbles of IPv6, last first.
func reversed(a netip.Addr) string {
	var parts []string
	if a.Is4() {
		parts = strings.Split(a.String(), ".")
	} else {
		b := a.As16()
		parts = strings.Split(hex.EncodeToString(b[:]), "")
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

// Judge says what to think of it.
func Judge(f *Facts) []finding.Finding {
	at := finding.IP(f.Addr)
	prove := finding.Cmd("ip", f.Addr.String())
	switch {
	case f.Special:
		return []finding.Finding{ruleAnnounced.NA(at)}
	case f.Fault != "":
		why := f.why
		if why.IsZero() {
			why = finding.Raw(f.Fault)
		}
		return []finding.Finding{ruleAnnounced.Untested(at, why)}
	case f.Unknown:
		return []finding.Finding{ruleAnnounced.Failed(at, finding.Args{"Addr": f.Addr, "Service": f.Service}).Prove(prove)}
	}
	first := f.Networks[0]
	out := []finding.Finding{ruleAnnounced.Passed(at, finding.Args{"Addr": f.Addr, "Prefix": f.Prefix.String(), "AS": first.AS, "Name": first.Name, "Country": f.Country})}
	if len(f.Networks) > 1 {
		var as []string
		for _, n := range f.Networks {
			as = append(as, strings.TrimSpace(fmt.Sprintf("AS%d %s", n.AS, n.Name)))
		}
		out = append(out, ruleMany.Failed(at, finding.Args{"Prefix": f.Prefix.String(), "AS": as}).Prove(prove))
	}
	return out
}

// Holder names who announces the address, in a few words: "AS64500 EXAMPLE"; "" where nobody is known.
func (f *Facts) Holder() string {
	if len(f.Networks) == 0 {
		return ""
	}
	return f.Networks[0].holder()
}

func (n Network) holder() string { return strings.TrimSpace(fmt.Sprintf("AS%d %s", n.AS, n.Name)) }

// Section shows the network; it is empty where none is known.
func Section(f *Facts) []finding.Section {
	if len(f.Networks) == 0 {
		return nil
	}
	s := finding.Section{Title: finding.S("The network", nil)}
	add := func(label, value finding.Sentence) {
		if value.In(finding.EN) != "" {
			s.Rows = append(s.Rows, finding.Cells(label, value))
		}
	}
	for _, n := range f.Networks {
		add(finding.S("announced by", nil), finding.Raw(n.holder()))
	}
	add(finding.S("prefix", nil), finding.Raw(f.Prefix.String()))
	add(finding.S("country of registration", nil), finding.Raw(f.Country))
	add(finding.S("registry", nil), finding.Raw(strings.TrimSpace(f.Registry+" "+f.Allocated)))
	add(finding.S("told by", nil), finding.Raw(f.Service))
	return []finding.Section{s}
}
