package spf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

var base = spf.Input{Now: time.Unix(1700000000, 0)}

// zone holds TXT records, and addresses and MX hosts by prefix: "A 192.0.2.1", "MX host", "SPF text".
func zone(pairs ...string) mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}, Fail: map[string]error{}}
	for i := 0; i < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		rr := mail.Record{Type: mail.TypeTXT, TXT: strings.Split(value, "|")}
		switch kind, rest, _ := strings.Cut(value, " "); kind {
		case "A":
			rr = mail.Record{Type: mail.TypeA, IP: netip.MustParseAddr(rest)}
		case "MX":
			rr = mail.Record{Type: mail.TypeMX, Host: rest}
		case "SPF":
			rr = mail.Record{Type: mail.TypeSPF, TXT: []string{rest}}
		}
		z.Records[name] = append(z.Records[name], rr)
	}
	return z
}

func failed(fs []finding.Finding) (out []string) {
	for _, f := range fs {
		switch f.Outcome {
		case finding.Fail:
			out = append(out, f.Rule.ID)
		case finding.Unknown:
			out = append(out, "?"+f.Rule.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// many gives a record with n terms a:hN.example and the zone that resolves them.
func many(n int) []string {
	rec := "v=spf1"
	var out []string
	for i := range n {
		h := fmt.Sprintf("h%d.example", i)
		rec += " a:" + h
		out = append(out, h, fmt.Sprintf("A 198.51.100.%d", i+1))
	}
	return append(out, "mine.example", rec+" -all")
}

func TestJudge(t *testing.T) {
	d := "mine.example"
	inc := []string{"one.example", "v=spf1 ip4:198.51.100.0/24 -all"}
	for _, c := range []struct {
		name string
		zone mail.Zone
		want string
	}{
		{"flawless", zone(d, "v=spf1 ip4:192.0.2.1 -all"), ""},
		{"include", zone(append(inc, d, "v=spf1 include:one.example ~all")...), ""},
		{"missing", zone(d, "A 192.0.2.1"), "spf.missing"},
		{"nxdomain", zone(), "spf.missing"},
		{"invisible", zone(d, " v=spf1 a -all"), "spf.invisible spf.missing"},
		{"several", zone(d, "v=spf1 ip4:192.0.2.1 -all", d, "v=spf1 ip4:192.0.2.2 ~all"), "spf.several"},
		{"syntax", zone(d, "v=spf1 ipv4:192.0.2.1 -all"), "spf.syntax"},
		{"joined", zone(d, "v=spf1 ip4:192.0.2.1|ip4:192.0.2.2 -all"), "spf.strings-joined"},
		{"split well", zone(d, "v=spf1 ip4:192.0.2.1 |ip4:192.0.2.2 -all"), ""},
		{"ten", zone(many(10)...), "spf.lookups-near-limit"},
		{"eleven", zone(many(11)...), "spf.too-many-lookups"},
		{"void", zone(d, "v=spf1 a:gone.example -all"), "spf.void"},
		{"voids", zone(d, "v=spf1 a:g1.example a:g2.example mx:g3.example ip4:192.0.2.1 -all"), "spf.too-many-voids"},
		{"loop", zone(d, "v=spf1 include:mine.example -all"), "spf.loop"},
		{"include none", zone(d, "v=spf1 include:gone.example ip4:192.0.2.1 -all"), "spf.include-none"},
		{"include broken", zone(d, "v=spf1 include:one.example -all", "one.example", "v=spf1 -all", "one.example", "v=spf1 ~all"), "spf.include-broken"},
		{"include syntax", zone(d, "v=spf1 include:one.example -all", "one.example", "v=spf1 foo -all"), "spf.syntax"},
		{"duplicate", zone(append(inc, d, "v=spf1 include:one.example include:one.example -all")...), "spf.duplicate-include"},
		{"ptr", zone(d, "v=spf1 ptr -all"), "spf.ptr"},
		{"pass all", zone(d, "v=spf1 ip4:192.0.2.1 +all"), "spf.pass-all"},
		{"pass all by network", zone(d, "v=spf1 ip4:0.0.0.0/0 -all"), "spf.pass-all"},
		{"wide", zone(d, "v=spf1 ip4:20.0.0.0/8 -all"), "spf.wide-network"},
		{"no all", zone(d, "v=spf1 ip4:192.0.2.1"), "spf.no-all"},
		{"redirect is an end", zone(append(inc, d, "v=spf1 redirect=one.example")...), ""},
		{"neutral", zone(d, "v=spf1 ip4:192.0.2.1 ?all"), "spf.neutral-all"},
		{"after all", zone(d, "v=spf1 -all ip4:192.0.2.1"), "spf.after-all"},
		{"redirect and all", zone(append(inc, d, "v=spf1 redirect=one.example -all")...), "spf.redirect-with-all"},
		{"long", zone(d, "v=spf1"+strings.Repeat(" ip4:198.51.100.0/24", 3)+strings.Repeat(" ip6:2001:db8:0:1::/64", 20)+" -all"), "spf.long spf.repeated-term"},
		{"macro p", zone(d, "v=spf1 exists:%{p}.x.example -all"), "spf.macro-p"},
		{"exp", zone(d, "v=spf1 -all exp=gone.example"), "spf.exp"},
		{"exp fine", zone(d, "v=spf1 -all exp=e.example", "e.example", "%{i} is not allowed"), ""},
		{"type 99", zone(d, "v=spf1 -all", d, "SPF v=spf1 +all"), "spf.type99"},
		{"modifier", zone(d, "v=spf1 ip4=192.0.2.1 -all"), "spf.unknown-modifier"},
		{"private", zone(d, "v=spf1 ip4:10.0.0.0/8 -all"), "spf.private-network"},
		{"dns down", mail.Zone{Fail: map[string]error{d: mail.ErrTemporary}}, "?spf.missing"},
		{"include down", mail.Zone{Records: zone(d, "v=spf1 include:one.example -all").Records, Fail: map[string]error{"one.example": mail.ErrTemporary}}, "?spf.too-many-lookups"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Look(context.Background(), c.zone, base, d, Question{})
			fs := Judge(f)
			if got := strings.Join(failed(fs), " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			speaks(t, fs)
			heals(t, c.zone, fs)
			for _, s := range Sections(f) {
				for _, r := range s.Rows {
					if len(r.Cells) != len(s.Columns) {
						t.Errorf("a row of %d cells under %d heads", len(r.Cells), len(s.Columns))
					}
				}
			}
		})
	}
}

func speaks(t *testing.T, fs []finding.Finding) {
	t.Helper()
	for i := range fs {
		for _, l := range []finding.Lang{finding.EN, finding.ZH} {
			if s := fs[i].Says().In(l); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
				t.Errorf("%s says %q", fs[i].Rule.ID, s)
			}
		}
	}
}

// heals publishes each proposed record and judges again: the finding must be gone, and the record's syntax right.
func heals(t *testing.T, z mail.Zone, fs []finding.Finding) {
	t.Helper()
	for _, f := range fs {
		if f.Outcome != finding.Fail || len(f.Fix) == 0 || f.Fix[0].New == "" || f.Rule == ruleResult {
			continue
		}
		text := strings.ReplaceAll(strings.Trim(f.Fix[0].New, `"`), `" "`, "")
		after := mail.Zone{Records: map[string][]mail.Record{}}
		for k, v := range z.Records {
			after.Records[k] = v
		}
		after.Records["mine.example"] = []mail.Record{{Type: mail.TypeTXT, TXT: []string{text}}, {Type: mail.TypeMX, Host: "h.example"}, {Type: mail.TypeA, IP: netip.MustParseAddr("192.0.2.1")}}
		again := failed(Judge(Look(context.Background(), after, base, "mine.example", Question{})))
		if slices.Contains(again, f.Rule.ID) || slices.Contains(again, "spf.syntax") {
			t.Errorf("%s: the repair %q leaves %v", f.Rule.ID, text, again)
		}
	}
}

func TestClient(t *testing.T) {
	z := zone("mine.example", "v=spf1 ip4:192.0.2.0/28 -all exp=e.example", "e.example", "%{i} may not")
	for ip, want := range map[string]string{"192.0.2.3": "", "198.51.100.1": "spf.result", "2001:db8::1": "spf.result"} {
		f := Look(context.Background(), z, base, "mine.example", Question{IP: netip.MustParseAddr(ip), From: "li@mine.example"})
		fs := Judge(f)
		if got := strings.Join(failed(fs), " "); got != want {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
		speaks(t, fs)
		for _, x := range fs {
			if x.Rule != ruleResult || x.Outcome != finding.Fail {
				continue
			}
			after := zone("mine.example", strings.Trim(x.Fix[0].New, `"`))
			if r := spf.Check(context.Background(), after, spf.Input{IP: f.Client, MailFrom: "li@mine.example"}); r.Code != spf.Pass {
				t.Errorf("%s: after the repair %s the result is %s", ip, x.Fix[0].New, r.Code)
			}
		}
	}
}

func TestSyntaxFaultTellsThePlace(t *testing.T) {
	fs := Judge(Look(context.Background(), zone("mine.example", "v=spf1 mx ipv4:192.0.2.1 -all"), base, "mine.example", Question{}))
	i := slices.IndexFunc(fs, func(f finding.Finding) bool { return f.Rule == ruleSyntax })
	if i < 0 || fs[i].Args["Pos"] != 11 || fs[i].Fix[0].New != `"v=spf1 mx ip4:192.0.2.1 -all"` {
		t.Fatalf("%+v", fs)
	}
}
