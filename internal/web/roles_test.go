package web_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
)

// who says for every route who may call it: every role by its first letter (viewer, helpdesk, operator, approver: p,
// admin), "*" for anybody without signing in. A route that is not in it fails the test: decide, then write it down.
var who = map[string]string{
	"GET /session": "*", "POST /setup": "*", "POST /login": "*", "POST /logout": "*",
	"GET /oidc/{id}/start": "*", "GET /oidc/{id}/callback": "*",
	"GET /users": "a", "POST /users": "a", "PUT /users/{id}": "a", "DELETE /users/{id}": "a",
	"GET /tokens": "vhopa", "POST /tokens": "vhopa", "DELETE /tokens/{id}": "vhopa",
	"GET /audit": "a",
	"GET /rules": "vhopa", "GET /rules/{id}": "vhopa",
	"GET /catalogue": "vhopa", "GET /runs": "vhopa", "POST /runs": "hopa", "GET /runs/{id}": "vhopa", "GET /runs/{id}/diff": "vhopa", "GET /runs/{id}/events": "vhopa",
	"POST /runs/{id}/share": "hopa", "DELETE /runs/{id}/share": "hopa", "GET /shares": "hopa", "GET /shared/{token}": "*",
	"GET /trace": "vhopa", "GET /trace/stream": "vhopa", "GET /journeys/{id}": "vhopa", "GET /overview": "vopa", "GET /bounces": "vhopa", "GET /queue": "vopa",
	"GET /inbox": "hopa", "POST /inbox": "hopa", "GET /inbox/{address}": "hopa",
	"GET /blocks": "vopa", "POST /blocks": "opa", "POST /blocks/{id}/approve": "pa", "POST /blocks/{id}/refuse": "pa", "DELETE /blocks/{id}": "opa", "GET /blocks/export": "vopa",
	"GET /monitors": "vopa", "POST /monitors": "opa", "GET /monitors/{id}": "vopa", "PUT /monitors/{id}": "opa", "DELETE /monitors/{id}": "opa",
	"POST /monitors/{id}/run": "opa", "POST /monitors/{id}/ack": "opa", "POST /monitors/{id}/mute": "opa", "POST /monitors/{id}/unmute": "opa",
	"GET /monitors/{id}/samples": "vopa", "POST /monitors/{id}/replay": "vopa", "GET /incidents": "vopa", "GET /incidents/{id}": "vopa",
	"GET /maintenance": "vopa", "POST /maintenance": "opa", "PUT /maintenance/{id}": "opa", "DELETE /maintenance/{id}": "opa",
	"GET /channels": "opa", "POST /channels": "a", "GET /channels/{id}": "opa", "PUT /channels/{id}": "a", "DELETE /channels/{id}": "a", "POST /channels/{id}/test": "a",
	"GET /proposals": "vopa", "POST /proposals/{id}/approve": "pa", "POST /proposals/{id}/refuse": "pa",
	"GET /reports/dmarc": "vhopa", "GET /reports/tls": "vhopa",
	"GET /settings": "vhopa", "PUT /settings": "vhopa",
}

// What the document of the API says is what there is.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	raw, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for name := range who {
		method, path, _ := strings.Cut(name, " ")
		if doc.Paths[path][strings.ToLower(method)] == nil {
			t.Errorf("%s is not in docs/openapi.json: make generate", name)
		}
	}
}

var letters = map[access.Role]string{access.Viewer: "v", access.Helpdesk: "h", access.Operator: "o", access.Approver: "p", access.Admin: "a"}

// route is an operation of the document.
type route struct {
	method, path string
	op           *huma.Operation
}

func routesOf(h *house) (out []route) {
	for path, item := range h.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete, "PATCH": item.Patch} {
			if op != nil {
				out = append(out, route{method, path, op})
			}
		}
	}
	return out
}

// full is the path with parameters filled in.
func (r route) full() string {
	return "/api/v1" + parameter.ReplaceAllLiteralString(r.path, "nothing")
}

func TestEveryRouteHoldsEveryRole(t *testing.T) {
	h := newHouse(t, everything(t))
	seen := map[string]bool{}
	for _, r := range routesOf(h) {
		name := r.method + " " + r.path
		seen[name] = true
		may, known := who[name]
		if !known {
			t.Errorf("%s is in no line of the table who: say who may call it", name)
			continue
		}
		var body any
		if r.op.RequestBody != nil {
			body = "{}"
		}
		if may == "*" {
			if a := h.do("", r.method, r.full(), body); a.StatusCode == http.StatusForbidden {
				t.Errorf("%s is for anybody: %d %s", name, a.StatusCode, a.text)
			}
			continue
		}
		if a := h.do("", r.method, r.full(), body); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without signing in: %d %s", name, a.StatusCode, a.text)
		}
		for role, letter := range letters {
			a := h.do(string(role), r.method, r.full(), body)
			if denied := a.StatusCode == http.StatusForbidden; denied == strings.Contains(may, letter) {
				t.Errorf("%s as %s: %d %s", name, role, a.StatusCode, a.text)
			}
		}
	}
	for name := range who {
		if !seen[name] {
			t.Errorf("%s is in the table who, but there is no such route", name)
		}
	}
}
