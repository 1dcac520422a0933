package dmarc

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// zone builds a Zone of TXT records; a name with an empty text exists without TXT.
func zone(pairs ...string) mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}, Fail: map[string]error{}}
	for i := 0; i < len(pairs); i += 2 {
		rr := mail.Record{Type: mail.TypeTXT, TXT: []string{pairs[i+1]}}
		if pairs[i+1] == "" {
			rr = mail.Record{Type: mail.TypeNS, Host: "ns.example"}
		}
		z.Records[pairs[i]] = append(z.Records[pairs[i]], rr)
	}
	return z
}

func TestParseProblems(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string // code@pos
	}{
		{"v=DMARC1; p=none; rua=mailto:a@example.com", nil},
		{"v=DMARC1;p=reject;", nil},
		{"v = DMARC1 ; p = reject", nil},
		{"v=dmarc1; p=none", []string{"bad-version@0"}},
		{" v=DMARC1; p=none", []string{"bad-version@0"}},
		{"p=none; v=DMARC1", []string{"bad-version@0", "p-not-second@0"}},
		{"v=DMARC1; sp=none; p=none", []string{"p-not-second@19"}},
		{"v=DMARC1; rua=mailto:a@example.com", []string{"p-missing@34"}},
		{"v=DMARC1; p=block", []string{"bad-value@12"}},
		{"v=DMARC1; p=none; policy=x", []string{"unknown-tag@18"}},
		{"v=DMARC1; p=none; p=reject", []string{"repeated@18"}},
		{"v=DMARC1; p=none rua=mailto:a@example.com", []string{"no-semicolon@16"}},
		{"v=DMARC1; p=none; rua=a@example.com", []string{"no-mailto@22"}},
		{"v=DMARC1; p=none; rua=mailto:a@example.com, mailto:b", []string{"bad-uri@44"}},
		{"v=DMARC1; p=none; rua=https://example.com/r", []string{"other-scheme@22"}},
		{"v=DMARC1; p=none; rua=mailto:a@example.com!10m", []string{"uri-size@22"}},
		{"v=DMARC1; p=none; rua=mailto:a@example.com!lots", []string{"bad-uri@22"}},
		{"v=DMARC1; p=none; pct=50", []string{"historic-tag@18"}},
		{"v=DMARC1; p=none; pct=101", []string{"bad-value@22", "historic-tag@18"}},
		{"v=DMARC1; p=none; np=reject; t=y; psd=n", []string{"newer-tag@18", "newer-tag@29", "newer-tag@34"}},
		{"v=DMARC1; p=none; fo=1", []string{"fo-without-ruf@18"}},
		{"v=DMARC1; p=none; fo=1:x; ruf=mailto:a@example.com", []string{"bad-value@21"}},
		{"v=DMARC1; p=“none”", []string{"bad-byte@12", "bad-value@12"}},
		{"v=DMARC1; p", []string{"syntax@10", "p-missing@11"}},
	} {
		var got []string
		for _, p := range Parse(c.in).Problems {
			got = append(got, string(p.Code)+"@"+itoa(p.Pos))
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestWalk(t *testing.T) {
	for _, c := range []struct {
		in, want string
	}{
		{"example.com", "example.com com"},
		{"a.mail.example.com.", "a.mail.example.com mail.example.com example.com com"},
		{"a.b.c.d.e.f.example.com", "a.b.c.d.e.f.example.com b.c.d.e.f.example.com c.d.e.f.example.com d.e.f.example.com e.f.example.com f.example.com example.com com"},
		{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com mail.example.com example.com com"},
		{"com", "com"},
		{"", ""},
	} {
		if got := strings.Join(Walk(c.in), " "); got != c.want {
			t.Errorf("Walk(%q):\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

// TestDiscover holds both readings of the same zone side by side: "org tag policy effective".
func TestDiscover(t *testing.T) {
	for _, c := range []struct {
		name, domain string
		zone         mail.Zone
		old, new     string
	}{
		{"own record", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject"),
			"example.com p reject reject", "example.com p reject reject"},
		{"from the organization", "news.example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine", "news.example.com", ""),
			"example.com sp quarantine quarantine", "example.com sp quarantine quarantine"},
		{"p for subdomains", "news.example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject", "news.example.com", ""),
			"example.com p reject reject", "example.com p reject reject"},
		{"np for a name that does not exist", "ghost.example.com", zone("_dmarc.example.com", "v=DMARC1; p=none; sp=quarantine; np=reject"),
			"example.com sp quarantine quarantine", "example.com np reject reject"},
		{"no np: sp", "ghost.example.com", zone("_dmarc.example.com", "v=DMARC1; p=none; sp=quarantine"),
			"example.com sp quarantine quarantine", "example.com sp quarantine quarantine"},
		{"test mode", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; t=y"),
			"example.com p reject reject", "example.com p reject quarantine"},
		{"intermediate record", "a.b.example.com", zone("_dmarc.b.example.com", "v=DMARC1; p=reject", "a.b.example.com", ""),
			"example.com - - -", "b.example.com p reject reject"},
		{"intermediate record, but the top one wins", "a.b.example.com", zone("_dmarc.b.example.com", "v=DMARC1; p=reject", "_dmarc.example.com", "v=DMARC1; p=none", "a.b.example.com", ""),
			"example.com p none none", "example.com p none none"},
		{"psd=n makes an organization", "a.b.example.com", zone("_dmarc.b.example.com", "v=DMARC1; p=reject; psd=n", "_dmarc.example.com", "v=DMARC1; p=none", "a.b.example.com", ""),
			"example.com p none none", "b.example.com p reject reject"},
		{"public suffix policy", "example.bank", zone("_dmarc.bank", "v=DMARC1; p=reject; psd=y", "example.bank", ""),
			"example.bank - - -", "example.bank p reject reject"},
		{"several records", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject", "_dmarc.example.com", "v=DMARC1; p=none"),
			"example.com - - -", "example.com - - -"},
		{"several records below: the walk goes on", "a.example.com", zone("_dmarc.a.example.com", "v=DMARC1; p=reject", "_dmarc.a.example.com", "v=DMARC1; p=none", "_dmarc.example.com", "v=DMARC1; p=quarantine", "a.example.com", ""),
			"example.com - - -", "example.com p quarantine quarantine"},
		{"no p, with rua", "example.com", zone("_dmarc.example.com", "v=DMARC1; rua=mailto:a@example.com"),
			"example.com p none none", "example.com p none none"},
		{"no p, no rua", "example.com", zone("_dmarc.example.com", "v=DMARC1;"),
			"example.com - - -", "example.com - - -"},
		{"bad np is only known to one", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; np=maybe; rua=mailto:a@example.com"),
			"example.com p reject reject", "example.com p none none"},
		{"unregistered suffix", "mail.shop.co.uk", zone("_dmarc.shop.co.uk", "v=DMARC1; p=reject", "mail.shop.co.uk", ""),
			"shop.co.uk p reject reject", "shop.co.uk p reject reject"},
		{"nothing", "example.com", zone("example.com", ""), "example.com - - -", "example.com - - -"},
	} {
		for g, want := range map[Reading]string{RFC7489: c.old, RFC9989: c.new} {
			d, err := Discover(context.Background(), c.zone, c.domain, g)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			dash := func(s string) string {
				if s == "" {
					return "-"
				}
				return s
			}
			got := strings.Join([]string{d.Org, dash(d.Tag), dash(string(d.Policy)), dash(string(d.Effective))}, " ")
			if got != want {
				t.Errorf("%s by %s: got %q, want %q", c.name, g, got, want)
			}
			if len(d.Asked) > MaxQueries {
				t.Errorf("%s by %s: %d questions", c.name, g, len(d.Asked))
			}
		}
	}
}

func TestDiscoverTemporary(t *testing.T) {
	z := zone("_dmarc.example.com", "v=DMARC1; p=none")
	z.Fail["_dmarc.a.example.com"] = mail.ErrTemporary
	for _, g := range Readings {
		if _, err := Discover(context.Background(), z, "a.example.com", g); !errors.Is(err, mail.ErrTemporary) {
			t.Errorf("%s: a failing resolver was taken for an answer: %v", g, err)
		}
	}
}

func TestEvaluate(t *testing.T) {
	z := zone(
		"_dmarc.example.com", "v=DMARC1; p=reject; pct=20",
		"_dmarc.strict.example", "v=DMARC1; p=quarantine; adkim=s; aspf=s",
		"_dmarc.b.tree.example", "v=DMARC1; p=reject; psd=n",
		"_dmarc.tree.example", "v=DMARC1; p=reject",
	)
	pass := func(d string) Identity { return Identity{Domain: d, Result: "pass"} }
	for _, c := range []struct {
		name     string
		in       Input
		old, new string // "pass" or the disposition
	}{
		{"spf relaxed", Input{From: "example.com", SPF: pass("bounce.example.com")}, "pass", "pass"},
		{"dkim relaxed", Input{From: "news.example.com", DKIM: []Identity{{Domain: "x.example", Result: "pass"}, pass("example.com")}}, "pass", "pass"},
		{"spf of another", Input{From: "example.com", SPF: pass("example.net")}, "reject", "reject"},
		{"aligned but failing", Input{From: "example.com", SPF: Identity{Domain: "example.com", Result: "softfail"}}, "reject", "reject"},
		{"strict", Input{From: "strict.example", SPF: pass("a.strict.example"), DKIM: []Identity{pass("b.strict.example")}}, "quarantine", "quarantine"},
		{"strict, the same", Input{From: "strict.example", SPF: pass("STRICT.example.")}, "pass", "pass"},
		{"an organization of its own", Input{From: "b.tree.example", DKIM: []Identity{pass("tree.example")}}, "pass", "reject"},
		{"no policy", Input{From: "none.example", SPF: pass("none.example")}, "none", "none"},
	} {
		for g, want := range map[Reading]string{RFC7489: c.old, RFC9989: c.new} {
			r, err := Evaluate(context.Background(), z, c.in, g)
			if err != nil {
				t.Fatal(err)
			}
			got := string(r.Disposition)
			if r.Pass {
				got = "pass"
			}
			if got != want {
				t.Errorf("%s by %s: %s, want %s (%+v)", c.name, g, got, want, r)
			}
		}
	}
	r, err := Evaluate(context.Background(), z, Input{From: "example.com"}, RFC7489)
	if err != nil || r.Pct != 20 || r.Otherwise != Quarantine {
		t.Errorf("pct: %+v %v", r, err)
	}
}

func TestAuthorise(t *testing.T) {
	z := zone("example.com._report._dmarc.reports.example", "v=DMARC1", "_dmarc.example.com", "v=DMARC1; p=none")
	for target, want := range map[string][2]bool{
		"example.com": {false, true}, "mail.example.com": {false, true},
		"reports.example": {true, true}, "other.example": {true, false},
	} {
		for _, g := range Readings {
			a, err := Authorise(context.Background(), z, "example.com", target, g)
			if err != nil || a.External != want[0] || a.Agreed != want[1] {
				t.Errorf("%s by %s: %+v %v", target, g, a, err)
			}
		}
	}
}

func TestWith(t *testing.T) {
	r := Parse("v=DMARC1; p=none; pct=50; rua=mailto:a@example.com")
	for _, c := range [][3]string{
		{"p", "reject", "v=DMARC1; p=reject; pct=50; rua=mailto:a@example.com"},
		{"pct", "", "v=DMARC1; p=none; rua=mailto:a@example.com"},
		{"sp", "none", "v=DMARC1; p=none; pct=50; rua=mailto:a@example.com; sp=none"},
	} {
		if got := r.With(c[0], c[1]); got != c[2] {
			t.Errorf("With(%s, %s) = %s", c[0], c[1], got)
		}
	}
	if got := Parse("v=DMARC1; rua=mailto:a@example.com").With("p", "none"); got != "v=DMARC1; p=none; rua=mailto:a@example.com" {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("v=DMARC1; p=none; rua=mailto:a@example.com!10m,b; fo=1:d; pct=x; np")
	f.Fuzz(func(t *testing.T, s string) {
		r := Parse(s)
		for _, p := range r.Problems {
			if p.Pos < 0 || p.Pos > len(s) {
				t.Fatalf("%q: %+v lies outside", s, p)
			}
		}
		for _, g := range Readings {
			m := r.Meaning(g)
			if m.Applies && (m.P.Strength() < 0 || m.SP.Strength() < 0 || m.NP.Strength() < 0) {
				t.Fatalf("%q by %s: %+v", s, g, m)
			}
		}
		if again := Parse(r.With("zz", "")); IsRecord(s) && again.P != r.P {
			t.Fatalf("%q printed and read again: %q, was %q", s, again.P, r.P)
		}
	})
}

func FuzzWalk(f *testing.F) {
	f.Add("a.b.c.d.e.f.g.h.i.example.com")
	f.Fuzz(func(t *testing.T, s string) {
		w := Walk(s)
		if len(w) > MaxQueries {
			t.Fatalf("%q: %d names", s, len(w))
		}
		d, err := Discover(context.Background(), mail.Zone{}, s, RFC9989)
		if err != nil || !reflect.DeepEqual(d.Record, (*Record)(nil)) {
			t.Fatal(d, err)
		}
	})
}
