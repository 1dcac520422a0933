package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/web"
)

// TestBlocks follows an entry from the proposal to the export, each step by who may do it.
func TestBlocks(t *testing.T) {
	cfg := change.Config{Own: []string{"198.51.100.0/24"}}
	g, err := cfg.Guard()
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	h.again(func(o *web.Options) { o.Desk = &change.Desk{Store: h.state, Guard: g, Now: h.clock.now} })
	until := h.clock.now().Add(24 * time.Hour)
	if a := h.do("operator", "POST", "/api/v1/blocks", map[string]any{"what": "198.51.100.7", "reason": "x", "until": until}, "Accept-Language", "zh"); a.StatusCode != 422 || !strings.Contains(a.text, "自有范围") {
		t.Errorf("one of our own: %d %s", a.StatusCode, a.text)
	}
	a := h.do("operator", "POST", "/api/v1/blocks", map[string]any{"what": "203.0.113.7", "reason": "guessing", "until": until})
	var e struct{ ID, State string }
	a.into(t, &e)
	if a.StatusCode != 201 || e.State != "proposed" {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	if a := h.do("operator", "DELETE", "/api/v1/blocks/"+e.ID, nil); a.StatusCode != 409 {
		t.Errorf("taking a proposal back: %d %s", a.StatusCode, a.text)
	}
	if a := h.do("viewer", "GET", "/api/v1/blocks/export?as=plain", nil); strings.Contains(a.text, "203.0.113.7") {
		t.Errorf("exported before a decision: %s", a.text)
	}
	if a := h.do("approver", "POST", "/api/v1/blocks/"+e.ID+"/approve", map[string]any{"note": "seen"}); a.StatusCode != 200 || !strings.Contains(a.text, `"active"`) || !strings.Contains(a.text, `"approver"`) {
		t.Errorf("approved: %d %s", a.StatusCode, a.text)
	}
	if a := h.do("viewer", "GET", "/api/v1/blocks/export?as=nft", nil); !strings.Contains(a.text, "203.0.113.7") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("exported: %s %s", a.Header.Get("Content-Type"), a.text)
	}
	if a := h.do("viewer", "GET", "/api/v1/blocks?state=active", nil); !strings.Contains(a.text, e.ID) {
		t.Errorf("listed: %s", a.text)
	}
	if a := h.do("operator", "DELETE", "/api/v1/blocks/"+e.ID, nil); a.StatusCode != 204 {
		t.Errorf("taken back: %d %s", a.StatusCode, a.text)
	}
	if a := h.do("approver", "POST", "/api/v1/blocks/none/refuse", map[string]any{}); a.StatusCode != 404 {
		t.Errorf("no entry: %d %s", a.StatusCode, a.text)
	}
}
