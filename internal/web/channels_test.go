package web_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/web"
)

// book gives channels of which one stands in the configuration file.
func book(t *testing.T, state *sqlite.State) *notify.Book {
	t.Helper()
	doors := &notify.Doors{Secret: func(notify.Secret) (string, error) { return "", nil }}
	file := &notify.Config{Channel: []notify.Channel{{ID: "file", Kind: "alertmanager", URL: "http://127.0.0.1:1"}}}
	b, err := notify.NewBook(t.Context(), state.Channels(), notify.NewDispatcher(state.Outbox(), doors, file, slog.New(slog.DiscardHandler)), doors, file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestChannelsThroughThePage(t *testing.T) {
	const secret = "a-word-that-nobody-may-see"
	got := make(chan string, 10)
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(raw)
		if strings.Contains(r.URL.Path, "gone") {
			http.Error(w, "no_service", http.StatusNotFound)
			return
		}
		io.WriteString(w, "ok")
	}))
	defer chat.Close()
	h := newHouse(t)
	runner, _ := watch(t, h.clock.now)
	h.again(func(o *web.Options) { o.Channels, o.Monitors = book(t, h.state), runner })

	add := map[string]any{"id": "night", "kind": "slack", "severity": "error", "secrets": map[string]string{"hook": chat.URL + "/" + secret}}
	h.want(403, "operator", "POST", "/api/v1/channels", add)
	var row struct {
		ID, Kind, Title, Severity string
		Secrets                   []string
		Editable                  bool
	}
	a := h.want(201, "admin", "POST", "/api/v1/channels", add)
	if a.into(t, &row); row.ID != "night" || row.Title != "Slack" || len(row.Secrets) != 1 || !row.Editable || strings.Contains(a.text, secret) {
		t.Errorf("%s", a.text)
	}
	h.want(409, "admin", "POST", "/api/v1/channels", add)
	if a := h.want(422, "admin", "POST", "/api/v1/channels", map[string]any{"id": "other", "kind": "telegram", "chat": "7"}); !strings.Contains(a.text, "secret") {
		t.Errorf("%s", a.text)
	}

	h.want(200, "admin", "POST", "/api/v1/channels/night/test", nil)
	if text := <-got; !strings.HasPrefix(text, "/"+secret+" ") || !strings.Contains(text, "this is a test of the channel night") {
		t.Errorf("%s", text)
	}

	// A change that names no secret keeps it; one that names another takes it.
	delete(add, "secrets")
	add["severity"] = "warning"
	h.want(200, "admin", "PUT", "/api/v1/channels/night", add).into(t, &row)
	if row.Severity != "warning" || len(row.Secrets) != 1 {
		t.Errorf("%+v", row)
	}
	h.want(200, "admin", "POST", "/api/v1/channels/night/test", nil)
	if text := <-got; !strings.HasPrefix(text, "/"+secret+" ") {
		t.Errorf("%s", text)
	}
	add["secrets"] = map[string]string{"hook": chat.URL + "/gone/" + secret}
	h.want(200, "admin", "PUT", "/api/v1/channels/night", add)
	var sent struct {
		Sent bool
		Text string
	}
	a = h.want(200, "admin", "POST", "/api/v1/channels/night/test", nil)
	if a.into(t, &sent); sent.Sent || sent.Text == "" || strings.Contains(a.text, secret) {
		t.Errorf("%s", a.text)
	}

	// One of the configuration file, and one that a monitor names, stay.
	h.want(409, "admin", "DELETE", "/api/v1/channels/file", nil)
	h.want(409, "admin", "PUT", "/api/v1/channels/file", map[string]any{"id": "file", "kind": "alertmanager", "url": "http://127.0.0.1:2"})
	if a := h.want(200, "operator", "GET", "/api/v1/channels", nil); strings.Contains(a.text, secret) || !strings.Contains(a.text, `"id":"file"`) {
		t.Errorf("%s", a.text)
	}
	h.want(204, "admin", "DELETE", "/api/v1/channels/night", nil)
	h.want(404, "admin", "GET", "/api/v1/channels/night", nil)
	h.want(404, "admin", "POST", "/api/v1/channels/night/test", nil)

	var log struct {
		Items []struct{ What, Target, Detail string }
	}
	a = h.want(200, "admin", "GET", "/api/v1/audit?what=channel.", nil)
	if a.into(t, &log); len(log.Items) != 7 || strings.Contains(a.text, secret) {
		t.Errorf("%s", a.text)
	}
	var c struct {
		Channels []struct {
			Kind   string
			Fields []struct{ Name, Label, Type string }
		}
	}
	h.again(func(o *web.Options) { o.Channels, o.Runner = book(t, h.state), &fakeRunner{} })
	h.want(200, "admin", "GET", "/api/v1/catalogue", nil).into(t, &c)
	if len(c.Channels) != len(notify.Kinds()) {
		t.Errorf("%+v", c)
	}
	for _, k := range c.Channels {
		for _, f := range k.Fields {
			if f.Label == "" || f.Type == "" {
				t.Errorf("%s: the field %s has no label or type", k.Kind, f.Name)
			}
		}
	}
}

func TestMaintenanceThroughThePage(t *testing.T) {
	h := newHouse(t)
	runner, _ := watch(t, h.clock.now)
	h.again(func(o *web.Options) { o.Monitors = runner })
	now := h.clock.now()
	night := map[string]any{"monitors": []string{"fi*"}, "reason": "new kernel", "from": now.Add(-time.Minute), "to": now.Add(time.Hour)}
	h.want(403, "viewer", "POST", "/api/v1/maintenance", night)
	var p struct {
		ID, By           string
		Open, Over, File bool
	}
	h.want(201, "operator", "POST", "/api/v1/maintenance", night).into(t, &p)
	if p.ID == "" || p.By != "operator" || !p.Open || p.Over || p.File {
		t.Errorf("%+v", p)
	}
	if a := h.want(200, "viewer", "GET", "/api/v1/monitors/file", nil); !strings.Contains(a.text, `"window":{`) || !strings.Contains(a.text, "new kernel") {
		t.Errorf("%s", a.text)
	}
	night["to"] = now.Add(30 * time.Second)
	h.want(200, "operator", "PUT", "/api/v1/maintenance/"+p.ID, night)
	h.clock.move(time.Minute)
	var all struct {
		Items []struct {
			ID, Reason string
			Open, Over bool
		}
	}
	h.want(200, "viewer", "GET", "/api/v1/maintenance", nil).into(t, &all)
	if len(all.Items) != 1 || all.Items[0].Open || !all.Items[0].Over {
		t.Errorf("%+v", all)
	}
	for field, body := range map[string]map[string]any{
		"monitors": {"monitors": []string{"nobody"}, "reason": "x", "from": now, "to": now.Add(time.Hour)},
		"cron":     {"cron": "x", "for_s": 60, "reason": "x"},
		"reason":   {"from": now, "to": now.Add(time.Hour), "reason": " "},
	} {
		if a := h.want(422, "operator", "POST", "/api/v1/maintenance", body); !strings.Contains(a.text, `"location":"body.`) {
			t.Errorf("%s: %s", field, a.text)
		}
	}
	h.want(204, "operator", "DELETE", "/api/v1/maintenance/"+p.ID, nil)
	h.want(404, "operator", "DELETE", "/api/v1/maintenance/"+p.ID, nil)
	night["to"] = now.Add(time.Hour)
	h.want(404, "operator", "PUT", "/api/v1/maintenance/nothing", night)
}
