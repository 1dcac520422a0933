package mail

import (
	"net/netip"
	"testing"
)

func TestSpecial(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1": "loopback", "::1": "loopback", "10.1.2.3": "private", "172.31.0.1": "private", "172.32.0.1": "",
		"100.64.0.1": "shared", "198.51.100.7": "documentation", "2001:db8::1": "documentation", "fe80::1": "link-local",
		"fd00::1": "private", "0.0.0.0": "unspecified", "8.8.8.8": "", "2606:4700::1": "", "::ffff:10.0.0.1": "private", "255.255.255.255": "reserved",
	} {
		if got := Special(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}
