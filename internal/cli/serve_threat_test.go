package cli

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// The page asks the feeds of the configuration and no others, and only where there are any.
func TestThreatFromThePage(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(list, []byte("203.0.113.0/24,scanner\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := &service{app: &app{}, cfg: &Config{}, newEnv: offlineEnv}
	if v.threatKind() != nil {
		t.Error("a kind without a source")
	}
	v.cfg.Threat.Feeds, v.cfg.Serve.Data = []string{list}, t.TempDir()
	r := &runner{newEnv: offlineEnv, more: v.threatKind()}
	if !slices.ContainsFunc(r.Kinds(), func(k runs.Kind) bool { return k.Kind == "threat" }) {
		t.Fatal("threat is not among the kinds")
	}
	for _, bad := range []string{"no such thing", strings.Repeat("203.0.113.7 ", maxIndicators+1)} {
		var wrong *runs.BadArg
		if _, err := r.Prepare("threat", map[string]string{"what": bad}); !errors.As(err, &wrong) || wrong.Name != "what" {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	job, err := r.Prepare("threat", map[string]string{"what": "203.0.113.7\r\ngood.example"})
	if err != nil {
		t.Fatal(err)
	}
	reps, err := job.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := reps[finding.ZH].Count(finding.VerdictWarning); n != 1 {
		t.Errorf("%d known, want 1", n)
	}
	for toml, want := range map[string]string{"[[threat.misp]]\nurl = \"ftp://x\"\n": "threat.misp[1]", "[threat]\nfeeds = [\"\"]\n": "threat.feeds", "[threat]\nlists = []\n": "unknown key"} {
		file := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", toml, err)
		}
	}
}

// emptyCapture is a capture of an Ethernet device without a packet.
func emptyCapture() []byte {
	b := append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0}, make([]byte, 16)...)
	b[20] = 1
	return b
}

// A capture is taken as base64, bounded, and must be one.
func TestCaptureFromThePage(t *testing.T) {
	r := &runner{newEnv: offlineEnv}
	for file, want := range map[string]string{"%%%": "base64", base64.StdEncoding.EncodeToString([]byte("no capture")): "neither pcap", base64.StdEncoding.EncodeToString(make([]byte, maxUpload+1)): "larger than"} {
		var wrong *runs.BadArg
		if _, err := r.Prepare("capture", map[string]string{"file": file}); !errors.As(err, &wrong) || !strings.Contains(wrong.What.String(), want) {
			t.Errorf("%.20q: %v, want %q", file, err, want)
		}
	}
	job, err := r.Prepare("capture", map[string]string{"file": base64.StdEncoding.EncodeToString(emptyCapture())})
	if err != nil {
		t.Fatal(err)
	}
	reps, err := job.Run(t.Context(), nil)
	if err != nil || !strings.Contains(reps[finding.EN].Headline.Says.String(), "No mail in this capture") {
		t.Errorf("%v, %v", reps[finding.EN], err)
	}
	for _, k := range r.Kinds() {
		if k.Kind == "capture" && k.Kept {
			t.Error("what captures hold would be stored")
		}
	}
}

// The page, its monitors and the command go by one guard: [desk] of the configuration and guard.toml in the data folder.
func TestOneGuard(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "guard.toml"), []byte("partners = [\"203.0.113.200\"]\nwidest_ipv4 = 24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := (&app{}).deskOf(nil, dir, change.Config{Own: []string{"mine.example", "198.51.100.0/24"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &d.Guard
	if len(g.Partners) != 1 || !slices.Contains(g.OwnNames, "mine.example") || len(g.Own) == 0 || g.Bits4 != 24 {
		t.Errorf("%+v", g)
	}
}
