package nameserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/nameserver"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const (
	soa   = "@ SOA ns1 hostmaster 7 7200 900 1209600 300\n"
	zone  = "$ORIGIN a.test.\n" + soa + "@ NS ns1\n@ NS ns2\nns1 A 11.0.0.53\nns2 A 11.0.1.53\n"
	above = "$ORIGIN test.\n@ NS ns\nns A 11.0.2.53\na NS ns1.a\na NS ns2.a\nns1.a A 11.0.0.53\nns2.a A 11.0.1.53\n"
)

// net is a small internet: a resolver, the parent's server, and two servers of a.test.
type net struct {
	w                        *wiretest.World
	resolver, top, one, two  *wiretest.DNS
	resolverZone, parentZone string
	zone1, zone2             string
}

func TestNameServers(t *testing.T) {
	rename := func(s, from, to string) string { return strings.ReplaceAll(s, from, to) }
	tests := []struct {
		what  string
		setup func(*net) // zones, before the servers start
		tune  func(*net) // servers, after
		want  string
	}{
		{"flawless", nil, nil, ""},
		{"single", func(n *net) {
			z := rename(zone, "@ NS ns2\n", "")
			n.zone1, n.zone2, n.resolverZone, n.parentZone = z, z, z, rename(above, "a NS ns2.a\n", "")
		}, nil, "nameserver.single"},
		{"silent", nil, func(n *net) { n.w.Set("udp", "11.0.1.53", wiretest.Drops); n.w.Set("tcp", "11.0.1.53", wiretest.Drops) }, "nameserver.silent"},
		{"refuses", nil, func(n *net) {
			n.w.Set("udp", "11.0.1.53", wiretest.Refuses)
			n.w.Set("tcp", "11.0.1.53", wiretest.Refuses)
		}, "nameserver.silent"},
		{"all silent", nil, func(n *net) {
			for _, a := range []string{"11.0.0.53", "11.0.1.53"} {
				n.w.Set("udp", a, wiretest.Drops)
				n.w.Set("tcp", a, wiretest.Drops)
			}
			n.resolver.Tune(func(d *wiretest.DNS) { d.Faults["a.test"] = wiretest.Fault{Rcode: miekg.RcodeServerFailure} })
		}, "nameserver.all-silent nameserver.silent"},
		{"our path is blocked", nil, func(n *net) {
			n.w.Else = wiretest.Drops
			for _, a := range []string{"11.0.0.53", "11.0.1.53", "11.0.2.53"} {
				n.w.Set("udp", a, wiretest.Drops)
				n.w.Set("tcp", a, wiretest.Drops)
			}
		}, "?nameserver.delegation-differs ?nameserver.silent"},
		{"lame", func(n *net) { n.zone2 = "$ORIGIN other.test.\n@ NS ns\n" }, nil, "nameserver.lame"},
		{"serial", func(n *net) { n.zone2 = rename(zone, " 7 7200", " 6 7200") }, nil, "nameserver.serial-differs"},
		{"delegation", func(n *net) { n.parentZone = rename(above, "a NS ns2.a\n", "a NS ns3.a\nns3.a A 11.0.1.53\n") }, nil, "nameserver.delegation-differs"},
		{"no glue", func(n *net) { n.parentZone = rename(above, "ns2.a A 11.0.1.53\n", "") }, nil, "nameserver.glue-missing"},
		{"wrong glue", func(n *net) { n.parentZone = rename(above, "ns2.a A 11.0.1.53\n", "ns2.a A 11.0.1.99\n") }, nil, "nameserver.glue-differs"},
		{"one network", func(n *net) {
			z, p := rename(zone, "11.0.1.53", "11.0.0.54"), rename(above, "11.0.1.53", "11.0.0.54")
			n.zone1, n.zone2, n.resolverZone, n.parentZone = z, z, z, p
		}, nil, "nameserver.one-network"},
		{"alias", func(n *net) { n.resolverZone = rename(zone, "ns2 A 11.0.1.53", "ns2 CNAME x\nx A 11.0.1.53") }, nil, "nameserver.cname"},
		{"private", func(n *net) {
			z, p := rename(zone, "11.0.1.53", "10.0.1.53"), rename(above, "11.0.1.53", "10.0.1.53")
			n.zone1, n.zone2, n.resolverZone, n.parentZone = z, z, z, p
		}, nil, "nameserver.private-address"},
		{"recursion", nil, func(n *net) {
			n.one.Load("$ORIGIN com.\n@ NS ns.a.test.\n")
			n.one.Tune(func(d *wiretest.DNS) {
				d.Hook = func(q *miekg.Msg) *wiretest.Turn {
					if q.Question[0].Name != "recursion-test.example.com." {
						return nil
					}
					m := new(miekg.Msg).SetRcode(q, miekg.RcodeNameError)
					m.RecursionAvailable = true
					soa, _ := miekg.NewRR("com. SOA a. b. 1 2 3 4 5")
					m.Ns = append(m.Ns, soa)
					return &wiretest.Turn{Msg: m}
				}
			})
		}, "nameserver.open-recursion"},
		{"transfer", nil, func(n *net) { n.two.Tune(func(d *wiretest.DNS) { d.Transfer = true }) }, "nameserver.open-transfer"},
		{"no TCP", nil, func(n *net) { n.w.Set("tcp", "11.0.1.53", wiretest.Drops) }, "nameserver.no-tcp"},
		{"timers", func(n *net) {
			n.zone1 = rename(zone, "7 7200 900 1209600 300", "7 60 900 3600 300")
			n.zone2 = n.zone1
		}, nil, "nameserver.soa-timers"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			n := &net{w: wiretest.NewWorld(), resolverZone: zone, parentZone: above, zone1: zone, zone2: zone}
			defer n.w.Close()
			if tt.setup != nil {
				tt.setup(n)
			}
			start := func(zones ...string) func(addr ...string) *wiretest.DNS {
				return func(addr ...string) *wiretest.DNS {
					d, err := n.w.DNS(addr, zones...)
					if err != nil {
						t.Fatal(err)
					}
					return d
				}
			}
			n.resolver = start(n.resolverZone, "$ORIGIN test.\n@ NS ns\nns A 11.0.2.53\n")("192.0.2.1")
			n.resolver.Recursive = true
			n.top, n.one, n.two = start(n.parentZone)("11.0.2.53"), start(n.zone1)("11.0.0.53"), start(n.zone2)("11.0.1.53", "11.0.0.54", "10.0.1.53")
			if tt.tune != nil {
				tt.tune(n)
			}
			c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: n.w, Timeout: 3 * time.Second})
			defer c.Close()
			var ids []string
			for _, f := range nameserver.Judge(nameserver.Look(context.Background(), &check.Env{DNS: c}, "a.test")) {
				switch f.Outcome {
				case finding.Fail:
					ids = append(ids, f.Rule.ID)
				case finding.Unknown:
					ids = append(ids, "?"+f.Rule.ID)
				}
			}
			slices.Sort(ids)
			if got := strings.Join(slices.Compact(ids), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
