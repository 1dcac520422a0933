package mtasts

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/mtasts"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

const good = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n"

// facts are those of a flawless domain.
func facts() *Facts {
	return &Facts{
		Domain: "example.com", MX: []string{"mx.example.com"},
		Found:  &mtasts.Found{Name: "_mta-sts.example.com", Records: []string{"v=STSv1; id=1"}, Record: mtasts.ParseRecord("v=STSv1; id=1")},
		Fetch:  &http.Response{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(good), TLS: &wire.Handshake{NameOK: true}},
		Policy: mtasts.ParsePolicy([]byte(good)),
		TLS:    map[string]*wire.Handshake{"mx.example.com": {NameOK: true}},
		Plain:  map[string]bool{},
	}
}

func (f *Facts) policy(text string) { f.Policy = mtasts.ParsePolicy([]byte(text)) }

func (f *Facts) record(text string) {
	f.Found.Records, f.Found.Record = []string{text}, mtasts.ParseRecord(text)
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Facts)
		want  string // "!" before an ID: could not test
	}{
		{"flawless", func(*Facts) {}, ""},
		{"missing", func(f *Facts) { f.Found.Records, f.Found.Record, f.Fetch, f.Policy = nil, nil, nil, nil }, "mtasts.missing note"},
		{"several", func(f *Facts) { f.Found.Records = append(f.Found.Records, "v=STSv1; id=2"); f.Found.Record = nil }, "mtasts.several error"},
		{"bad id", func(f *Facts) { f.record("v=STSv1; id=2026-01") }, "mtasts.record error"},
		{"redirect", func(f *Facts) { f.Fetch.Status, f.Fetch.Location, f.Policy = 302, "https://x/", nil }, "mtasts.redirect error"},
		{"not found", func(f *Facts) { f.Fetch.Status, f.Policy = 404, nil }, "mtasts.policy-missing error"},
		{"refused", func(f *Facts) { f.Fetch.Status, f.Fetch.Fault, f.Policy = 0, &wire.Fault{Kind: wire.Refused}, nil }, "mtasts.policy-unreachable error"},
		{"no route of ours", func(f *Facts) { f.Fetch.Status, f.Fetch.Fault, f.Policy = 0, &wire.Fault{Kind: wire.NoRoute}, nil }, "!mtasts.policy-unreachable error"},
		{"large", func(f *Facts) { f.Fetch.Truncated, f.Policy = true, nil }, "mtasts.too-large error"},
		{"certificate", func(f *Facts) { f.Fetch.TLS.Trust = wire.SelfSigned }, "mtasts.certificate error"},
		{"syntax", func(f *Facts) { f.policy(strings.Replace(good, "enforce", "on", 1)) }, "mtasts.policy-syntax error"},
		{"type", func(f *Facts) { f.Fetch.ContentType = "text/html" }, "mtasts.policy-type note"},
		{"testing", func(f *Facts) { f.policy(strings.Replace(good, "enforce", "testing", 1)) }, "mtasts.testing note"},
		{"short", func(f *Facts) { f.policy(strings.Replace(good, "604800", "3600", 1)) }, "mtasts.max-age-short warning"},
		{"other mx", func(f *Facts) { f.MX = []string{"mx.example.com", "new.example.com"} }, "mtasts.mx-not-listed error"},
		{"other mx while testing", func(f *Facts) {
			f.policy(strings.Replace(good, "enforce", "testing", 1))
			f.MX = append(f.MX, "new.example.com")
		}, "mtasts.mx-not-listed warning mtasts.testing note"},
		{"unused", func(f *Facts) { f.policy(strings.Replace(good, "mx:", "mx: old.example.com\nmx:", 1)) }, "mtasts.mx-unused note"},
		{"mx certificate", func(f *Facts) { f.TLS["mx.example.com"].Trust = wire.Expired }, "mtasts.mx-tls error"},
		{"mx without TLS", func(f *Facts) { f.TLS = nil; f.Plain["mx.example.com"] = true }, "mtasts.mx-tls error"},
	} {
		f := facts()
		c.spoil(f)
		var got []string
		for _, x := range Judge(f) {
			for _, l := range []finding.Lang{finding.EN, finding.ZH} {
				if s := x.Says().In(l); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
					t.Errorf("%s: %q", c.name, s)
				}
			}
			switch x.Outcome {
			case finding.Fail:
				got = append(got, x.Rule.ID+" "+x.Level().String())
			case finding.Unknown:
				got = append(got, "!"+x.Rule.ID+" "+x.Level().String())
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}
