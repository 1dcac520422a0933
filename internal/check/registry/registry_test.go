package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// stub is an RDAP server and an RPKI validator in one.
func stub(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	network := func(abuse string) string {
		return `{"objectClassName":"ip network","startAddress":"11.0.0.0","endAddress":"11.0.0.255","name":"MINE-NET","country":"DE","entities":[{"roles":["registrant"],"vcardArray":["vcard",[["fn",{},"text","Mine GmbH"]]],"entities":[` + abuse + `]}]}`
	}
	domain := func(created, expires, status string) string {
		return fmt.Sprintf(`{"objectClassName":"domain","ldhName":"x","status":[%q],"events":[{"eventAction":"registration","eventDate":%q},{"eventAction":"expiration","eventDate":%q}],"entities":[{"roles":["registrar"],"vcardArray":["vcard",[["fn",{},"text","Registrar Ltd."]]]}]}`, status, created, expires)
	}
	for path, body := range map[string]string{
		"/ip/11.0.0.25":           network(`{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","abuse@mine.example"]]]}`),
		"/ip/11.0.0.26":           network(""),
		"/ip/11.0.0.27":           "<html>not RDAP</html>",
		"/domain/old.example":     domain("2001-01-01T00:00:00Z", "2028-01-01T00:00:00Z", "active"),
		"/domain/new.example":     domain("2026-11-20T00:00:00Z", "2027-11-20T00:00:00Z", "active"),
		"/domain/ends.example":    domain("2001-01-01T00:00:00Z", "2026-12-10T00:00:00Z", "active"),
		"/domain/ended.example":   domain("2001-01-01T00:00:00Z", "2026-11-20T00:00:00Z", "active"),
		"/domain/hold.example":    domain("2001-01-01T00:00:00Z", "2028-01-01T00:00:00Z", "client hold"),
		"/api/v1/validity/AS1/":   `{"validated_route":{"validity":{"state":"valid"}}}`,
		"/api/v1/validity/AS2/":   `{"validated_route":{"validity":{"state":"invalid","reason":"length"}}}`,
		"/api/v1/validity/AS3/":   `{"validated_route":{"validity":{"state":"not-found"}}}`,
		"/api/v1/validity/AS4/":   `{}`,
		"/ripestat/AS5/11.0.0.0/": `{"data":{"status":"invalid_asn"}}`,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	}
	mux.HandleFunc("/ip/11.0.0.28", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ip/11.0.0.28", http.StatusFound) }) // round and round
	mux.HandleFunc("/ip/11.0.0.29", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ip/11.0.0.25", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/ip/11.0.0.30", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	mux.HandleFunc("/ip/11.0.0.31", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(" ", 1<<20)) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func env() *check.Env {
	return &check.Env{Know: knowledge.Embedded(), Now: func() time.Time { return now }, Probe: check.Probe{Timeout: 30 * time.Second}}
}

func marks(fs []finding.Finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Verdict().Mark()+" "+f.Rule.ID+": "+f.Says().String())
	}
	return strings.Join(out, "\n")
}

func TestNetworks(t *testing.T) {
	s := stub(t)
	for addr, want := range map[string]string{
		"11.0.0.25": "OK registry.holder: 11.0.0.25 is in 11.0.0.0 - 11.0.0.255 (MINE-NET), held by Mine GmbH, DE\nOK registry.no-abuse-contact: abuse of 11.0.0.0 - 11.0.0.255 is reported to abuse@mine.example",
		"11.0.0.26": "NOTE registry.no-abuse-contact",
		"11.0.0.27": "???? registry.holder: " + s.URL + " gives no answer that can be read",
		"11.0.0.28": "???? registry.holder: " + s.URL + " redirects without end",
		"11.0.0.29": "OK registry.holder: 11.0.0.29 is in 11.0.0.0 - 11.0.0.255",
		"11.0.0.30": "???? registry.holder: " + s.URL + " limits how often we may ask",
		"11.0.0.31": "???? registry.holder",
		"11.0.0.99": "NOTE registry.holder: ",
	} {
		a := netip.MustParseAddr(addr)
		f := LookIP(context.Background(), env(), a, Options{RDAP: s.URL})
		if got := marks(JudgeNetwork(f, finding.IP(a))); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
		if sec := Section(finding.Raw("x"), f, nil); (len(sec) == 1) != (f.Fault == "" && !f.Unknown) {
			t.Errorf("%s: %v", addr, sec)
		}
	}
}

func TestDomains(t *testing.T) {
	s := stub(t)
	for domain, want := range map[string]string{
		"old.example":   "OK registry.domain-new: old.example has been registered since 2001-01-01\nOK registry.domain-expires: old.example is registered until 2028-01-01",
		"new.example":   "WARN registry.domain-new: new.example was registered 2 days ago (2026-11-20)",
		"ends.example":  "WARN registry.domain-expires: the registration of ends.example ends on 2026-12-10",
		"ended.example": "FAIL registry.domain-expires: the registration of ended.example ended on 2026-11-20",
		"hold.example":  "FAIL registry.domain-on-hold: the registry has hold.example on client hold",
		"gone.example":  "NOTE registry.holder",
	} {
		f := LookDomain(context.Background(), env(), domain, Options{RDAP: s.URL})
		if got := marks(JudgeDomain(f, finding.Cmd("check", domain))); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", domain, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	s := stub(t)
	prefix := netip.MustParsePrefix("11.0.0.0/24")
	for as, want := range map[uint32]string{
		1: "OK registry.rpki-invalid: the route 11.0.0.0/24 of AS1 is RPKI-valid",
		2: "FAIL registry.rpki-invalid: the route 11.0.0.0/24 of AS2 is RPKI-invalid: the prefix is longer than its ROA allows",
		3: "NOTE registry.rpki-none",
		4: "???? registry.rpki-invalid",
		5: "FAIL registry.rpki-invalid: the route 11.0.0.0/24 of AS5 is RPKI-invalid: its ROA names another network",
		6: "???? registry.rpki-invalid",
	} {
		opt := Options{RPKI: s.URL}
		if as == 5 {
			opt.RPKI = s.URL + "/ripestat/AS{as}/{prefix}?rpki-validation"
		}
		r := LookRPKI(context.Background(), env(), as, prefix, opt)
		if got := marks(JudgeRoute(r, finding.IP(prefix.Addr()), nil)); !strings.HasPrefix(got, want) {
			t.Errorf("AS%d: got %s, want %s", as, got, want)
		}
	}
}

// TestWHOIS asks where there is no RDAP: the root of all servers names the one that knows.
func TestWHOIS(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	for at, text := range map[string]string{
		"192.0.2.43:43":   "refer: 11.0.43.1\ndomain: EXAMPLE\ncreated: 1985-01-01\n",
		"11.0.43.1:43":    "Domain Name: mine.example\nRegistrar: Registrar Ltd.\nCreation Date: 2026-11-20\n",
		"192.0.2.44:43":   "Domain: mine.example\nStatus: free\n",
		"192.0.2.45:43":   "too many requests\n",
		"192.0.2.46:43":   "refer: 11.0.43.99\ndomain: EXAMPLE\n",
		"192.0.2.47:4343": "Registrant: Somebody\nCreated: 2001-01-01\n",
	} {
		l, err := w.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 400))
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}()
	}
	e := env()
	e.Dial = w
	for server, want := range map[string]string{
		"192.0.2.43":      "WARN registry.domain-new: mine.example was registered 2 days ago",
		"192.0.2.44":      "NOTE registry.holder: 192.0.2.44 knows nothing of mine.example",
		"192.0.2.45":      "???? registry.domain-new: 192.0.2.45 limits how often we may ask",
		"192.0.2.46":      "???? registry.domain-new: 11.0.43.99 could not be asked",
		"192.0.2.47:4343": "OK registry.domain-new: mine.example has been registered since 2001-01-01",
	} {
		f := &Facts{Object: "mine.example", at: now}
		f.whois(context.Background(), e, server, server == "192.0.2.43" || server == "192.0.2.46")
		if got := marks(JudgeDomain(f, nil)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", server, got, want)
		}
	}
}

func TestOffline(t *testing.T) {
	e := env()
	e.Probe.Offline = true
	if got := marks(JudgeNetwork(LookIP(context.Background(), e, netip.MustParseAddr("11.0.0.25"), Options{}), finding.Host("x"))); !strings.HasPrefix(got, "???? registry.holder: the network may not be asked") {
		t.Error(got)
	}
}
