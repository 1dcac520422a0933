package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// Report is what the runner reads of the tool's JSON (docs/json.md).
type Report struct {
	Headline struct{ State, Text, Owner, Next string }
	Findings []struct {
		ID, Verdict, Owner, Text string
		Subject                  struct{ Kind, Name string }
	}
}

// Outcome is what a run of the tool gave.
type Outcome struct {
	Exit   int
	Stdout []byte
	Stderr []byte
	Took   time.Duration
}

// Build compiles the tool into the world's folder and returns its path.
func (w *World) Build(ctx context.Context, project string) (string, error) {
	bin := filepath.Join(w.Dir, "mailwhy")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
	cmd.Dir = project
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return bin, nil
}

// Commands lists the commands the tool has.
func Commands(ctx context.Context, bin string) ([]string, error) {
	out, err := exec.CommandContext(ctx, bin, "__complete", "").Output()
	if err != nil {
		return nil, fmt.Errorf("%s __complete: %w", bin, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		names = append(names, name)
	}
	return names, nil
}

// Rules lists the rules the tool knows.
func Rules(ctx context.Context, bin string) (map[string]bool, error) {
	out, err := exec.CommandContext(ctx, bin, "rules", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("%s rules: %w", bin, err)
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("%s rules: %w", bin, err)
	}
	known := map[string]bool{}
	for _, r := range list {
		known[r.ID] = true
	}
	return known, nil
}

// Tool runs the tool in the namespace of a client, with the lab's resolver, trust anchor, tables and authorities, and
// the password of the lab's accounts. dir is the working folder.
func (w *World) Tool(ctx context.Context, bin, client, dir string, args ...string) (*Outcome, error) {
	return w.tool(ctx, bin, client, dir, Password, args...)
}

func (w *World) tool(ctx context.Context, bin, client, dir, password string, args ...string) (*Outcome, error) {
	s, ok := w.clients[client]
	if !ok {
		return nil, fmt.Errorf("no client %q, only %q", client, Clients)
	}
	args = append(slices.Clone(args), "--resolver", ResolverV4, "--root-server", rootV4, "--trust-anchor", w.Anchor, "--timeout", "3s")
	if !slices.Contains(args, "--lang") {
		args = append(args, "--lang", "en")
	}
	if w.Knowledge != "" {
		args = append(args, "--knowledge", w.Knowledge)
	}
	cmd := s.Command(ctx, bin, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8", "SSL_CERT_FILE=" + w.CAFile, "SSL_CERT_DIR=" + dir, "MAILWHY_PASSWORD=" + password}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := netns.Start(cmd); err != nil { // not cmd.Run: see there which thread may start it
		return nil, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return &Outcome{cmd.ProcessState.ExitCode(), stdout.Bytes(), stderr.Bytes(), time.Since(begin)}, nil
}

// RunCase runs one command of a case in a fresh folder with the case's files.
func (w *World) RunCase(ctx context.Context, bin string, c *Case, r Run) (*Outcome, error) {
	dir, err := os.MkdirTemp(w.Dir, "run-")
	if err != nil {
		return nil, err
	}
	for name, text := range c.Files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	args := slices.Clone(r.Command)
	if !slices.Contains(args, "--format") {
		args = append(args, "--json")
	}
	password := Password
	if r.Password != nil {
		password = *r.Password
	}
	for _, user := range r.Hold {
		stop, err := w.hold(ctx, c, r.Client, user)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	out := os.Getenv("MAILWHY_LAB_OUT")
	if out == "" {
		return w.tool(ctx, bin, r.Client, dir, password, args...)
	}
	name := filepath.Join(out, c.Name+"-"+r.Command[0])
	if r.turn > 0 {
		name += fmt.Sprint("-", r.turn+1)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	o, err := w.tool(ctx, bin, r.Client, dir, password, append(args, "--record", name+".tape")...)
	if err != nil {
		return nil, err
	}
	return o, errors.Join(os.WriteFile(name+".json", o.Stdout, 0o644), w.keepText(ctx, bin, r, dir, name))
}

// keepText judges the recording of a run again, to keep what a reader of either language sees.
func (w *World) keepText(ctx context.Context, bin string, r Run, dir, name string) error {
	for _, lang := range []string{"en", "zh"} {
		o, err := w.Tool(ctx, bin, r.Client, dir, append(slices.Clone(r.Command), "--replay", name+".tape", "--lang", lang)...)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name+"."+lang+".txt", append(o.Stdout, o.Stderr...), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Compare holds an outcome against what the case expects and lists what differs.
func (r Run) Compare(o *Outcome) []string {
	var bad []string
	for _, piece := range r.Output {
		if !bytes.Contains(o.Stdout, []byte(piece)) {
			bad = append(bad, fmt.Sprintf("the output does not hold %q", piece))
		}
	}
	if o.Exit != r.Exit {
		bad = append(bad, fmt.Sprintf("exit status %d, want %d", o.Exit, r.Exit))
	}
	if r.State == "" && r.Owner == "" && r.Headline == nil && r.Expect == nil {
		return bad
	}
	var rep Report
	if err := json.Unmarshal(firstLine(o.Stdout), &rep); err != nil {
		return append(bad, "no report: "+err.Error()+": "+string(firstLine(o.Stderr)))
	}
	return append(bad, r.compareReport(&rep)...)
}

func (r Run) compareReport(rep *Report) []string {
	var bad []string
	if r.State != "" && rep.Headline.State != r.State {
		bad = append(bad, fmt.Sprintf("state %q, want %q: %s", rep.Headline.State, r.State, rep.Headline.Text))
	}
	if r.Owner != "" && rep.Headline.Owner != r.Owner {
		bad = append(bad, fmt.Sprintf("the headline says it is the job of %q, want %q", rep.Headline.Owner, r.Owner))
	}
	for _, piece := range r.Headline {
		if !strings.Contains(rep.Headline.Text, piece) {
			bad = append(bad, fmt.Sprintf("the headline does not hold %q: %s", piece, rep.Headline.Text))
		}
	}
	said := make([]bool, len(rep.Findings))
	for _, e := range r.Expect {
		found := false
		for i, f := range rep.Findings {
			if f.ID == e.Rule && (e.Verdict == "" || f.Verdict == e.Verdict) && (e.Owner == "" || f.Owner == e.Owner) &&
				(e.Subject == "" || f.Subject.Name == e.Subject) {
				said[i], found = true, true
			}
		}
		if !found {
			bad = append(bad, fmt.Sprintf("missing: %s %s %s %s", e.Verdict, e.Rule, e.Subject, e.Owner))
		}
	}
	for i, f := range rep.Findings {
		loud := f.Verdict == "error" || f.Verdict == "warning" || f.Verdict == "could-not-test"
		if loud && !said[i] && !slices.Contains(r.Allow, f.ID) {
			bad = append(bad, fmt.Sprintf("unexpected: %s %s %s: %s", f.Verdict, f.ID, f.Subject.Name, f.Text))
		}
	}
	return bad
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}
