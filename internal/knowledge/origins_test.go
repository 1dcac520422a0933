package knowledge

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	o, err := Embedded().Origins()
	if err != nil || o.Checked.Year == 0 || len(o.Origins) == 0 {
		t.Fatalf("%v %+v", err, o)
	}
	for _, z := range o.Origins {
		a, err := netip.ParseAddr(z.Test)
		if err != nil || !a.Is4() || z.TestAS == 0 || z.Name == "" || z.Source == "" {
			t.Errorf("%+v: a name, a source and an IPv4 test point", z)
		}
		for _, zone := range []string{z.V4, z.V6, z.ASN} {
			if !strings.Contains(zone, ".") || strings.HasSuffix(zone, ".") {
				t.Errorf("%s: %q is no zone", z.Name, zone)
			}
		}
	}
}
