package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

// flowing writes a mail log: a message every ten minutes from since on, but for the hours in gaps (from, until).
func flowing(since, until time.Time, gaps [][2]float64) []byte {
	var b bytes.Buffer
	for at := since; at.Before(until); at = at.Add(10 * time.Minute) {
		h, quiet := at.Sub(since).Hours(), false
		for _, g := range gaps {
			quiet = quiet || h >= g[0] && h < g[1]
		}
		if quiet {
			continue
		}
		id, stamp := fmt.Sprintf("4F2B%08X", at.Unix()/600), at.UTC().Format("2006-01-02T15:04:05.000000+00:00")
		for _, says := range []string{
			"smtpd[11]: " + id + ": client=mail.partner.example[192.0.2.9]", "cleanup[12]: " + id + ": message-id=<" + id + "@partner.example>",
			"qmgr[13]: " + id + ": from=<wang@partner.example>, size=1000, nrcpt=1 (queue active)",
			"lmtp[14]: " + id + ": to=<li@mine.example>, relay=mail.mine.example[private/dovecot-lmtp], delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Saved)", "qmgr[13]: " + id + ": removed",
		} {
			fmt.Fprintf(&b, "%s mx1 postfix/%s\n", stamp, says)
		}
	}
	return b.Bytes()
}

// A rule that never ran is replayed over the mail of a store: how often it would have fired, and how many of those were
// flaps, is what counting by hand gives.
func TestReplayOverStoredMail(t *testing.T) {
	dir := t.TempDir()
	base := time.Now().UTC().Add(-72 * time.Hour).Truncate(time.Hour)
	// An hour without mail is seen from the end of the hour after the last message on. So each gap fails for an hour less
	// than it lasts: 3–6 from 4 to 6; 7–9 from 8 to 9; 15–18 from 16 to 18; 20–21:20 from 21 to 21:20, which is two runs of
	// ten minutes and no three; 40–43 from 41 to 43.
	gaps := [][2]float64{{3, 6}, {7, 9}, {15, 18}, {20, 21 + 1.0/3}, {40, 43}}
	files := map[string][]byte{
		"mail.log": flowing(base, time.Now(), gaps),
		"mailwhy.toml": []byte(fmt.Sprintf("[serve]\ndata = %q\n[[monitor]]\nid = \"quiet\"\nkind = \"silence\"\nevery = \"10m\"\njitter = \"1s\"\nfail_after = 3\nclear_after = 1\nflap_within = \"150m\"\nflap_changes = 0\nargs = { within = \"1h\" }\n", filepath.Join(dir, "data")) +
			"[[monitor]]\nid = \"backup\"\nkind = \"silence\"\nevery = \"10m\"\njitter = \"1s\"\nfail_after = 3\nclear_after = 1\nflap_changes = 0\nargs = { direction = \"delivered\", domain = \"partner.example\" }\n" +
			"[[monitor.maintenance]]\nfrom = " + base.Add(39*time.Hour).Format(time.RFC3339) + "\nto = " + base.Add(44*time.Hour).Format(time.RFC3339) + "\n"),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) []byte {
		t.Helper()
		var out, errs bytes.Buffer
		if got := Run(t.Context(), args, strings.NewReader(""), &out, &errs, func(string) (string, bool) { return "", false }); got > exitFinding {
			t.Fatalf("%v: exit %d: %s", args, got, errs.String())
		}
		return out.Bytes()
	}
	run("store", "import", "--data", filepath.Join(dir, "data"), filepath.Join(dir, "mail.log"))
	type answer struct {
		Replay struct {
			Samples, Fired, Flaps, Told, Blind int
			Incidents                          []struct {
				From, Until time.Time
				Flap        bool
			}
		}
	}
	replay := func(id string) (a answer) {
		t.Helper()
		raw := run("monitor", "replay", id, "--config", filepath.Join(dir, "mailwhy.toml"), "--since", "30d", "--json")
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		return a
	}
	x := replay("quiet").Replay
	if x.Fired != 4 || x.Flaps != 2 || x.Told != 8 || x.Blind != 0 || x.Samples < 6*70 {
		t.Errorf("%+v", x)
	}
	want := [][2]float64{{4, 6}, {8, 9}, {16, 18}, {41, 43}}
	for i, p := range x.Incidents {
		from, until := p.From.Sub(base).Hours(), p.Until.Sub(base).Hours()
		if i >= len(want) || from < want[i][0] || from > want[i][0]+0.2 || until < want[i][1] || until > want[i][1]+0.2 || p.Flap != (i < 2) {
			t.Errorf("incident %d from hour %.2f to %.2f, flap %v", i, from, until, p.Flap)
		}
	}
	// The mail of one domain is counted to the minute: an hour after the last message, ten minutes before the gap, it fails.
	// The last gap lies in a maintenance window.
	x = replay("backup").Replay
	if x.Fired != 4 {
		t.Fatalf("%+v", x)
	}
	if last := x.Incidents[3]; last.From.Sub(base).Hours() < 20.8 || last.Until.Sub(base).Hours() > 21.6 {
		t.Errorf("%+v", last)
	}
}

// Where a log file is read to its end and nothing came, nothing came: the absence of mail is no "could not test".
func TestSilenceWhileLogsAreRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mail.log")
	since := time.Now().Add(-12 * time.Hour)
	if err := os.WriteFile(name, flowing(since, since.Add(time.Hour), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{
		Intake:  []intake.Config{{Kind: "files", Paths: []string{name}}},
		Monitor: []monitor.Definition{{ID: "quiet", Kind: "silence", Settings: monitor.Settings{Every: monitor.Span(24 * time.Hour)}}},
	}
	s := quietService(t, cfg)
	untilStored(t, cfg.Serve.Data, "li@mine.example", 6)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // between two looks: the figures follow the store
		got := string(s.want(200, "POST", "/api/v1/monitors/quiet/run", nil))
		if strings.Contains(got, `"state":"failing"`) && strings.Contains(got, "0 messages received within 60 min") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(got)
		}
	}
}
