package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/wire/dnsupdate"
	"github.com/mailwhy/mailwhy/lab/netns"
)

const updateKey = `key "mailwhy" { algorithm hmac-sha256; secret "c2VjcmV0IG9mIHRoZSB0ZXN0IGtleSwgMzIgYnl0ZXM="; };`

// namedServer starts BIND as the primary of mine.example in a network of its own, and gives the way to it.
func namedServer(t *testing.T) (s *dnsupdate.Server, keyFile string) {
	t.Helper()
	named, err := exec.LookPath("named")
	why := ""
	switch {
	case err != nil:
		why = "no named on this machine"
	case os.Geteuid() != 0:
		why = "a network of its own needs root"
	}
	if why != "" {
		if os.Getenv("MAILWHY_LAB") == "required" {
			t.Fatal("MAILWHY_LAB=required, but: " + why)
		}
		t.Skip(why)
	}
	net, err := netns.New("update")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = net.Close() }) // and what runs in it
	dir := t.TempDir()
	files := map[string]string{
		"mine.db":  "$TTL 3600\n@ SOA ns.mine.example. li.mine.example. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 127.0.0.1\nmx2 A 127.0.0.1\n",
		"ddns.key": updateKey + "\n",
		"named.conf": fmt.Sprintf("include \"ddns.key\";\noptions { directory %q; pid-file none; session-keyfile none; lock-file none; listen-on port 53 { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; };\n"+
			"controls { };\nzone \"mine.example\" { type primary; file \"mine.db\"; update-policy { grant mailwhy zonesub MX; }; };\n", dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := net.Command(context.Background(), named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := netns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	key, err := dnsupdate.ReadKey(updateKey)
	if err != nil {
		t.Fatal(err)
	}
	s = &dnsupdate.Server{Address: "127.0.0.1:53", Zone: "mine.example", Key: key, Dial: net}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) { // until it listens
		if _, err = s.Read(t.Context(), "mine.example", "MX"); err == nil {
			return s, filepath.Join(dir, "ddns.key")
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("%v\n%s", err, said)
		}
	}
}

// An approved proposal changes the zone of a real BIND, only where it is as the proposal says, and at its end the old
// records are back; what somebody else changed meanwhile is left alone. All of it is recorded.
func TestProposalsChangeTheZone(t *testing.T) {
	s, keyFile := namedServer(t)
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	state, err := sqlite.OpenState(t.Context(), t.TempDir(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	var audit []string
	h := &hands{state: state, now: func() time.Time { return now }, dial: s.Dial, updates: []UpdateConfig{{Zone: "mine.example", Server: s.Address, KeyFile: keyFile}},
		note: func(what, target, detail string) { audit = append(audit, what+" "+target) }}
	store := state.Monitors()
	runner, err := monitor.New(t.Context(), monitor.Options{Config: &monitor.Config{}, Store: store, Applier: h, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	propose := func(id string, action monitor.Action, old, fresh string) {
		t.Helper()
		step := finding.Step{Kind: finding.DNSReplace, Target: "mine.example MX", Old: old, New: fresh}
		back := step
		back.Old, back.New = fresh, old
		p := &monitor.Proposal{ID: id, Monitor: "mx", At: now, Action: action, Steps: []finding.Step{step}, Undo: []finding.Step{back}, Hash: "h", For: monitor.Span(time.Hour), Expires: now.Add(72 * time.Hour), State: monitor.ProposalOpen}
		if err := store.PutProposal(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	zone := func(want string) {
		t.Helper()
		got, err := s.Read(t.Context(), "mine.example", "MX")
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(got.TTL, " ", strings.Join(got.Values, ", ")); text != want {
			t.Errorf("the zone has %s, want %s", text, want)
		}
	}
	end := func(id string) *monitor.Proposal {
		t.Helper()
		now = now.Add(2 * time.Hour)
		if err := runner.Housekeep(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, err := store.Proposal(t.Context(), id)
		if err != nil || p.State != monitor.ProposalEnded {
			t.Errorf("%+v, %v", p, err)
		}
		return p
	}
	const before = "3600 10 mx1.mine.example., 20 mx2.mine.example."

	propose("ttl", monitor.LowerTTL, "3600", "300")
	zone(before)
	if err := runner.Decide(t.Context(), "ttl", true, "li", "", "h"); err != nil {
		t.Fatal(err)
	}
	zone("300 10 mx1.mine.example., 20 mx2.mine.example.")
	end("ttl")
	zone(before)

	propose("mx", monitor.MXPreference, "10 mx1.mine.example", "30 mx1.mine.example")
	if err := runner.Decide(t.Context(), "mx", true, "li", "", "h"); err != nil {
		t.Fatal(err)
	}
	zone("3600 20 mx2.mine.example., 30 mx1.mine.example.")
	end("mx")
	zone(before)

	propose("stale", monitor.LowerTTL, "7200", "300") // not what the zone has
	if err := runner.Decide(t.Context(), "stale", true, "li", "", "h"); err == nil {
		t.Error("a zone that is not as the proposal says was changed")
	}
	if p, err := store.Proposal(t.Context(), "stale"); err != nil || p.State != monitor.ProposalOpen || !strings.Contains(p.Note, "is 3600, not 7200") {
		t.Errorf("%+v, %v", p, err)
	}
	zone(before)

	propose("overtaken", monitor.LowerTTL, "3600", "300")
	if err := runner.Decide(t.Context(), "overtaken", true, "li", "", "h"); err != nil {
		t.Fatal(err)
	}
	low, err := s.Read(t.Context(), "mine.example", "MX")
	if err != nil {
		t.Fatal(err)
	}
	other := *low
	other.TTL = 900
	if err := s.Replace(t.Context(), low, &other); err != nil {
		t.Fatal(err)
	}
	if p := end("overtaken"); !strings.Contains(p.Note, "changed by somebody else") {
		t.Errorf("the note says nothing of it: %q", p.Note)
	}
	zone("900 10 mx1.mine.example., 20 mx2.mine.example.")

	if got := strings.Join(audit, ", "); got != "proposal.apply ttl, proposal.undo ttl, proposal.apply mx, proposal.undo mx, proposal.apply stale, proposal.apply overtaken, proposal.undo overtaken" {
		t.Errorf("recorded: %s", got)
	}
}
