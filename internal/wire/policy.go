package wire

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// Policy says which places may be dialled on behalf of somebody who is not the admin of this machine, so that a page
// that probes is no scanner of the network it stands in. The zero value allows public addresses on the ports of mail,
// DNS and the web.
type Policy struct {
	Private  bool           // any address
	Networks []netip.Prefix // these, although they are not public
	Ports    []uint16       // these, too
	AnyPort  bool           // any port, where the address is allowed
	Places   []string       // address:port of our own instruments, such as the resolvers
}

// Allowance tells why an address:port may not be reached; nil where it may. Policy.Check is one.
type Allowance func(place string) error

// probed are the ports of mail, DNS, WHOIS and the web.
var probed = [...]uint16{25, 43, 53, 80, 110, 143, 443, 465, 587, 853, 993, 995, 2525, 4190}

// Check tells why an address:port may not be dialled; nil where it may. The address is a literal: what stands in a name
// is known only when it is resolved.
func (p *Policy) Check(place string) error {
	if slices.Contains(p.Places, place) {
		return nil
	}
	at, err := netip.ParseAddrPort(place)
	if err != nil {
		return &Fault{Kind: NotAllowed, Op: "connect", Text: place + " is no address that was looked up"}
	}
	if !p.AnyPort && !slices.Contains(probed[:], at.Port()) && !slices.Contains(p.Ports, at.Port()) {
		return &Fault{Kind: NotAllowed, Op: "connect", Text: place + ": port " + strconv.Itoa(int(at.Port())) + " is none of mail, DNS or the web"}
	}
	return p.Addr(at.Addr())
}

// Addr tells why an address may not be dialled; nil where it may.
func (p *Policy) Addr(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if p.Private || slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(a) }) {
		return nil
	}
	for _, in := range []netip.Addr{a, embedded(a)} {
		if in.IsValid() {
			if kind := mail.Special(in); kind != "" {
				return &Fault{Kind: NotAllowed, Op: "connect", Text: a.String() + " is no public address (" + kind + ")"}
			}
		}
	}
	return nil
}

// embedded is the IPv4 address that translators and tunnels would go to: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible.
func embedded(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case !a.Is6():
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return netip.Addr{}
}

// Dialer dials what the policy allows. It is asked about the address the kernel is about to connect to, after any name
// was resolved.
func (p *Policy) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error { return p.Check(address) }}
}
