package web_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/web"
)

// watch gives a runner over a store of its own. What its monitors of the kind silence count is *mail.
func watch(t *testing.T, now func() time.Time) (*monitor.Runner, *atomic.Int64) {
	t.Helper()
	if now == nil {
		now = time.Now
	}
	state, err := sqlite.OpenState(t.Context(), t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	mail := &atomic.Int64{}
	r, err := monitor.New(t.Context(), monitor.Options{
		Store: state.Monitors(), Now: now,
		Config: &monitor.Config{Monitor: []monitor.Definition{{ID: "file", Kind: "silence", Settings: monitor.Settings{FailAfter: 1},
			Propose: &monitor.Propose{Action: monitor.LowerTTL, Target: "mine.example MX", Old: "3600", New: "300", For: monitor.Span(time.Hour)}}}},
		Doors: func(context.Context, *monitor.Vantage, bool) (*monitor.Doors, error) {
			return &monitor.Doors{Env: &check.Env{Now: now}, Flow: func(context.Context, monitor.FlowQuery) (int64, time.Time, error) { return mail.Load(), now(), nil }}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, mail
}

type monitorView struct {
	ID, State, Target, Incident string
	Editable, Armed             bool
	EveryS                      float64 `json:"every_s"`
	Last                        *struct{ State, Text, Next string }
	Muted                       *struct{ Reason, By string }
	Acked                       *struct{ By string }
}

func TestMonitorsThroughThePage(t *testing.T) {
	h := newHouse(t)
	runner, mail := watch(t, h.clock.now)
	h.again(func(o *web.Options) { o.Monitors = runner })
	var m monitorView
	read := func(as, method, path string, body any, status int) *answer {
		t.Helper()
		a := h.do(as, method, "/api/v1"+path, body)
		if a.StatusCode != status {
			t.Fatalf("%s %s as %s: %d %s, want %d", method, path, as, a.StatusCode, a.text, status)
		}
		if status < 300 && strings.HasPrefix(a.text, "{\"id\"") || strings.Contains(a.text, "\"kind\"") && status < 300 && !strings.Contains(a.text, "\"items\"") {
			m = monitorView{}
			a.into(t, &m)
		}
		return a
	}
	// made, with a name of its own
	read("operator", "POST", "/monitors", map[string]any{"kind": "silence", "args": map[string]any{"domain": "mine.example", "at_least": 3}, "every_s": 60, "fail_after": 2}, 201)
	if m.ID != "silence-mine.example" || m.State != "unknown" || !m.Editable || m.EveryS != 60 || m.Target != "mine.example" {
		t.Errorf("%+v", m)
	}
	read("operator", "POST", "/monitors", map[string]any{"kind": "silence", "args": map[string]any{"domain": "mine.example"}}, 201)
	if m.ID != "silence-mine.example-2" {
		t.Errorf("%+v", m)
	}
	read("operator", "DELETE", "/monitors/silence-mine.example-2", nil, 204)
	// what is wrong is told with its place
	if a := read("operator", "POST", "/monitors", map[string]any{"kind": "silence", "args": map[string]any{"domains": "x"}}, 422); !strings.Contains(a.text, "body.args.domains") {
		t.Error(a.text)
	}
	if a := read("operator", "POST", "/monitors?lang=zh", map[string]any{"kind": "login", "args": map[string]any{"address": "a@b.example", "password_file": "/etc/shadow"}}, 422); !strings.Contains(a.text, "配置文件") {
		t.Errorf("a file of this machine is read from the page: %s", a.text)
	}
	// it turns red, is taken on, and turns green
	id := "/monitors/silence-mine.example"
	read("operator", "POST", id+"/run", nil, 200)
	h.clock.move(time.Minute)
	read("operator", "POST", id+"/run", nil, 200)
	if m.State != "failing" || m.Incident == "" || !strings.Contains(m.Last.Text, "0 messages received within") {
		t.Errorf("%+v %+v", m, m.Last)
	}
	if a := read("viewer", "GET", "/incidents?lang=zh", nil, 200); !strings.Contains(a.text, "封邮件") {
		t.Error(a.text)
	}
	read("operator", "POST", id+"/ack", map[string]any{"note": "on it"}, 200)
	if m.Acked == nil || m.Acked.By != "operator" {
		t.Errorf("%+v", m)
	}
	mail.Store(10)
	for range 2 {
		h.clock.move(time.Minute)
		read("operator", "POST", id+"/run", nil, 200)
	}
	if m.State != "ok" || m.Incident != "" {
		t.Errorf("%+v", m)
	}
	read("operator", "POST", id+"/ack", map[string]any{}, 409)
	// muted with a reason and an end
	read("operator", "POST", id+"/mute", map[string]any{"reason": "moving", "until": h.clock.now().Add(-time.Hour)}, 422)
	read("operator", "POST", id+"/mute", map[string]any{"reason": "moving", "until": h.clock.now().Add(time.Hour)}, 200)
	if m.Muted == nil || m.Muted.By != "operator" {
		t.Errorf("%+v", m)
	}
	read("operator", "POST", id+"/unmute", nil, 200)
	if m.Muted != nil {
		t.Errorf("%+v", m)
	}
	// samples and replay
	var samples struct {
		Items []struct{ State string }
	}
	read("viewer", "GET", id+"/samples?since=1h", nil, 200).into(t, &samples)
	if len(samples.Items) != 4 || samples.Items[0].State != "failing" || samples.Items[3].State != "ok" {
		t.Errorf("%+v", samples)
	}
	var replay struct{ Samples, Fired, Flaps int }
	read("viewer", "POST", id+"/replay", map[string]any{"since": "1d"}, 200).into(t, &replay)
	if replay.Samples != 4 || replay.Fired != 1 || replay.Flaps != 0 {
		t.Errorf("%+v", replay)
	}
	// changed and forgotten; what stands in the file stays
	read("operator", "PUT", id, map[string]any{"kind": "silence", "args": map[string]any{"domain": "mine.example"}, "armed": false}, 200)
	if m.Armed || m.State != "ok" {
		t.Errorf("%+v", m)
	}
	read("operator", "PUT", "/monitors/file", map[string]any{"kind": "silence"}, 409)
	read("operator", "DELETE", id, nil, 204)
	read("operator", "GET", id, nil, 404)
	if a := read("admin", "GET", "/audit", nil, 200); !strings.Contains(a.text, "monitor.mute") || !strings.Contains(a.text, "monitor.add") {
		t.Error(a.text)
	}
}

func TestProposalsThroughThePage(t *testing.T) {
	h := newHouse(t)
	runner, _ := watch(t, h.clock.now)
	h.again(func(o *web.Options) { o.Monitors = runner })
	if a := h.do("operator", "POST", "/api/v1/monitors/file/run", nil); a.StatusCode != 200 {
		t.Fatal(a.text)
	}
	var list struct {
		Items []struct {
			ID, Title, Hash, State, By string
			Steps                      []struct{ Target, Old, New string }
		}
	}
	h.do("approver", "GET", "/api/v1/proposals", nil).into(t, &list)
	if len(list.Items) != 1 || list.Items[0].State != "open" || list.Items[0].Steps[0].New != "300" || !strings.Contains(list.Items[0].Title, "mine.example MX") {
		t.Fatalf("%+v", list)
	}
	p := list.Items[0]
	path := "/api/v1/proposals/" + p.ID + "/approve"
	if a := h.do("operator", "POST", path, map[string]any{"hash": p.Hash}); a.StatusCode != 403 {
		t.Errorf("an operator approves: %d", a.StatusCode)
	}
	if a := h.do("approver", "POST", path, map[string]any{"hash": "another"}); a.StatusCode != 409 {
		t.Errorf("another hash: %d %s", a.StatusCode, a.text)
	}
	if a := h.do("approver", "POST", path, map[string]any{"hash": p.Hash}); a.StatusCode != 200 || !strings.Contains(a.text, "approved") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := h.do("approver", "POST", path, map[string]any{"hash": p.Hash}); a.StatusCode != 409 {
		t.Errorf("approved twice: %d %s", a.StatusCode, a.text)
	}
}
