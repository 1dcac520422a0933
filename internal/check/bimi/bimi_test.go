package bimi

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/bimi"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

func TestJudge(t *testing.T) {
	fetched := func(status int) *http.Response {
		return &http.Response{Status: status, TLS: &wire.Handshake{NameOK: true}}
	}
	const rec = "v=BIMI1; l=https://example.com/l.svg; a=https://example.com/c.pem"
	for _, c := range []struct {
		name  string
		spoil func(*Facts)
		want  string
	}{
		{"flawless", func(*Facts) {}, ""},
		{"missing", func(f *Facts) { f.Found = &bimi.Found{} }, "bimi.missing"},
		{"several", func(f *Facts) { f.Found = &bimi.Found{Records: []string{rec, rec}} }, "bimi.several"},
		{"declined", func(f *Facts) { f.Found.Record = bimi.ParseRecord("v=BIMI1; l=;") }, ""},
		{"syntax", func(f *Facts) { f.Found.Record = bimi.ParseRecord(rec + "; x") }, "bimi.record"},
		{"dmarc", func(f *Facts) { f.DMARC.Effective = dmarc.None }, "bimi.dmarc-weak"},
		{"404", func(f *Facts) { f.Logo = fetched(404) }, "bimi.unreachable"},
		{"logo", func(f *Facts) { f.LogoBad = []bimi.Finding{{Fault: bimi.Script}} }, "bimi.logo"},
		{"certificate", func(f *Facts) { f.Mark.Faults = []bimi.CertFault{bimi.Expired} }, "bimi.certificate"},
		{"self-asserted", func(f *Facts) {
			f.Found.Record, f.Cert, f.Mark = bimi.ParseRecord("v=BIMI1; l=https://example.com/l.svg"), nil, nil
		}, "bimi.no-certificate"},
	} {
		f := &Facts{
			Domain: "example.com", Found: &bimi.Found{Records: []string{rec}, Record: bimi.ParseRecord(rec)},
			DMARC: &dmarc.Discovery{Effective: dmarc.Reject}, Logo: fetched(200), Cert: fetched(200), Mark: &bimi.Mark{},
		}
		c.spoil(f)
		var got []string
		for _, x := range Judge(f) {
			if x.Outcome == finding.Fail {
				got = append(got, x.Rule.ID)
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}
