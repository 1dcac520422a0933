package mail

import "net/netip"

// Special says for what an address is set aside where it is no address of the public Internet (RFC 6890 and the IANA
// special-purpose registries): "loopback", "private", "shared", "link-local", "documentation", "benchmark",
// "unspecified", "multicast", "reserved"; "" for a public address.
func Special(a netip.Addr) string {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsMulticast():
		return "multicast"
	}
	for _, s := range special {
		if s.in.Contains(a) {
			return s.name
		}
	}
	return ""
}

var special = [...]struct {
	in   netip.Prefix
	name string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("100::/64"), "reserved"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "private"},
	{netip.MustParsePrefix("fec0::/10"), "private"},     // site-local, given up in RFC 3879
	{netip.MustParsePrefix("2001::/32"), "reserved"},    // Teredo: leads to an IPv4 address that is written in it
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"}, // protocol assignments
}
