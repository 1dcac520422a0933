package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// rowCase is a verdict about a path, and the world that deserves it.
type rowCase struct {
	name  string
	row   *Link
	to    string   // a fault of rowFaults, or what to give the tool
	args  []string //
	user  bool     // without any privilege
	state string
	want  []string // "verdict rule", and what the finding's text must say after a colon
	allow []string // rules that may speak as well
}

var rowCases = []rowCase{
	{name: "fine", to: "fine", state: "ok", want: []string{"pass path.unreachable: 6 hops away", "pass path.port-blocked: comes through", "pass path.loss: lost", "pass path.mtu-black-hole: 1500"}},
	{name: "by-name", to: "mx.row.example", state: "ok", want: []string{"pass path.unreachable: answers ICMP"}},
	{name: "mail-elsewhere", to: "row.example", args: []string{"--rounds", "2"}, state: "ok", want: []string{"note path.mail-elsewhere: mx.row.example", "note path.mtu-small"}},
	{name: "v6", to: "v6", state: "ok", want: []string{"pass path.unreachable: 6 hops away", "pass path.mtu-black-hole: 1500"}},
	{name: "drop", to: "drop", state: "broken", want: []string{"error path.port-blocked: stops behind hop 4 (r4.row.example 11.2.4.2), while ICMP goes on"}},
	{name: "prohibit", to: "prohibit", state: "broken", want: []string{"error path.port-blocked: turned away by r4.row.example 11.2.4.2 (hop 4): administratively prohibited"}},
	{name: "reset", to: "reset", state: "broken", want: []string{"error path.port-blocked: is reset at hop 5, where the host is 6 hops away"}},
	{name: "intercept", to: "intercept", state: "warning", want: []string{"warning path.intercepted: is taken 2 hops away, where ICMP finds the host 6 hops away"}},
	{name: "closed", to: "closed", state: "broken", want: []string{"error path.port-closed: itself refuses"}},
	{name: "other-port", to: "fine:587", state: "broken", want: []string{"error path.port-closed: to port 587"}},
	{name: "host-drop", to: "host-drop", state: "broken", want: []string{"error path.port-blocked: stops behind hop 5"}},
	{name: "silent", to: "silent", state: "broken", want: []string{"error path.unreachable: behind hop 2, r2.row.example 11.2.2.2, nobody answers"}},
	{name: "no-route", to: "no-route", state: "broken", want: []string{"error path.unreachable: r3.row.example 11.2.3.2 (hop 3) says host unreachable"}},
	{name: "loop", to: "loop", state: "broken", want: []string{"error path.loop: again and again"}},
	{name: "loss", to: "loss", args: []string{"--rounds", "12"}, state: "broken", want: []string{"error path.loss: from hop 3 (r3.row.example 11.2.3.2) on"}, allow: []string{"path.port-blocked", "path.mtu-black-hole"}},
	{name: "hole", to: "hole", args: []string{"--rounds", "2"}, state: "broken", want: []string{"error path.mtu-black-hole: before hop 5 (r5.row.example 11.2.5.2); 1400 bytes pass"}},
	{name: "tunnel", to: "tunnel", args: []string{"--rounds", "2"}, state: "ok", want: []string{"note path.mtu-small: r4.row.example 11.2.4.2 says that 1400 bytes fit", "pass path.mtu-black-hole: 1400"}},
	{name: "no-ping", to: "no-ping", state: "ok", want: []string{"note path.no-ping: does not answer ICMP echo", "could-not-test path.mtu-black-hole"}},
	{name: "detour", to: "detour", args: []string{"--rounds", "2"}, state: "ok", want: []string{"note path.asymmetric: it is 6 hops"}},
	{name: "odd", row: &OddRow, to: "fine", args: []string{"--rounds", "20"}, state: "warning", want: []string{
		"warning path.cgnat: hop 2", "note path.nat: our address 10.9.1.1 is not public", "note path.private-inside: hop 4",
		"note path.rate-limited: hop 2 left", "note path.latency-step: from hop 3 to hop 4"}},
	{name: "no-rights", to: "drop", user: true, state: "broken", want: []string{"could-not-test path.no-ping: needs CAP_NET_RAW", "error path.port-blocked: while UDP goes on"}},
}

// TestPaths runs the tool in rows of routers, a fault at a time.
func TestPaths(t *testing.T) {
	w := lab(t)
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	have, err := Commands(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	needs(t, have, "path")
	rows := map[*Link]*Row{}
	for name, l := range map[string]*Link{"plain": &PlainRow, "odd": &OddRow} {
		r, err := StartRow(name, w.Dir, *l)
		if err != nil {
			t.Fatal(err)
		}
		rows[l] = r
		t.Cleanup(func() {
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	// Nearly all of their time is waiting, so all run at once.
	outcomes := make([]rowOutcome, len(rowCases))
	var wg sync.WaitGroup
	for i := range rowCases {
		c := &rowCases[i]
		if c.row == nil {
			c.row = &PlainRow
		}
		wg.Go(func() { outcomes[i] = c.run(t.Context(), rows[c.row], bin) })
	}
	wg.Wait()
	for i, c := range rowCases {
		t.Run(c.name, func(t *testing.T) { c.judge(t, outcomes[i]) })
	}
}

func (c *rowCase) target() string {
	fault, port, _ := strings.Cut(c.to, ":")
	switch _, known := rowFaults[fault]; {
	case c.to == "v6":
		return c.row.Address6()
	case known && port != "":
		return c.row.Address(fault) + ":" + port
	case known:
		return c.row.Address(fault)
	}
	return c.to
}

type rowOutcome struct {
	out []byte
	err error
}

func (c *rowCase) run(ctx context.Context, r *Row, bin string) rowOutcome {
	command := []string{bin, "path", c.target()}
	if c.name != "loss" { // where waiting for what never comes would take all the time
		command = append(command, "--wait", "2s")
	}
	if c.user {
		command = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"}, command...)
	}
	out, _, err := r.Tool(ctx, append(append(command, "--format", "json", "--lang", "en"), c.args...)...)
	if keep := os.Getenv("MAILWHY_LAB_OUT"); keep != "" {
		_ = os.WriteFile(filepath.Join(keep, "path-"+c.name+".json"), out, 0o644)
		for _, lang := range []string{"en", "zh"} {
			text, _, _ := r.Tool(ctx, append(command, "--lang", lang)...)
			_ = os.WriteFile(filepath.Join(keep, "path-"+c.name+"."+lang+".txt"), text, 0o644)
		}
	}
	return rowOutcome{out, err}
}

// judge compares what came out with what must.
func (c rowCase) judge(t *testing.T, o rowOutcome) {
	if o.err != nil {
		t.Fatal(o.err)
	}
	var rep Report
	if err := json.Unmarshal(firstLine(o.out), &rep); err != nil {
		t.Fatalf("%v: %s", err, o.out)
	}
	if rep.Headline.State != c.state {
		t.Errorf("state %q, want %q: %s", rep.Headline.State, c.state, rep.Headline.Text)
	}
	said := make([]bool, len(rep.Findings))
	for _, want := range c.want {
		head, text, _ := strings.Cut(want, ": ")
		found := false
		for i, f := range rep.Findings {
			if f.Verdict+" "+f.ID == head && strings.Contains(f.Text, text) {
				said[i], found = true, true
			}
		}
		if !found {
			t.Errorf("missing: %s", want)
		}
	}
	var all []string
	for i, f := range rep.Findings {
		all = append(all, fmt.Sprintf("%s %s: %s", f.Verdict, f.ID, f.Text))
		loud := f.Verdict == "error" || f.Verdict == "warning" || f.Verdict == "could-not-test"
		if loud && !said[i] && !slices.Contains(c.allow, f.ID) {
			t.Errorf("unexpected: %s", all[len(all)-1])
		}
	}
	if t.Failed() {
		t.Log(strings.Join(all, "\n"))
	}
}
