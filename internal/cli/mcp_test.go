package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mailwhy/mailwhy/internal/trace"
)

// assistant connects a client to the tools, over the given logs.
func assistant(t *testing.T, o mcpOptions, logs ...string) *mcp.ClientSession {
	t.Helper()
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	a.opt.offline, a.opt.timeout, a.opt.resolvers = true, time.Second, []string{"192.0.2.53"}
	s, err := a.mcpServer(o, logs)
	if err != nil {
		t.Fatal(err)
	}
	here, there := mcp.NewInMemoryTransports()
	if _, err := s.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	c, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// call gives the text of a tool's answer.
func call(t *testing.T, c *mcp.ClientSession, tool string, args map[string]any) (text string, failed bool) {
	t.Helper()
	r, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	for _, x := range r.Content {
		if x, ok := x.(*mcp.TextContent); ok {
			text += x.Text
		}
	}
	return text, r.IsError
}

func TestAssistantSeesToolsThatOnlyLook(t *testing.T) {
	c := assistant(t, mcpOptions{})
	list, err := c.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range list.Tools {
		names = append(names, x.Name)
		if x.Annotations == nil || !x.Annotations.ReadOnlyHint || *x.Annotations.DestructiveHint || x.Description == "" {
			t.Errorf("%s: %+v", x.Name, x)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, mcpTools()) {
		t.Errorf("%v", names)
	}
}

func TestAssistantUsesTools(t *testing.T) {
	log := filepath.Join(t.TempDir(), "mail.log")
	lines := "Nov 22 10:00:00 mx1 postfix/qmgr[13]: A00000000001: from=<li@mine.example>, size=1000, nrcpt=1 (queue active)\n" +
		"Nov 22 10:00:02 mx1 postfix/smtp[16]: A00000000001: to=<wang@partner.example>, relay=mx.partner.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.partner.example[192.0.2.9] said: 550 5.1.1 User unknown (in reply to RCPT TO command))\n"
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	c := assistant(t, mcpOptions{}, log)
	for _, x := range []struct {
		tool   string
		args   map[string]any
		want   string
		not    string
		failed bool
	}{
		{"explain", map[string]any{"text": "550 5.1.1 User unknown"}, "recipient", "", false},
		{"explain", map[string]any{"text": "550 5.1.1 User unknown", "lang": "zh"}, "收件人", "", false},
		{"explain", map[string]any{"text": "550 5.1.1 User unknown", "format": "json"}, `"headline"`, "", false},
		{"check", map[string]any{"domain": "mine.example", "dns_only": true}, "mine.example", "", false},
		{"check", map[string]any{"domain": "not a domain"}, "domain", "", true},
		{"check", map[string]any{}, "domain", "", true},
		{"check", map[string]any{"domain": "mine.example", "sudo": "yes"}, "sudo", "", true},
		{"trace", map[string]any{"what": "wang@partner.example"}, "Not delivered", "wang@", false},
		{"trace", map[string]any{"what": "nobody@partner.example"}, "nothing found", "", false},
		{"trace", map[string]any{"what": "x"}, "too short", "", true},
		{"trace", map[string]any{"what": "wang@partner.example", "status": "eaten"}, "", "", true},
		{"rule", map[string]any{"id": "trace.not-delivered"}, "trace.not-delivered", "", false},
		{"rule", map[string]any{}, "spf.", "", false},
		{"rule", map[string]any{"id": "none"}, "none", "", true},
	} {
		text, failed := call(t, c, x.tool, x.args)
		if failed != x.failed || !strings.Contains(text, x.want) || x.not != "" && strings.Contains(text, x.not) {
			t.Errorf("%s %v: failed %v: %.600s", x.tool, x.args, failed, text)
		}
	}
	if text, _ := call(t, assistant(t, mcpOptions{clear: true}, log), "trace", map[string]any{"what": "wang@partner.example"}); !strings.Contains(text, "wang@partner.example") {
		t.Errorf("with --no-redact: %.600s", text)
	}
}

// Every tool answers the official client: with what its schema calls for and an example of each field.
func TestAssistantTriesEveryTool(t *testing.T) {
	s, _, token := reachable(t, "viewer")
	c := assistant(t, mcpOptions{remoteFlags: remoteFlags{url: s.url, tokenFile: token}})
	list, err := c.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	example := map[string]string{"domain": "mine.example", "to": "li@mine.example", "target": "mine.example", "what": "li@mine.example", "text": "550 5.1.1 User unknown", "address": "192.0.2.25", "script": "keep;", "message": "Subject: hello\n\nbody"}
	for _, x := range list.Tools {
		schema, ok := x.InputSchema.(map[string]any)
		if !ok {
			t.Fatalf("%s: schema of type %T", x.Name, x.InputSchema)
		}
		props, _ := schema["properties"].(map[string]any)
		args := map[string]any{}
		required, _ := schema["required"].([]any)
		for _, f := range required {
			name, _ := f.(string)
			p, _ := props[name].(map[string]any)
			about, _ := p["description"].(string)
			_, like, ok := strings.Cut(about, ", like ")
			if e, known := example[name]; known && !ok {
				like = e
			}
			if args[name] = like; name == "text" && x.Name != "explain" {
				args[name] = "From: wang@partner.example\nTo: li@mine.example\nSubject: hello\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <m1@partner.example>\n\nbody\n"
			}
		}
		text, failed := call(t, c, x.Name, args)
		if strings.TrimSpace(text) == "" || strings.Contains(text, "bug") || failed {
			t.Errorf("%s %v: failed %v: %.300s", x.Name, args, failed, text)
		}
		if text, failed := call(t, c, x.Name, map[string]any{"no_such_field": "x"}); !failed {
			t.Errorf("%s takes a field that it does not know: %.200s", x.Name, text)
		}
	}
}

// Pseudonyms are for what logs and people are called, not for the words that rules are called by.
func TestPseudonymsLeaveRuleIDs(t *testing.T) {
	in := map[string]any{"rule": "spf.syntax", "limit": "monitor.threshold.response", "host": "mx.partner.example", "next": []any{"check", "mine.example"}}
	out := maskedJSON(in, &trace.Redactor{Key: []byte("k")}).(map[string]any)
	if out["rule"] != "spf.syntax" || out["limit"] != "monitor.threshold.response" || out["host"] == "mx.partner.example" || out["next"].([]any)[1] == "mine.example" {
		t.Errorf("%v", out)
	}
}
