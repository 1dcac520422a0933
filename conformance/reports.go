package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
)

// wantReport is one line of reports/expected.jsonl.
type wantReport struct {
	File         string            `json:"file"`
	Kind         string            `json:"kind"`
	Error        string            `json:"error"`
	Org          string            `json:"org"`
	ID           string            `json:"report_id"`
	Begin        string            `json:"begin"`
	End          string            `json:"end"`
	Domain       string            `json:"domain"`
	P            string            `json:"p"`
	SP           string            `json:"sp"`
	Pct          string            `json:"pct"`
	Rows         int               `json:"n_records"`
	Messages     uint64            `json:"messages"`
	Aligned      uint64            `json:"aligned_pass"`
	Dispositions map[string]uint64 `json:"dispositions"`
	Addresses    int               `json:"source_ips"`
	Records      [][]any           `json:"records"`
	Policies     int               `json:"policies"`
	Success      uint64            `json:"success"`
	Failure      uint64            `json:"failure"`
	Types        map[string]uint64 `json:"failure_types"`
}

// runReports reads every report by the same way as `mailwhy reports` and holds the totals against the expected ones.
func runReports(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "reports", "expected.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	totals := score{name: "reports: totals", aim: 1}
	records := score{name: "reports: rows", aim: 1}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var w wantReport
		if err := json.Unmarshal(sc.Bytes(), &w); err != nil {
			return nil, err
		}
		if err := oneReport(filepath.Join(dir, "reports", w.File), &w, &totals, &records); err != nil {
			return nil, err
		}
	}
	return []score{totals, records}, sc.Err()
}

func oneReport(path string, w *wantReport, totals, records *score) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := feedback.NewSum()
	var rows []string
	sum.EachRow = func(r *dmarcxml.Row) {
		rows = append(rows, fmt.Sprintf("%s %d %s %s %s %s", r.IP, r.Count, r.Disposition, r.DKIM, r.SPF, r.HeaderFrom))
	}
	sum.Read(feedback.Input{Name: w.File, R: f})
	env := &check.Env{Now: time.Now, Know: knowledge.Embedded()}
	env.Probe.Offline = true
	sum.Finish(context.Background(), env, time.Now(), w.File)
	got, want := shown(sum), wanted(w)
	totals.add(got == want, "%s: got %s, want %s", w.File, got, want)
	if w.Kind == "dmarc-aggregate" {
		var expected []string
		for _, r := range w.Records {
			expected = append(expected, fmt.Sprintf("%v %v %v %v %v %v", r[0], r[1], r[2], r[3], r[4], r[5]))
		}
		// the answers keep the first 200 rows of long reports
		ok := len(rows) >= len(expected) && slices.Equal(rows[:len(expected)], expected)
		records.add(ok, "%s: rows differ", w.File)
	}
	return nil
}

// shown is what was read, in one line.
func shown(s *feedback.Sum) string {
	switch {
	case s.Reports > 0:
		h := s.Heads[0]
		var ds map[string]uint64
		if len(s.Domains) > 0 {
			ds = s.Domains[0].Dispositions
		}
		return fmt.Sprintf("aggregate %s %s %d-%d %s %s %s %s rows=%d messages=%d aligned=%d addresses=%d %v", h.Org, h.ID, h.Begin, h.End, h.Policy.Domain,
			h.Policy.P, h.Policy.SP, h.Policy.Pct, s.Rows, s.Messages, s.Aligned, s.Addresses, ds)
	case len(s.TLS) > 0:
		var ok, bad uint64
		types := map[string]uint64{}
		for _, t := range s.TLS {
			ok, bad = ok+t.Success, bad+t.Failure
			for k, n := range t.Types {
				types[k] += n
			}
		}
		return fmt.Sprintf("tls policies=%d success=%d failure=%d %v", len(s.TLS), ok, bad, types)
	case len(s.Failures)+len(s.Complaints) > 0:
		return "arf"
	case len(s.Troubles) > 0:
		return "trouble"
	}
	return "nothing"
}

func wanted(w *wantReport) string {
	switch {
	case w.Error != "", w.Kind == "none-or-invalid":
		return "trouble"
	case w.Kind == "dmarc-aggregate":
		begin, _ := strconv.ParseInt(w.Begin, 10, 64)
		end, _ := strconv.ParseInt(w.End, 10, 64)
		return fmt.Sprintf("aggregate %s %s %d-%d %s %s %s %s rows=%d messages=%d aligned=%d addresses=%d %v", w.Org, w.ID, begin, end, strings.ToLower(w.Domain),
			w.P, w.SP, w.Pct, w.Rows, w.Messages, w.Aligned, w.Addresses, w.Dispositions)
	case w.Kind == "tls-rpt":
		return fmt.Sprintf("tls policies=%d success=%d failure=%d %v", w.Policies, w.Success, w.Failure, w.Types)
	}
	return "arf"
}
