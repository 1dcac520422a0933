package spf

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

func TestFaultsHavePositions(t *testing.T) {
	for _, c := range []struct {
		rec  string
		kind FaultKind
		text string // the characters the fault points at
		hint string
	}{
		{"v=spf1 ipv4:192.0.2.1 -all", UnknownMechanism, "ipv4", "ip4:192.0.2.1"},
		{"v=spf1 192.0.2.0/24 -all", UnknownMechanism, "192.0.2.0", "ip4:192.0.2.0/24"},
		{"v=spf1 include -all", MissingValue, "include", ""},
		{"v=spf1 include: -all", MissingValue, "include:", ""},
		{"v=spf1 ip4:192.0.2.256 -all", BadIP, "192.0.2.256", ""},
		{"v=spf1 ip4:2001:db8::1 -all", BadIP, "2001:db8::1", "ip6:2001:db8::1"},
		{"v=spf1 ip4:192.0.2.0/33 -all", BadPrefixLength, "/33", ""},
		{"v=spf1 a/024 -all", BadPrefixLength, "/024", ""},
		{"v=spf1 include:_spf -all", BadDomain, "_spf", ""},
		{"v=spf1 a:192.0.2.1 -all", BadDomain, "192.0.2.1", "ip4:192.0.2.1"},
		{"v=spf1 include:https://spf.example/ -all", BadDomain, "https://spf.example/", "spf.example"},
		{"v=spf1 exists:%{x}.example.com -all", BadMacro, "%{x}", ""},
		{"v=spf1 exists:%{i0}.example.com -all", BadMacro, "%{i0}", ""},
		{"v=spf1 exists:100%.example.com -all", BadMacro, "%.", ""},
		{"v=spf1 -redirect=example.com", BadModifierName, "-redirect", "redirect"},
		{"v=spf1 redirect=a.example redirect=b.example", DuplicateModifier, "redirect=b.example", ""},
		{"v=spf1 a\tmx -all", BadCharacter, "\t", ""},
		{"v=spf1 a\u00a0mx -all", BadCharacter, "\u00a0", ""},
		{"v=spf1 -all:x", UnexpectedValue, ":x", "all"},
		{"v=spf1 mail.example.com -all", UnknownMechanism, "mail.example.com", "a:mail.example.com"},
	} {
		r := Parse(c.rec)
		if len(r.Faults) != 1 {
			t.Errorf("%q: faults %v, want one", c.rec, r.Faults)
			continue
		}
		f := r.Faults[0]
		if f.Kind != c.kind || f.Text != c.text || c.rec[f.Pos:f.End] != c.text || f.Hint != c.hint {
			t.Errorf("%q: %+v, want %s at %q, hint %q", c.rec, f, c.kind, c.text, c.hint)
		}
	}
}

func TestTermsHaveTheirParts(t *testing.T) {
	r := Parse("V=SPF1  ~A:mx.example.com/24//64 mx//48 ip6:2001:db8::/32 ?ptr exp=x.%{d} foo=bar ")
	if !r.Valid() || len(r.Terms) != 6 {
		t.Fatalf("%+v", r)
	}
	a, mx := r.Terms[0], r.Terms[1]
	if a.Name != "a" || a.Qualifier != QSoftFail || a.Domain != "mx.example.com" || a.Bits4 != 24 || a.Bits6 != 64 || a.Pos != 8 {
		t.Errorf("a: %+v", a)
	}
	if mx.Bits4 != 32 || mx.Bits6 != 48 || mx.Domain != "" || mx.Qualifier != QPass {
		t.Errorf("mx: %+v", mx)
	}
	if r.Terms[2].Prefix != netip.MustParsePrefix("2001:db8::/32") || r.Modifier("exp") == nil || r.All() != nil {
		t.Errorf("%+v", r.Terms)
	}
	for _, no := range []string{"v=spf10 -all", "spf1", "", "v=spf1;-all", " v=spf1"} {
		if IsRecord(no) {
			t.Errorf("%q taken for a record", no)
		}
	}
}

func txt(s string) []mail.Record { return []mail.Record{{Type: mail.TypeTXT, TXT: []string{s}}} }

func ip(s string) mail.Record {
	a := netip.MustParseAddr(s)
	if a.Is4() {
		return mail.Record{Type: mail.TypeA, IP: a}
	}
	return mail.Record{Type: mail.TypeAAAA, IP: a}
}

// world has eleven look-ups: three at the top, a duplicate, a loop and a void below.
func world() mail.Zone {
	return mail.Zone{Records: map[string][]mail.Record{
		"mine.example":  append(txt("v=spf1 a include:one.example include:two.example include:one.example mx ?all"), ip("192.0.2.1"), mail.Record{Type: mail.TypeMX, Host: "mx.mine.example"}),
		"one.example":   txt("v=spf1 a:gone.example include:deep.example ip4:198.51.100.0/24 -all a:never.example"),
		"two.example":   txt("v=spf1 include:mine.example exists:%{i}.x.example redirect=three.example"),
		"deep.example":  txt("v=spf1 ip4:203.0.113.7 ptr ~all"),
		"three.example": txt("v=spf1 -all"),
		"mx.mine.example": {
			ip("192.0.2.25"), ip("2001:db8::25"),
		},
	}}
}

func TestTreeNamesTheCulprit(t *testing.T) {
	tree := Expand(context.Background(), world(), "Mine.Example.")
	// 1 a, 2 include one, 3 a:gone, 4 include deep, 5 ptr, 6 include two, 7 include mine (loop), 8 exists, 9 redirect,
	// 10 include one again, 11 a:gone.
	if tree.Lookups != 14 || tree.Culprit == nil || tree.Culprit.Domain != "one.example" || tree.Culprit.Term != "a:gone.example" {
		t.Fatalf("%d look-ups, culprit %+v", tree.Lookups, tree.Culprit)
	}
	if len(tree.Duplicate) != 1 || tree.Duplicate[0].Term != "include:one.example" {
		t.Errorf("duplicates %+v", tree.Duplicate)
	}
	if len(tree.Loops) != 1 || tree.Loops[0].Domain != "two.example" || tree.Loops[0].Term != "include:mine.example" {
		t.Errorf("loops %+v", tree.Loops)
	}
	if tree.Voids != 2 || tree.VoidSpots[0].Term != "a:gone.example" {
		t.Errorf("voids %d %+v", tree.Voids, tree.VoidSpots)
	}
	one := tree.Root.Terms[1].Child
	if !one.Terms[4].Dead || one.Terms[3].Running != 5 || one.Lookups != 3 {
		t.Errorf("one: %+v", one)
	}
	mx := tree.Root.Terms[4]
	if len(mx.Addrs) != 2 || mx.At != 14 {
		t.Errorf("mx: %+v", mx)
	}
}

func TestTreeIsBounded(t *testing.T) {
	z := mail.Zone{Records: map[string][]mail.Record{}}
	for i := range 40 { // two includes of the next at each level: 2^40 paths
		next := fmt.Sprintf("d%d.example", i+1)
		z.Records[fmt.Sprintf("d%d.example", i)] = txt("v=spf1 include:" + next + " include:" + next + " -all")
	}
	tree := Expand(context.Background(), z, "d0.example")
	if !tree.Truncated || tree.Lookups > 3*maxNodes {
		t.Errorf("truncated %v after %d", tree.Truncated, tree.Lookups)
	}
}

func TestUnknownIsKept(t *testing.T) {
	z := world()
	z.Fail = map[string]error{"one.example": mail.ErrTemporary}
	tree := Expand(context.Background(), z, "mine.example")
	if len(tree.Unknown) == 0 || tree.Root.Terms[1].Child.Status != Unknown {
		t.Errorf("unknown %+v", tree.Unknown)
	}
}

func TestTraceTellsTheStory(t *testing.T) {
	r := Check(context.Background(), world(), Input{IP: netip.MustParseAddr("198.51.100.9"), MailFrom: "li@mine.example", HELO: "h.example"})
	if r.Code != Pass || r.Term != "include:one.example" || r.Identity != "mailfrom" {
		t.Fatalf("%+v", r)
	}
	var story []string
	for _, s := range r.Trace {
		story = append(story, fmt.Sprint(s.Kind, " ", s.Depth, " ", s.Term, " ", s.Match))
	}
	got := strings.Join(story, "\n")
	for _, want := range []string{"term 0 a false", "enter 0 include:one.example", "term 1 a:gone.example false", "leave 1 include:deep.example false", "term 1 ip4:198.51.100.0/24 true", "leave 0 include:one.example true"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestLookupsRunAtOnce(t *testing.T) {
	var now, most atomic.Int32
	z := world()
	slow := mail.Func(func(ctx context.Context, name string, ty mail.Type) (*mail.Answer, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(50 * time.Millisecond)
		return z.Resolve(ctx, name, ty)
	})
	Expand(context.Background(), slow, "mine.example")
	if most.Load() < 4 {
		t.Errorf("at most %d look-ups at once", most.Load())
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"v=spf1 a:%{d}/24//64 include:x.example -all", "v=spf1 exists:%{ir}.%{v}.%{l1r-}.x.example redirect=y.example", "v=spf1 ip4:1.2.3.4/8 =%% \t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Parse(s)
		for _, x := range r.Faults {
			if x.Pos < 0 || x.End > len(s) || x.Pos > x.End || s[x.Pos:x.End] != x.Text {
				t.Fatalf("%q: fault %+v points nowhere", s, x)
			}
		}
		for _, x := range r.Terms {
			if s[x.Pos:x.End] != x.Text {
				t.Fatalf("%q: term %+v points nowhere", s, x)
			}
		}
		z := mail.Zone{Records: map[string][]mail.Record{"mine.example": txt(s)}}
		Check(context.Background(), z, Input{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "a@mine.example"})
		Expand(context.Background(), z, "mine.example")
	})
}
