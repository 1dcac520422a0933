package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	"github.com/mailwhy/mailwhy/internal/web"
)

// everything gives a server that has all there is.
func everything(t *testing.T) func(*web.Options) {
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Dialects: dialects.All(), Know: knowledge.Embedded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	runner, _ := watch(t, nil)
	return func(o *web.Options) {
		o.Monitors = runner
		o.Journeys, o.Know = store, knowledge.Embedded()
		o.Inbox = &fakeInbox{}
		state, err := sqlite.OpenState(t.Context(), t.TempDir(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { state.Close() })
		o.Channels = book(t, state)
		o.Desk = &change.Desk{Store: state, Now: o.Now}
		o.Reports, o.Runs = state, state
		o.Queues = func() []web.Queue { return nil }
		o.MonitorCounts = func(context.Context) (web.MonitorCounts, error) { return web.MonitorCounts{}, nil }
		o.Runner = &fakeRunner{}
		o.SignOns = []web.SignOn{{ID: "nothing", Issuer: "http://127.0.0.1:1/"}} // answers no request
		o.Rules = []*finding.Rule{{ID: "spf.none", Severity: finding.Error, Title: "no SPF record", Says: "{{.Domain}} has no SPF record", Why: "receivers refuse", Repair: "publish one"}}
	}
}

// strange are texts no field is made for.
var strange = []string{
	"", " ", "\x00", "\xff\xfe", "..", "../../etc/passwd", "/etc/passwd", "%00", "%2e%2e%2f", "<script>", "'; DROP TABLE users; --", "{{.}}", "${7*7}",
	"-1", "0", "1e309", "99999999999999999999", "NaN", "true", "null", "[]", "\r\nSet-Cookie: a=b", "例子", "\u202e", strings.Repeat("x", 5000),
	"2026-11-22", "9999999-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "*@*", "*", "::1", "127.0.0.1", "1.2.3.4/99", "[", "(", "\\", "a@b@c", "@",
}

// TestBadInputIsNeverOurFault calls every route of the document with input that is wrong by its schema, or right by it and
// mad all the same: never a 5xx, and what is refused is told as a problem.
func TestBadInputIsNeverOurFault(t *testing.T) {
	h := newHouse(t, everything(t))
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, r := range routesOf(h) {
		for _, path := range paths(r) {
			for _, body := range bodies(h, r.op, rnd) {
				a := h.do("admin", r.method, path, body)
				if a.StatusCode >= 500 && (a.StatusCode != 502 || r.path != "/oidc/{id}/start") {
					t.Fatalf("%s %q %.300v: %d %s", r.method, path, body, a.StatusCode, a.text)
				}
				if strings.Contains(a.text, "event: problem") {
					t.Fatalf("%s %q: %s", r.method, path, a.text)
				}
				if r.path == "/logout" {
					delete(h.jars, "admin") // it did what it is for
				}
				if ct := a.Header.Get("Content-Type"); a.StatusCode >= 400 && ct != "application/problem+json" {
					t.Fatalf("%s %q: %d as %q: %s", r.method, path, a.StatusCode, ct, a.text)
				}
			}
		}
	}
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// paths fills parameters of the path and the query with strange texts.
func paths(r route) (out []string) {
	out = append(out, r.full())
	if strings.Contains(r.path, "{") {
		for _, s := range strange {
			if s == "" || s == ".." || strings.Contains(s, "/") {
				continue // another path
			}
			out = append(out, "/api/v1"+parameter.ReplaceAllLiteralString(r.path, strings.ReplaceAll(s, "?", "")))
		}
	}
	for _, param := range r.op.Parameters {
		if param.In == "query" {
			for _, s := range strange {
				out = append(out, r.full()+"?"+param.Name+"="+url.QueryEscape(s))
			}
		}
	}
	return out
}

// bodies makes bodies for a route: what is no JSON, the wrong kind, too much, and values by the schema with one of them
// made strange.
func bodies(h *house, op *huma.Operation, rnd *rand.Rand) []any {
	if op.RequestBody == nil {
		return []any{nil}
	}
	out := []any{"", "{", "[]", "null", `"x"`, "{}", `{"a":1}`, strings.Repeat("[", 5000), strings.Repeat(`{"args":`, 200_000), "\xff", "{\"name\":\"\xff\xfe\"}", "\ufeff{}",
		`{"name":"\ud800"}`, `{"name":` + strings.Repeat("1", 400) + `}`, `{"name":"a","name":{}}`, "{}{}", `{"name":"` + strings.Repeat("\u202e", 3000) + `"}`}
	schema := op.RequestBody.Content["application/json"].Schema
	for range 20 {
		raw, err := json.Marshal(value(h, schema, rnd, 0))
		if err == nil {
			out = append(out, string(raw))
		}
	}
	return out
}

// value makes a value of a schema; one in five is of another kind.
func value(h *house, s *huma.Schema, rnd *rand.Rand, depth int) any {
	for s != nil && s.Ref != "" {
		s = h.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	if s == nil || depth > 6 || rnd.IntN(5) == 0 {
		return []any{nil, -1, 1.5, true, "x", []any{}, map[string]any{}, strange[rnd.IntN(len(strange))]}[rnd.IntN(8)]
	}
	switch s.Type {
	case "object":
		m := map[string]any{}
		for name, p := range s.Properties {
			if rnd.IntN(4) > 0 {
				m[name] = value(h, p, rnd, depth+1)
			}
		}
		return m
	case "array":
		var out []any
		for range rnd.IntN(4) {
			out = append(out, value(h, s.Items, rnd, depth+1))
		}
		return out
	case "integer":
		return rnd.IntN(1000) - 100
	case "number":
		return rnd.Float64()
	case "boolean":
		return rnd.IntN(2) == 0
	}
	if len(s.Enum) > 0 && rnd.IntN(2) == 0 {
		return fmt.Sprint(s.Enum[rnd.IntN(len(s.Enum))])
	}
	return strange[rnd.IntN(len(strange))]
}

// kindsOfBody are media types that are not ours.
var kindsOfBody = []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "application/json; charset=utf-16", "application/cbor", "*/*", "\x00", strings.Repeat("a", 3000) + "/b"}

// TestEveryBodyIsHeldToItsKind sends every operation that takes a body one of another kind, and one that is too long.
func TestEveryBodyIsHeldToItsKind(t *testing.T) {
	h := newHouse(t, everything(t))
	long := `{"name":"` + strings.Repeat("x", 30<<20) + `"}`
	for _, r := range routesOf(h) {
		if r.op.RequestBody == nil {
			continue
		}
		for _, kind := range kindsOfBody {
			a := h.do("admin", r.method, r.full(), "name=x&password=y", "Content-Type", kind)
			if a.StatusCode < 400 || a.StatusCode >= 500 {
				t.Errorf("%s %s with a body of %.40q: %d %s", r.method, r.path, kind, a.StatusCode, a.text)
			}
		}
		if a := h.do("admin", r.method, r.full(), long); a.StatusCode != 413 {
			t.Errorf("%s %s with 30 MB: %d %.200s", r.method, r.path, a.StatusCode, a.text)
		}
	}
}

// TestNoOtherSiteMayChangeAnything calls every operation that changes something with the session of an admin, from a page
// of another site: each is refused before it does anything.
func TestNoOtherSiteMayChangeAnything(t *testing.T) {
	h := newHouse(t, everything(t))
	before := h.want(200, "admin", "GET", "/api/v1/audit", nil).text
	for _, r := range routesOf(h) {
		if r.method == "GET" {
			continue
		}
		var body any
		if r.op.RequestBody != nil {
			body = "{}"
		}
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			for _, kind := range []string{"application/json", "text/plain"} {
				a := h.do("admin", r.method, r.full(), body, header[0], header[1], "Content-Type", kind)
				if a.StatusCode != 403 || a.Header.Get("Content-Type") != "application/problem+json" || len(a.Cookies()) > 0 {
					t.Errorf("%s %s with %s: %d %s", r.method, r.path, header, a.StatusCode, a.text)
				}
			}
		}
	}
	count := func(s string) int { return strings.Count(s, `"what"`) - strings.Count(s, `"see.audit"`) }
	if after := h.want(200, "admin", "GET", "/api/v1/audit", nil).text; count(after) != count(before) {
		t.Errorf("something was done: %s", after)
	}
}
