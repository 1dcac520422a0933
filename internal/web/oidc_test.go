package web_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/web"
)

// issuer is a small sign-on service. claims go into the next token; spoil changes it before it is signed or the signature.
type issuer struct {
	*httptest.Server
	key       *rsa.PrivateKey
	now       func() time.Time
	challenge string // of the authorisation request
	nonce     string
	claims    map[string]any
	wrongKey  bool
}

func newIssuer(t *testing.T, now func() time.Time) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, now: now}
	mux := http.NewServeMux()
	give := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		give(w, map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		give(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if r.PostFormValue("code") != "good" || b64(sum[:]) != i.challenge {
			w.WriteHeader(http.StatusBadRequest)
			give(w, map[string]string{"error": "invalid_grant"})
			return
		}
		give(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.token(t)})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) token(t *testing.T) string {
	claims := map[string]any{"iss": i.URL, "aud": "mailwhy", "sub": "42", "nonce": i.nonce, "iat": i.now().Unix(), "exp": i.now().Add(time.Minute).Unix(), "preferred_username": "wang"}
	for k, v := range i.claims {
		claims[k] = v
	}
	b64 := base64.RawURLEncoding.EncodeToString
	body, _ := json.Marshal(claims)
	text := b64([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	key := i.key
	if i.wrongKey {
		key, _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return text + "." + b64(sig)
}

// signOnHouse has one service with three groups.
func signOnHouse(t *testing.T) (*house, *issuer) {
	h := newHouse(t)
	i := newIssuer(t, h.clock.now)
	h.again(func(o *web.Options) {
		o.BasePath = "/why"
		o.SignOns = []web.SignOn{{
			ID: "corp", Name: "Corporate login", Issuer: i.URL, ClientID: "mailwhy", ClientSecret: "secret",
			Roles: map[access.Role][]string{access.Admin: {"mail-admins"}, access.Helpdesk: {"desk-mine"}}, Domains: map[string][]string{"desk-mine": {"mine.example"}},
		}}
	})
	return h, i
}

// begin starts a sign-on and gives the state and the cookie.
func (i *issuer) begin(t *testing.T, h *house) (state, cookie string) {
	t.Helper()
	a := h.want(302, "", "GET", "/why/api/v1/oidc/corp/start", nil)
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), i.URL+"/auth?") {
		t.Fatalf("%v %v", to, err)
	}
	q := to.Query()
	if q.Get("redirect_uri") != "http://why.example/why/api/v1/oidc/corp/callback" || q.Get("code_challenge_method") != "S256" || q.Get("scope") != "openid profile email" {
		t.Errorf("%v", q)
	}
	i.challenge, i.nonce = q.Get("code_challenge"), q.Get("nonce")
	c := a.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/why/api/v1/oidc/" {
		t.Errorf("%+v", c)
	}
	return q.Get("state"), c.Name + "=" + c.Value
}

func TestSignOn(t *testing.T) {
	h, i := signOnHouse(t)
	for _, c := range []struct {
		groups []string
		role   string
	}{{[]string{"x", "mail-admins"}, "admin"}, {[]string{"desk-mine"}, "helpdesk"}} {
		i.claims = map[string]any{"groups": c.groups}
		state, cookie := i.begin(t, h)
		a := h.want(302, "", "GET", "/why/api/v1/oidc/corp/callback?code=good&state="+state, nil, "Cookie", cookie)
		if a.Header.Get("Location") != "/why/" {
			t.Fatalf("%v", a.Header)
		}
		session := ""
		for _, k := range a.Cookies() {
			if k.Name == "mailwhy_session" {
				session = k.Name + "=" + k.Value
			}
		}
		var s struct {
			User struct {
				Name, Role string
				Domains    []string
			}
			OIDC []struct{ ID, Name string }
		}
		h.want(200, "", "GET", "/why/api/v1/session", nil, "Cookie", session).into(t, &s)
		if s.User.Name != "wang" || s.User.Role != c.role || c.role == "helpdesk" && len(s.User.Domains) != 1 || s.OIDC[0].Name != "Corporate login" {
			t.Errorf("%+v", s)
		}
		// The same answer does not work twice.
		a = h.want(302, "", "GET", "/why/api/v1/oidc/corp/callback?code=good&state="+state, nil, "Cookie", cookie)
		if !strings.HasPrefix(a.Header.Get("Location"), "/why/#/login?problem=") {
			t.Errorf("%v", a.Header)
		}
	}
	if us, _ := h.keep.Users(t.Context()); len(us) != len(access.Roles())+1 {
		t.Errorf("%d users: the second sign-on must find the first's user", len(us))
	}
	// Nobody signs in to that user with a password.
	h.want(401, "", "POST", "/why/api/v1/login", map[string]string{"name": "wang", "password": ""})
}

func TestSignOnIsRefused(t *testing.T) {
	for what, spoil := range map[string]func(i *issuer, q url.Values, cookie *string){
		"in no group":    func(i *issuer, _ url.Values, _ *string) { i.claims = nil },
		"taken name":     func(i *issuer, _ url.Values, _ *string) { i.claims["preferred_username"] = "Admin" },
		"another nonce":  func(i *issuer, _ url.Values, _ *string) { i.nonce = "other" },
		"another reader": func(i *issuer, _ url.Values, _ *string) { i.claims["aud"] = "other" },
		"another issuer": func(i *issuer, _ url.Values, _ *string) { i.claims["iss"] = "https://evil.example" },
		"too old":        func(i *issuer, _ url.Values, _ *string) { i.claims["exp"] = 1 },
		"another key":    func(i *issuer, _ url.Values, _ *string) { i.wrongKey = true },
		"wrong code":     func(_ *issuer, q url.Values, _ *string) { q.Set("code", "bad") },
		"wrong verifier": func(i *issuer, _ url.Values, _ *string) { i.challenge = "other" },
		"said no":        func(_ *issuer, q url.Values, _ *string) { q.Set("error", "access_denied") },
		"wrong state":    func(_ *issuer, q url.Values, _ *string) { q.Set("state", "guess") },
		"other browser":  func(_ *issuer, _ url.Values, cookie *string) { *cookie = "" },
		"other cookie":   func(_ *issuer, _ url.Values, cookie *string) { *cookie = "mailwhy_signon=guess" },
	} {
		t.Run(what, func(t *testing.T) {
			h, i := signOnHouse(t)
			i.claims = map[string]any{"groups": []string{"mail-admins"}}
			state, cookie := i.begin(t, h)
			q := url.Values{"code": {"good"}, "state": {state}}
			spoil(i, q, &cookie)
			a := h.want(302, "", "GET", "/why/api/v1/oidc/corp/callback?"+q.Encode(), nil, "Cookie", cookie)
			if !strings.HasPrefix(a.Header.Get("Location"), "/why/#/login?problem=") {
				t.Errorf("let in: %v", a.Header)
			}
			for _, c := range a.Cookies() {
				if c.Name == "mailwhy_session" {
					t.Error("a session was opened")
				}
			}
		})
	}
}

func TestSignOnTakesTooLong(t *testing.T) {
	h, i := signOnHouse(t)
	i.claims = map[string]any{"groups": []string{"mail-admins"}}
	state, cookie := i.begin(t, h)
	h.clock.move(11 * time.Minute)
	a := h.want(302, "", "GET", "/why/api/v1/oidc/corp/callback?code=good&state="+state, nil, "Cookie", cookie)
	if !strings.Contains(a.Header.Get("Location"), "problem") {
		t.Errorf("%v", a.Header)
	}
}

func TestSignOnServiceIsAway(t *testing.T) {
	h, i := signOnHouse(t)
	i.Close()
	h.want(502, "", "GET", "/why/api/v1/oidc/corp/start", nil)
	h.want(404, "", "GET", "/why/api/v1/oidc/other/start", nil)
}
