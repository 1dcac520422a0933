package tlsrptjson

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	const doc = `{"organization-name":"Reporter","date-range":{"start-datetime":"2026-01-11T00:00:00Z","end-datetime":"2026-01-12T00:00:00Z"},"report-id":"7",
"policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1"],"policy-domain":"example.com","mx-host":"mx.example.com"},
"summary":{"total-successful-session-count":"5","total-failure-session-count":2},
"failure-details":[{"result-type":"certificate-expired","failed-session-count":2,"receiving-mx-hostname":"mx.example.com"}]}]}`
	r, err := Read(strings.NewReader("\xef\xbb\xbf" + doc))
	if err != nil {
		t.Fatal(err)
	}
	ok, bad := r.Sessions()
	if from, to := r.Range.Times(); ok != 5 || bad != 2 || r.Policies[0].Policy.MX[0] != "mx.example.com" || to.Sub(from).Hours() != 24 || r.Policies[0].Failures[0].Count != 2 {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"", "{}", "[]", `{"organization-name":1}`, strings.Replace(doc, ":2", ":-2", 1), doc[:100]} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q was read", bad)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"organization-name":"x","policies":[{"summary":{"total-failure-session-count":"1"}}]}`)
	f.Fuzz(func(_ *testing.T, s string) {
		if r, err := Read(strings.NewReader(s)); err == nil {
			r.Sessions()
			_, _ = r.Range.Times()
		}
	})
}
