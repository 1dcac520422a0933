package rspamd

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const answer = `{"is_skipped":false,"score":7.5,"required_score":15.0,"action":"add header","symbols":{"BAYES_SPAM":{"name":"BAYES_SPAM","score":5.1,"description":"spam"},"R_DKIM_ALLOW":{"score":-0.2,"options":["mine.example:s=1"]},"ARC_NA":{"score":0}}}`

func check(t *testing.T, status int, body string) (*Result, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/checkv2" || r.Method != http.MethodPost || string(raw) != "Subject: x\r\n\r\n" || r.Header.Get("IP") != "192.0.2.1" {
			t.Errorf("%s %s %q", r.Method, r.URL, raw)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer s.Close()
	return Check(context.Background(), Options{URL: s.URL, IP: "192.0.2.1", Dial: &net.Dialer{}, Timeout: 5 * time.Second}, []byte("Subject: x\r\n\r\n"))
}

func TestCheck(t *testing.T) {
	r, err := check(t, 200, answer)
	if err != nil {
		t.Fatal(err)
	}
	if r.Action != "add header" || r.Score != 7.5 || r.Required != 15 || len(r.Symbols) != 2 || r.Symbols[0].Name != "BAYES_SPAM" || r.Symbols[1].Options[0] != "mine.example:s=1" {
		t.Errorf("%+v", r)
	}
}

func TestNoRspamd(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
	}{{200, "<html>"}, {200, "{}"}, {403, "no"}, {302, ""}, {200, ""}} {
		if r, err := check(t, c.status, c.body); err == nil {
			t.Errorf("%d %q was taken for %+v", c.status, c.body, r)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(answer)
	f.Fuzz(func(t *testing.T, s string) { _, _ = read(strings.NewReader(s)) })
}
