package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mailwhy/mailwhy/internal/intake"
)

// reachable is a service with one bounced message in its store, and the file of a token of the role.
func reachable(t *testing.T, role string) (s *served, data, tokenFile string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "mail.log")
	lines := "Nov 22 10:00:00 mx1 postfix/cleanup[12]: A00000000001: message-id=<m1@mine.example>\n" +
		"Nov 22 10:00:00 mx1 postfix/qmgr[13]: A00000000001: from=<li@mine.example>, size=1000, nrcpt=1 (queue active)\n" +
		"Nov 22 10:00:02 mx1 postfix/smtp[16]: A00000000001: to=<wang@partner.example>, relay=mx.partner.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.partner.example[192.0.2.9] said: 550 5.1.1 User unknown (in reply to RCPT TO command))\n"
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{Intake: []intake.Config{{Kind: "files", Paths: []string{log}}}}
	s = quietService(t, cfg)
	untilStored(t, cfg.Serve.Data, "wang@partner.example", 1)
	var token struct{ Token string }
	if err := json.Unmarshal(s.want(201, "POST", "/api/v1/tokens", map[string]any{"name": "assistant", "role": role}), &token); err != nil {
		t.Fatal(err)
	}
	tokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(token.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, cfg.Serve.Data, tokenFile
}

func TestAssistantAsksAStoreAndAServer(t *testing.T) {
	s, data, token := reachable(t, "viewer")
	far := mcpOptions{remoteFlags: remoteFlags{url: s.url, tokenFile: token}}
	for name, o := range map[string]mcpOptions{"store": {store: data}, "server": far} {
		t.Run(name, func(t *testing.T) {
			c := assistant(t, o)
			text, failed := call(t, c, "trace", map[string]any{"what": "wang@partner.example"})
			if failed || !strings.Contains(text, "Not delivered") || strings.Contains(text, "wang@") || strings.Contains(text, "mx.partner.example") || strings.Contains(text, "192.0.2.9") {
				t.Errorf("%v %.900s", failed, text)
			}
			if text, failed := call(t, c, "trace", map[string]any{"what": "wang@partner.example", "status": "sent"}); failed || !strings.Contains(text, "nothing found") {
				t.Errorf("%v %.600s", failed, text)
			}
			if text, failed := call(t, c, "trace", map[string]any{"what": "nobody@partner.example"}); failed || !strings.Contains(text, "nothing found") {
				t.Errorf("%v %.600s", failed, text)
			}
			o.clear = true
			c = assistant(t, o)
			if text, failed := call(t, c, "trace", map[string]any{"what": "<m1@mine.example>", "lang": "zh"}); failed || !strings.Contains(text, "wang@partner.example") || !strings.Contains(text, "收件人") {
				t.Errorf("%v %.900s", failed, text)
			}
		})
	}
	t.Run("tools of a server", func(t *testing.T) {
		c := assistant(t, far)
		list, err := c.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list.Tools {
			if !x.Annotations.ReadOnlyHint || *x.Annotations.DestructiveHint {
				t.Errorf("%s: %+v", x.Name, x.Annotations)
			}
		}
		for _, x := range farTools {
			if !slices.Contains(mcpToolNames(list.Tools), x.name) {
				t.Errorf("no tool %s", x.name)
			}
		}
		if text, failed := call(t, c, "overview", map[string]any{}); failed || !strings.Contains(text, `"headline"`) || !strings.Contains(text, `"bounced": 1`) {
			t.Errorf("%v %.900s", failed, text)
		}
		if text, failed := call(t, c, "monitors", map[string]any{}); failed || !strings.Contains(text, `"items"`) {
			t.Errorf("%v %.900s", failed, text)
		}
		if text, failed := call(t, c, "overview", map[string]any{"since": "soon"}); !failed || !strings.Contains(text, "422") {
			t.Errorf("%v %.900s", failed, text)
		}
	})
}

func mcpToolNames(list []*mcp.Tool) (out []string) {
	for _, x := range list {
		out = append(out, x.Name)
	}
	return out
}

func TestRemoteRefusesWhatWouldTellTheToken(t *testing.T) {
	var seen []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = append(seen, r.Header.Get("Authorization")) }))
	defer elsewhere.Close()
	moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer moved.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("mw_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"http://mail.mine.example", "ftp://mail.mine.example", "mail.mine.example", "https://li:pw@mail.mine.example/", ""} {
		if _, err := newApp(nil, nil, nil, nil).openRemote(&remoteFlags{url: url, tokenFile: token}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
	if _, err := newApp(nil, nil, nil, nil).openRemote(&remoteFlags{url: moved.URL}); err == nil {
		t.Error("no token was taken")
	}
	c := assistant(t, mcpOptions{remoteFlags: remoteFlags{url: moved.URL, tokenFile: token}})
	if text, failed := call(t, c, "trace", map[string]any{"what": "wang@partner.example"}); !failed || !strings.Contains(text, "302") || strings.Contains(text, "mw_secret") {
		t.Errorf("%v %s", failed, text)
	}
	if len(seen) != 0 {
		t.Errorf("the token went elsewhere: %v", seen)
	}
}

func TestCheckTellsWhatIsDifferent(t *testing.T) {
	s, _, token := reachable(t, "viewer")
	data := t.TempDir()
	check := func(args ...string) (int, string) {
		var out bytes.Buffer
		args = append([]string{"check", "mine.example", "--offline", "--color", "never", "--lang", "en", "--fail-on", "never"}, args...)
		status := Run(t.Context(), args, nil, &out, &out, func(string) (string, bool) { return "", false })
		return status, out.String()
	}
	if _, text := check("--since", "last", "--store", data); !strings.Contains(text, "no run of before is remembered") {
		t.Errorf("%s", text)
	}
	if _, text := check("--since", "last", "--store", data); !strings.Contains(text, "Different from the run of") || !strings.Contains(text, "nothing is different") {
		t.Errorf("%s", text)
	}
	if _, text := check("--since", "1d", "--store", data); !strings.Contains(text, "no run of before is remembered") {
		t.Errorf("%s", text)
	}
	if _, text := check("--since", "last", "--server", s.url, "--token-file", token); !strings.Contains(text, "the server remembers no run of before") {
		t.Errorf("%s", text)
	}
	var r struct{ ID string }
	if err := json.Unmarshal(s.want(201, "POST", "/api/v1/runs", map[string]any{"kind": "check", "args": map[string]any{"domain": "mine.example"}}), &r); err != nil {
		t.Fatal(err)
	}
	s.want(200, "GET", "/api/v1/runs/"+r.ID+"/events", nil) // until it is done
	if _, text := check("--since", "last", "--server", s.url, "--token-file", token); !strings.Contains(text, "Different from the run of") {
		t.Errorf("%s", text)
	}
	for _, args := range [][]string{{"--since", "last", "other.example"}, {"--store", data}, {"--since", "last", "--store", data, "--server", s.url}, {"--since", "soon", "--store", data}} {
		if status, text := check(args...); status != exitUsage {
			t.Errorf("%v: %d %s", args, status, text)
		}
	}
}
