package knowledge

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestBlocklistsTable(t *testing.T) {
	b, err := Embedded().Blocklists()
	if err != nil {
		t.Fatal(err)
	}
	if b.Checked.Year < 2026 {
		t.Error("no date of the last check")
	}
	zone := regexp.MustCompile(`^([a-z0-9-]+\.)+[a-z]{2,}$`)
	ids, zones := map[string]bool{}, map[string]bool{}
	for _, l := range b.Lists {
		bad := func(what string) { t.Errorf("%s: %s", l.ID, what) }
		if l.ID == "" || ids[l.ID] || zones[l.Zone] {
			bad("no id, or id or zone twice")
		}
		ids[l.ID], zones[l.Zone] = true, true
		if !zone.MatchString(l.Zone) || l.Name == "" || l.Source == "" || len(l.Kinds) == 0 {
			bad("zone, name, source or kinds")
		}
		for _, k := range l.Kinds {
			if !slices.Contains([]string{"v4", "v6", "domain"}, k) {
				bad("kind " + k)
			}
		}
		switch l.Status {
		case "dead":
			if !regexp.MustCompile(`^(19|20)\d\d(-\d\d)?$`).MatchString(l.Since) {
				bad("dead since when?")
			}
			continue
		case "alive":
		default:
			bad("status " + l.Status)
		}
		if l.Weight < 0 || l.Weight > 10 || !strings.HasPrefix(l.Delist, "http") {
			bad("weight or delisting page")
		}
		if !slices.Contains([]string{"allowed", "limited", "refused", "registration"}, l.Public) {
			bad("public " + l.Public)
		}
		if l.Key != "" && !strings.Contains(l.Key, "{key}") {
			bad("key without {key}")
		}
		if len(l.Codes) == 0 {
			bad("no codes")
		}
		for _, c := range l.Codes {
			if c.Means.EN == "" || c.Means.ZH == "" || !matchesSomething(&l, c) {
				bad("code " + c.Answer)
			}
		}
	}
	if len(b.Lists) < 40 {
		t.Errorf("%d lists", len(b.Lists))
	}
}

func matchesSomething(l *Blocklist, c BlocklistCode) bool {
	for i := range 256 {
		for _, mid := range []byte{0, 1, 5} {
			if c.covers(netip.AddrFrom4([4]byte{127, 0, mid, byte(i)})) {
				return true
			}
		}
	}
	return false
}

func TestBlocklistMeans(t *testing.T) {
	b, err := Embedded().Blocklists()
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]*Blocklist{}
	for i := range b.Lists {
		by[b.Lists[i].ID] = &b.Lists[i]
	}
	for _, c := range []struct {
		list, answer string
		n            int
		err          bool
	}{
		{"spamhaus-zen", "127.0.0.5", 1, false},
		{"spamhaus-zen", "127.0.0.200", 0, false},
		{"surbl", "127.0.0.80", 2, false},
		{"surbl", "127.0.0.1", 1, true},
		{"dnswl", "127.0.5.3", 1, false},
		{"dnswl", "127.0.0.255", 1, true},
	} {
		got := by[c.list].Means(netip.MustParseAddr(c.answer))
		if len(got) != c.n || c.n > 0 && got[0].Error != c.err {
			t.Errorf("%s %s: %+v", c.list, c.answer, got)
		}
	}
}
