package feedback

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestForwardedReport reads a report in a message inside a message; the message that a report returns stays closed.
func TestForwardedReport(t *testing.T) {
	inner := mailWith(gz(report("7", 1, row("192.0.2.1", 5, "pass", "pass"))), "application/gzip", "r.xml.gz")
	forwarded := "From: a@b.example\nContent-Type: multipart/mixed; boundary=f\n\n--f\nContent-Type: text/plain\n\nsee below\n--f\nContent-Type: message/rfc822\n\n" + inner + "\n--f--\n"
	s, _ := survey(forwarded)
	if s.Messages != 5 || len(s.Troubles) != 0 {
		t.Errorf("%d messages, %v", s.Messages, s.Troubles)
	}
	s, _ = survey(strings.Replace(forwarded, "multipart/mixed; boundary=f", "multipart/report; report-type=delivery-status; boundary=f", 1))
	if s.Messages != 0 {
		t.Errorf("the message returned by a bounce was counted: %d messages", s.Messages)
	}
}

// TestMailboxMessage takes ordinary mail of a mailbox as no trouble.
func TestMailboxMessage(t *testing.T) {
	s := NewSum()
	s.Read(Input{Name: "1", R: strings.NewReader("Subject: lunch\n\nhello\n"), Mail: true})
	s.Read(Input{Name: "2", R: strings.NewReader(mailWith(gz(report("7", 1, row("192.0.2.1", 5, "pass", "pass"))), "application/gzip", "r.xml.gz")), Mail: true})
	if s.Messages != 5 || len(s.Troubles) != 0 {
		t.Errorf("%d messages, %v", s.Messages, s.Troubles)
	}
}

// TestSameIDOtherDomain counts by reporter and id alone.
func TestSameIDOtherDomain(t *testing.T) {
	one := report("7", 1, row("192.0.2.1", 5, "pass", "pass"))
	s, _ := survey(one, strings.Replace(one, "<domain>example.com</domain><p>", "<domain>example.net</domain><p>", 1))
	if s.Messages != 5 || s.Duplicates != 1 {
		t.Errorf("%d messages, %d duplicates", s.Messages, s.Duplicates)
	}
}

// BenchmarkSum is a whole summary of one report: records/s, and what it allocates.
func BenchmarkSum(b *testing.B) {
	const rows = 100_000
	var text strings.Builder
	head, tail, _ := strings.Cut(report("1", 1, "|"), "|")
	text.WriteString(head)
	for i := range rows {
		text.WriteString(row(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&15, i&255), 1, "fail", "pass"))
	}
	text.WriteString(tail)
	b.ReportAllocs()
	for b.Loop() {
		s := NewSum()
		s.Read(Input{Name: "big", R: io.Reader(strings.NewReader(text.String()))})
		if s.finish(); s.Messages != rows {
			b.Fatal(s.Messages, s.Troubles)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
