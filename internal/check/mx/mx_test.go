package mx_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/mx"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// look asks a resolver that holds a.test with the lines, and name servers that answer as told.
func look(t *testing.T, lines string, second string, fault map[string]wiretest.Fault) []finding.Finding {
	t.Helper()
	w := wiretest.NewWorld()
	defer w.Close()
	zone := "$ORIGIN a.test.\n@ NS ns1\n@ NS ns2\nns1 A 11.0.0.53\nns2 A 11.0.1.53\nmx1 A 11.0.0.1\nmx2 A 11.0.1.2\nmx2 AAAA 2a00::2\nalias CNAME mx1\nlan A 10.1.1.1\nlocal A 127.0.0.1\n" + lines
	if second == "" {
		second = zone
	}
	for addr, z := range map[string]string{"192.0.2.1": zone, "11.0.0.53": zone, "11.0.1.53": second} {
		d, err := w.DNS([]string{addr}, z)
		if err != nil {
			t.Fatal(err)
		}
		d.Recursive = addr == "192.0.2.1"
		if d.Recursive && fault != nil {
			d.Faults = fault
		}
	}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 3 * time.Second})
	defer c.Close()
	f, err := mx.Look(context.Background(), &check.Env{DNS: c}, "a.test")
	if err != nil {
		t.Fatal(err)
	}
	return mx.Judge(f)
}

func TestMX(t *testing.T) {
	tests := []struct {
		what, lines, second string
		want                string // IDs that fail, sorted; "?" before one that could not be tested
		fix                 string // of the first failing finding that has one
	}{
		{"flawless", "@ MX 10 mx1\n@ MX 20 mx2\n", "", "", ""},
		{"none", "", "", "mx.none", "a.test MX|10 mail.a.test."},
		{"parked", "@ TXT \"v=spf1 -all\"\n", "", "mx.no-null-mx", "a.test MX|0 ."},
		{"null", "@ MX 0 .\n", "", "mx.null", ""},
		{"null with company", "@ MX 0 .\n@ MX 10 mx1\n@ MX 20 mx2\n", "", "mx.null-not-alone", "a.test MX|"},
		{"null preference", "@ MX 10 .\n", "", "mx.null mx.null-preference", "a.test MX|0 ."},
		{"implicit", "@ A 11.0.0.9\n", "", "mx.implicit", "a.test MX|10 a.test."},
		{"equal", "@ MX 10 mx1\n@ MX 10 mx2\n", "", "mx.equal-preference", ""},
		{"twice", "@ MX 10 mx1\n@ MX 30 mx1\n@ MX 20 mx2\n", "", "mx.duplicate-host", "a.test MX|"},
		{"IP", "@ MX 10 11.0.0.1.\n@ MX 20 mx2\n", "", "mx.ip-address", "mail.a.test A|11.0.0.1"},
		{"underscore", "@ MX 10 my_mail\n@ MX 20 mx2\nmy_mail A 11.0.0.7\n", "", "mx.bad-name", ""},
		{"local name", "@ MX 10 mail.\n@ MX 20 mx2\n", "", "mx.bad-name", ""},
		{"CNAME", "@ MX 10 alias\n@ MX 20 mx2\n", "", "mx.cname", "a.test MX|10 mx1.a.test."},
		{"no address", "@ MX 10 nowhere\n@ MX 20 mx2\n", "", "mx.no-address", "a.test MX|"},
		{"no address at all", "@ MX 10 nowhere\n", "", "mx.no-address mx.no-host-with-address", "a.test MX|"},
		{"private", "@ MX 10 lan\n@ MX 20 mx2\n", "", "mx.private-address", ""},
		{"loopback", "@ MX 10 local\n@ MX 20 mx2\n", "", "mx.private-address", ""},
		{"single", "@ MX 10 mx1\n", "", "mx.no-ipv6 mx.single", ""},
		{"one network", "@ MX 10 mx1\n@ MX 20 mx3\nmx3 A 11.0.0.8\n", "", "mx.no-ipv6 mx.one-network", ""},
		{"differs", "@ MX 10 mx1\n@ MX 20 mx2\n", "$ORIGIN a.test.\n@ MX 10 mx1\n", "mx.differs", ""},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			fs := look(t, tt.lines, tt.second, nil)
			got, fix := "", ""
			var ids []string
			for _, f := range fs {
				if f.Outcome == finding.Fail {
					ids = append(ids, f.Rule.ID)
					if fix == "" && len(f.Fix) > 0 {
						fix = f.Fix[0].Target + "|" + f.Fix[0].New
					}
					if s := f.Says().In(finding.ZH); strings.Contains(s, "{{") {
						t.Errorf("%s: %s", f.Rule.ID, s)
					}
				} else if f.Outcome == finding.Unknown {
					ids = append(ids, "?"+f.Rule.ID)
				}
			}
			slices.Sort(ids)
			got = strings.Join(slices.Compact(ids), " ")
			if got != tt.want || fix != tt.fix {
				t.Errorf("got %q fix %q, want %q fix %q", got, fix, tt.want, tt.fix)
			}
		})
	}
}

func TestOurResolverFails(t *testing.T) {
	fs := look(t, "@ MX 10 mx1\n", "", map[string]wiretest.Fault{"a.test MX": {Rcode: 2}})
	if len(fs) != 1 || fs[0].Verdict() != finding.VerdictUntested {
		t.Errorf("findings %+v", fs)
	}
	fs = look(t, "@ MX 10 mx1\n@ MX 20 mx2\n", "", map[string]wiretest.Fault{"mx1.a.test": {Drop: true}})
	if i := slices.IndexFunc(fs, func(f finding.Finding) bool { return f.Verdict() == finding.VerdictUntested }); i < 0 || fs[i].Rule.ID != "mx.no-address" {
		t.Errorf("findings %+v", fs)
	}
	for _, f := range fs {
		if f.Verdict() == finding.VerdictError {
			t.Errorf("an unasked host became an error: %s", f.Says())
		}
	}
}

func TestNXDomain(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	d, err := w.DNS([]string{"192.0.2.1"}, "$ORIGIN test.\n@ NS ns\n")
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 3 * time.Second})
	defer c.Close()
	f, _ := mx.Look(context.Background(), &check.Env{DNS: c}, "gone.test")
	fs := mx.Judge(f)
	if len(fs) != 1 || fs[0].Rule.ID != "mx.no-such-domain" || fs[0].Verdict() != finding.VerdictError {
		t.Errorf("findings %+v", fs)
	}
}
