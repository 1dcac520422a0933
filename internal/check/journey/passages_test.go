package journey

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// attempt is a start at a minute of the day and what Postfix logged of each recipient: "to=…, status=… (…)".
func attempt(minute int, answers ...string) (out []string) {
	line := func(program, text string) {
		out = append(out, fmt.Sprintf("2026-11-22T01:%02d:00.00%dZ mx1 postfix/%s: A0000001: %s", minute, len(out), program, text))
	}
	line("qmgr[2]", "from=<li@mine.example>, size=1000, nrcpt=1 (queue active)")
	for _, a := range answers {
		line("smtp[3]", a)
	}
	return out
}

// found is the one journey of the lines.
func found(t *testing.T, lines []string) *trace.Journey {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mail.log")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := logs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	q, err := trace.ParseQuery("A0000001")
	if err != nil {
		t.Fatal(err)
	}
	f, err := trace.Scan(t.Context(), []*logs.Input{in}, q, trace.Options{Dialects: dialects.All(), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	for j := range f.Journeys(t.Context()) {
		return j
	}
	t.Fatal("no journey")
	return nil
}

func told(t *testing.T, lines []string) (out []string) {
	t.Helper()
	for _, p := range passages(found(t, lines).Steps) {
		says := p.words()
		out = append(out, says.In(finding.EN))
	}
	return out
}

func join(attempts ...[]string) (out []string) {
	for _, a := range attempts {
		out = append(out, a...)
	}
	return out
}

const (
	noRoute = "connect to mx.down.example[192.0.2.1]:25: Connection refused"
	down    = "to=<x@down.example>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (" + noRoute + ")"
)

func sent(to, text string) string {
	return "to=<" + to + ">, relay=mx.b.example[192.0.2.9]:25, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (" + text + ")"
}

func TestTheSameAnswerForManyIsToldOnce(t *testing.T) {
	ready := "ready to go: from <li@mine.example>, 1.0 kB, 1 recipient"
	again := "x@down.example put off: " + noRoute + " (2 more attempts until 2026-11-22 01:02:00 had the same answer)"
	for name, c := range map[string]struct{ lines, want []string }{
		"one answer for all": {attempt(0, sent("a@b.example", "250 ok"), sent("c@b.example", "250 ok"), sent("d@b.example", "250 ok"), sent("e@b.example", "250 ok"), sent("f@b.example", "250 other")),
			[]string{ready, "a@b.example, c@b.example and 2 more sent to mx.b.example [192.0.2.9]: 250 ok", "f@b.example sent to mx.b.example [192.0.2.9]: 250 other"}},
		"retries":               {join(attempt(0, down), attempt(1, down), attempt(2, down)), []string{ready, again}},
		"two attempts are told": {join(attempt(0, down), attempt(1, down)), []string{ready, "x@down.example put off: " + noRoute, ready, "x@down.example put off: " + noRoute}},
		"a retry that tells something new stays": {join(attempt(0, down), attempt(1, down), attempt(2, down, sent("y@b.example", "250 ok"))),
			[]string{ready, again, ready, "y@b.example sent to mx.b.example [192.0.2.9]: 250 ok"}},
		"the same recipient twice in a second": {attempt(0, sent("a@b.example", "250 ok"), sent("a@b.example", "250 ok")),
			[]string{ready, "a@b.example sent to mx.b.example [192.0.2.9]: 250 ok", "a@b.example sent to mx.b.example [192.0.2.9]: 250 ok"}},
		"no host was reached": {attempt(0, "to=<a@gone.example>, relay=none, delay=0, delays=0/0/0/0, dsn=5.4.4, status=bounced (Host not found)"),
			[]string{ready, "a@gone.example failed: Host not found"}},
	} {
		if got := told(t, c.lines); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
}

// The finding says whose job the cause is, as the headline does.
func TestWhoseJobIsTheCauses(t *testing.T) {
	r := Report(found(t, attempt(0, down)), "A0000001", knowledge.Embedded())
	if len(r.Findings) != 1 || r.Findings[0].Whose() != finding.OwnerNetwork || r.Headline.Owner != finding.OwnerNetwork {
		t.Errorf("finding %v, headline %v", r.Findings[0].Whose(), r.Headline.Owner)
	}
}
