package dns_test

import (
	"context"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// internet is a root, a top level and two zones on servers of their own, and no resolver.
func internet(t *testing.T, opt dns.Options) (*wiretest.World, *dns.Client) {
	t.Helper()
	w := wiretest.NewWorld()
	for addr, zone := range map[string]string{
		"198.51.100.1": "$ORIGIN .\n@ SOA a.root h.root 1 2 3 4 5\n@ NS a.root\na.root A 198.51.100.1\ntest NS ns.test\nns.test A 198.51.100.2\n",
		"198.51.100.2": "$ORIGIN test.\n@ NS ns\nns A 198.51.100.2\nmine NS ns1.mine\nmine NS ns2.mine\nns1.mine A 198.51.100.3\nns2.mine A 198.51.100.4\nguest NS ns1.mine\n",
		"198.51.100.3": "$ORIGIN mine.test.\n@ NS ns1\n@ NS ns3\nns1 A 198.51.100.3\nns3 A 198.51.100.9\nhost A 198.51.100.10\n",
	} {
		if _, err := w.DNS([]string{addr}, zone); err != nil {
			t.Fatal(err)
		}
	}
	opt.Dial, opt.Timeout = w, 200*time.Millisecond
	c := dns.New(opt)
	t.Cleanup(func() { c.Close(); w.Close() })
	return w, c
}

func TestWalk(t *testing.T) {
	_, c := internet(t, dns.Options{Roots: []string{"198.51.100.1"}, Servers: []string{"192.0.2.1"}})
	d, err := c.Delegation(context.Background(), "mine.test")
	if err != nil {
		t.Fatal(err)
	}
	if d.Zone != "mine.test" || d.Parent != "test" || len(d.ParentNS) != 2 || d.ParentNS[0].Glue[0].String() != "198.51.100.3" || d.Asked != "198.51.100.2:53" {
		t.Errorf("delegation %+v", d)
	}
	if len(d.ChildNS) != 2 || d.ChildNS[1].Host != "ns3.mine.test" || len(d.Hops) != 3 {
		t.Errorf("child %+v hops %+v", d.ChildNS, d.Hops)
	}
	d, err = c.Delegation(context.Background(), "host.mine.test")
	if err != nil || d.Zone != "mine.test" || len(d.ChildNS) != 2 {
		t.Errorf("inside: %+v, %v", d, err)
	}
	d, err = c.Delegation(context.Background(), "absent.test")
	if err != nil || !d.NXDomain || d.Zone != "test" {
		t.Errorf("absent: %+v, %v", d, err)
	}
}

// TestDelegationByResolver goes through a resolver that knows every zone, as private networks have it.
func TestDelegationByResolver(t *testing.T) {
	w, c := internet(t, dns.Options{Servers: []string{"192.0.2.1"}})
	r, err := w.DNS([]string{"192.0.2.1"},
		"$ORIGIN test.\n@ NS ns\nns A 198.51.100.2\n",
		"$ORIGIN mine.test.\n@ NS ns1\n@ NS ns3\nns1 A 198.51.100.3\nns3 A 198.51.100.9\nhost A 198.51.100.10\n")
	if err != nil {
		t.Fatal(err)
	}
	r.Recursive = true
	d, err := c.Delegation(context.Background(), "host.mine.test")
	if err != nil {
		t.Fatal(err)
	}
	if d.Zone != "mine.test" || d.Parent != "test" || len(d.ParentNS) != 2 || d.Shared || len(d.ChildNS) != 2 || d.Fault != "" {
		t.Errorf("delegation %+v", d)
	}
}

func TestRoots(t *testing.T) {
	if r := dns.Roots(); len(r) != 26 || r[0] != "198.41.0.4" {
		t.Errorf("roots %v", r)
	}
}
