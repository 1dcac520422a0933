package mtasts

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

func codes(ps []Problem) (out []Code) {
	for _, p := range ps {
		out = append(out, p.Code)
	}
	return out
}

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		in   string
		id   string
		want []Code
	}{
		{"v=STSv1; id=20160831085700Z;", "20160831085700Z", nil},
		{"v=STSv1;id=1", "1", nil},
		{"v=STSv1; id=1; ext=yes", "1", nil},
		{"v=STSv1; id=2026-11-22", "2026-11-22", []Code{BadID}},
		{"v=STSv1; id=" + strings.Repeat("1", 33), strings.Repeat("1", 33), []Code{BadID}},
		{"v=STSv1;", "", []Code{NoID}},
		{"v=STSv2; id=1", "1", []Code{VersionText}},
		{"v = STSv1; id=1", "1", []Code{VersionText}},
		{"v=STSv1; id=1; id=2", "1", []Code{Repeated}},
		{"v=STSv1; id 1", "", []Code{Syntax, NoID}},
	} {
		r := ParseRecord(c.in)
		if r.ID != c.id || !slices.Equal(codes(r.Problems), c.want) {
			t.Errorf("%q: id %q problems %v, want %q %v", c.in, r.ID, r.Problems, c.id, c.want)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	good := "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
	for _, c := range []struct {
		name, in string
		want     []Code
	}{
		{"good", good, nil},
		{"LF only", strings.ReplaceAll(good, "\r\n", "\n"), nil},
		{"no end of line", strings.TrimSpace(good), nil},
		{"unknown key", good + "new: thing\n", nil},
		{"mode none needs no mx", "version: STSv1\nmode: none\nmax_age: 86400\n", nil},
		{"empty", "", []Code{NoVersion, NoMode, NoMaxAge, NoMX}},
		{"mode", "version: STSv1\nmode: on\nmx: a.example\nmax_age: 1\n", []Code{BadMode}},
		{"age", "version: STSv1\nmode: testing\nmx: a.example\nmax_age: 99999999\n", []Code{BadMaxAge}},
		{"mx", "version: STSv1\nmode: testing\nmx: a.*.example\nmax_age: 1\n", []Code{BadMX}},
		{"twice", "version: STSv1\nmode: testing\nmode: enforce\nmx: a.example\nmax_age: 1\n", []Code{Repeated}},
		{"a page", "<!DOCTYPE html>\n<p>not found: here\n", []Code{NotText, NoVersion, NoMode, NoMaxAge, NoMX}},
		{"key without value", "version STSv1\nmode: none\nmax_age: 1\n", []Code{Syntax, NoVersion}},
		{"large", good + strings.Repeat("x: y\n", MaxPolicy), []Code{TooLarge, Repeated}},
	} {
		p := ParsePolicy([]byte(c.in))
		if got := slices.Compact(codes(p.Problems)); !slices.Equal(got, c.want) && c.name != "large" || c.name == "large" && got[0] != TooLarge {
			t.Errorf("%s: problems %v, want %v", c.name, p.Problems, c.want)
		}
	}
	p := ParsePolicy([]byte(good))
	if p.MaxAge != 7*24*time.Hour || p.Mode != Enforce || !p.Valid() {
		t.Errorf("good policy read as %+v", p)
	}
}

func TestMatch(t *testing.T) {
	p := &Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "mx.example.com": false,
		"a.example.net": true, "example.net": false, "a.b.example.net": false, ".example.net": false,
	} {
		if got := p.Match(host); got != want {
			t.Errorf("Match(%q) = %v", host, got)
		}
	}
	if got := p.Unused([]string{"mail.example.com"}); !slices.Equal(got, []string{"*.example.net"}) {
		t.Errorf("Unused: %v", got)
	}
}

func TestLookup(t *testing.T) {
	z := mail.Zone{Records: map[string][]mail.Record{
		"_mta-sts.one.example": {{Type: mail.TypeTXT, TXT: []string{"v=STSv1; ", "id=7"}}, {Type: mail.TypeTXT, TXT: []string{"other"}}},
		"_mta-sts.two.example": {{Type: mail.TypeTXT, TXT: []string{"v=STSv1; id=7"}}, {Type: mail.TypeTXT, TXT: []string{"v=STSv1; id=8"}}},
	}}
	if f, err := Lookup(context.Background(), z, "one.example"); err != nil || f.Record == nil || f.Record.ID != "7" {
		t.Errorf("one: %+v %v", f, err)
	}
	if f, err := Lookup(context.Background(), z, "two.example"); err != nil || f.Record != nil || len(f.Records) != 2 {
		t.Errorf("two: %+v %v", f, err)
	}
	if f, err := Lookup(context.Background(), z, "no.example"); err != nil || f.Record != nil || len(f.Records) != 0 {
		t.Errorf("none: %+v %v", f, err)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("version: STSv1\nmode: enforce\nmx: *.a.example\nmax_age: 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := ParsePolicy(b)
		if p.MaxAge < 0 || p.MaxAge > MaxAgeLimit*time.Second {
			t.Fatal(p.MaxAge)
		}
		p.Match("mx.a.example")
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=STSv1; id=1")
	f.Fuzz(func(t *testing.T, s string) {
		if r := ParseRecord(s); r.Valid() && r.ID == "" {
			t.Fatalf("%q is valid without id", s)
		}
	})
}
