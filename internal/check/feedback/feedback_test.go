package feedback

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// row is one record: address, count, aligned dkim and spf, and raw results as "dkim=domain/result".
func row(ip string, n int, dkim, spf string, raw ...string) string {
	s := fmt.Sprintf("<record><row><source_ip>%s</source_ip><count>%d</count><policy_evaluated><disposition>none</disposition><dkim>%s</dkim><spf>%s</spf></policy_evaluated></row>"+
		"<identifiers><header_from>example.com</header_from></identifiers><auth_results>", ip, n, dkim, spf)
	for _, r := range raw {
		kind, rest, _ := strings.Cut(r, "=")
		d, res, _ := strings.Cut(rest, "/")
		s += fmt.Sprintf("<%s><domain>%s</domain><result>%s</result></%s>", kind, d, res, kind)
	}
	return s + "</auth_results></record>"
}

func report(id string, days int, rows ...string) string {
	return fmt.Sprintf("<feedback><report_metadata><org_name>r.example</org_name><report_id>%s</report_id><date_range><begin>1700000000</begin><end>%d</end></date_range></report_metadata>"+
		"<policy_published><domain>example.com</domain><p>none</p></policy_published>%s</feedback>", id, 1700000000+days*86400, strings.Join(rows, ""))
}

func env() *check.Env {
	e := &check.Env{Know: knowledge.Embedded(), Now: func() time.Time { return time.Unix(1800000000, 0) }}
	e.Probe.Offline = true
	return e
}

func survey(inputs ...string) (*Sum, *finding.Report) {
	s := NewSum()
	for i, in := range inputs {
		s.Read(Input{Name: fmt.Sprintf("in%d", i), R: strings.NewReader(in)})
	}
	return s, s.Finish(context.Background(), env(), time.Unix(1800000000, 0), "test")
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func zipped(files ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, _ := w.Create(files[i])
		io.WriteString(f, files[i+1])
	}
	w.Close()
	return b.String()
}

func mailWith(attachment, typ, name string) string {
	return "From: r@r.example\r\nSubject: Report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--b\r\nContent-Type: " + typ +
		"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(attachment)) + "\r\n--b--\r\n"
}

func TestContainers(t *testing.T) {
	r := report("1", 1, row("192.0.2.1", 5, "pass", "pass"))
	for name, in := range map[string]string{
		"plain": r, "gzip": gz(r), "zip": zipped("a.xml", r), "gzip in zip": zipped("a.xml.gz", gz(r)),
		"mail":           mailWith(gz(r), "application/gzip", "a.xml.gz"),
		"mail, octets":   mailWith(zipped("a.xml", r), "application/octet-stream", "a.zip"),
		"mail, text/xml": mailWith(r, "text/xml", "a.xml"),
		"mbox":           "From r@r.example Tue Apr 30 02:09:16 2019\n" + strings.ReplaceAll(mailWith(gz(r), "application/gzip", "a"), "\r\n", "\n") + "\nFrom x Tue\nSubject: hello\n\nordinary mail\n",
		"mail is body":   "Content-Type: application/gzip; name=a.gz\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(gz(r))) + "\n",
	} {
		s, _ := survey(in)
		if s.Messages != 5 || s.Reports != 1 || len(s.Troubles) != 0 {
			t.Errorf("%s: %d messages of %d reports, troubles %v", name, s.Messages, s.Reports, s.Troubles)
		}
	}
	s, _ := survey(r, gz(r), report("2", 1, row("192.0.2.1", 1, "pass", "pass")))
	if s.Messages != 6 || s.Duplicates != 1 {
		t.Errorf("duplicates: %d messages, %d duplicates", s.Messages, s.Duplicates)
	}
}

func TestTroubles(t *testing.T) {
	deep := report("1", 1)
	for range 10 {
		deep = gz(deep)
	}
	many := []string{}
	for i := range maxEntries + 5 {
		many = append(many, fmt.Sprintf("%d.xml", i), report(fmt.Sprint(i), 1))
	}
	for name, c := range map[string]struct{ in, want string }{
		"empty":     {"", "empty"},
		"binary":    {"\x00\x01\x02", "neither"},
		"bomb":      {gz("<feedback>" + strings.Repeat("<a/>", 4<<20)), "bomb"},
		"zip bomb":  {zipped("a.xml", "<feedback>"+strings.Repeat("<a/>", 4<<20)), "bomb"},
		"deep":      {deep, "nested more"},
		"many":      {zipped(many...), "more than"},
		"broken":    {"<feedback><a></b>", "broken XML in line 1, column 14"},
		"laughs":    {`<!DOCTYPE l [<!ENTITY a "ha">]><feedback>&a;</feedback>`, "document type"},
		"cut gzip":  {gz(report("1", 1))[:60], "damaged"},
		"cut zip":   {zipped("a", report("1", 1))[:60], "damaged"},
		"html":      {"<html></html>", "root element"},
		"json":      {`{"a":1}`, "not a TLS report"},
		"mail":      {"Subject: hi\n\nhello\n", "without a report"},
		"no report": {zipped(), "no report"},
	} {
		s, r := survey(c.in, report("ok", 1, row("192.0.2.1", 1, "pass", "pass")))
		if len(s.Troubles) == 0 || !strings.Contains(s.Troubles[0].Why.String(), c.want) {
			t.Errorf("%s: %v, want %q", name, s.Troubles, c.want)
		}
		if s.Messages < 1 {
			t.Errorf("%s: the rest did not go on", name)
		}
		for _, l := range []finding.Lang{finding.EN, finding.ZH} {
			for _, f := range r.Findings {
				if x := f.Says().In(l); strings.Contains(x, "{{") || strings.Contains(x, "<no value>") {
					t.Errorf("%s: %q", name, x)
				}
			}
		}
	}
}

func TestBrokenReportCountsForNothing(t *testing.T) {
	whole := report("1", 1, row("192.0.2.1", 5, "pass", "pass"), row("192.0.2.2", 5, "pass", "pass"))
	s, _ := survey(whole[:len(whole)-20])
	if s.Messages != 0 || s.Reports != 0 || len(s.Sources) != 0 {
		t.Errorf("%d messages of a report that breaks off", s.Messages)
	}
}

func TestClassesAndReadiness(t *testing.T) {
	s, r := survey(report("1", 20,
		row("192.0.2.1", 1000, "pass", "pass", "dkim=example.com/pass", "spf=example.com/pass"),
		row("192.0.2.2", 40, "fail", "fail", "spf=bounce.sendgrid.net/pass"),
		row("192.0.2.3", 30, "pass", "fail", "dkim=example.com/pass", "spf=example.com/fail"),
		row("192.0.2.4", 20, "fail", "fail", "dkim=example.com/fail"),
		row("192.0.2.5", 500, "fail", "fail", "spf=other.example/none"),
		row("192.0.2.6", 10, "pass", "fail", "dkim=example.com/pass", "spf=amazonses.com/pass"),
	))
	want := map[string]Class{"192.0.2.1": Fine, "192.0.2.2": Failing, "192.0.2.3": Forwarder, "192.0.2.4": Failing, "192.0.2.5": Stranger, "192.0.2.6": Fine}
	for _, src := range s.Sources {
		if src.Class != want[src.Name] {
			t.Errorf("%s is %s, want %s", src.Name, src.Class, want[src.Name])
		}
	}
	var ids []string
	for _, f := range r.Findings {
		if f.Outcome == finding.Fail {
			ids = append(ids, f.Rule.ID)
		}
	}
	slices.Sort(ids)
	if got := strings.Join(ids, " "); got != "feedback.forged feedback.next-step feedback.source-failing feedback.source-failing" {
		t.Error(got)
	}
	if d := s.Domains[0]; d.Lost[Failing] != 60 || d.Lost[Stranger] != 500 || d.Lost[Forwarder] != 0 {
		t.Errorf("lost: %v", d.Lost)
	}
	_, r = survey(report("1", 20, row("192.0.2.1", 1000, "pass", "pass")))
	if !slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Rule == ruleReady && f.Outcome == finding.Pass }) {
		t.Error("a clean domain is not ready for the next step")
	}
}

func TestOtherReports(t *testing.T) {
	tls := `{"organization-name":"o","date-range":{"start-datetime":"2026-01-11T00:00:00Z","end-datetime":"2026-01-12T00:00:00Z"},"report-id":"1","policies":[{"policy":{"policy-type":"sts","policy-domain":"example.com"},"summary":{"total-successful-session-count":5,"total-failure-session-count":2},"failure-details":[{"result-type":"certificate-expired","failed-session-count":2}]}]}`
	arf := "From: a@b.example\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nSource-IP: 192.0.2.7\n\n--b\nContent-Type: message/rfc822\n\nSubject: offer\n\nbuy\n--b--\n"
	s, r := survey(tls, tls, arf, strings.Replace(arf, "abuse", "auth-failure\nAuth-Failure: dmarc\nReported-Domain: example.com", 1))
	if len(s.TLS) != 1 || s.TLS[0].Failure != 2 || s.Duplicates != 1 || len(s.Complaints) != 1 || len(s.Failures) != 1 || len(s.Troubles) != 0 {
		t.Errorf("%+v %v", s, s.Troubles)
	}
	for _, sec := range r.Sections {
		for _, x := range sec.Rows {
			if len(sec.Columns) > 0 && len(x.Cells) != len(sec.Columns) {
				t.Errorf("%s: a row of %d cells under %d heads", sec.Title, len(x.Cells), len(sec.Columns))
			}
		}
	}
}

// TestMemoryStaysFlat reads a report with more addresses than are kept one by one.
func TestMemoryStaysFlat(t *testing.T) {
	const rows = 200_000
	pr, pw := io.Pipe()
	go func() {
		head, tail, _ := strings.Cut(report("1", 1, "|"), "|")
		io.WriteString(pw, head)
		for i := range rows {
			io.WriteString(pw, row(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), 1, "fail", "fail"))
		}
		io.WriteString(pw, tail)
		pw.Close()
	}()
	s := NewSum()
	s.Read(Input{Name: "big", R: pr})
	s.finish()
	if s.Messages != rows || s.Addresses != rows || len(s.Sources) > maxSources+maxNetworks+1 {
		t.Errorf("%d messages, %d addresses, %d sources", s.Messages, s.Addresses, len(s.Sources))
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MB on the heap", m.HeapAlloc>>20)
	}
}

func FuzzRead(f *testing.F) {
	r := report("1", 1, row("192.0.2.1", 5, "pass", "pass"))
	for _, s := range []string{r, gz(r), zipped("a", r), mailWith(gz(r), "application/gzip", "a"), "From a\n\nFrom b\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		s := NewSum()
		s.Read(Input{Name: "x", R: bytes.NewReader(b)})
		s.finish()
		s.classify()
		Judge(s)
	})
}
