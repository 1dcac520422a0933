package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/demo"
)

// TestDemoLive starts the living demo and wants something to see on its pages.
func TestDemoLive(t *testing.T) {
	w, err := demo.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	said, errw := io.Pipe()
	a := newApp(strings.NewReader(""), io.Discard, errw, func(string) (string, bool) { return "", false })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := a.demoLive(ctx, w, "127.0.0.1:0")
		errw.Close()
		ended <- err
	}()
	var heard bytes.Buffer
	greeting := regexp.MustCompile(`open (http://\S+/) and sign in as (\S+) with the password (\S+) `)
	var words []string
	for b := make([]byte, 4096); words == nil; words = greeting.FindStringSubmatch(heard.String()) {
		n, err := said.Read(b)
		heard.Write(b[:n])
		if err != nil {
			t.Fatalf("the demo ended: %v: %s", <-ended, heard.String())
		}
	}
	go io.Copy(io.Discard, said)
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	call := func(method, path string, body, into any) {
		t.Helper()
		raw, _ := json.Marshal(body)
		req, _ := http.NewRequestWithContext(t.Context(), method, words[1]+"api/v1/"+path, bytes.NewReader(raw))
		req.Header.Set("Content-Type", "application/json")
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			t.Fatalf("%s: HTTP %d", path, res.StatusCode)
		}
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var nothing any
	call("POST", "login", map[string]string{"name": words[2], "password": words[3]}, &nothing)
	var over struct {
		Totals    map[string]float64
		Providers []any
		Causes    []any
		Hosts     []any
	}
	for deadline := time.Now().Add(2 * time.Minute); over.Totals["delivered"] < 1000 || len(over.Hosts) < 3; { // a week of logs is taken in meanwhile
		if time.Now().After(deadline) {
			t.Fatalf("overview: %+v", over)
		}
		time.Sleep(100 * time.Millisecond)
		call("GET", "overview?since="+time.Now().Add(-demoHistory).UTC().Format(time.RFC3339), nil, &over)
	}
	if len(over.Providers) < 3 || len(over.Causes) < 3 {
		t.Errorf("overview: %d providers, %d causes", len(over.Providers), len(over.Causes))
	}
	var found struct{ Items []map[string]any }
	call("GET", "trace?q=wamg@nobody.example&limit=5", nil, &found)
	if len(found.Items) == 0 {
		t.Error("no journey to wamg@nobody.example")
	}
	for _, p := range []string{"monitors", "blocks", "inbox", "queue", "bounces", "reports/dmarc", "reports/tls", "runs", "shares", "users", "tokens", "channels", "maintenance", "audit", "rules"} {
		var seen map[string]json.RawMessage
		call("GET", p, nil, &seen)
		full := false
		for _, v := range seen {
			full = full || len(v) > len("[{}]") && v[0] == '['
		}
		if !full {
			t.Errorf("%s has nothing to see: %s", p, seen)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
