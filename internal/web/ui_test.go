package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func built(t *testing.T) http.Handler {
	t.Helper()
	h, err := uiFrom(fstest.MapFS{
		"index.html":       {Data: []byte("<!doctype html>" + strings.Repeat("page ", 100))},
		"assets/app-ab.js": {Data: []byte(strings.Repeat("let a = 1\n", 100))},
		".gitkeep":         {Data: nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPagesAreServed(t *testing.T) {
	for _, c := range []struct {
		name, method, path, accept string
		status                     int
		kind, cache, coding        string
	}{
		{"page", "GET", "/", "", 200, "text/html; charset=utf-8", "no-cache", ""},
		{"page, packed", "GET", "/", "br, gzip;q=0.8", 200, "text/html; charset=utf-8", "no-cache", "gzip"},
		{"packing refused", "GET", "/", "gzip;q=0", 200, "text/html; charset=utf-8", "no-cache", ""},
		{"asset", "GET", "/assets/app-ab.js", "gzip", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "gzip"},
		{"head", "HEAD", "/assets/app-ab.js", "", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", ""},
		{"absent", "GET", "/assets/other.js", "", 404, "text/plain; charset=utf-8", "", ""},
		{"dot file", "GET", "/.gitkeep", "", 404, "text/plain; charset=utf-8", "", ""},
		{"climbing out", "GET", "/../ui.go", "", 404, "text/plain; charset=utf-8", "", ""},
		{"post", "POST", "/", "", 405, "text/plain; charset=utf-8", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/", nil)
			r.URL.Path = c.path
			r.Header.Set("Accept-Encoding", c.accept)
			w := httptest.NewRecorder()
			built(t).ServeHTTP(w, r)
			h := w.Result().Header
			if w.Code != c.status || h.Get("Content-Type") != c.kind || h.Get("Cache-Control") != c.cache || h.Get("Content-Encoding") != c.coding {
				t.Errorf("%d %q %q %q, want %d %q %q %q", w.Code, h.Get("Content-Type"), h.Get("Cache-Control"), h.Get("Content-Encoding"),
					c.status, c.kind, c.cache, c.coding)
			}
			if h.Get("Content-Security-Policy") != UIPolicy {
				t.Errorf("policy %q", h.Get("Content-Security-Policy"))
			}
		})
	}
}

func TestPackedPageUnpacks(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	built(t).ServeHTTP(w, r)
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil || !strings.HasPrefix(string(b), "<!doctype html>page ") {
		t.Errorf("%q, %v", b, err)
	}
}

func TestUnchangedPageIsNotSentAgain(t *testing.T) {
	h := built(t)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	again := httptest.NewRecorder()
	h.ServeHTTP(again, r)
	if again.Code != http.StatusNotModified {
		t.Errorf("status %d, want 304", again.Code)
	}
}

func TestWithoutPagesItSaysHowToBuildThem(t *testing.T) {
	h, err := uiFrom(fstest.MapFS{".gitkeep": {}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "make ui build") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPagesInTheBinaryCanBeServed(t *testing.T) {
	h, err := UI()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<!doctype html>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
