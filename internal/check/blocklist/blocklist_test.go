package blocklist

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
)

func a(ip string) mail.Record {
	return mail.Record{Type: mail.TypeA, IP: netip.MustParseAddr(ip), TTL: time.Minute}
}

func txt(s string) mail.Record { return mail.Record{Type: mail.TypeTXT, TXT: []string{s}} }

// table has one list per behaviour; the zone's name says which.
func table() *knowledge.Blocklists {
	t := &knowledge.Blocklists{}
	add := func(l knowledge.Blocklist) {
		l.ID, l.Name = strings.TrimSuffix(l.Zone, ".example"), l.Zone
		if l.Status == "" {
			l.Status, l.Public = "alive", "allowed"
		}
		if l.Codes == nil {
			l.Codes = []knowledge.BlocklistCode{{Answer: "127.0.0.2", Means: knowledge.Text{EN: "spam", ZH: "垃圾邮件"}}}
		}
		t.Lists = append(t.Lists, l)
	}
	ip := []string{"v4", "v6"}
	for _, z := range []string{"honest", "wild", "empty", "public", "rewriting", "failing", "other"} {
		add(knowledge.Blocklist{Zone: z + ".example", Kinds: ip, Weight: 8})
	}
	add(knowledge.Blocklist{Zone: "small.example", Kinds: ip, Weight: 2})
	add(knowledge.Blocklist{Zone: "info.example", Kinds: ip})
	add(knowledge.Blocklist{Zone: "white.example", Kinds: ip, Allow: true})
	add(knowledge.Blocklist{Zone: "names.example", Kinds: []string{"domain"}, Weight: 9, TestListed: "bad.point", TestClean: "none",
		Codes: []knowledge.BlocklistCode{{Answer: "8", Bit: true, Means: knowledge.Text{EN: "phish", ZH: "钓鱼"}}, {Answer: "127.0.0.1", Error: true, Means: knowledge.Text{EN: "no", ZH: "不"}}}})
	add(knowledge.Blocklist{Zone: "gone.example", Kinds: ip, Status: "dead", Since: "2013"})
	return t
}

func world() mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}, Fail: map[string]error{}}
	const bad, listed, clean = "9.2.0.192", "2.0.0.127", "1.0.0.127"
	for _, name := range []string{"honest", "wild", "small", "info", "white", "other", "failing"} {
		z.Records[listed+"."+name+".example"] = []mail.Record{a("127.0.0.2")}
		z.Records[bad+"."+name+".example"] = []mail.Record{a("127.0.0.2"), txt("see https://honest.example/?" + bad)}
	}
	z.Records[clean+".wild.example"] = []mail.Record{a("127.0.0.2")}
	z.Records[bad+".empty.example"] = []mail.Record{a("127.0.0.2")}
	for _, l := range []string{bad, listed, clean} {
		z.Records[l+".public.example"] = []mail.Record{a("127.255.255.254")}
		z.Records[l+".rewriting.example"] = []mail.Record{a("198.51.100.7")}
	}
	z.Fail[bad+".failing.example"] = mail.ErrTemporary
	z.Records[v6Label(2)+".honest.example"] = []mail.Record{a("127.0.0.2")}
	z.Records["bad.point.names.example"] = []mail.Record{a("127.0.0.8")}
	z.Records["phish.example.names.example"] = []mail.Record{a("127.0.0.12")}
	z.Records["refused.example.names.example"] = []mail.Record{a("127.0.0.1")}
	return z
}

func look(subjects ...string) *Facts {
	now := time.Unix(0, 0)
	e := &engine{r: world(), now: func() time.Time { return now }, secret: true}
	return e.look(context.Background(), table(), subjects)
}

func TestStates(t *testing.T) {
	f := look("192.0.2.9")
	want := map[string]string{
		"honest": "listed", "wild": "could-not-test lists-everything", "empty": "could-not-test lists-nothing",
		"public": "could-not-test refused", "rewriting": "could-not-test rewritten", "failing": "could-not-test no-answer",
		"other": "listed", "small": "listed", "info": "listed", "white": "good",
	}
	for _, e := range f.Subjects[0].Entries {
		got := strings.TrimSpace(string(e.State) + " " + string(e.Reason))
		if got != want[e.List] {
			t.Errorf("%s: %s, want %s", e.List, got, want[e.List])
		}
		delete(want, e.List)
	}
	if len(want) > 0 || len(f.Dead) != 1 {
		t.Errorf("not asked: %v; dead %v", want, f.Dead)
	}
	clean := look("192.0.2.10").Subjects[0]
	if clean.Count(Listed) != 0 || clean.Count(Clean) == 0 {
		t.Errorf("a clean address: %+v", clean.Entries)
	}
}

func TestDomainsAndV6(t *testing.T) {
	f := look("phish.example", "refused.example", "fine.example", "2001:db8::9")
	for i, want := range []State{Listed, Untested, Clean, Clean} {
		if e := f.Subjects[i].Entries; len(e) == 0 || e[0].State != want {
			t.Errorf("%s: %+v, want %s", f.Subjects[i].Name, e, want)
		}
	}
	if n := len(f.Subjects[0].Entries); n != 1 {
		t.Errorf("%d lists asked about a domain", n)
	}
}

func TestJudge(t *testing.T) {
	var ids []string
	fs := Judge(look("192.0.2.9"))
	for _, f := range fs {
		if f.Outcome == finding.Fail {
			ids = append(ids, f.Rule.ID)
		}
		for _, l := range []finding.Lang{finding.EN, finding.ZH} {
			if s := f.Says().In(l); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
				t.Errorf("%s says %q", f.Rule.ID, s)
			}
		}
	}
	if want := []string{"blocklist.listed", "blocklist.listed", "blocklist.listed-minor", "blocklist.noted"}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
	for _, s := range Sections(look("192.0.2.9")) {
		for _, r := range s.Rows {
			if len(s.Columns) > 0 && len(r.Cells) != len(s.Columns) {
				t.Errorf("a row of %d cells under %d heads", len(r.Cells), len(s.Columns))
			}
		}
	}
}

func TestKeyIsMaskedAndNeverRecorded(t *testing.T) {
	l := &knowledge.Blocklist{ID: "dqs", Zone: "zen.example", Key: "{key}.dq.example"}
	e := &engine{opt: Options{Keys: map[string]string{"dqs": "s3cret"}}, secret: true}
	if ask, shown := e.zone(l); ask != "s3cret.dq.example" || strings.Contains(shown, "s3cret") {
		t.Error(ask, shown)
	}
	e.secret = false
	if ask, _ := e.zone(l); strings.Contains(ask, "s3cret") {
		t.Error("a recorded run used the key")
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.9": "9.2.0.192", "Example.COM.": "example.com", "::ffff:192.0.2.9": "9.2.0.192",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2",
	} {
		if got := Label(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
