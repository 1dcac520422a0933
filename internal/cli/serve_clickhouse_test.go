package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	lab "github.com/mailwhy/mailwhy/lab/clickhouse"
)

const clusterPassword = "Kein-Wort_davon7"

// clickhouses runs servers of two shards, the first with two replicas, that want a password.
func clickhouses(t *testing.T) (*lab.Cluster, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers")
	}
	if why := lab.Missing(); why != "" {
		if os.Getenv("MAILWHY_LAB") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	c, err := lab.StartShape(t.Context(), filepath.Join(t.TempDir(), "lab"), clusterPassword, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	var hosts []string
	for _, s := range c.Servers {
		hosts = append(hosts, s.Addr())
	}
	return c, "clickhouse://default@" + strings.Join(hosts, ",") + "/mailwhy?cluster=mail"
}

// sayings are what a service logs, read while it does.
type sayings struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *sayings) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(b)
}
func (s *sayings) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.all.String() }

// site is a mail server's log that one serve takes in.
type site struct {
	name, host string
	lines      []string
	s          *served
	said       *sayings
}

func (x *site) write(t *testing.T, n int) {
	t.Helper()
	f, err := os.OpenFile(x.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range n {
		i := len(x.lines)
		line := fmt.Sprintf("2026-11-22T10:%02d:%02d+00:00 %s postfix/smtp[16]: %c%011d: to=<sun@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok %d)",
			i/60%60, i%60, x.host, 'A'+x.host[2]-'1', i, i)
		x.lines = append(x.lines, line)
		if _, err := fmt.Fprintln(f, line); err != nil {
			t.Fatal(err)
		}
	}
}

// delivered asks the overview, which must answer at any time.
func (x *site) delivered(t *testing.T) int64 {
	t.Helper()
	var o struct{ Totals struct{ Delivered int64 } }
	if err := json.Unmarshal(x.s.want(200, "GET", "/api/v1/overview", nil), &o); err != nil {
		t.Fatal(err)
	}
	return o.Totals.Delivered
}

func (x *site) until(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) { // between two looks
		if got := x.delivered(t); got == n {
			return
		} else if got > n || time.Now().After(deadline) {
			t.Fatalf("%d deliveries, want %d\n%s", got, n, x.said)
		}
	}
}

// TestServeOnACluster takes in the logs of two sites by two services into one cluster of three servers and kills one of
// them meanwhile: nothing is lost, nothing comes twice, both pages answer all the time, and nobody reads the password.
func TestServeOnACluster(t *testing.T) {
	cluster, url := clickhouses(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(clusterPassword+"\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var sites []*site
	for i := range 2 {
		x := &site{name: filepath.Join(dir, fmt.Sprintf("site%d.log", i+1)), host: fmt.Sprintf("mx%d", i+1), said: &sayings{}}
		x.write(t, 400)
		cfg := &Config{Serve: ServeConfig{Store: url, StorePasswordFile: secret}, Intake: []intake.Config{{Kind: "files", Paths: []string{x.name}}}}
		x.s = quietService(t, cfg, func(o *serveOptions) {
			o.Log = slog.New(slog.NewTextHandler(x.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		sites = append(sites, x)
	}
	for _, x := range sites {
		x.until(t, 800)
	}
	copied(t, cluster.Servers[0], cluster.Servers[1]) // a page may ask either
	copied(t, cluster.Servers[1], cluster.Servers[0])
	var writing sync.WaitGroup
	writing.Go(func() { cluster.Servers[1].Kill() }) // the second replica of the first shard
	for range 8 {
		for _, x := range sites {
			x.write(t, 50)
			x.delivered(t)
			if page := string(x.s.want(200, "GET", "/api/v1/trace?q=A00000000007", nil)); !strings.Contains(page, "sun@partner.example") {
				t.Errorf("a message stored before is not found: %s", page)
			}
			x.s.want(200, "GET", "/", nil)
		}
	}
	writing.Wait()
	for _, x := range sites { // each page shows what the other one took in
		x.until(t, 1600)
	}
	whole(t, url, sites, map[string]string{storePasswordEnv: clusterPassword})
	if err := cluster.Servers[1].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	copied(t, cluster.Servers[0], cluster.Servers[1])
	cluster.Servers[0].Kill() // the one that came back answers alone
	for _, x := range sites {
		x.until(t, 1600)
		settings := string(x.s.want(200, "GET", "/api/v1/settings", nil))
		if !strings.Contains(settings, "clickhouse://default@") {
			t.Errorf("the settings do not say where logs are kept: %s", settings)
		}
		if err := x.s.stop(); err != nil {
			t.Error(err)
		}
		for what, text := range map[string]string{"the log": x.said.String(), "the page": settings} {
			if strings.Contains(text, clusterPassword) {
				t.Errorf("%s shows the password: %s", what, text)
			}
		}
	}
	whole(t, url, sites, map[string]string{storePasswordEnv: clusterPassword})
}

// copied waits until one replica has what the other one has.
func copied(t *testing.T, from, to *lab.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, table := range []string{"piece", "found", "value"} {
		sql := "SELECT count() FROM mailwhy." + table + "1_local"
		for {
			want, err := from.Ask(ctx, sql)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := to.Ask(ctx, sql); err == nil && got == want {
				break
			} else if ctx.Err() != nil {
				t.Fatalf("%s: %s rows of %s, %v", table, got, want, err)
			}
			time.Sleep(20 * time.Millisecond) // between two looks
		}
	}
}

// whole holds what `mailwhy trace --store` finds against what was written.
func whole(t *testing.T, url string, sites []*site, env map[string]string) {
	t.Helper()
	var out, errw bytes.Buffer
	status := Run(t.Context(), []string{"trace", "--store", url, "--raw", "sun@partner.example"}, nil, &out, &errw, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if status != 0 || strings.Contains(errw.String(), clusterPassword) {
		t.Fatalf("trace --store ends with %d: %s", status, errw.String())
	}
	times := map[string]int{}
	for line := range strings.Lines(out.String()) {
		times[strings.TrimSuffix(line, "\n")]++
	}
	n := 0
	for _, x := range sites {
		for _, line := range x.lines {
			n++
			if times[line] != 1 {
				t.Fatalf("%d times: %s", times[line], line)
			}
		}
	}
	if len(times) != n {
		t.Errorf("%d lines, want %d", len(times), n)
	}
}

// TestStorePassword holds that the password of a store comes from a file or the environment, and is shown nowhere.
func TestStorePassword(t *testing.T) {
	l := "clickhouse://li:" + clusterPassword + "@127.0.0.1:1/mailwhy" // nobody listens there
	clean := "clickhouse://li@127.0.0.1:1/mailwhy?dial_timeout=100ms"
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte("[serve]\nlisten = \"127.0.0.1:0\"\nstore = \""+l+"?dial_timeout=100ms\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	data := t.TempDir()
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"trace", "--store", l, "A1"}, exitUsage, "--store-password-file"},
		{[]string{"serve", "--store", l}, exitUsage, "--store-password-file"},
		{[]string{"trace", "--store", clean, "--store-password-file", filepath.Join(data, "none"), "li@mine.example"}, exitUntested, "none"},
		{[]string{"trace", "--store", clean, "li@mine.example"}, exitUntested, "clickhouse://li@127.0.0.1:1"},
		{[]string{"serve", "--config", file, "--data", data}, exitUntested, "clickhouse://li@127.0.0.1:1"},
	} {
		var out bytes.Buffer
		status := Run(ctx, c.args, strings.NewReader(""), &out, &out, func(k string) (string, bool) { return clusterPassword, k == storePasswordEnv })
		if status != c.status || !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), clusterPassword) {
			t.Errorf("%v: %d %s", c.args, status, out.String())
		}
	}
}
