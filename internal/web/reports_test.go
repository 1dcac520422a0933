package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
	"github.com/mailwhy/mailwhy/internal/web"
)

// TestReports holds the sums, and that a helpdesk sees its own domains only.
func TestReports(t *testing.T) {
	h := newHouse(t)
	h.again(func(o *web.Options) { o.Reports = h.state })
	begun := h.clock.now().Add(-48 * time.Hour)
	for i, domain := range []string{"mine.example", "other.example"} {
		m := feedback.NewSum()
		m.Reports, m.Begin, m.End = 1, begun.Unix(), begun.Add(time.Hour).Unix()
		m.Heads = []dmarcxml.Report{{Org: "receiver.example", ID: domain}}
		m.Reporters["receiver.example"] = 1
		m.Domains = []*feedback.Domain{{Name: domain, Messages: 10, Aligned: 8}}
		m.Sources = []*feedback.Source{{Domain: domain, Name: "203.0.113.7", Messages: 10, SPF: 8, DKIM: 3, Dispositions: feedback.Counts{None: 8, Reject: 2}}}
		m.TLS = []*feedback.TLSDomain{{Domain: domain, Success: 5, Failure: 1, Types: map[string]uint64{"certificate-expired": 1}, Reporter: "receiver.example"}}
		if err := h.state.Keep(t.Context(), &intake.Report{Mailbox: domain, To: intake.Mark{Validity: 1, UID: uint32(i + 1)}, Sum: m, Read: begun}); err != nil {
			t.Fatal(err)
		}
	}
	type dmarc struct {
		Domains []struct {
			Domain               string
			Messages, Pass, Fail int
		}
		Days      []struct{ Pass, Fail int }
		Sources   []struct{ SPF, DKIM int }
		Reporters []any
	}
	var all, own dmarc
	h.do("viewer", "GET", "/api/v1/reports/dmarc", nil).into(t, &all)
	if len(all.Domains) != 2 || len(all.Days) != 1 || all.Days[0].Pass != 16 || all.Days[0].Fail != 4 || len(all.Sources) != 2 || all.Sources[0].SPF != 8 || len(all.Reporters) != 1 {
		t.Errorf("%+v", all)
	}
	h.do("helpdesk", "GET", "/api/v1/reports/dmarc", nil).into(t, &own)
	if len(own.Domains) != 1 || own.Domains[0].Domain != "mine.example" || own.Domains[0].Fail != 2 || len(own.Sources) != 1 {
		t.Errorf("a helpdesk sees %+v", own)
	}
	if a := h.do("helpdesk", "GET", "/api/v1/reports/tls?domain=other.example", nil); a.StatusCode != 200 || strings.Contains(a.text, "other.example") {
		t.Errorf("a helpdesk asks for another's: %d %s", a.StatusCode, a.text)
	}
	if a := h.do("viewer", "GET", "/api/v1/reports/tls?domain=other.example", nil); !strings.Contains(a.text, `"certificate-expired"`) || !strings.Contains(a.text, `"failure":1`) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := h.do("viewer", "GET", "/api/v1/reports/dmarc?since="+h.clock.now().UTC().Format(time.RFC3339), nil); strings.Contains(a.text, "mine.example") {
		t.Errorf("since now: %s", a.text)
	}
}
