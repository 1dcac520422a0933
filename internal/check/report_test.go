package check

import (
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
)

func TestHeadline(t *testing.T) {
	bad := &finding.Rule{ID: "a.bad", Severity: finding.Error, Owner: finding.OwnerDomain, Says: "it is bad"}
	weak := &finding.Rule{ID: "a.weak", Severity: finding.Warning, Owner: finding.OwnerServer, Says: "it is weak"}
	d := finding.Domain("mine.example")
	for _, c := range []struct {
		fs    []finding.Finding
		state finding.State
		says  string
	}{
		{nil, finding.StateOK, "mine.example: nothing to find fault with."},
		{[]finding.Finding{bad.Passed(d, nil)}, finding.StateOK, "mine.example is fine: 1 check passed."},
		{[]finding.Finding{weak.Failed(d, nil), bad.Failed(d, nil)}, finding.StateBroken, "mine.example: it is bad, and 1 more fault."},
		{[]finding.Finding{weak.Failed(d, nil)}, finding.StateWarning, "mine.example: it is weak."},
		{[]finding.Finding{bad.Untested(d, finding.Raw("no answer"))}, finding.StateUntested, "mine.example could not be tested: no answer."},
	} {
		h := Headline(d, c.fs)
		if h.State != c.state || h.Says.String() != c.says {
			t.Errorf("got %s %q, want %s %q", h.State, h.Says, c.state, c.says)
		}
	}
}

func TestQuoteTXT(t *testing.T) {
	if got := QuoteTXT(`v="x"`); got != `"v=\"x\""` {
		t.Error(got)
	}
	if got := QuoteTXT(strings.Repeat("a", 300)); strings.Count(got, `"`) != 4 || len(got) != 305 {
		t.Error(got)
	}
}

func TestHeadlineCountsAFaultOnce(t *testing.T) {
	key := &finding.Rule{ID: "tls.expired", Severity: finding.Error, Owner: finding.OwnerServer, Says: "the certificate expired"}
	trust := &finding.Rule{ID: "tls.untrusted", Severity: finding.Error, Owner: finding.OwnerServer, Says: "nobody trusts it", After: []string{"tls.expired"}}
	host := finding.Host("mx.a.example")
	fs := []finding.Finding{key.Failed(host, nil), key.Failed(host, nil), trust.Failed(host, nil)}
	finding.Order(fs)
	got := Headline(finding.Domain("a.example"), fs).Says.String()
	if want := "a.example: the certificate expired."; got != want {
		t.Errorf("%q, want %q: two addresses and a consequence are one fault", got, want)
	}
	other := &finding.Rule{ID: "spf.missing", Severity: finding.Warning, Owner: finding.OwnerDomain, Says: "no SPF record"}
	fs = append(fs, other.Failed(finding.Domain("a.example"), nil))
	finding.Order(fs)
	got = Headline(finding.Domain("a.example"), fs).Says.String()
	if want := "a.example: the certificate expired, and 1 more fault."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
