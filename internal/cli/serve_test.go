package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// served is a service under test with an admin signed in.
type served struct {
	t    *testing.T
	url  string
	c    *http.Client
	stop func() error // ends it and gives its error
}

// quietService starts `serve` in this process on a port of its own, with no network behind its runs, and makes the admin.
func quietService(t *testing.T, cfg *Config, change ...func(*serveOptions)) *served {
	t.Helper()
	if cfg == nil {
		cfg = &Config{}
	}
	cfg.Serve.Listen, cfg.Serve.Data = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan [2]string, 1), make(chan error, 1)
	o := serveOptions{Config: cfg, Ready: func(page, setup string) { ready <- [2]string{page, setup} }, Env: offlineEnv}
	for _, c := range change {
		c(&o)
	}
	go func() { ended <- a.serve(ctx, o) }()
	s := &served{t: t}
	s.stop = func() error { cancel(); err := <-ended; ended <- err; return err }
	t.Cleanup(func() { s.stop() })
	select {
	case at := <-ready:
		s.url = strings.TrimSuffix(at[0], "/")
		jar, _ := cookiejar.New(nil)
		s.c = &http.Client{Jar: jar}
		if _, token, ok := strings.Cut(at[1], "#/setup?token="); ok {
			s.want(200, "POST", "/api/v1/setup", map[string]string{"token": token, "name": "li", "password": "correct horse"})
		}
	case err := <-ended:
		ended <- err
		t.Fatalf("serve ended: %v", err)
	}
	return s
}

func offlineEnv(tape wire.Tape) (*check.Env, func(), error) {
	e := &check.Env{Now: time.Now, Know: knowledge.Embedded(), Dial: wire.NoNetwork{}, Tape: tape, Probe: check.Probe{HELO: "mail.mine.example", Offline: true, Timeout: time.Second}}
	e.DNS = dns.New(dns.Options{Servers: []string{"192.0.2.53"}, Dial: wire.NoNetwork{}, Tape: tape, Now: time.Now})
	return e, func() { e.DNS.Close() }, nil
}

func (s *served) want(status int, method, path string, body any) []byte {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(raw))
	req.Header.Set("Content-Type", "application/json")
	res, err := s.c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		s.t.Fatalf("%s %s: %d, want %d: %s %v", method, path, res.StatusCode, status, out, err)
	}
	return out
}

func TestServeStartsRunsAndStops(t *testing.T) {
	cfg := &Config{}
	s := quietService(t, cfg)
	var r struct{ ID, State, Problem string }
	if err := json.Unmarshal(s.want(201, "POST", "/api/v1/runs", map[string]any{"kind": "explain", "args": map[string]any{"text": "550 5.1.1 User unknown"}}), &r); err != nil {
		t.Fatal(err)
	}
	if ev := string(s.want(200, "GET", "/api/v1/runs/"+r.ID+"/events", nil)); !strings.Contains(ev, "event: done") {
		t.Fatal(ev)
	}
	got := string(s.want(200, "GET", "/api/v1/runs/"+r.ID+"?lang=zh", nil))
	if !strings.Contains(got, "收件人") {
		t.Errorf("%s", got)
	}
	if page := string(s.want(200, "GET", "/", nil)); !strings.Contains(page, "<html") {
		t.Errorf("the page: %.300s", page)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if status := Run(t.Context(), []string{"audit", "verify", "--data", cfg.Serve.Data}, nil, &out, &out, func(string) (string, bool) { return "", false }); status != 0 || !strings.Contains(out.String(), "is whole") {
		t.Errorf("%d: %s", status, out.String())
	}
	name := filepath.Join(cfg.Serve.Data, "audit.log")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(raw, []byte(`"who":"li"`), []byte(`"who":"wu"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if status := Run(t.Context(), []string{"audit", "verify", "--data", cfg.Serve.Data}, nil, &out, &out, func(string) (string, bool) { return "", false }); status != 1 || !strings.Contains(out.String(), "audit.chain") {
		t.Errorf("%d: %s", status, out.String())
	}
}

// Every kind that can be run from the page is a command of this binary, and each gives a report in both languages, also
// where nothing can be reached.
func TestEveryRunKind(t *testing.T) {
	a := newApp(nil, io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	root := a.root()
	args := map[string]string{
		"domain": "mine.example", "to": "wang@partner.example", "from": "li@mine.example", "ip": "192.0.2.25", "helo": "mail.mine.example", "selectors": "s1 s2", "host": "mail.mine.example",
		"target": "mail.mine.example:25", "subject": "192.0.2.25", "name": "mine.example", "types": "A MX", "address": "li@mine.example", "dns_only": "false", "file": base64.StdEncoding.EncodeToString(emptyCapture()), "account": "probe", "from_account": "probe", "to_account": "probe", "by_mx": "false", "protocol": "imap", "wait_seconds": "1", "script": "keep;", "message": "Subject: hello\n\nhello\n",
		"text": "Return-Path: <>\nReceived: from a.example by b.example; Sun, 22 Nov 2026 10:00:00 +0000\nFrom: li@mine.example\nSubject: hello\n\n550 5.1.1 User unknown\n",
	}
	r := &runner{newEnv: offlineEnv, accounts: probeAccounts(t)}
	for _, k := range r.Kinds() {
		if find(root, k.Kind) == nil {
			t.Errorf("%s is no command", k.Kind)
		}
		some := map[string]string{}
		for _, f := range k.Fields {
			some[f.Name] = args[f.Name]
			if args[f.Name] == "" {
				t.Errorf("%s: no sample for %s", k.Kind, f.Name)
			}
		}
		if k.Kind == "sieve" { // a message or an account
			delete(some, "account")
		}
		job, err := r.Prepare(k.Kind, some)
		if err != nil {
			t.Errorf("%s: %v", k.Kind, err)
			continue
		}
		if job.Target.Name == "" || job.Target.Kind == "" {
			t.Errorf("%s: target %+v", k.Kind, job.Target)
		}
		reports, err := job.Run(t.Context(), func(string, string) {})
		if err != nil || reports[finding.EN] == nil || reports[finding.ZH] == nil {
			t.Errorf("%s: %v", k.Kind, err)
			continue
		}
		if reports[finding.EN].Headline.Says.IsZero() {
			t.Errorf("%s: no headline", k.Kind)
		}
	}
}

func TestRunKindsRefuseBadArguments(t *testing.T) {
	r := &runner{newEnv: offlineEnv, accounts: probeAccounts(t)}
	for _, c := range []struct{ kind, field, value string }{
		{"check", "domain", "a b"}, {"mx", "domain", "192.0.2.1"}, {"deliver", "to", "nobody"}, {"spf", "domain", ""}, {"server", "host", "a/b"}, {"tls", "target", "mine.example:99999"},
		{"ip", "ip", "mine.example"}, {"blocklist", "subject", "a b"}, {"resolve", "name", "a..b"}, {"find", "address", "a@"}, {"explain", "text", strings.Repeat("x", 100_000)}, {"headers", "text", "no header"},
		{"dkim", "domain", "@"}, {"nothing", "kind", ""},
	} {
		_, err := r.Prepare(c.kind, map[string]string{c.field: c.value})
		bad, ok := err.(*runs.BadArg)
		if !ok || bad.Name != c.field || bad.What.IsZero() {
			t.Errorf("%s %s=%.30q: %v", c.kind, c.field, c.value, err)
		}
	}
}

// What users of the page run goes nowhere but to public addresses, also when a name leads elsewhere.
func TestRunsKeepToThePolicy(t *testing.T) {
	v := &service{app: newApp(nil, io.Discard, io.Discard, func(string) (string, bool) { return "", false }), cfg: &Config{}, now: time.Now, know: knowledge.Embedded()}
	v.cfg.Serve.Resolvers = []string{"127.0.0.53", "tls://127.0.0.54#dns.example", "https://127.0.0.55/dns-query"}
	env, done, err := v.door(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, place := range []string{"127.0.0.1:25", "10.0.0.1:25", "localhost:25", "192.0.2.1:22", "127.0.0.53:25"} {
		c, err := env.Dial.DialContext(t.Context(), "tcp", place)
		if err == nil {
			c.Close()
		}
		if f := wire.Classify("", err); f == nil || f.Kind != wire.NotAllowed {
			t.Errorf("%s: %v", place, err)
		}
	}
	for spec, want := range map[string]string{"127.0.0.53:53": "127.0.0.53:53", "tls://127.0.0.54:853#dns.example": "127.0.0.54:853", "https://127.0.0.55/dns-query": "127.0.0.55:443", "https://[::1]:8443/q": "[::1]:8443", "[2001:db8::53]:53": "[2001:db8::53]:53"} {
		if got := placeOf(spec); got != want {
			t.Errorf("%s: %s", spec, got)
		}
	}
	job, err := (&runner{newEnv: v.door}).Prepare("server", map[string]string{"host": "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	reports, err := job.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reports[finding.EN].Findings {
		if f.Outcome == finding.Fail {
			t.Errorf("a forbidden look was taken for a fault: %s %s", f.Rule.ID, f.Says())
		}
	}
}

func TestTwoServicesOfOneFolder(t *testing.T) {
	s := quietService(t, nil)
	var settings struct{ Server map[string]string }
	if err := json.Unmarshal(s.want(200, "GET", "/api/v1/settings", nil), &settings); err != nil {
		t.Fatal(err)
	}
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	err := a.serve(t.Context(), serveOptions{Config: &Config{Serve: ServeConfig{Listen: "127.0.0.1:0", Data: settings.Server["data"]}}})
	if err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("%v", err)
	}
}

func TestReloadKeepsTheOldConfiguration(t *testing.T) {
	hup, read := make(chan os.Signal, 1), make(chan bool, 1)
	s := quietService(t, nil, func(o *serveOptions) {
		o.Reload = hup
		o.Load = func() (*Config, error) { read <- true; return nil, os.ErrInvalid }
	})
	hup <- os.Interrupt
	<-read
	s.want(200, "GET", "/readyz", nil)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestConfigIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		"[serve]\nlisten = \"127.0.0.1:8025\"\nsession_idle = \"2h\"\nallow_targets = [\"10.0.0.0/8\", \"192.0.2.1\"]\n": "",
		"[serve]\nlissten = \"x\"\n":                   "line 2: unknown key serve.lissten",
		"[sserve]\nlisten = \"x\"\n":                   "unknown key sserve",
		"[serve]\nlisten = 25\n":                       "line 2",
		"[serve]\nlisten = \"here\"\n":                 "serve.listen",
		"[serve\n":                                     "line 1",
		"[serve]\npublic_url = \"mine.example\"\n":     "serve.public_url",
		"[serve]\ntls_cert = \"a.pem\"\n":              "tls_key",
		"[serve]\ntrusted_proxies = [\"proxy\"]\n":     "trusted_proxies",
		"[serve]\nallow_targets = [\"10.0.0.0/99\"]\n": "allow_targets",
		"[serve]\nlog_format = \"xml\"\n":              "log_format",
		"[serve]\nlog_level = \"loud\"\n":              "log_level",
		"[serve]\nsession_idle = \"soon\"\n":           "line 2",
		"[serve]\nruns_per_user = -1\n":                "negative",
	} {
		name := filepath.Join(t.TempDir(), "mailwhy.toml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readConfig(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := readConfig(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a missing file was read")
	}
}

func TestKindsAreUnique(t *testing.T) {
	var names []string
	for _, k := range allRunKinds() {
		if slices.Contains(names, k.Kind.Kind) {
			t.Errorf("%s twice", k.Kind.Kind)
		}
		names = append(names, k.Kind.Kind)
	}
}
