package addr

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	cases := []struct {
		in, smtp string // smtp empty: an error
		code     Code
		utf8     bool
		mended   []Mend
	}{
		{in: "li@mine.example", smtp: "li@mine.example"},
		{in: "Li@MINE.Example.", smtp: "Li@mine.example"},
		{in: "wang@例子.测试", smtp: "wang@xn--fsqu00a.xn--0zwm56d"},
		{in: "王@例子.测试", smtp: "王@xn--fsqu00a.xn--0zwm56d", utf8: true},
		{in: "wang@xn--fsqu00a.xn--0zwm56d", smtp: "wang@xn--fsqu00a.xn--0zwm56d"},
		{in: `"a b"@mine.example`, smtp: `"a b"@mine.example`},
		{in: `"a\"@b"@mine.example`, smtp: `"a\"@b"@mine.example`},
		{in: "a@[192.0.2.1]", smtp: "a@[192.0.2.1]"},
		{in: "a@[IPv6:2001:db8::1]", smtp: "a@[IPv6:2001:db8::1]"},
		{in: " <li@mine.example> ", smtp: "li@mine.example", mended: []Mend{Trimmed}},
		{in: "Li Lei <li@mine.example>", smtp: "li@mine.example", mended: []Mend{Name}},
		{in: "mailto:li@mine.example?subject=x", smtp: "li@mine.example", mended: []Mend{Trimmed}},
		{in: "li＠mine．example", smtp: "li@mine.example", mended: []Mend{FullWidth}},
		{in: "li@mine。example", smtp: "li@mine.example", mended: []Mend{FullWidth}},
		{in: "a+b_c=d@mine.example", smtp: "a+b_c=d@mine.example"},
		{in: "", code: Empty},
		{in: "li.mine.example", code: NoAt},
		{in: "@mine.example", code: EmptyLocal},
		{in: "li@", code: EmptyDomain},
		{in: ".li@mine.example", code: Dots},
		{in: "l..i@mine.example", code: Dots},
		{in: "l i@mine.example", code: BadCharacter},
		{in: "li@mi ne.example", code: BadCharacter},
		{in: "a@b\r\nRCPT", code: BadCharacter},
		{in: `"ab@mine.example`, code: BadQuote},
		{in: `a"b@mine.example`, code: BadQuote},
		{in: "li@mine..example", code: BadDomain},
		{in: "li@-mine.example", code: BadDomain},
		{in: "li@localhost", code: SingleLabel},
		{in: "a@[300.0.2.1]", code: BadLiteral},
		{in: strings.Repeat("a", 65) + "@mine.example", code: LongLocal},
		{in: "a@" + strings.Repeat("a", 64) + ".example", code: LongDomain},
		{in: "a@" + strings.Repeat("a.", 200) + "example", code: LongDomain},
		{in: "a@b\xff.example", code: Invalid},
		{in: "a,b@mine.example", code: BadCharacter},
	}
	for _, c := range cases {
		a, err := Parse(c.in)
		var e *Error
		if errors.As(err, &e) != (c.smtp == "") || e != nil && e.Code != c.code {
			t.Errorf("%q: %v, want %s", c.in, err, c.code)
			continue
		}
		if a != nil && (a.SMTP() != c.smtp || a.UTF8 != c.utf8 || !slices.Equal(a.Mended, c.mended)) {
			t.Errorf("%q: %q %v %v", c.in, a.SMTP(), a.UTF8, a.Mended)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"gmail.com", "gmail.com", 0}, {"gmial.com", "gmail.com", 1}, {"gmai.com", "gmail.com", 1}, {"gmaill.com", "gmail.com", 1}, {"hotmial.con", "hotmail.com", 2}, {"a", "xyzzy", 3}} {
		if got := Distance(c.a, c.b, 2); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b.example", `"a b"@c.example`, "王@例子.测试", "a@[IPv6:::1]", "<a@b.c>", "x＠y。z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := Parse(in)
		if err != nil {
			return
		}
		again, err := Parse(a.SMTP())
		if err != nil || again.SMTP() != a.SMTP() {
			t.Errorf("%q reads as %q, which reads as %v, %v", in, a.SMTP(), again, err)
		}
		if strings.ContainsAny(a.SMTP(), "\r\n\x00") {
			t.Errorf("%q: control characters in %q", in, a.SMTP())
		}
	})
}
