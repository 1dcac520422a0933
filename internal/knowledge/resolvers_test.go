package knowledge

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestResolvers(t *testing.T) {
	r, err := Embedded().Resolvers()
	if err != nil || r.Checked.Year == 0 || r.SlowMS <= 0 || len(r.Resolvers) < 20 {
		t.Fatalf("%v %+v", err, r)
	}
	names, servers, regions := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, p := range r.Resolvers {
		if p.Name == "" || names[p.Name] || servers[p.Server] || p.Region == "" || (p.Filter.EN == "") != (p.Filter.ZH == "") {
			t.Errorf("%+v: a name and a server once each, a region, both languages", p)
		}
		names[p.Name], servers[p.Server] = true, true
		regions[p.Region]++
		host := p.Server
		if u, err := url.Parse(p.Server); err == nil && u.Host != "" {
			host = u.Host
		}
		if _, err := netip.ParseAddr(host); err != nil { // a name would need a resolver to find the resolver
			t.Errorf("%s: %q is no address", p.Name, host)
		}
		if strings.HasPrefix(p.Server, "tls://") && !strings.Contains(p.Server, "#") {
			t.Errorf("%s: the name of the certificate is missing", p.Name)
		}
	}
	if regions["cn"] < 6 || regions["world"] < 10 {
		t.Errorf("regions %v", regions)
	}
}
