package knowledge

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
)

func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// The files that IANA publishes do as they come; what they say takes the place of the table's rows of that kind.
func TestBootstrapFiles(t *testing.T) {
	b := Over(folder(map[string]string{
		"ipv4.json": `{"description": "x", "publication": "2026-11-01T00:00:00Z", "version": "1.0", "services": [[["192.0.2.0/24", "198.51.100.0/24"], ["http://rdap.one.example/", "https://rdap.one.example"]], [["203.0.113.0/24"], ["http://only.plain.example/"]]]}`,
		"dns.json":  `{"publication": "2026-11-01T00:00:00Z", "version": "1.0", "services": [[["Example", "xn--fiqs8s"], ["https://rdap.two.example/rdap/"]]]}`,
	}))
	r, err := b.Registries()
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{"192.0.2.9": "https://rdap.one.example/", "203.0.113.9": "https://rdap.arin.net/registry/", "193.0.6.139": "https://rdap.arin.net/registry/", "2a00::1": "https://rdap.db.ripe.net/"} {
		if got := r.ForIP(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %q, want %q", a, got, want)
		}
	}
	for d, want := range map[string]string{"mine.example": "https://rdap.two.example/rdap/", "mine.xn--fiqs8s": "https://rdap.two.example/rdap/", "mine.com": ""} {
		if got := r.ForDomain(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for text, want := range map[string]string{
		`{`:                                    "knowledge file ipv6.json",
		`{"version": "2.0", "services": [[]]}`: "version",
		`{"version": "1.0", "services": []}`:   "0 services",
		`{"version": "1.0", "services": [[["2001:db8::/32"]]]}`:                         "no list of URLs",
		`{"version": "1.0", "services": [[["not a network"], ["https://x.example/"]]]}`: "no network",
	} {
		if _, err := Over(folder(map[string]string{"ipv6.json": text})).Registries(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
