package logs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

// answered adds messages to a host that all got the same answer.
func (d *day) answered(n, hour int, host, status, text string) {
	for i := range n {
		d.id++
		d.add(t0.Add(time.Duration(hour)*time.Hour+time.Duration(i)*time.Second), "postfix/smtp[3]",
			"A%07X: to=<u%d@%s>, relay=mx.%s[192.0.2.9]:25, delay=1, delays=0/0/1/0, dsn=4.0.0, status=%s (%s)", d.id, i, host, host, status, text)
	}
}

func (d *day) survey(t *testing.T) []finding.Finding {
	t.Helper()
	var in Input
	in.Stats, in.Files = d.stats(t)
	r, err := Survey(&check.Env{Now: func() time.Time { return t0 }, Know: knowledge.Embedded()}, in)
	if err != nil {
		t.Fatal(err)
	}
	var out []finding.Finding
	for _, f := range r.Findings {
		if f.Outcome == finding.Fail {
			out = append(out, f)
		}
	}
	return out
}

func TestProvidersWithTheSameCauseAreOneFinding(t *testing.T) {
	d := ordinary()
	for i := range 3 {
		host := fmt.Sprintf("strict%d.example", i)
		d.answered(40+i, 5+i, host, "bounced", fmt.Sprintf("host mx.%s[192.0.2.9] said: 554 5.7.1 rejected as spam (in reply to end of DATA command)", host))
	}
	d.answered(35, 9, "full.example", "bounced", "host mx.full.example[192.0.2.9] said: 552 5.2.2 mailbox full (in reply to RCPT TO command)")
	var got []string
	for _, f := range d.survey(t) {
		if f.Rule != ruleAcceptance {
			continue
		}
		says := f.Says()
		got = append(got, says.In(finding.EN)+" "+f.Whose().String())
		for _, e := range f.Evidence {
			if !strings.Contains(e.Raw, "mx."+e.Place) {
				t.Errorf("the evidence of %s is somebody else's: %s", e.Place, e.Raw)
			}
		}
	}
	want := []string{"3 destinations accepted 0.0 % of 123 recipients: taken for spam sender", "full.example accepted 0.0 % of 35 recipients: mailbox is full recipient"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Greylisting defers every first attempt: a wave of it passes by itself, one of anything else does not.
func TestAWaveOfGreylistingIsANote(t *testing.T) {
	for text, want := range map[string]finding.Severity{
		"host mx.slow.example[192.0.2.9] said: 450 4.7.1 Greylisted, please try again in 300 seconds (in reply to RCPT TO command)": finding.Note,
		"host mx.slow.example[192.0.2.9] said: 421 4.7.0 too many connections from your IP (in reply to MAIL FROM command)":         finding.Warning,
	} {
		d := ordinary()
		d.answered(30, 5, "slow.example", "deferred", text)
		d.answered(30, 6, "slow.example", "sent", "250 2.0.0 Ok")
		waves := 0
		for _, f := range d.survey(t) {
			if f.Rule == ruleDeferralWave {
				waves++
				if f.Level() != want {
					t.Errorf("%s: %v", text, f.Level())
				}
			}
		}
		if waves != 1 {
			t.Errorf("%s: %d waves", text, waves)
		}
	}
}

// An MTA that says only that the retry is not due repeats an earlier answer without its words: that answer is the cause.
func TestWhatWasNotTriedIsNoCause(t *testing.T) {
	know := knowledge.Embedded()
	lim, err := know.LogLimits()
	if err != nil {
		t.Fatal(err)
	}
	s := &tally.Stats{Reasons: []tally.Reason{
		{Kind: "deferred", Count: 200, Example: "retry time not reached for any host for 'slow.example'"},
		{Kind: "deferred", Count: 20, Example: "450 4.7.1 Greylisted, please try again in 300 seconds"},
	}}
	s.Relays.Rows = []tally.Row[tally.Relay]{
		{Key: "slow.example", Val: tally.Relay{Deferred: 220, Reasons: []tally.RelayReason{{Count: 200, Reason: 0}, {Count: 20, Reason: 1}}}},
		{Key: "mute.example", Val: tally.Relay{Deferred: 7, Reasons: []tally.RelayReason{{Count: 7, Reason: 0}}}},
	}
	f, err := gather(&Input{Stats: s}, know, lim)
	if err != nil {
		t.Fatal(err)
	}
	if c := f.Causes[0]; c.ID != notTried || c.Owner != finding.OwnerNobody || c.Count != 200 {
		t.Errorf("the most frequent cause is %+v", c)
	}
	for i, want := range []string{"greylisted", notTried} {
		if got, ok := f.Providers[i].main("deferred"); !ok || got.ID != want {
			t.Errorf("%s: %+v, want %s", f.Providers[i].ID, got, want)
		}
	}
	for i, want := range []string{"greylisted: try again in some minutes (20)", "not tried: the next retry is not due yet (7)"} {
		says := f.Providers[i].foremost()
		if got := says.In(finding.EN); got != want {
			t.Errorf("%s: the table says %q, want %q", f.Providers[i].ID, got, want)
		}
	}
}
