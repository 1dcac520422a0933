package change

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// memory is a store in memory.
type memory struct{ entries []Entry }

func (m *memory) PutBlock(_ context.Context, e *Entry) error {
	for i := range m.entries {
		if m.entries[i].ID == e.ID {
			m.entries[i] = *e
			return nil
		}
	}
	m.entries = append(m.entries, *e)
	return nil
}

func (m *memory) Blocks(context.Context) ([]Entry, error) {
	return append([]Entry(nil), m.entries...), nil
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func desk(t *testing.T) (*Desk, *time.Time) {
	t.Helper()
	c := Config{Own: []string{"198.51.100.0/24", "mine.example"}, Partners: []string{"partner.example", "203.0.113.200"}, Longest: 90, Shared: []string{"192.0.2.0/26 Provider"}}
	g, err := c.Guard()
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	return &Desk{Store: &memory{}, Guard: g, Now: func() time.Time { return now }, Free: []string{"logs.brute-force"}}, &now
}

func TestGuard(t *testing.T) {
	for what, want := range map[string]string{
		"203.0.113.7":                         "",
		"203.0.113.0/25":                      "",
		"203.0.113.0/24":                      "partner",
		"203.0.0.0/8":                         "too-wide partner",
		"198.51.100.9":                        "own",
		"198.51.0.0/16":                       "own",
		"10.9.9.9":                            "private",
		"100.64.3.4":                          "private",
		"::1":                                 "private",
		"::ffff:203.0.113.7":                  "",
		"fd00::1":                             "private",
		"2001:db8::/31":                       "too-wide",
		"2001:db8::/48":                       "",
		"mail.mine.example":                   "own",
		"example":                             "not-blockable",
		"partner.example":                     "partner",
		"notpartner.example":                  "",
		"192.0.2.9":                           "shared",
		"1.2.3.4.5":                           "not-blockable",
		"a b.example":                         "not-blockable",
		"x.example\nREJECT":                   "not-blockable",
		"203.0.113.7%eth0":                    "not-blockable",
		"::ffff:0:0/90":                       "not-blockable",
		"bücher.example":                      "",
		"0.0.0.0/0":                           "too-wide private own partner shared",
		"-":                                   "not-blockable",
		strings.Repeat("a", 300) + ".example": "not-blockable",
	} {
		d, _ := desk(t)
		_, obs, err := d.Propose(context.Background(), Proposal{What: what, Reason: "r", By: "li", Until: noon.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, o := range obs {
			kinds = append(kinds, string(o.Kind))
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%.40q: %q, want %q", what, got, want)
		}
		if fs := d.Guard.Findings(obs, noon); len(fs) != len(obs) {
			t.Errorf("%q: %d findings for %d objections", what, len(fs), len(obs))
		}
	}
}

func TestLifeOfAnEntry(t *testing.T) {
	ctx := context.Background()
	d, now := desk(t)
	e, _, err := d.Propose(ctx, Proposal{What: "203.0.113.7", Reason: "a\nb", By: "li", Until: noon.AddDate(1, 0, 0)})
	if err != nil || e.State(*now) != Proposed || e.Reason != "a b" || !e.Until.Equal(noon.AddDate(0, 0, 90)) {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := d.Remove(ctx, e.ID, "li", ""); !errors.Is(err, ErrState) {
		t.Errorf("a proposal was taken back: %v", err)
	}
	if _, _, err := d.Decide(ctx, "zzz", "wang", true, ""); !errors.Is(err, ErrNoEntry) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if active, _ := d.List(ctx, Active); len(active) != 0 {
		t.Errorf("active before a decision: %v", active)
	}
	again, obs, _ := d.Propose(ctx, Proposal{What: "203.0.113.7", Reason: "c", By: "wang", Until: noon.Add(time.Hour)})
	if again.ID != e.ID || len(obs) != 1 || obs[0].Kind != Covered {
		t.Errorf("proposed twice: %+v %+v", again, obs)
	}
	if e, _, err = d.Decide(ctx, e.ID[:3], "wang", true, "seen it"); err != nil || e.State(*now) != Active {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, _, err := d.Decide(ctx, e.ID, "wang", false, ""); !errors.Is(err, ErrState) {
		t.Errorf("decided twice: %v", err)
	}
	*now = noon.AddDate(0, 0, 90)
	if e.State(*now) != Expired {
		t.Errorf("after its end: %s", e.State(*now))
	}
	free, _, _ := d.Propose(ctx, Proposal{What: "203.0.113.9", Reason: "r", Rule: "logs.brute-force", By: "monitor", Until: now.Add(time.Hour)})
	other, _, _ := d.Propose(ctx, Proposal{What: "203.0.113.10", Reason: "r", Rule: "logs.spray", By: "monitor", Until: now.Add(time.Hour)})
	if free.State(*now) != Active || other.State(*now) != Proposed {
		t.Errorf("a free hand: %s and %s", free.State(*now), other.State(*now))
	}
	// What is protected may grow between proposal and decision.
	d.Guard.Partners = append(d.Guard.Partners, netip.MustParsePrefix("203.0.113.10/32"))
	if _, obs, _ := d.Decide(ctx, other.ID, "wang", true, ""); len(obs) == 0 {
		t.Error("a partner was blocked")
	}
}

func entries(what ...string) (out []Entry) {
	for i, w := range what {
		w, _ = ParseWhat(w)
		out = append(out, Entry{ID: "e" + string(rune('a'+i)), What: w, Reason: "r", At: noon, Until: noon.Add(time.Hour), Decided: &Act{}, Approved: true})
	}
	return out
}

func TestExport(t *testing.T) {
	active := entries("203.0.113.7", "203.0.113.0/26", "2001:db8:1::/48", "2001:db8:1:2::9", "spam.example", "mail.spam.example", "192.0.2.128/23")
	for format, want := range map[string]struct {
		has  []string
		not  []string
		left int
	}{
		"plain":          {[]string{"\n203.0.113.0/26\n", "\n192.0.2.0/23\n", "\n2001:db8:1::/48\n", "\nspam.example\n"}, []string{"203.0.113.7", "mail.spam", "1:2::9"}, 0},
		"postfix-cidr":   {[]string{"\n203.0.113.0/26 REJECT 5.7.1 "}, []string{"spam.example"}, 1},
		"postfix-access": {[]string{"\n203.0.113.0 REJECT", "\n203.0.113.63 REJECT", "\n192.0.2 REJECT", "\n192.0.3 REJECT", "\n2001:db8:1 REJECT", "\nspam.example REJECT"}, []string{"203.0.113.64"}, 0},
		"exim-hosts":     {[]string{"\n203.0.113.0/26\n"}, []string{"spam"}, 1},
		"exim-domains":   {[]string{"\nspam.example\n*.spam.example\n"}, []string{"203.0"}, 3},
		"nft":            {[]string{"flush set inet mailwhy block4\nadd element inet mailwhy block4 { 192.0.2.0/23,", "block6 { 2001:db8:1::/48 }"}, []string{"spam"}, 1},
		"rbldnsd":        {[]string{"\n203.0.113.0/26 :2:", "\n2001:db8:1::/48 :2:", "\n.spam.example :2:"}, []string{"mail.spam"}, 0},
	} {
		var b bytes.Buffer
		left, err := Export(&b, format, active, noon)
		if err != nil || len(left) != want.left {
			t.Errorf("%s: %d left, %v", format, len(left), err)
		}
		for _, h := range want.has {
			if !strings.Contains(b.String(), h) {
				t.Errorf("%s lacks %q:\n%s", format, h, b.String())
			}
		}
		for _, h := range want.not {
			if strings.Contains(b.String(), h) {
				t.Errorf("%s holds %q:\n%s", format, h, b.String())
			}
		}
	}
	if _, err := Export(&bytes.Buffer{}, "xml", nil, noon); err == nil {
		t.Error("an unknown format was taken")
	}
}

func TestParseUntil(t *testing.T) {
	for s, want := range map[string]time.Time{
		"12h": noon.Add(12 * time.Hour), "7d": noon.AddDate(0, 0, 7), "2w": noon.AddDate(0, 0, 14), "2026-11-22": noon.Add(12 * time.Hour),
		"": {}, "-3d": {}, "d": {}, "0d": {}, "1e9d": {}, "never": {}, "-1h": {},
	} {
		if got, ok := ParseUntil(s, noon); !got.Equal(want) || ok == want.IsZero() {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
}

func FuzzParseWhat(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "2001:db8::/48", "a.example", "::ffff:1.2.3.4/120"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		what, ok := ParseWhat(s)
		if !ok {
			return
		}
		if again, ok := ParseWhat(what); !ok || again != what {
			t.Errorf("%q became %q, and that %q", s, what, again)
		}
		if strings.ContainsAny(what, " \t\r\n#;{}") {
			t.Errorf("%q became %q, which would break an export", s, what)
		}
	})
}
