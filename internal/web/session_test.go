package web_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/web"
)

func TestSetupLinkWorksOnce(t *testing.T) {
	h := newHouse(t)
	us, _ := h.keep.Users(t.Context())
	for _, u := range us {
		if err := h.state.DeleteUser(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
	}
	token, err := h.keep.SetupSecret(t.Context())
	if err != nil || token == "" {
		t.Fatal(token, err)
	}
	first := map[string]string{"token": token, "name": "li", "password": "correct horse"}
	h.want(422, "", "POST", "/api/v1/setup", map[string]string{"token": "guess", "name": "li", "password": "correct horse"})
	h.want(422, "", "POST", "/api/v1/setup", map[string]string{"token": token, "name": "li", "password": "short"})
	a := h.want(200, "", "POST", "/api/v1/setup", first)
	if c := a.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" {
		t.Errorf("cookie %+v", c)
	}
	h.want(422, "", "POST", "/api/v1/setup", first)
	if token, err = h.keep.SetupSecret(t.Context()); token != "" || err != nil {
		t.Errorf("a set-up link with a user there: %q %v", token, err)
	}
}

func TestSessionEnds(t *testing.T) {
	h := newHouse(t)
	h.want(200, "viewer", "GET", "/api/v1/settings", nil)
	h.clock.move(11 * time.Hour)
	h.want(200, "viewer", "GET", "/api/v1/settings", nil)
	h.clock.move(13 * time.Hour)
	h.want(401, "viewer", "GET", "/api/v1/settings", nil)
	delete(h.jars, "viewer")
	h.want(200, "viewer", "GET", "/api/v1/settings", nil)
	h.want(200, "viewer", "POST", "/api/v1/logout", nil)
	h.want(401, "viewer", "GET", "/api/v1/settings", nil)
}

func TestSessionEndsWithItsUser(t *testing.T) {
	h := newHouse(t)
	h.want(200, "operator", "GET", "/api/v1/settings", nil)
	id := ""
	us, _ := h.keep.Users(t.Context())
	for _, u := range us {
		if u.Name == "operator" {
			id = u.ID
		}
	}
	h.want(200, "admin", "PUT", "/api/v1/users/"+id, map[string]any{"role": "viewer"})
	h.want(401, "operator", "GET", "/api/v1/settings", nil)
	h.want(204, "admin", "DELETE", "/api/v1/users/"+id, nil)
	delete(h.jars, "operator")
	h.want(401, "", "POST", "/api/v1/login", map[string]string{"name": "operator", "password": "password of operator"})
	for _, u := range us {
		if u.Name == "admin" {
			h.want(422, "admin", "DELETE", "/api/v1/users/"+u.ID, nil)
			h.want(422, "admin", "PUT", "/api/v1/users/"+u.ID, map[string]any{"disabled": true})
		}
	}
}

func TestGuessingIsBraked(t *testing.T) {
	h := newHouse(t)
	bad := map[string]string{"name": "admin", "password": "nonsense here"}
	for range 5 {
		h.want(401, "", "POST", "/api/v1/login", bad)
	}
	a := h.want(429, "", "POST", "/api/v1/login", map[string]string{"name": "ADMIN", "password": "password of admin"})
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.want(200, "", "POST", "/api/v1/login", map[string]string{"name": "viewer", "password": "password of viewer"}) // others come in
	h.clock.move(2 * time.Second)
	h.want(200, "", "POST", "/api/v1/login", map[string]string{"name": "admin", "password": "password of admin"})
	// One address that tries many names is braked, too; another address is not.
	for i := range 20 {
		h.do("", "POST", "/api/v1/login", map[string]string{"name": "user" + string(rune('a'+i)), "password": "nonsense here"})
	}
	h.want(429, "", "POST", "/api/v1/login", map[string]string{"name": "operator", "password": "password of operator"})
}

func TestForwardedAddressIsBelievedOfProxiesOnly(t *testing.T) {
	for proxied, want := range map[bool]string{true: "198.51.100.7", false: "192.0.2.1"} {
		h := newHouse(t, func(o *web.Options) {
			if proxied {
				o.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} // httptest's client
			}
		})
		h.want(401, "", "POST", "/api/v1/login", map[string]string{"name": "x", "password": "y"}, "X-Forwarded-For", "203.0.113.9, 198.51.100.7, 192.0.2.1")
		rs, err := h.audit.Page(-1, 1, nil)
		if err != nil || rs[0].From != want || rs[0].What != "login.refused" {
			t.Errorf("proxied %v: %+v %v", proxied, rs, err)
		}
	}
}

func TestOtherSitesCannotAct(t *testing.T) {
	h := newHouse(t)
	good := map[string]string{"name": "viewer", "password": "password of viewer"}
	h.want(403, "", "POST", "/api/v1/login", good, "Sec-Fetch-Site", "cross-site")
	h.want(403, "", "POST", "/api/v1/login", good, "Origin", "https://evil.example")
	h.want(403, "admin", "POST", "/api/v1/logout", nil, "Sec-Fetch-Site", "same-site")
	h.want(200, "", "POST", "/api/v1/login", good, "Sec-Fetch-Site", "same-origin")
	h.want(200, "", "POST", "/api/v1/login", good)
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	h := newHouse(t, func(o *web.Options) { o.PublicURL = "https://why.mine.example" })
	for _, path := range []string{"/api/v1/session", "/api/v1/users", "/healthz", "/nowhere"} {
		a := h.do("", "GET", path, nil)
		for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Strict-Transport-Security": "max-age=31536000"} {
			if got := a.Header.Get(k); got != want {
				t.Errorf("%s: %s: %q", path, k, got)
			}
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s: CSP %q", path, csp)
		}
	}
	if c := h.signIn("viewer"); !c.Secure {
		t.Errorf("behind https the cookie must be Secure: %+v", c)
	}
}

func TestTokens(t *testing.T) {
	h := newHouse(t)
	var made struct{ ID, Token string }
	h.want(201, "operator", "POST", "/api/v1/tokens", map[string]any{"name": "ci", "role": "admin", "days": 1}).into(t, &made)
	as := func(status int, method, path string) *answer {
		t.Helper()
		return h.want(status, "", method, path, nil, "Authorization", "Bearer "+made.Token)
	}
	var s struct{ User struct{ Name, Role string } }
	as(200, "GET", "/api/v1/session").into(t, &s)
	if s.User.Name != "operator" || s.User.Role != "operator" {
		t.Errorf("a token has at most its user's role: %+v", s)
	}
	as(403, "GET", "/api/v1/users")
	h.want(401, "", "GET", "/api/v1/settings", nil, "Authorization", "Bearer mwy_guess")
	h.want(403, "", "POST", "/api/v1/tokens", map[string]any{"name": "more"}, "Authorization", "Bearer "+made.Token)
	h.want(404, "viewer", "DELETE", "/api/v1/tokens/"+made.ID, nil)
	h.clock.move(25 * time.Hour)
	as(401, "GET", "/api/v1/settings")
	delete(h.jars, "admin")
	h.want(204, "admin", "DELETE", "/api/v1/tokens/"+made.ID, nil)
}

func TestSubPath(t *testing.T) {
	h := newHouse(t, func(o *web.Options) {
		o.BasePath = "/why"
		o.UI = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("page " + r.URL.Path)) })
	})
	if a := h.want(308, "", "GET", "/why", nil); a.Header.Get("Location") != "/why/" {
		t.Errorf("%v", a.Header)
	}
	if a := h.want(200, "", "GET", "/why/assets/app.js", nil); a.text != "page /assets/app.js" {
		t.Errorf("%q", a.text)
	}
	a := h.want(200, "", "POST", "/why/api/v1/login", map[string]string{"name": "viewer", "password": "password of viewer"})
	if a.Cookies()[0].Path != "/why/" {
		t.Errorf("%+v", a.Cookies()[0])
	}
	h.want(200, "", "GET", "/why/healthz", nil)
	h.want(200, "", "GET", "/healthz", nil)
	h.want(404, "", "GET", "/why/api/v1/nothing", nil)
	if a := h.want(404, "", "GET", "/api/v1/session", nil); strings.Contains(a.text, "version") {
		t.Error("the API answers outside of its path")
	}
	for _, base := range []string{"why", "/why/", "/{x}", "/a b"} {
		if _, err := web.New(web.Options{BasePath: base}); err == nil {
			t.Errorf("base path %q was taken", base)
		}
	}
}

func TestProblemsSpeakChinese(t *testing.T) {
	h := newHouse(t)
	a := h.want(401, "", "POST", "/api/v1/login", map[string]string{"name": "x", "password": "y"}, "Accept-Language", "zh-CN,zh;q=0.9")
	if !strings.Contains(a.text, "用户名或密码错误") || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s", a.text)
	}
	a = h.want(422, "", "POST", "/api/v1/login?lang=zh", map[string]string{"name": "x"})
	if !strings.Contains(a.text, "接口") || !strings.Contains(a.text, "password") {
		t.Errorf("%s", a.text)
	}
}

func TestAuditTellsWhoDidWhat(t *testing.T) {
	h := newHouse(t)
	h.want(201, "admin", "POST", "/api/v1/users", map[string]any{"name": "wang", "password": "long enough 1", "role": "helpdesk", "domains": []string{"Mine.Example."}})
	h.want(409, "admin", "POST", "/api/v1/users", map[string]any{"name": "WANG", "password": "long enough 1", "role": "viewer"})
	var page struct {
		Items []struct{ Who, What, Target, Detail string }
		Next  string
	}
	h.want(200, "admin", "GET", "/api/v1/audit?limit=2", nil).into(t, &page)
	if len(page.Items) != 2 || page.Items[0].What != "see.audit" || page.Items[1].What != "user.add" || page.Items[1].Target != "wang" || page.Items[1].Detail != "helpdesk mine.example" || page.Next == "" {
		t.Fatalf("%+v", page)
	}
	h.want(200, "admin", "GET", "/api/v1/audit?limit=2&cursor="+page.Next, nil).into(t, &page)
	if len(page.Items) == 0 || page.Items[0].What != "login" {
		t.Errorf("%+v", page)
	}
	if us, _ := h.keep.Users(t.Context()); len(us) != len(access.Roles())+1 {
		t.Errorf("%d users", len(us))
	}
}

// No address of ours leads to another host, whatever stands in it.
func TestNoRedirectElsewhere(t *testing.T) {
	for _, base := range []string{"", "/why"} {
		h := newHouse(t, func(o *web.Options) {
			o.BasePath = base
			o.UI = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
		})
		for _, path := range []string{"//evil.example", "//evil.example/", "/\\evil.example", "/%2f%2fevil.example/", "/%5cevil.example", "/..//evil.example", "/x/../..//evil.example/", "/api/v1//evil.example", "/api/v1/../..//evil.example",
			"/https://evil.example", "/.//evil.example", "/;//evil.example", "/?next=//evil.example", "/%09//evil.example", "", "/api/v1/oidc/x/callback?state=//evil.example"} {
			target := base + path
			u, err := url.ParseRequestURI(cmp.Or(target, "/"))
			if err != nil {
				continue // no request of HTTP
			}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.URL, r.RequestURI = u, target
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\")) {
				t.Errorf("%s leads to %q (%d)", target, to, w.Code)
			}
		}
	}
}
