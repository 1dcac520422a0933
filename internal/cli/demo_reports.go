package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
)

// keepDemoReports stores what two receivers might have reported of the demo's domain in a month.
func keepDemoReports(ctx context.Context, sink intake.ReportSink, now time.Time) error {
	from := intake.Mark{}
	for day := range 30 {
		begun := now.AddDate(0, 0, day-30).Truncate(24 * time.Hour)
		for r, reporter := range []string{"club.example", "school.example"} {
			m := feedback.NewSum()
			n := uint64(80 + day*3 + r*40)
			bad, strange := n/25, uint64(day%6*2)
			m.Reports, m.Messages, m.Aligned, m.Begin, m.End = 1, n+strange, n-bad, begun.Unix(), begun.Add(24*time.Hour).Unix()-1
			m.Heads = []dmarcxml.Report{{Org: reporter, ID: fmt.Sprintf("%s-%d", reporter, begun.Unix()), Begin: m.Begin, End: m.End}}
			m.Reporters[reporter] = 1
			m.Domains = []*feedback.Domain{{Name: "mine.example", Messages: m.Messages, Aligned: m.Aligned, Begin: m.Begin, End: m.End}}
			m.Sources = []*feedback.Source{
				{Domain: "mine.example", Name: "198.51.100.25", PTR: "out1.mine.example", Class: feedback.Fine, Messages: n - bad, Aligned: n - bad, DKIM: n - bad, SPF: n - bad, Dispositions: feedback.Counts{None: n - bad}},
				{Domain: "mine.example", Name: "192.0.2.77", PTR: "shop.mine.example", Class: feedback.Failing, Messages: bad, Dispositions: feedback.Counts{Quarantine: bad}},
				{Domain: "mine.example", Name: "203.0.113.66", Class: feedback.Stranger, Messages: strange, Dispositions: feedback.Counts{Reject: strange}},
			}
			m.TLS = []*feedback.TLSDomain{{Domain: "mine.example", Policy: "sts", Reports: 1, Success: n, Failure: uint64(day % 9 / 8), Reporter: reporter, Types: map[string]uint64{"certificate-expired": uint64(day % 9 / 8)}}}
			to := intake.Mark{Validity: 1, UID: uint32(day*2 + r + 1)}
			if err := sink.Keep(ctx, &intake.Report{Mailbox: "demo", From: from, To: to, Sum: m, Read: begun}); err != nil {
				return err
			}
			from = to
		}
	}
	return nil
}
