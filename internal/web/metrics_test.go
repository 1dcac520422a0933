package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/mailwhy/mailwhy/internal/web"
)

// The figures are sums over all mail: for this machine, for networks that the configuration names, and for tokens that
// may see the overview; not for whoever comes through a proxy, nor for a helpdesk.
func TestWhoReadsMetrics(t *testing.T) {
	h := newHouse(t)
	var viewer, desk struct{ Token string }
	h.want(201, "viewer", "POST", "/api/v1/tokens", map[string]any{"name": "prometheus"}).into(t, &viewer)
	h.want(201, "helpdesk", "POST", "/api/v1/tokens", map[string]any{"name": "prometheus"}).into(t, &desk)
	h.again(func(o *web.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "mailwhy_up 1\n") })
		o.Scrapers = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}
		o.BasePath = "/why"
	})
	for name, c := range map[string]struct {
		from   string
		header [2]string
		want   int
	}{
		"this machine":                   {"127.0.0.1:4000", [2]string{}, 200},
		"this machine, IPv6":             {"[::1]:4000", [2]string{}, 200},
		"a named network":                {"192.0.2.7:4000", [2]string{}, 200},
		"a named network, mapped":        {"[::ffff:192.0.2.7]:4000", [2]string{}, 200},
		"elsewhere":                      {"198.51.100.7:4000", [2]string{}, 401},
		"a proxy on this machine":        {"127.0.0.1:4000", [2]string{"X-Forwarded-For", "198.51.100.7"}, 401},
		"a proxy of another kind":        {"127.0.0.1:4000", [2]string{"Forwarded", "for=198.51.100.7"}, 401},
		"a trusted proxy, for a named":   {"127.0.0.9:4000", [2]string{"X-Forwarded-For", "192.0.2.7"}, 200},
		"a trusted proxy, for a claimed": {"127.0.0.9:4000", [2]string{"X-Forwarded-For", "192.0.2.7, 198.51.100.7"}, 401},
		"a claimed address":              {"198.51.100.7:4000", [2]string{"X-Forwarded-For", "127.0.0.1"}, 401},
		"a viewer's token":               {"198.51.100.7:4000", [2]string{"Authorization", "Bearer " + viewer.Token}, 200},
		"a helpdesk's token":             {"198.51.100.7:4000", [2]string{"Authorization", "Bearer " + desk.Token}, 401},
		"no token":                       {"198.51.100.7:4000", [2]string{"Authorization", "Bearer mwy_nothing"}, 401},
	} {
		for _, path := range []string{"/metrics", "/why/metrics"} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
			r.RemoteAddr = c.from
			if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s: %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
}
