package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func want(t *testing.T, words ...string) (out []Indicator) {
	t.Helper()
	for _, w := range words {
		i, ok := Parse(w)
		if !ok {
			t.Fatalf("%q is no indicator", w)
		}
		out = append(out, i)
	}
	return out
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		listed, asked string
		want          bool
	}{
		{"203.0.113.0/24", "203.0.113.7", true}, {"203.0.113.7", "203.0.113.0/24", false}, {"::ffff:203.0.113.7", "203.0.113.7", true},
		{"Spam.Example.", "mail.spam.example", true}, {"spam.example", "notspam.example", false}, {"mail.spam.example", "spam.example", false},
		{"spam.example", "https://mail.spam.example/x", true}, {"203.0.113.0/24", "http://203.0.113.9:8080/x", true},
		{"https://spam.example/x", "HTTPS://Spam.Example/x", true}, {"https://spam.example/x", "https://spam.example/y", false},
		{"D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e", true},
	} {
		w := want(t, c.listed, c.asked)
		if got := w[0].Covers(w[1]); got != c.want {
			t.Errorf("%s covers %s: %v", c.listed, c.asked, got)
		}
	}
	for _, s := range []string{"", "hello", "1.2.3", "a b.example", "http://", strings.Repeat("a", 70) + ".example", "deadbeef"} {
		if i, ok := Parse(s); ok {
			t.Errorf("%q became %+v", s, i)
		}
	}
}

func TestListForms(t *testing.T) {
	name := filepath.Join(t.TempDir(), "list")
	text := "\ufeff# a remark\n\n203.0.113.0/24,scanner,2026-11-01\r\nspam.example\n0.0.0.0 ads.example\n// remark\n\"2001:db8::9\";\"botnet\"\nno indicator here\n" +
		strings.Repeat("x", 300<<10) + "\nhttps://spam.example/login\n203.0.113.7 # again\n\xff\xfe.example"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := (&Door{Now: time.Now}).List(context.Background(), name, want(t, "203.0.113.7", "mail.spam.example", "ads.example", "2001:db8::9", "https://spam.example/login", "good.example"))
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{2, 1, 1, 1, 2, 0} {
		if len(a.Hits[i]) != n {
			t.Errorf("%d: %+v, want %d", i, a.Hits[i], n)
		}
	}
	if a.Lines != 6 || a.Odd != 3 || a.Hits[0][0].Note != "scanner,2026-11-01" || a.Hits[3][0].Note != "botnet" {
		t.Errorf("%d lines, %d odd, %+v", a.Lines, a.Odd, a.Hits)
	}
	if err := os.WriteFile(name, []byte("<html>not a list</html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Door{Now: time.Now}).List(context.Background(), name, want(t, "203.0.113.7")); !errors.Is(err, ErrEmpty) {
		t.Errorf("an HTML page: %v", err)
	}
}

func TestListIsKept(t *testing.T) {
	body, asked := "203.0.113.7\n", 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if body == "" {
			w.WriteHeader(503)
		}
		_, _ = io.WriteString(w, body)
	}))
	defer srv.Close()
	now := noon
	d := &Door{Fetch: fetch, Cache: Cache{t.TempDir()}, Now: func() time.Time { return now }, Fresh: time.Hour}
	get := func() *Answer {
		t.Helper()
		a, err := d.List(context.Background(), srv.URL, want(t, "203.0.113.7"))
		if err != nil || len(a.Hits[0]) != 1 {
			t.Fatalf("%+v, %v", a, err)
		}
		return a
	}
	if a := get(); a.Kept || !a.Fetched.Equal(now) {
		t.Errorf("first: %+v", a)
	}
	now = now.Add(59 * time.Minute)
	if a := get(); !a.Kept || asked != 1 {
		t.Errorf("within the hour: %+v, asked %d times", a, asked)
	}
	now, body = now.Add(2*time.Minute), ""
	if a := get(); a.Stale == "" || a.Kept || !a.Fetched.Equal(noon) || asked != 2 {
		t.Errorf("the source is away: %+v, asked %d times", a, asked)
	}
	body = "<html>maintenance</html>"
	if _, err := d.List(context.Background(), srv.URL, want(t, "203.0.113.7")); !errors.Is(err, ErrEmpty) {
		t.Errorf("a page instead of the list: %v", err)
	}
	body = ""
	if a := get(); a.Stale == "" {
		t.Error("a page that is no list pushed the copy out")
	}
}

// stub speaks the documented interface of a MISP server: restSearch on attributes, and sightings.
type stub struct {
	mu       sync.Mutex
	asked    []string
	sighted  []string
	answer   string
	refusing bool
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "secret-key" || s.refusing {
		w.WriteHeader(403)
		_, _ = io.WriteString(w, `{"name":"Authentication failed.","url":"/attributes/restSearch"}`)
		return
	}
	if r.Method != "POST" || r.Header.Get("Accept") != "application/json" || r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(405)
		return
	}
	var q struct {
		Format string   `json:"returnFormat"`
		Value  string   `json:"value"`
		Values []string `json:"values"`
		Limit  int      `json:"limit"`
	}
	if json.NewDecoder(r.Body).Decode(&q) != nil {
		w.WriteHeader(400)
		return
	}
	switch r.URL.Path {
	case "/attributes/restSearch":
		s.asked = append(s.asked, q.Value)
		if s.answer != "" {
			_, _ = io.WriteString(w, s.answer)
			return
		}
		if q.Format != "json" || q.Value != "203.0.113.7" {
			_, _ = io.WriteString(w, `{"response":{"Attribute":[]}}`)
			return
		}
		_, _ = io.WriteString(w, `{"response":{"Attribute":[{"id":"7","event_id":"42","category":"Network activity","type":"ip-src","to_ids":true,"timestamp":"1700000000",
			"comment":"seen in mail","value":"203.0.113.7","Event":{"id":"42","info":"Phishing wave"},"Tag":[{"name":"tlp:green"}]}]}}`)
	case "/sightings/add":
		s.sighted = append(s.sighted, q.Values...)
		_, _ = io.WriteString(w, `{"message":"1 sighting successfully added."}`)
	default:
		w.WriteHeader(404)
	}
}

func TestMISP(t *testing.T) {
	s := &stub{}
	srv := httptest.NewServer(s)
	defer srv.Close()
	now := noon
	d := &Door{Fetch: fetch, Cache: Cache{t.TempDir()}, Now: func() time.Time { return now }, Fresh: time.Hour}
	m := MISP{srv.URL + "/", "secret-key"}
	ask := func(sight bool) (*Answer, error) {
		return d.MISP(context.Background(), m, want(t, "203.0.113.7", "good.example"), sight)
	}
	a, err := ask(false)
	if err != nil || len(a.Hits[0]) != 1 || len(a.Hits[1]) != 0 || len(s.sighted) != 0 {
		t.Fatalf("%+v, %v, sighted %v", a, err, s.sighted)
	}
	if h := a.Hits[0][0]; h.Note != "Phishing wave; seen in mail" || h.Event != "42" || !h.IDS || h.At.Unix() != 1700000000 || h.Tags[0] != "tlp:green" {
		t.Errorf("%+v", h)
	}
	if a, err = ask(true); err != nil || !a.Kept || !a.Sighted[0] || a.Sighted[1] || strings.Join(s.sighted, " ") != "203.0.113.7" || len(s.asked) != 2 {
		t.Errorf("%+v, %v, sighted %v, asked %v", a, err, s.sighted, s.asked)
	}
	now, s.refusing = now.Add(2*time.Hour), true
	if _, err := ask(false); !errors.Is(err, ErrKey) {
		t.Errorf("a refused key: %v", err)
	}
	s.refusing, s.answer = false, `{"response":[1,`
	if a, err := ask(false); err != nil || a.Stale == "" || len(a.Hits[0]) != 1 {
		t.Errorf("nonsense instead of an answer: %+v, %v", a, err)
	}
	files, _ := filepath.Glob(filepath.Join(d.Cache.Folder, "*"))
	for _, f := range files {
		if raw, _ := os.ReadFile(f); strings.Contains(string(raw), "secret-key") {
			t.Errorf("%s holds the key", f)
		}
	}
}

// fetch is a plain client; what it must not say to whom is the matter of the run's own.
func fetch(ctx context.Context, r Request) (*Response, error) {
	q, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		q.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return &Response{Fault: err}, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return &Response{Status: res.StatusCode, Body: body}, err
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"203.0.113.0/24,x", "0.0.0.0 ads.example", "https://spam.example/x;y", "\"a.example\""} {
		f.Add(s)
	}
	w := []Indicator{{Kind: Domain, Value: "ads.example"}}
	f.Fuzz(func(t *testing.T, s string) {
		a := &Answer{}
		if err := a.scan(strings.NewReader(s), w); err == nil && a.Lines == 0 {
			t.Error("an empty list was taken")
		}
		_, _ = readAttributes([]byte(s))
	})
}
