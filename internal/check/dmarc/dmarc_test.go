package dmarc

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
)

func zone(pairs ...string) mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}, Fail: map[string]error{}}
	for i := 0; i < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		rr := mail.Record{Type: mail.TypeTXT, TXT: []string{value}}
		if host, ok := strings.CutPrefix(value, "MX "); ok {
			rr = mail.Record{Type: mail.TypeMX, Host: strings.TrimSuffix(host, ".")}
		}
		z.Records[name] = append(z.Records[name], rr)
	}
	return z
}

// failed lists what counts: rule IDs that failed or could not be tested, with "?" before the latter.
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

func TestJudge(t *testing.T) {
	const mx = "MX mx.example.com"
	good := "v=DMARC1; p=reject; rua=mailto:d@example.com"
	for _, c := range []struct {
		name, domain string
		zone         mail.Zone
		want         string
	}{
		{"flawless", "example.com", zone("_dmarc.example.com", good, "example.com", mx), ""},
		{"missing", "example.com", zone("example.com", mx), "dmarc.missing"},
		{"several", "example.com", zone("_dmarc.example.com", good, "_dmarc.example.com", "v=DMARC1; p=none"), "dmarc.multiple"},
		{"invisible", "example.com", zone("_dmarc.example.com", "v=dmarc1; p=reject"), "dmarc.invisible"},
		{"wrong place", "example.com", zone("example.com", good), "dmarc.missing dmarc.wrong-place"},
		{"doubled name", "example.com", zone("_dmarc.example.com.example.com", good), "dmarc.missing dmarc.wrong-place"},
		{"no policy", "example.com", zone("_dmarc.example.com", "v=DMARC1; rua=mailto:d@example.com", "example.com", mx), "dmarc.no-policy"},
		{"bad policy", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=block; rua=mailto:d@example.com", "example.com", mx), "dmarc.no-policy"},
		{"none", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=none; np=reject; rua=mailto:d@example.com", "example.com", mx), "dmarc.policy-none"},
		{"weaker subdomains", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; sp=none; np=reject; rua=mailto:d@example.com", "example.com", mx), "dmarc.subdomains-weaker"},
		{"np missing", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=quarantine; rua=mailto:d@example.com", "example.com", mx), "dmarc.np-missing"},
		{"pct", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; pct=25; rua=mailto:d@example.com", "example.com", mx), "dmarc.pct dmarc.readings-differ"},
		{"test", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; t=y; rua=mailto:d@example.com", "example.com", mx), "dmarc.readings-differ dmarc.test-mode"},
		{"historic", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; ri=86400; rf=afrf; pct=100; rua=mailto:d@example.com", "example.com", mx), "dmarc.historic-tags"},
		{"tree", "a.b.example.com", zone("_dmarc.b.example.com", "v=DMARC1; p=reject; rua=mailto:d@example.com", "example.com", mx, "a.b.example.com", mx), "dmarc.readings-differ dmarc.report-unauthorised"},
		{"no rua", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject"), "dmarc.rua-missing"},
		{"bad address", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; rua=d@example.com"), "dmarc.report-address"},
		{"size", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:d@example.com!5m", "example.com", mx), "dmarc.report-size"},
		{"not agreed", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:d@reports.example", "reports.example", mx), "dmarc.report-unauthorised"},
		{"agreed", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:d@reports.example", "reports.example", mx, "example.com._report._dmarc.reports.example", "v=DMARC1"), ""},
		{"null MX", "example.com", zone("_dmarc.example.com", good, "example.com", "MX ."), "dmarc.report-unreachable"},
		{"no MX", "example.com", zone("_dmarc.example.com", good), "dmarc.report-unreachable"},
		{"fo", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; fo=1; rua=mailto:d@example.com", "example.com", mx), "dmarc.fo-without-ruf"},
		{"strict", "example.com", zone("_dmarc.example.com", "v=DMARC1; p=reject; adkim=s; rua=mailto:d@example.com", "example.com", mx), "dmarc.strict-alignment"},
		{"order", "example.com", zone("_dmarc.example.com", "v=DMARC1; rua=mailto:d@example.com; p=reject", "example.com", mx), "dmarc.p-not-second"},
		{"unknown tag", "example.com", zone("_dmarc.example.com", good+"; policy=1", "example.com", mx), "dmarc.unknown-tag"},
		{"syntax", "example.com", zone("_dmarc.example.com", good+"; x", "example.com", mx), "dmarc.syntax"},
		{"psd", "example.com", zone("_dmarc.example.com", good+"; psd=y", "example.com", mx), "dmarc.psd"},
		{"dns down", "example.com", mail.Zone{Fail: map[string]error{"_dmarc.example.com": mail.ErrTemporary}}, "?dmarc.missing"},
	} {
		f := Look(context.Background(), c.zone, c.domain)
		fs := Judge(f)
		if got := strings.Join(failed(fs), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		for _, x := range fs {
			if x.Outcome == finding.Fail && len(x.Evidence) == 0 && x.Rule != ruleMissing {
				t.Errorf("%s: %s has no evidence", c.name, x.Rule.ID)
			}
			for _, l := range []finding.Lang{finding.EN, finding.ZH} {
				if s := x.Says().In(l); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
					t.Errorf("%s: %s says %q", c.name, x.Rule.ID, s)
				}
			}
		}
		for _, s := range Sections(f) {
			for _, r := range s.Rows {
				if len(r.Cells) != len(s.Columns) {
					t.Errorf("%s: a row of %d cells under %d heads", c.name, len(r.Cells), len(s.Columns))
				}
			}
		}
	}
}

// TestFixesHeal publishes each proposed record and judges again: the finding must be gone.
func TestFixesHeal(t *testing.T) {
	for _, bad := range []string{
		"v=DMARC1; p=reject; pct=25; rua=mailto:d@example.com",
		"v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com",
		"v=DMARC1; rua=mailto:d@example.com; p=reject",
		"v=DMARC1; p=reject; rua=d@example.com",
		"v=DMARC1; p=reject; rf=afrf; ri=3600; rua=mailto:d@example.com",
		"v=DMARC1; p=reject",
	} {
		fs := Judge(Look(context.Background(), zone("_dmarc.example.com", bad, "example.com", "MX mx.example.com"), "example.com"))
		for _, f := range fs {
			if f.Outcome != finding.Fail || len(f.Fix) == 0 {
				continue
			}
			text := strings.Trim(f.Fix[0].New, `"`)
			again := Judge(Look(context.Background(), zone("_dmarc.example.com", text, "example.com", "MX mx.example.com"), "example.com"))
			if slices.Contains(failed(again), f.Rule.ID) {
				t.Errorf("%s: the repair %q of %q does not heal it", f.Rule.ID, text, bad)
			}
		}
	}
}
