package domain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const top = "$ORIGIN test.\n@ NS ns\nns A 11.9.0.2\nmine NS ns1.mine\nmine NS ns2.mine\nns1.mine A 11.9.0.3\nns2.mine A 11.9.1.3\n" +
	"quiet NS ns1.mine\nquiet NS ns2.mine\nopen NS ns1.mine\nopen NS ns2.mine\n"

const mine = `$ORIGIN mine.test.
@ NS ns1
@ NS ns2
ns1 A 11.9.0.3
ns2 A 11.9.1.3
@ MX 10 mx1
@ MX 20 mx2
mx1 A 11.9.0.4
mx2 A 11.9.1.5
mx2 AAAA 2a00::5
@ TXT "v=spf1 mx include:i1.mine.test -all"
i1 TXT "v=spf1 include:i2.mine.test -all"
i2 TXT "v=spf1 include:i3.mine.test -all"
i3 TXT "v=spf1 ip4:11.1.0.0/16 -all"
_dmarc TXT "v=DMARC1; p=reject; rua=mailto:d@mine.test"
`

const (
	quiet = "$ORIGIN quiet.test.\n@ NS ns1.mine.test.\n@ NS ns2.mine.test.\n@ MX 0 .\n@ TXT \"v=spf1 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n"
	open  = "$ORIGIN open.test.\n@ NS ns1.mine.test.\n@ NS ns2.mine.test.\n@ MX 0 .\n"
	arpa  = "$ORIGIN 11.in-addr.arpa.\n@ NS ns.test.\n4.0.9 PTR mx1.mine.test.\n5.1.9 PTR mx2.mine.test.\n"
	arpa6 = "$ORIGIN ip6.arpa.\n@ NS ns.test.\n5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.a.2 PTR mx2.mine.test.\n"
)

// world is a resolver, the servers it knows, and an environment that asks DNS only; every answer comes after delay.
func world(tb testing.TB, delay time.Duration) (*check.Env, *wiretest.DNS) {
	tb.Helper()
	w := wiretest.NewWorld()
	start := func(addr string, zones ...string) *wiretest.DNS {
		d, err := w.DNS([]string{addr}, zones...)
		if err != nil {
			tb.Fatal(err)
		}
		if delay > 0 {
			d.Faults["*"] = wiretest.Fault{Delay: delay}
		}
		return d
	}
	r := start("192.0.2.1", "$ORIGIN .\n@ SOA a.root h.root 1 2 3 4 5\n@ NS a.root\na.root A 11.9.0.1\n", top, mine, quiet, open, arpa, arpa6)
	r.Recursive = true
	start("11.9.0.2", top)
	start("11.9.0.3", mine, quiet, open)
	start("11.9.1.3", mine, quiet, open)
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: time.Second})
	tb.Cleanup(func() { c.Close(); w.Close() })
	env := &check.Env{DNS: c, Dial: w, Now: time.Now, Know: knowledge.Embedded()}
	env.Probe.SkipSMTP = true
	return env, r
}

func failed(r *finding.Report, least finding.Verdict) string {
	var ids []string
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Outcome == finding.Fail && f.Verdict() <= least {
			ids = append(ids, f.Rule.ID)
		}
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " ")
}

func TestSurvey(t *testing.T) {
	env, _ := world(t, 0)
	r := domain.Survey(context.Background(), env, "mine.test", domain.Options{})
	for _, topic := range []string{"mx", "ptr", "nameserver", "spf", "dmarc", "dnssec"} {
		if !slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Rule.Topic() == topic }) {
			t.Errorf("no word about %s", topic)
		}
	}
	if got := failed(r, finding.VerdictError); got != "" {
		t.Errorf("errors %q", got)
	}
	if len(r.Sections) == 0 || r.Facts.(*domain.Facts).SPF == "" {
		t.Error("no sections, or no SPF in the facts")
	}
}

func TestNoMailDomains(t *testing.T) {
	env, _ := world(t, 0)
	r := domain.Survey(context.Background(), env, "quiet.test", domain.Options{})
	if got := failed(r, finding.VerdictWarning); got != "" {
		t.Errorf("a domain that says it has no mail: %q", got)
	}
	if got := r.Headline.Says.String(); r.Headline.State == finding.StateOK && !strings.Contains(got, "neither sends nor takes") {
		t.Errorf("headline %q", got)
	}
	r = domain.Survey(context.Background(), env, "open.test", domain.Options{})
	if got := failed(r, finding.VerdictWarning); !strings.Contains(got, "domain.no-mail-forgeable") {
		t.Errorf("a domain without mail that anybody can use: %q", got)
	}
	for _, f := range r.Findings {
		if f.Rule.ID == "domain.no-mail-forgeable" && len(f.Fix) != 2 {
			t.Errorf("fix %+v", f.Fix)
		}
	}
}

func TestNoSuchDomain(t *testing.T) {
	env, _ := world(t, 0)
	r := domain.Survey(context.Background(), env, "gone.test", domain.Options{})
	if got := failed(r, finding.VerdictNote); got != "mx.no-such-domain" {
		t.Errorf("findings %q", got)
	}
	if !strings.Contains(r.Headline.Says.String(), "does not exist") || r.Headline.State != finding.StateBroken {
		t.Errorf("headline %+v", r.Headline)
	}
}

// TestResolverDead holds that a fault of our own never becomes a fault of the domain.
func TestResolverDead(t *testing.T) {
	env, r := world(t, 0)
	r.Tune(func(d *wiretest.DNS) { d.Faults["*"] = wiretest.Fault{Rcode: 2} })
	rep := domain.Survey(context.Background(), env, "mine.test", domain.Options{})
	if got := failed(rep, finding.VerdictWarning); got != "" {
		t.Errorf("failures %q", got)
	}
	if rep.Headline.State != finding.StateUntested {
		t.Errorf("state %s: %s", rep.Headline.State, rep.Headline.Says)
	}
}

func names(n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(fmt.Sprintf("d%d.test", i)) {
				return
			}
		}
	}
}

func TestManyKeepsOrderAndStops(t *testing.T) {
	env, _ := world(t, 0)
	env.Probe.Many = true
	var got []string
	err := domain.Many(context.Background(), env, names(50), 8, func(r *finding.Report) error {
		got = append(got, r.Target.Name)
		return nil
	})
	if err != nil || len(got) != 50 || got[0] != "d0.test" || got[49] != "d49.test" {
		t.Errorf("%d reports, %v", len(got), err)
	}
	stop := errors.New("enough")
	n := 0
	err = domain.Many(context.Background(), env, names(1_000_000), 8, func(*finding.Report) error { n++; return stop })
	if err != stop || n != 1 {
		t.Errorf("%d reports, %v", n, err)
	}
}

func TestTable(t *testing.T) {
	env, _ := world(t, 0)
	var lines []domain.Summary
	for _, d := range []string{"mine.test", "gone.test"} {
		lines = append(lines, domain.Summarise(domain.Survey(context.Background(), env, d, domain.Options{})))
	}
	r := domain.Table(lines, time.Now(), time.Now())
	if len(r.Sections[0].Rows) != 2 || r.Headline.State != finding.StateBroken || !strings.Contains(r.Headline.Says.String(), "1 broken") {
		t.Errorf("%+v: %s", r.Headline, r.Headline.Says)
	}
}
