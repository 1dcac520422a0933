package logs

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

var t0 = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// quiet is a log in which nothing is alarming: a day of 100 messages an hour, all accepted.
func quiet() *tally.Stats {
	s := &tally.Stats{From: t0, To: t0.Add(24 * time.Hour)}
	for h := range 24 {
		s.Hours = append(s.Hours, tally.Hour{At: t0.Add(time.Duration(h) * time.Hour), Received: 100, Delivered: 100, Bounced: 2})
	}
	s.Totals = tally.Totals{Received: 2400, Delivered: 2400, Bounced: 48}
	s.Relays.Rows = []tally.Row[tally.Relay]{{Key: "l.google.com", Val: tally.Relay{Sent: 2000, Bounced: 20}}}
	s.TLS = []tally.Row[int64]{{Key: "in TLSv1.3", Val: 500}, {Key: "in failed", Val: 3}}
	return s
}

func places(n int) (out []tally.Place) {
	for i := range n {
		out = append(out, tally.Place{Network: fmt.Sprintf("203.%d.0.0/16", i), IP: fmt.Sprintf("203.%d.0.1", i), Count: 1, First: t0, Last: t0})
	}
	return out
}

// Each rule is broken by one change to the quiet log, and by that one only.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		rule   *finding.Rule
		change func(in *Input)
	}{
		{nil, func(*Input) {}},
		{ruleRead, func(in *Input) { in.Files[0].Lines.Mail = 0 }},
		{ruleUnparsed, func(in *Input) { in.Files[0].Lines.Unparsed = 3 }},
		{ruleBounceBurst, func(in *Input) { in.Stats.Hours[5].Bounced = 80 }},
		{ruleDeferralWave, func(in *Input) {
			in.Stats.Relays.Rows = append(in.Stats.Relays.Rows, tally.Row[tally.Relay]{Key: "qq.com", Val: tally.Relay{Sent: 10, Deferred: 90, Hours: []tally.RelayHour{{At: t0.UnixNano(), Deferred: 90}}}})
		}},
		{ruleDead, func(in *Input) {
			in.Stats.Relays.Rows = append(in.Stats.Relays.Rows, tally.Row[tally.Relay]{Key: "gone.example", Val: tally.Relay{Deferred: 90}})
		}},
		{ruleAcceptance, func(in *Input) {
			in.Stats.Relays.Rows = append(in.Stats.Relays.Rows, tally.Row[tally.Relay]{Key: "qq.com", Val: tally.Relay{Sent: 50, Bounced: 50}})
		}},
		{ruleAcceptanceDrop, func(in *Input) {
			in.Against = quiet()
			in.Against.Relays.Rows[0].Val = tally.Relay{Sent: 1000}
			in.Stats.Relays.Rows[0].Val = tally.Relay{Sent: 900, Bounced: 100}
		}},
		{ruleSilent, func(in *Input) { in.Stats.Hours = slices.Delete(in.Stats.Hours, 10, 13) }},
		{ruleQueueGrowth, func(in *Input) {
			for i := range 6 {
				in.Stats.Hours[10+i].InQueue = int64(i * 100)
			}
		}},
		{ruleBruteForce, func(in *Input) {
			in.Stats.Sources.Rows = []tally.Row[tally.Source]{{Key: "203.0.113.9", Val: tally.Source{Failed: 40, Users: []string{"li"}}}}
		}},
		{ruleSpraying, func(in *Input) {
			in.Stats.Sources.Rows = []tally.Row[tally.Source]{{Key: "203.0.113.9", Val: tally.Source{Failed: 9, Users: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}}}}
		}},
		{ruleBruteForceNetwork, func(in *Input) {
			for i := range 10 {
				in.Stats.Sources.Rows = append(in.Stats.Sources.Rows, tally.Row[tally.Source]{Key: fmt.Sprintf("203.0.113.%d", i), Val: tally.Source{Failed: 8, Users: []string{"li"}}})
			}
		}},
		{ruleCompromised, func(in *Input) {
			in.Stats.Accounts.Rows = []tally.Row[tally.Account]{{Key: "li@mine.example", Val: tally.Account{OK: 300, PerHour: 300, Networks: places(5)}}}
		}},
		{ruleTravel, func(in *Input) {
			in.Locate = func(ip netip.Addr) (Place, bool) {
				if ip.As4()[1] == 0 {
					return Place{"DE", 50, 8}, true
				}
				return Place{"CN", 31, 121}, true
			}
			in.Stats.Accounts.Rows = []tally.Row[tally.Account]{{Key: "li@mine.example", Val: tally.Account{OK: 2, Networks: places(2)}}}
		}},
		{ruleRelayAttempts, func(in *Input) {
			in.Stats.Reasons = []tally.Reason{{Kind: "rejected", Count: 50, Code: 554, Example: "554 5.7.1 <x@y.example>: Relay access denied", First: t0, Last: t0}}
		}},
		{ruleTLSOld, func(in *Input) { in.Stats.TLS = append(in.Stats.TLS, tally.Row[int64]{Key: "out TLSv1", Val: 4}) }},
		{ruleTLSFailed, func(in *Input) { in.Stats.TLS[1].Val = 90 }},
		{ruleResources, func(in *Input) {
			in.Stats.Words = []tally.Row[int64]{{Key: "warning postfix/cleanup queue file write error: No space left on device", Val: 7}}
		}},
		{ruleDying, func(in *Input) {
			in.Stats.Words = []tally.Row[int64]{{Key: "fatal postfix/smtpd open database /etc/postfix/x.db: No such file", Val: 2}}
		}},
	} {
		name := "quiet"
		if c.rule != nil {
			name = c.rule.ID
		}
		t.Run(name, func(t *testing.T) {
			in := Input{Stats: quiet(), Files: []File{{Name: "mail.log", Lines: logs.Counts{Lines: 10, Mail: 10}}}, Full: true}
			c.change(&in)
			r, err := Survey(&check.Env{Now: func() time.Time { return t0 }, Know: knowledge.Embedded()}, in)
			if err != nil {
				t.Fatal(err)
			}
			var failed []*finding.Rule
			for _, f := range r.Findings {
				if f.Outcome == finding.Fail {
					failed = append(failed, f.Rule)
				}
			}
			want := []*finding.Rule{c.rule}
			if c.rule == nil {
				want = nil
			}
			if !slices.Equal(failed, want) {
				for _, f := range failed {
					t.Log(f.ID)
				}
				t.Errorf("%d rules broken", len(failed))
			}
			if r.Headline.Says.IsZero() || len(r.Sections) == 0 {
				t.Error("no headline or no sections")
			}
		})
	}
}

func TestUnreadableInputIsUntested(t *testing.T) {
	in := Input{Stats: &tally.Stats{}, Files: []File{{Name: "mail.log", Error: "permission denied"}}}
	r, err := Survey(&check.Env{Now: func() time.Time { return t0 }, Know: knowledge.Embedded()}, in)
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Findings[0].Verdict(); v != finding.VerdictUntested || r.Headline.State != finding.StateUntested {
		t.Errorf("verdict %v, state %v", v, r.Headline.State)
	}
}

func TestRepliesAreCutOutOfLogLines(t *testing.T) {
	for in, want := range map[string]string{
		"host mx.a.example[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command)": "550 5.1.1 no",
		"connect to mx.a.example[192.0.2.1]:25: Connection refused":                     "connect to mx.a.example[192.0.2.1]:25: Connection refused",
		"host mx.a.example[192.0.2.1] refused to talk to me: 554 go away":               "554 go away",
	} {
		if got := knowledge.SaidIn(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got := speaker("host mx.a.example[192.0.2.1] said: 550"); got != "mx.a.example" {
		t.Errorf("host %q", got)
	}
}
