package host

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/registry"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// TestSurvey joins the reverse name, the network, its holder, its route and the domain in one report.
func TestSurvey(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	d, err := w.DNS([]string{"192.0.2.53"},
		"$ORIGIN 11.in-addr.arpa.\n@ NS ns1.a.test.\n25.0.0 PTR mail.mine.test.\n",
		"$ORIGIN mine.test.\n@ NS ns1\nmail A 11.0.0.25\n",
		"$ORIGIN asn.cymru.com.\n@ NS ns1\n8.8.8.8.origin TXT \"15169 | 8.8.8.0/24 | US | arin | \"\n25.0.0.11.origin TXT \"64501 | 11.0.0.0/24 | DE | ripencc | 2001-01-01\"\nAS64501 TXT \"64501 | DE | ripencc | 2001-01-01 | MINE-AS\"\n")
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/ip/"):
			_, _ = io.WriteString(rw, `{"objectClassName":"ip network","startAddress":"11.0.0.0","endAddress":"11.0.0.255","name":"MINE-NET"}`)
		case strings.HasPrefix(r.URL.Path, "/domain/mine.test"):
			_, _ = io.WriteString(rw, `{"objectClassName":"domain","events":[{"eventAction":"registration","eventDate":"2026-11-20T00:00:00Z"}]}`)
		default:
			_, _ = io.WriteString(rw, `{"validated_route":{"validity":{"state":"invalid","reason":"as"}}}`)
		}
	}))
	defer web.Close()
	w.Map("tcp", "192.0.2.80:80", strings.TrimPrefix(web.URL, "http://"))
	c := dns.New(dns.Options{Servers: []string{"192.0.2.53"}, Dial: w, Timeout: 20 * time.Second})
	defer c.Close()
	env := &check.Env{DNS: c, Dial: w, Probe: check.Probe{Timeout: 30 * time.Second}, Now: func() time.Time { return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) },
		Know: knowledge.Over(fstest.MapFS{"blocklists.toml": &fstest.MapFile{Data: []byte("checked = 2026-11-22\n")}})}
	r, err := Survey(context.Background(), env, netip.MustParseAddr("11.0.0.25"), Options{Registry: registry.Options{RDAP: "http://192.0.2.80", RPKI: "http://192.0.2.80"}})
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]finding.Verdict{}
	for _, f := range r.Findings {
		said[f.Rule.ID] = f.Verdict()
	}
	for id, want := range map[string]finding.Verdict{
		"ptr.missing": finding.VerdictPass, "origin.announced": finding.VerdictPass, "registry.holder": finding.VerdictPass, "registry.no-abuse-contact": finding.VerdictNote,
		"registry.rpki-invalid": finding.VerdictError, "registry.domain-new": finding.VerdictWarning,
	} {
		if got, ok := said[id]; !ok || got != want {
			t.Errorf("%s: %v (said: %v), want %v", id, got, ok, want)
		}
	}
	if r.Headline.State != finding.StateBroken || len(r.Sections) < 3 {
		t.Errorf("%+v, %d sections", r.Headline, len(r.Sections))
	}
	f, err := Survey(context.Background(), env, netip.MustParseAddr("10.0.0.25"), Options{})
	if err != nil || f.Facts.(*Facts).Holder != nil {
		t.Errorf("the registry of a private address was asked: %+v, %v", f.Facts, err)
	}
}
