package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.yaml.in/yaml/v4"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
)

// watching starts a service that reads a log and watches a certificate of this machine; the alerts go to a stub.
func watching(t *testing.T) *served {
	t.Helper()
	target := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(target.Close)
	host, port, err := net.SplitHostPort(target.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	chat := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(chat.Close)
	log := filepath.Join(t.TempDir(), "mail.log")
	var lines strings.Builder
	now := time.Now().Format("2006-01-02T15:04:05.000000-07:00")
	for i := range 5 {
		id := fmt.Sprintf("A0000000%03d", i)
		status := "dsn=2.0.0, status=sent (250 2.0.0 OK)"
		if i == 4 {
			status = "dsn=4.2.2, status=deferred (host gmail-smtp-in.l.google.com[192.0.2.9] said: 452 4.2.2 The email account that you tried to reach is over quota)"
		}
		fmt.Fprintf(&lines, "%[1]s mx1 postfix/smtpd[1]: %[2]s: client=app.mine.example[192.0.2.1]\n%[1]s mx1 postfix/cleanup[2]: %[2]s: message-id=<%[2]s@mine.example>\n%[1]s mx1 postfix/qmgr[3]: %[2]s: from=<li@mine.example>, size=1000, nrcpt=1 (queue active)\n%[1]s mx1 postfix/smtp[4]: %[2]s: to=<x%[2]s@gmail.com>, relay=gmail-smtp-in.l.google.com[192.0.2.9]:25, delay=1, delays=0/0/0/1, %[3]s\n", now, id, status)
	}
	if err := os.WriteFile(log, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{
		Intake:   []intake.Config{{Kind: "files", Paths: []string{log}}},
		Defaults: monitor.Defaults{Settings: monitor.Settings{Every: monitor.Span(time.Second), FailAfter: 1, FailOn: "warning"}}, // nobody believes the certificate
		Monitor:  []monitor.Definition{{ID: "cert", Kind: "certificate", Args: map[string]any{"host": host, "port": n, "starttls": "none"}}},
		Channel:  []notify.Channel{{ID: "chat", Kind: "webhook", URL: chat.URL, Severity: "note"}},
	}
	if bad := cfg.problems(); len(bad) > 0 {
		t.Fatalf("%+v", bad)
	}
	return quietService(t, cfg, func(o *serveOptions) { o.Env = nil })
}

// until waits for something that must come.
func until(t *testing.T, what func() string, ok func() bool) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-limit:
			t.Fatal(what())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *served) metrics() string { return string(s.want(200, "GET", "/metrics", nil)) }

func TestMetrics(t *testing.T) {
	s := watching(t)
	text := ""
	until(t, func() string { return "not all is there after two minutes:\n" + text }, func() bool {
		text = s.metrics()
		return strings.Contains(text, `mailwhy_monitor_state{kind="certificate",monitor="cert",state="failing"} 1`) && strings.Contains(text, `mailwhy_mail_messages_total{fate="delivered"} 4`)
	})
	for _, want := range []string{`mailwhy_build_info{version="`, "mailwhy_monitor_certificate_remaining_seconds{", "mailwhy_incidents_open 1", `mailwhy_intake_lines_total{source="`, `mailwhy_host_last_line_timestamp_seconds{host="mx1"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestPrometheus has the real Prometheus scrape the service, and asks it every query of every panel and every alert rule.
func TestPrometheus(t *testing.T) {
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("MAILWHY_LAB") == "required" {
				t.Fatalf("MAILWHY_LAB=required, but %s is not installed: make lab-install", program)
			}
			t.Skipf("%s is not installed: make lab-install (Debian package prometheus)", program)
		}
	}
	if testing.Short() {
		t.Skip("starts Prometheus")
	}
	deploy, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(deploy, "prometheus", "rules.yml")
	if out, err := exec.Command("promtool", "check", "config", filepath.Join(deploy, "prometheus", "prometheus.yml")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := watching(t)
	ask := startPrometheus(t, strings.TrimPrefix(s.url, "http://"), rules)
	for _, q := range append(panelQueries(t, deploy), ruleQueries(t, rules)...) {
		if strings.Contains(q, "mailwhy_mail_causes_total") || strings.Contains(q, "mailwhy_mail_provider_attempts_total") {
			q = strings.ReplaceAll(q, "rate(", "last_over_time(") // all lines may stand before the first scrape
		}
		last := ""
		until(t, func() string { return q + ": no data from a service that has all there is: " + last }, func() bool {
			var n int
			n, last = ask(q)
			return n > 0
		})
	}
}

// startPrometheus starts it on a free port over a folder of its own and gives a way to ask.
func startPrometheus(t *testing.T, target, rules string) func(query string) (results int, raw string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n  - job_name: mailwhy\n    static_configs:\n      - targets: [%q]\nrule_files: [%q]\n", target, rules)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 30 * time.Second}
	addr, said := "", ""
	for try := 0; addr == ""; try++ { // another program may take the port in between
		if try == 5 {
			t.Fatal("prometheus does not start: " + said)
		}
		addr, said = tryPrometheus(t, client, dir, file)
	}
	return func(query string) (int, string) {
		res, err := client.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		var a struct {
			Status, Error string
			Data          struct{ Result []json.RawMessage }
		}
		if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
			return 0, err.Error()
		}
		return len(a.Data.Result), a.Status + " " + a.Error
	}
}

// tryPrometheus starts it once. It gives the address when it is ready, or what it said when it ended.
func tryPrometheus(t *testing.T, client *http.Client, dir, file string) (addr, said string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	log, err := os.CreateTemp(dir, "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=warn")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	read := func() string { raw, _ := os.ReadFile(log.Name()); return string(raw) }
	ready := false
	until(t, func() string { return "prometheus does not get ready: " + read() }, func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		res, err := client.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		ready = res.StatusCode == 200
		return ready
	})
	if !ready {
		return "", read()
	}
	return addr, ""
}

// panelQueries are the queries of every panel of every dashboard.
func panelQueries(t *testing.T, deploy string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deploy, "grafana", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var b struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(raw, &b); err != nil || len(b.Panels) == 0 {
			t.Fatalf("%s: %v", f, err)
		}
		for _, p := range b.Panels {
			if len(p.Targets) == 0 {
				t.Errorf("%s: %s has no query", f, p.Title)
			}
			for _, x := range p.Targets {
				out = append(out, x.Expr)
			}
		}
	}
	return out
}

// comparison is the condition at the end of a rule: a rule of a healthy service gives nothing, what it looks at gives data.
var comparison = regexp.MustCompile(`^(.*) (==|>|<) [0-9.]+$`)

func ruleQueries(t *testing.T, file string) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			m := comparison.FindStringSubmatch(r.Expr)
			if m == nil {
				t.Fatalf("%s: no comparison at the end of %q", r.Alert, r.Expr)
			}
			out = append(out, m[1])
		}
	}
	if len(out) < 5 {
		t.Fatalf("%d rules in %s", len(out), file)
	}
	return out
}
