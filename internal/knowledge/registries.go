package knowledge

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Registries is the table of who to ask about networks and domains.
type Registries struct {
	Checked   toml.LocalDate `toml:"checked"`
	WHOISRoot string         `toml:"whois_root"`
	Source    string         `toml:"source"`
	RDAP      []RDAPBase     `toml:"rdap"`
	RPKI      []RPKISource   `toml:"rpki"`
}

// RDAPBase is one RDAP server and what it answers for.
type RDAPBase struct {
	Base     string   `toml:"base"`
	Fallback bool     `toml:"fallback"`
	V4       []string `toml:"v4"`
	V6       []string `toml:"v6"`
	TLDs     []string `toml:"tlds"`
}

// RPKISource is one service that judges routes.
type RPKISource struct {
	URL    string `toml:"url"`
	Form   string `toml:"form"`
	Source string `toml:"source"`
}

// Registries reads registries.toml, and IANA's bootstrap files where the admin's folder holds them.
func (b *Base) Registries() (*Registries, error) {
	r, err := load[Registries](b, "registries.toml")
	if err != nil {
		return nil, err
	}
	own := *r
	own.RDAP = slices.Clone(r.RDAP)
	return &own, own.bootstrap(b)
}

// ForIP gives the base URL of the server for an address: of the longest prefix, else the fallback; "" where the table
// has neither.
func (r *Registries) ForIP(a netip.Addr) string {
	best, bits, fallback := "", -1, ""
	for i := range r.RDAP {
		s := &r.RDAP[i]
		if s.Fallback && fallback == "" {
			fallback = s.Base
		}
		for _, list := range [][]string{s.V4, s.V6} {
			for _, p := range list {
				if n, err := netip.ParsePrefix(p); err == nil && n.Contains(a) && n.Bits() > bits {
					best, bits = s.Base, n.Bits()
				}
			}
		}
	}
	if best == "" {
		return fallback
	}
	return best
}

// ForDomain gives the base URL of the server for a domain, by its last label; "" where there is none.
func (r *Registries) ForDomain(domain string) string {
	tld := domain[strings.LastIndexByte(domain, '.')+1:]
	for i := range r.RDAP {
		if slices.Contains(r.RDAP[i].TLDs, tld) {
			return r.RDAP[i].Base
		}
	}
	return ""
}
