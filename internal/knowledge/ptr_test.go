package knowledge

import (
	"net/netip"
	"strings"
	"testing"
)

func TestGenericNames(t *testing.T) {
	r, err := Embedded().ReverseNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, addr string
		want       bool
	}{
		{"mail.mine.example", "11.22.33.44", false},
		{"mx1.dyn.example", "11.22.33.44", false}, // the domain is called dyn
		{"mx1.static.provider.example", "11.22.33.44", false},
		{"11-22-33-44.provider.example", "11.22.33.44", true},
		{"mail-44-33-22-11.provider.example", "11.22.33.44", true},
		{"host44.22.11.provider.example", "11.22.33.44", true}, // a label "host" with a number
		{"c0b16212c.provider.example", "11.22.33.44", true},
		{"p0b16212c.dip.provider.example", "11.22.33.44", true},
		{"dsl-pool-7.provider.example", "11.22.33.44", true},
		{"customer.provider.example", "11.22.33.44", true},
		{"out-7.mailer.example", "11.22.33.44", false},
		{"static.11.22.33.44.clients.provider.example", "11.22.33.44", true},
		{"localhost", "11.22.33.44", true},
		{"server1.mine.example", "11.22.33.44", false},
		{"mail.mine.example", "2a01:4f8::1", false},
		{"2a01-4f8-0-0-1234-5678-9abc-def0.v6.provider.example", "2a01:4f8::1234:5678:9abc:def0", true},
	} {
		mark, got := r.Generic(tt.name, netip.MustParseAddr(tt.addr))
		if got != tt.want {
			t.Errorf("%s (%s): %v by %q", tt.name, tt.addr, got, mark)
		}
	}
}

func TestReverseNamesAreSound(t *testing.T) {
	r, err := Embedded().ReverseNames()
	if err != nil {
		t.Fatal(err)
	}
	if r.Checked.Year < 2026 {
		t.Errorf("checked %v", r.Checked)
	}
	seen := map[string]bool{}
	for _, w := range append(append([]string{}, r.Words...), r.Mail...) {
		if w == "" || w != strings.ToLower(w) || seen[w] {
			t.Errorf("word %q: empty, not lower case, or twice", w)
		}
		seen[w] = true
	}
}
