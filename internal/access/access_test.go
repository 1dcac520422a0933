package access

import (
	"strings"
	"testing"
	"time"
)

func TestPasswords(t *testing.T) {
	c := Cost{64, 1, 1}
	h := hashPassword("correct horse", c)
	if !strings.HasPrefix(h, "$argon2id$v=19$m=64,t=1,p=1$") || !checkPassword("correct horse", h) || checkPassword("correct  horse", h) {
		t.Errorf("%s", h)
	}
	if h == hashPassword("correct horse", c) {
		t.Error("two hashes of one password are the same: no salt")
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", strings.Replace(h, "v=19", "v=18", 1), strings.Replace(h, "m=64", "m=999999999", 1), strings.Replace(h, "t=1", "t=0", 1), h[:len(h)-30]} {
		if checkPassword("correct horse", bad) {
			t.Errorf("%q was taken for a hash", bad)
		}
	}
}

func TestSees(t *testing.T) {
	h := &User{Role: Helpdesk, Domains: []string{"mine.example"}}
	for domain, want := range map[string]bool{"mine.example": true, "MINE.example.": true, "a.mine.example": true, "notmine.example": false, "example": false, "": false, "mine.example.evil.example": false} {
		if h.Sees(domain) != want {
			t.Errorf("%q: %v", domain, !want)
		}
	}
	for addr, want := range map[string]bool{"li@mine.example": true, "li@a.mine.example": true, "li@other.example": false, "mine.example": false, "": false, "a@mine.example@other.example": false} {
		if h.SeesAddress(addr) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
	if o := (&User{Role: Operator}); !o.Sees("any.example") || !o.SeesAddress("") {
		t.Error("an operator sees everything")
	}
	if (*User)(nil).Sees("mine.example") || (*User)(nil).SeesAddress("li@mine.example") || (*User)(nil).May(SignedIn) || !(*User)(nil).May(Anyone) {
		t.Error("nobody sees nothing")
	}
	if (&User{Role: Admin, Disabled: true}).May(SignedIn) {
		t.Error("a disabled user may nothing")
	}
}

// Whoever has more may do what those with less may, but for the helpdesk, which is limited to its domains.
func TestRolesGrow(t *testing.T) {
	for p, roles := range may {
		least := 6
		for _, r := range roles {
			if r != Helpdesk {
				least = min(least, r.rank())
			}
		}
		for _, r := range Roles() {
			if r != Helpdesk && (r.rank() >= least) != r.May(p) {
				t.Errorf("%s: %s", p, r)
			}
		}
	}
	if Admin.AtMost(Viewer) != Viewer || Viewer.AtMost(Admin) != Viewer || Role("").AtMost(Admin) != "" {
		t.Error("AtMost")
	}
}

func TestBrake(t *testing.T) {
	at := time.Unix(0, 0)
	b := newBrake(3, time.Second, time.Minute, func() time.Time { return at })
	for i, want := range []time.Duration{0, 0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
		b.failed("k")
		if got := b.wait("k"); got != want {
			t.Errorf("failure %d: %v, want %v", i+1, got, want)
		}
	}
	if b.wait("other") != 0 {
		t.Error("another key waits")
	}
	at = at.Add(3 * time.Minute)
	b.failed("k")
	if b.wait("k") != 0 {
		t.Error("old failures are not forgotten")
	}
	for i := range 2 * maxKeys {
		b.failed(strings.Repeat("x", i%3) + string(rune(i)))
	}
	if len(b.keys) > maxKeys {
		t.Errorf("%d keys", len(b.keys))
	}
}

func TestGoodName(t *testing.T) {
	for name, want := range map[string]bool{
		"li": true, "李明": true, "li@mine.example": true, "9": true, "a_b-c+d.e": true, strings.Repeat("李", 64): true,
		"": false, ".li": false, "li ming": false, "li\xff": false, "li/..": false, "<b>": false, strings.Repeat("a", 65): false,
	} {
		if goodName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
