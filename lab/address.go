package lab

import (
	"fmt"
	"net/netip"
	"slices"
)

// The lab's own Internet. The addresses look public on purpose (a checker must not call them private or documentation
// addresses) and exist inside the lab's namespaces only.
const (
	rootV4, rootV6       = "11.0.0.1", "2d00:1ab::1"     // the root servers
	tldV4, tldV6         = "11.0.0.2", "2d00:1ab::2"     // the servers of all top-level domains
	ns1V4, ns1V6         = "11.0.1.53", "2d00:1ab:1::53" // ns1.dns.example
	ns2V4, ns2V6         = "11.0.2.53", "2d00:1ab:2::53" // ns2.dns.example
	openV4               = "11.0.3.53"                   // open.dns.example: recursion for everybody
	deadV4               = "11.0.4.53"                   // dead.dns.example: packets vanish
	notcpV4              = "11.0.5.53"                   // notcp.dns.example: TCP is dropped
	lameV4               = "11.0.6.53"                   // lame.dns.example: answers, and holds no zone
	slowNSV4             = "11.99.0.53"                  // slow.dns.example: the zones of ns1 behind the delay
	ResolverV4           = "11.0.0.53"                   // Unbound, validating
	ResolverV6           = "2d00:1ab::5353"
	SlowResolverV4       = "11.99.0.54" // the same Unbound behind the delay
	policyV4, policyV6   = "11.0.7.80", "2d00:1ab:7::80"
	blocklistV4          = "11.0.8.53" // rbldnsd
	deadListV4           = "11.0.8.99" // where a dead blocklist used to be
	ClientV4, ClientV6   = "11.1.0.2", "2d00:1ab:ffff::2"
	BlockedV4            = "11.1.3.2" // the client whose provider drops port 25
	NoPTRV4              = "11.1.4.2" // the client without a name
	v6Net                = "2d00:1ab::/32"
	v4Reverse, v6Reverse = "11.in-addr.arpa", "b.a.1.0.0.0.d.2.ip6.arpa"
	clientName           = "out.hosting.example"
)

// place gives every host its addresses: a network of its own each, so that hosts are together only where a case says so.
func place(hosts []*Host) error {
	next := 0
	for _, h := range hosts {
		next++
		v4, v6 := fmt.Sprintf("11.0.%d.25", 100+next%150), fmt.Sprintf("2d00:1ab:%x::25", 0x1000+next)
		if next >= 150 {
			v4 = fmt.Sprintf("11.%d.%d.25", 2+next/150, next%150)
		}
		if h.Slow {
			v4, v6 = fmt.Sprintf("11.99.%d.25", next), fmt.Sprintf("2d00:1ab:9900:%x::25", next)
		}
		var err error
		if h.V4, err = given(h.V4, v4); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
		if h.V6, err = given(h.V6, v6); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	return nil
}

// given fills the gap in a host's list of addresses.
func given(have []string, own string) ([]string, error) {
	if slices.Equal(have, []string{"none"}) {
		return nil, nil
	}
	if len(have) == 0 {
		return []string{own}, nil
	}
	out := slices.Clone(have)
	for i, a := range out {
		if a == "" {
			out[i] = own
		} else if _, err := netip.ParseAddr(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (h *Host) addresses() []string { return append(slices.Clone(h.V4), h.V6...) }

func (h *Host) ports() []int {
	if h.Ports == nil {
		return []int{25, 587}
	}
	return h.Ports
}

// pointer is the name the reverse zone gives for the host's addresses, or "".
func (h *Host) pointer() string {
	if h.PTR != nil {
		return *h.PTR
	}
	return h.Name
}
