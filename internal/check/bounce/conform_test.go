package bounce

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

// score counts what agrees with the sample's labels.
type score struct{ files, countOK, recipients, coarseOK, status, statusOK, code, codeOK, sureWrong int }

// TestSharedBounces reads the collected reports and holds the shares that agree with their labels, which are another
// tool's opinion.
func TestSharedBounces(t *testing.T) {
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	dir = filepath.Join(dir, "bounces")
	f, err := os.Open(filepath.Join(dir, "expected.jsonl"))
	if err != nil {
		t.Skipf("no sample reports: looked in %s", dir)
	}
	defer f.Close()
	type label struct {
		File              string
		Index             int
		Status, Replycode string
		Reason            string
		Hardbounce        bool
	}
	want := map[string][]label{}
	var order []string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var l label
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if want[l.File] == nil {
			order = append(order, l.File)
		}
		want[l.File] = append(want[l.File], l)
	}
	coarse := map[string]string{}
	raw, err := os.ReadFile(filepath.Join(dir, "reason-map.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(raw), "\n") {
		if a, b, ok := strings.Cut(l, "\t"); ok {
			coarse[a] = strings.TrimSpace(b)
		}
	}
	r, err := NewReader(knowledge.Embedded(), finding.EN)
	if err != nil {
		t.Fatal(err)
	}
	var halves [2]score
	for i, file := range order {
		msg, err := os.ReadFile(filepath.Join(dir, "mails", file))
		if err != nil {
			t.Fatal(err)
		}
		s := &halves[i%2]
		verbose := i%2 == 1 || os.Getenv("BOUNCE_ALL") != ""
		facts := &Facts{}
		for _, m := range dsn.Split(msg) {
			one := r.Read(m)
			facts.Kind, facts.Form = one.Kind, one.Form
			facts.Recipients = append(facts.Recipients, one.Recipients...)
		}
		s.files++
		if len(facts.Recipients) == len(want[file]) {
			s.countOK++
		} else if verbose {
			t.Logf("COUNT %s: %d, want %d (%s/%s)", file, len(facts.Recipients), len(want[file]), facts.Kind, facts.Form)
		}
		for k, l := range want[file] {
			s.recipients++
			if k >= len(facts.Recipients) {
				continue
			}
			got := facts.Recipients[k]
			if got.Coarse == coarse[l.Reason] {
				s.coarseOK++
			} else {
				if got.Certainty == knowledge.Certain {
					s.sureWrong++
				}
				if verbose {
					t.Logf("CAUSE %s: %s (%s %s %s) want %s status %s code %s | cmd=%s | %.150s", file, got.Cause, got.Certainty, facts.Kind, facts.Form, l.Reason, l.Status, l.Replycode, got.Command, got.Diagnostic)
				}
			}
			if l.Status != "" && !strings.Contains(l.Status, ".0.9") {
				s.status++
				if got.Status == l.Status {
					s.statusOK++
				} else if verbose {
					t.Logf("STATUS %s: %q want %q | %.100s", file, got.Status, l.Status, got.Diagnostic)
				}
			}
			if l.Replycode != "" {
				s.code++
				if got.Code == l.Replycode {
					s.codeOK++
				} else if verbose {
					t.Logf("CODE %s: %q want %q | %.100s", file, got.Code, l.Replycode, got.Diagnostic)
				}
			}
		}
	}
	for i, s := range halves {
		t.Logf("half %d: %+v coarse %.1f%% count %.1f%% status %.1f%% code %.1f%%", i, s, pct(s.coarseOK, s.recipients), pct(s.countOK, s.files), pct(s.statusOK, s.status), pct(s.codeOK, s.code))
		if pct(s.coarseOK, s.recipients) < 90 || pct(s.countOK, s.files) < 98 {
			t.Errorf("half %d of the reports is below the mark", i)
		}
	}
}

func pct(a, b int) float64 { return 100 * float64(a) / float64(max(b, 1)) }
