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
