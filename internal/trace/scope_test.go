package trace

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// twoRcpts is a message from outside to two people of two domains of ours, refused for one of them.
const twoRcpts = `Nov 22 10:00:00 mx1 postfix/smtpd[11]: A00000000001: client=out.sender.example[192.0.2.5]
Nov 22 10:00:00 mx1 postfix/cleanup[12]: A00000000001: message-id=<m1@sender.example>
Nov 22 10:00:00 mx1 postfix/qmgr[13]: A00000000001: from=<zhao@sender.example>, size=1000, nrcpt=2 (queue active)
Nov 22 10:00:02 mx1 postfix/lmtp[16]: A00000000001: to=<li@mine.example>, relay=mx1[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <li@mine.example> SESSIONABCDEF12 Saved; copy of wang@other.example)
Nov 22 10:00:03 mx1 postfix/lmtp[16]: A00000000001: to=<wang@other.example>, relay=mx1[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx1[private/dovecot-lmtp] said: 550 5.1.1 <wang@other.example> no such user)
Nov 22 10:00:03 mx1 postfix/qmgr[13]: A00000000001: removed
`

func journeysOf(t *testing.T, text string, change func(*Query), what string) []*Journey {
	t.Helper()
	in, err := logs.FromReader("log", strings.NewReader(text), time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	q, err := ParseQuery(what)
	if err != nil {
		t.Fatal(err)
	}
	change(&q)
	f, err := Scan(context.Background(), []*logs.Input{in}, q, Options{Dialects: dialects.All()})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []*Journey
	for j := range f.Journeys(context.Background()) {
		out = append(out, j)
	}
	return out
}

func TestLimitToDomains(t *testing.T) {
	limit := func(d ...string) func(*Query) { return func(q *Query) { q.Domains = d } }
	for _, c := range []struct {
		name, what string
		domains    []string
		found      bool
		rcpts      int
	}{
		{"own recipient", "li@mine.example", []string{"mine.example"}, true, 1},
		{"any letters", "li@mine.example", []string{"MINE.example"}, true, 1},
		{"domain above", "li@mine.example", []string{"example"}, true, 2},
		{"other recipient", "wang@other.example", []string{"mine.example"}, false, 0},
		{"other recipient by pattern", "*@other.example", []string{"mine.example"}, false, 0},
		{"queue id", "A00000000001", []string{"mine.example"}, true, 1},
		{"sender", "zhao@sender.example", []string{"mine.example"}, true, 1},
		{"own sender sees all", "m1@sender.example", []string{"sender.example"}, true, 2},
		{"a stranger", "A00000000001", []string{"third.example"}, false, 0},
		{"a name that only ends alike", "A00000000001", []string{"ine.example"}, false, 0},
		{"no limit", "A00000000001", nil, true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := journeysOf(t, twoRcpts, limit(c.domains...), c.what)
			if (len(got) == 1) != c.found || len(got) > 1 {
				t.Fatalf("%d journeys", len(got))
			}
			if !c.found {
				return
			}
			if n := len(got[0].Recipients); n != c.rcpts {
				t.Errorf("%d recipients, want %d", n, c.rcpts)
			}
			if c.rcpts == 1 {
				for _, s := range got[0].Steps {
					if strings.Contains(s.Line+s.To+s.Text, "wang@other") {
						t.Errorf("a hidden recipient shows in %q", s.Line)
					}
				}
				if got[0].State != Delivered {
					t.Errorf("state %s: the fate of another recipient shows", got[0].State)
				}
			}
		})
	}
}

// An alias of another domain that ends at ours shows what came to ours, without the alias, however that is quoted; and it
// cannot be searched for.
func TestLimitHidesAliases(t *testing.T) {
	const log = `Nov 22 10:00:00 mx1 postfix/smtpd[11]: A00000000001: client=out.sender.example[192.0.2.5]
Nov 22 10:00:00 mx1 postfix/qmgr[13]: A00000000001: from=<zhao@sender.example>, size=1000, nrcpt=1 (queue active)
Nov 22 10:00:02 mx1 postfix/lmtp[16]: A00000000001: to=<li@mine.example>, orig_to=<"wang w"@other.example>, relay=mx1[private/lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Saved, copy for "wang x"@other.example)
`
	limited := func(q *Query) { q.Domains = []string{"mine.example"} }
	got := journeysOf(t, log, limited, "li@mine.example")
	if len(got) != 1 || len(got[0].Recipients) != 1 {
		t.Fatalf("%d journeys", len(got))
	}
	for _, s := range got[0].Steps {
		if strings.Contains(s.Line+s.Text+s.OrigTo, "wang") || strings.Contains(s.Line+s.Text, "other") {
			t.Errorf("the alias shows: %q %q", s.Line, s.Text)
		}
	}
	for _, what := range []string{"*@other.example", "to:*other*", "domain:other.example"} {
		if got := journeysOf(t, log, limited, what); len(got) != 0 {
			t.Errorf("%s finds it", what)
		}
	}
}

func TestLimitHidesFate(t *testing.T) {
	got := journeysOf(t, twoRcpts, func(q *Query) { q.Domains = []string{"mine.example"}; q.Status = event.Bounced }, "A00000000001")
	if len(got) != 0 {
		t.Error("a hidden recipient's bounce can be searched for")
	}
}

func TestJourneyID(t *testing.T) {
	j := journeysOf(t, twoRcpts, func(*Query) {}, "li@mine.example")[0]
	q, err := ByID(j.ID())
	if err != nil || q.Kind != ByQueue || q.Text != "A00000000001" {
		t.Fatalf("%+v, %v", q, err)
	}
	if got := journeysOf(t, twoRcpts, func(q *Query) {}, q.Text); got[0].ID() != j.ID() {
		t.Error("the id of one journey differs by what was asked")
	}
	for _, bad := range []string{"", "x", "AAAA", strings.Repeat("A", 9000)} {
		if _, err := ByID(bad); err == nil {
			t.Errorf("%.20q was taken for an id", bad)
		}
	}
}
