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
		o.Reports = state
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
		if r.path == "/logout" || strings.HasSuffix(r.path, "/events") {
			continue // ends our session; streams are tested on their own
		}
		for _, path := range paths(r) {
			for _, body := range bodies(h, r.op, rnd) {
				a := h.do("admin", r.method, path, body)
				if a.StatusCode >= 500 && (a.StatusCode != 502 || r.path != "/oidc/{id}/start") {
					t.Fatalf("%s %q %.300v: %d %s", r.method, path, body, a.StatusCode, a.text)
				}
				if strings.Contains(a.text, "event: problem") {
					t.Fatalf("%s %q: %s", r.method, path, a.text)
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
	out := []any{"", "{", "[]", "null", `"x"`, "{}", `{"a":1}`, strings.Repeat("[", 5000), "\xff", `{"name":` + strings.Repeat("1", 400) + `}`}
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
