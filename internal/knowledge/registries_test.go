package knowledge

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRegistries(t *testing.T) {
	r, err := Embedded().Registries()
	if err != nil || r.Checked.Year == 0 || r.WHOISRoot == "" {
		t.Fatalf("%v %+v", err, r)
	}
	seen := map[string]string{}
	for _, s := range r.RDAP {
		if !strings.HasPrefix(s.Base, "https://") || !strings.HasSuffix(s.Base, "/") {
			t.Errorf("%q: an https URL that ends in /", s.Base)
		}
		for _, list := range [][]string{s.V4, s.V6} {
			for _, p := range list {
				n, err := netip.ParsePrefix(p)
				if err != nil || n != n.Masked() || seen[p] != "" {
					t.Errorf("%s: %q (also %s): %v", s.Base, p, seen[p], err)
				}
				seen[p] = s.Base
			}
		}
		for _, tld := range s.TLDs {
			if seen[tld] != "" || strings.ToLower(tld) != tld || strings.Contains(tld, ".") {
				t.Errorf("%s: %q (also %s)", s.Base, tld, seen[tld])
			}
			seen[tld] = s.Base
		}
	}
	for _, s := range r.RPKI {
		if !strings.Contains(s.URL, "{as}") || !strings.Contains(s.URL, "{prefix}") || s.Form != "ripestat" && s.Form != "routinator" {
			t.Errorf("%+v", s)
		}
	}
	for a, want := range map[string]string{"193.0.6.139": "ripe", "8.8.8.8": "arin", "114.114.114.114": "apnic", "200.1.1.1": "lacnic", "41.0.0.1": "afrinic", "2400:3200::1": "apnic", "2a00::1": "ripe", "95.1.1.1": "ripe", "96.1.1.1": "arin"} {
		if got := r.ForIP(netip.MustParseAddr(a)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	if r.ForDomain("mine.example.com") == "" || r.ForDomain("mine.example") != "" {
		t.Error("domains")
	}
}
