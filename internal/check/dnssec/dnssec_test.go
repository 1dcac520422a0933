package dnssec_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/dnssec"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const child = "$ORIGIN mine.test.\n@ NS ns1\n@ MX 10 mx\n@ TXT \"v=spf1 -all\"\nns1 A 11.0.0.53\nmx A 11.0.0.1\n"

func TestDNSSEC(t *testing.T) {
	good := func() wiretest.Signing {
		return wiretest.Signing{From: today.Add(-time.Hour), Until: today.Add(240 * time.Hour)}
	}
	wrong := "mine.test. DS 4711 13 2 0000000000000000000000000000000000000000000000000000000000000000"
	tests := []struct {
		what     string
		sign     func(*wiretest.Signing)
		ds       func(string) []string
		unsigned bool
		want     string
		says     string // part of the first failing sentence
	}{
		{"good", nil, nil, false, "", ""},
		{"unsigned", nil, nil, true, "dnssec.unsigned", "not signed"},
		{"island", nil, func(string) []string { return nil }, false, "dnssec.unsigned", "it has keys"},
		{"wrong DS", nil, func(string) []string { return []string{wrong} }, false, "dnssec.ds-mismatch", "DS for key 4711"},
		{"orphan DS", nil, func(ds string) []string { return []string{ds, wrong} }, false, "dnssec.ds-orphan", "key 4711"},
		{"DS but no keys", nil, func(string) []string { return []string{wrong} }, true, "dnssec.no-keys", "has no DNSKEY"},
		{"expired", func(s *wiretest.Signing) { s.Until = today.Add(-24 * time.Hour) }, nil, false, "dnssec.signature-expired", "expired on 2026-11-21"},
		{"expiring", func(s *wiretest.Signing) { s.Until = today.Add(30 * time.Hour) }, nil, false, "dnssec.expiring", "30 h"},
		{"not yet", func(s *wiretest.Signing) { s.From = today.Add(time.Hour) }, nil, false, "dnssec.signature-not-yet-valid", ""},
		{"one set wrong", func(s *wiretest.Signing) { s.Spoil = map[string]string{"mine.test. MX": "corrupt"} }, nil, false, "dnssec.signature-wrong", "mine.test MX"},
		{"one set unsigned", func(s *wiretest.Signing) { s.Spoil = map[string]string{"mine.test. TXT": "drop"} }, nil, false, "dnssec.signature-missing", "mine.test TXT"},
		{"old algorithm", func(s *wiretest.Signing) { s.Algorithm = 5 }, nil, false, "dnssec.old-algorithm", "RSASHA1"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			top, err := wiretest.ReadZone("$ORIGIN test.\n@ NS ns\nns A 11.0.2.53\nmine NS ns1.mine\nns1.mine A 11.0.0.53\n")
			must(err)
			z, err := wiretest.ReadZone(child)
			must(err)
			var lines []string
			if !tt.unsigned {
				s := good()
				if tt.sign != nil {
					tt.sign(&s)
				}
				ds, err := z.Sign(s)
				must(err)
				lines = []string{ds}
			}
			if tt.ds != nil {
				lines = tt.ds(strings.Join(lines, ""))
			}
			for _, l := range lines {
				must(top.Put(l))
			}
			anchor, err := top.Sign(good())
			must(err)
			w := wiretest.NewWorld()
			defer w.Close()
			d, err := w.DNS([]string{"192.0.2.1"})
			must(err)
			d.Recursive = true
			d.Add(top)
			d.Add(z)
			now := func() time.Time { return today }
			c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Anchors: []string{anchor}, Now: now, Timeout: 3 * time.Second})
			defer c.Close()
			var ids []string
			says := ""
			for _, f := range dnssec.Judge(dnssec.Look(context.Background(), &check.Env{DNS: c, Now: now}, "mine.test"), 2) {
				switch f.Outcome {
				case finding.Fail:
					ids = append(ids, f.Rule.ID)
					if says == "" {
						says = f.Says().String()
					}
				case finding.Unknown:
					ids = append(ids, "?"+f.Rule.ID)
				}
			}
			slices.Sort(ids)
			if got := strings.Join(slices.Compact(ids), " "); got != tt.want || !strings.Contains(says, tt.says) {
				t.Errorf("got %q %q, want %q %q", got, says, tt.want, tt.says)
			}
		})
	}
}
