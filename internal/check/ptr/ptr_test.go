package ptr_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const reverse = `$ORIGIN 11.in-addr.arpa.
@ NS ns1.a.test.
1.0.0 PTR mail.a.test.
2.0.0 PTR elsewhere.a.test.
3.0.0 PTR 11-0-0-3.pool.a.test.
4.0.0 PTR mail.a.test.
4.0.0 PTR four.a.test.
5.0.0 PTR gone.a.test.
`

const forward = `$ORIGIN a.test.
@ NS ns1
mail A 11.0.0.1
elsewhere A 11.9.9.9
11-0-0-3.pool A 11.0.0.3
four A 11.0.0.4
`

func TestPTR(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	d, err := w.DNS([]string{"192.0.2.1"}, reverse, forward)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	d.Faults["7.0.0.11.in-addr.arpa"] = wiretest.Fault{Rcode: 2}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 3 * time.Second})
	defer c.Close()
	env := &check.Env{DNS: c, Know: knowledge.Embedded()}
	for addr, want := range map[string]string{
		"11.0.0.1": "",
		"11.0.0.2": "ptr.not-confirmed",
		"11.0.0.3": "ptr.generic",
		"11.0.0.4": "ptr.many",
		"11.0.0.5": "ptr.not-confirmed",
		"11.0.0.6": "ptr.missing",
		"11.0.0.7": "?ptr.missing",
	} {
		var ids []string
		for _, f := range ptr.Judge(ptr.Look(context.Background(), env, netip.MustParseAddr(addr), "mx.a.test"), "") {
			switch f.Outcome {
			case finding.Fail:
				ids = append(ids, f.Rule.ID)
			case finding.Unknown:
				ids = append(ids, "?"+f.Rule.ID)
			}
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	fs, err := ptr.Check.Run(context.Background(), env, check.Servers{Hosts: []check.MailServer{{Name: "mx", Addrs: []netip.Addr{netip.MustParseAddr("11.0.0.6")}}}})
	if err != nil || len(fs) != 1 || fs[0].Verdict() != finding.VerdictWarning {
		t.Errorf("an MX address without PTR: %+v, %v", fs, err)
	}
}

func TestReverse(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.25":  "25.2.0.192.in-addr.arpa",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := ptr.Reverse(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}
