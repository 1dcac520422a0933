package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/web"
)

// clock is a time that moves only when told.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// house is a server with a store, an audit log and a user per role, whose password is "password of NAME".
type house struct {
	*web.Server
	t     *testing.T
	clock *clock
	state *sqlite.State
	keep  *access.Keeper
	audit *audit.Log
	mu    sync.Mutex
	jars  map[string]*http.Cookie
}

func newHouse(t *testing.T, change ...func(*web.Options)) *house {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	h := &house{t: t, clock: &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}, jars: map[string]*http.Cookie{}}
	var err error
	if h.state, err = sqlite.OpenState(ctx, dir, h.clock.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.state.Close() })
	if h.audit, err = audit.Open(filepath.Join(dir, "audit.log"), h.clock.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.audit.Close()
		auditSpeaks(t, filepath.Join(dir, "audit.log"))
	})
	h.keep = access.New(h.state, access.Options{Now: h.clock.now, Cost: access.Cost{Memory: 64, Passes: 1, Threads: 1}})
	for _, r := range access.Roles() {
		u := access.User{Name: string(r), Role: r}
		if r == access.Helpdesk {
			u.Domains = []string{"mine.example"}
		}
		if _, err := h.keep.Add(ctx, u, "password of "+string(r)); err != nil {
			t.Fatal(err)
		}
	}
	h.again(change...)
	return h
}

// again makes the server anew over the same store.
func (h *house) again(change ...func(*web.Options)) {
	h.t.Helper()
	t := h.t
	o := web.Options{Version: "test", Log: slog.New(slog.NewTextHandler(&failOnError{t}, nil)), Now: h.clock.now, Access: h.keep, Audit: h.audit, Settings: func() map[string]string { return map[string]string{"listen": "here"} }}
	for _, c := range change {
		c(&o)
	}
	s, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h.Server = s
}

// failOnError is a log in which no error may stand.
type failOnError struct{ t *testing.T }

func (f *failOnError) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("level=ERROR")) {
		f.t.Errorf("logged: %s", b)
	}
	return len(b), nil
}

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

func (a *answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), v); err != nil {
		t.Fatalf("%s: %v", a.text, err)
	}
}

// signIn gives the session cookie of a role's user.
func (h *house) signIn(name string) *http.Cookie {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.jars[name]; c != nil {
		return c
	}
	a := h.do("", "POST", "/api/v1/login", map[string]string{"name": name, "password": "password of " + name})
	if a.StatusCode != 200 || len(a.Cookies()) != 1 {
		h.t.Fatalf("%s cannot sign in: %d %s", name, a.StatusCode, a.text)
	}
	h.jars[name] = a.Cookies()[0]
	return h.jars[name]
}

// do asks as a user ("" is nobody). body is a string as it stands, or a value to marshal, or nil.
func (h *house) do(as, method, path string, body any, headers ...string) *answer {
	h.t.Helper()
	var cookie *http.Cookie
	if as != "" {
		cookie = h.signIn(as)
	}
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		r = bytes.NewReader(raw)
	}
	req := httptest.NewRequestWithContext(h.t.Context(), method, "http://why.example/", r)
	req.URL.Path, req.RequestURI = path, path
	if p, q, ok := strings.Cut(path, "?"); ok {
		req.URL.Path, req.URL.RawQuery = p, q
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	res := w.Result()
	raw, _ := io.ReadAll(res.Body)
	return &answer{res, string(raw)}
}

// want asks and wants a status.
func (h *house) want(status int, as, method, path string, body any, headers ...string) *answer {
	h.t.Helper()
	a := h.do(as, method, path, body, headers...)
	if a.StatusCode != status {
		h.t.Fatalf("%s %s as %q: %d, want %d: %s", method, path, as, a.StatusCode, status, a.text)
	}
	return a
}

// auditSpeaks wants a word of the page for everything that was written down.
func auditSpeaks(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile("../../ui/src/i18n/en.json")
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]string
	if err := json.Unmarshal(raw, &words); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	runs := regexp.MustCompile(`^run\.(?:share|unshare)$`)
	for line := range strings.Lines(string(log)) {
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if kind := strings.HasPrefix(r.What, "run.") && !runs.MatchString(r.What); !kind && words["did."+r.What] == "" {
			t.Errorf("the page has no word for %q in the audit log: add did.%s to ui/src/i18n", r.What, r.What)
		}
	}
}
