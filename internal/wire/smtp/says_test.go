package smtp

import "testing"

func TestSaysLiteralOfTheConnectionsFamily(t *testing.T) {
	for _, c := range []struct{ helo, local, want string }{
		{"mail.mine.example", "[2001:db8::7]:4000", "mail.mine.example"},
		{"[192.0.2.7]", "192.0.2.9:4000", "[192.0.2.7]"},
		{"[192.0.2.7]", "[2001:db8::7]:4000", "[IPv6:2001:db8::7]"},
		{"[IPv6:2001:db8::7]", "192.0.2.9:4000", "[192.0.2.9]"},
		{"[IPv6:2001:db8::7]", "[2001:db8::9]:4000", "[IPv6:2001:db8::7]"},
		{"[192.0.2.7]", "", "[192.0.2.7]"},
	} {
		s := &Session{Plan: Plan{HELO: c.helo}, Local: c.local}
		if got := s.Says(); got != c.want {
			t.Errorf("%s from %s: %s, want %s", c.helo, c.local, got, c.want)
		}
	}
}
