package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// Decisions of the command line are in the audit log as those of the page are, beside a service that writes to it; and a
// proposal says who carries it out.
func TestDecisionsOfTheCommandLineAreRecorded(t *testing.T) {
	dir := t.TempDir()
	st, err := sqlite.OpenState(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	put := func(id string, action monitor.Action, step finding.Step) {
		t.Helper()
		p := &monitor.Proposal{ID: id, Monitor: "m", At: time.Now(), Action: action, Title: monitor.Said{EN: "Title of " + id}, Text: monitor.Said{EN: "why"}, Steps: []finding.Step{step},
			Hash: "abc" + id, For: monitor.Span(time.Hour), Expires: time.Now().Add(time.Hour), State: monitor.ProposalOpen}
		if err := st.Monitors().PutProposal(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	put("p1", monitor.BlockAddress, finding.Step{Kind: finding.Configure, Target: "blocklist", New: "203.0.113.7"})
	put("p2", monitor.LowerTTL, finding.Step{Kind: finding.DNSReplace, Target: "mine.example MX", Old: "3600", New: "300"})
	service, err := openSigning(dir, time.Now) // it runs meanwhile
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	if _, err := service.Append(audit.Record{What: "serve.start"}); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		t.Helper()
		var out, errs bytes.Buffer
		if got := Run(t.Context(), append(args, "--data", dir, "--by", "zhao"), strings.NewReader(""), &out, &errs, func(string) (string, bool) { return "", false }); got != exitOK {
			t.Fatalf("%v: exit %d: %s", args, got, errs.String())
		}
		return out.Bytes()
	}
	var list ProposalFacts
	if err := json.Unmarshal(run("monitor", "proposals", "--json"), &list); err != nil {
		t.Fatal(err)
	}
	who := map[string]string{}
	for _, p := range list.Proposals {
		who[p.ID] = p.Hands
	}
	if len(who) != 2 || who["p1"] != "mailwhy" || who["p2"] != "people" {
		t.Errorf("%v", who)
	}
	run("monitor", "approve", "p1", "--note", "go on")
	run("monitor", "refuse", "p2")
	run("block", "propose", "203.0.113.9", "--reason", "wrong passwords")
	if _, err := service.Append(audit.Record{What: "serve.stop"}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if _, err := audit.Verify(bytes.NewReader(raw), audit.Head{}, func(r *audit.Record) { got = append(got, strings.TrimSpace(r.Who+" "+r.What+" "+r.Target)) }); err != nil {
		t.Fatalf("the chain: %v", err)
	}
	want := []string{"serve.start", "zhao proposal.approve p1", "zhao proposal.apply p1", "zhao proposal.refuse p2", "zhao block.propose 203.0.113.9/32", "serve.stop"}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if !strings.Contains(string(raw), "abcp1 go on") {
		t.Error("the record does not name what was approved")
	}
}
