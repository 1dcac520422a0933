package origin

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const service = `$ORIGIN asn.cymru.com.
@ NS ns1
8.8.8.8.origin TXT "15169 | 8.8.8.0/24 | US | arin | 2023-12-28"
25.0.0.11.origin TXT "64500 | 11.0.0.0/8 | US | arin | 1990-01-01"
25.0.0.11.origin TXT "64501 | 11.0.0.0/24 | DE | ripencc | 2001-01-01"
26.0.0.11.origin TXT "64501 64502 | 11.0.0.0/24 | DE | ripencc | 2001-01-01"
27.0.0.11.origin TXT "nonsense"
28.0.0.11.origin TXT "64501 | 12.0.0.0/24 | DE | ripencc | 2001-01-01"
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.a.2.origin6 TXT "64503 | 2a01::/32 | CN | apnic | 2010-01-01"
AS64501 TXT "64501 | DE | ripencc | 2001-01-01 | MINE-AS - Mine | Example, DE"
AS64502 TXT "1 | XX | x | x | of somebody else"
`

func world(t *testing.T, zone string) *check.Env {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { w.Close() })
	d, err := w.DNS([]string{"192.0.2.1"}, zone)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	d.Faults["29.0.0.11.origin.asn.cymru.com"] = wiretest.Fault{Rcode: 2}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 3 * time.Second})
	t.Cleanup(func() { c.Close() })
	return &check.Env{DNS: c, Know: knowledge.Embedded(), Now: time.Now}
}

func TestOrigin(t *testing.T) {
	env := world(t, service)
	for addr, want := range map[string]string{
		"11.0.0.25":        "OK 11.0.0.25 is in 11.0.0.0/24, announced by AS64501 (MINE-AS - Mine | Example, DE), registered in DE",
		"11.0.0.26":        "NOTE 11.0.0.0/24 is announced by AS64501 MINE-AS - Mine | Example, DE and AS64502",
		"11.0.0.27":        "WARN Team Cymru knows no network that announces 11.0.0.27",
		"11.0.0.28":        "WARN Team Cymru knows no network that announces 11.0.0.28",
		"11.0.0.29":        "???? could not look",
		"11.0.0.30":        "WARN Team Cymru knows no network",
		"::ffff:11.0.0.25": "OK 11.0.0.25 is in 11.0.0.0/24",
		"2a01::25":         "OK 2a01::25 is in 2a01::/32, announced by AS64503, registered in CN",
		"10.0.0.1":         "-- ",
		"100.64.3.4":       "-- ",
		"127.0.0.1":        "-- ",
	} {
		var got []string
		f := Look(context.Background(), env, netip.MustParseAddr(addr))
		for _, x := range Judge(f) {
			got = append(got, x.Verdict().Mark()+" "+x.Says().String())
		}
		if all := strings.Join(got, "\n"); !strings.Contains(all, want) {
			t.Errorf("%s: got %s, want %s", addr, all, want)
		}
		if len(Section(f)) == 1 != (len(f.Networks) > 0) {
			t.Errorf("%s: section %v", addr, Section(f))
		}
	}
}

// TestNotBelieved holds that a resolver that says no to everything accuses nobody.
func TestNotBelieved(t *testing.T) {
	env := world(t, "$ORIGIN asn.cymru.com.\n@ NS ns1\n")
	fs := Judge(Look(context.Background(), env, netip.MustParseAddr("11.0.0.25")))
	if len(fs) != 1 || fs[0].Outcome != finding.Unknown || !strings.Contains(fs[0].Says().String(), "test point 8.8.8.8") {
		t.Errorf("%+v", fs)
	}
	env.Probe.Offline = true
	if fs := Judge(Look(context.Background(), env, netip.MustParseAddr("11.0.0.25"))); fs[0].Outcome != finding.Unknown {
		t.Errorf("offline: %+v", fs)
	}
}

func FuzzRow(f *testing.F) {
	f.Add("23028 65000 | 192.0.2.0/24 | US | arin | 1998-09-25")
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := parseRow(s); ok && (len(r.as) == 0 || len(r.as) > maxAS || !r.prefix.IsValid()) {
			t.Fatalf("%q: %+v", s, r)
		}
	})
}

func TestHolder(t *testing.T) {
	for want, f := range map[string]*Facts{
		"":                {Unknown: true},
		"AS64500":         {Networks: []Network{{AS: 64500}}},
		"AS64500 EXAMPLE": {Networks: []Network{{AS: 64500, Name: "EXAMPLE"}, {AS: 64501}}},
	} {
		if got := f.Holder(); got != want {
			t.Errorf("%+v: %q, want %q", f.Networks, got, want)
		}
	}
}
