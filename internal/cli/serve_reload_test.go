package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
)

// A reload brings monitors and channels in, changes them and takes them out, while the service goes on.
func TestReloadTakesMonitorsAndChannels(t *testing.T) {
	hup, next := make(chan os.Signal), make(chan *Config, 1)
	one := func(id string, every time.Duration) monitor.Definition {
		return monitor.Definition{ID: id, Kind: "silence", Settings: monitor.Settings{Every: monitor.Span(every)}}
	}
	cfg := &Config{Monitor: []monitor.Definition{one("first", time.Hour)}}
	s := quietService(t, cfg, func(o *serveOptions) {
		o.Reload, o.Load = hup, func() (*Config, error) { return <-next, nil }
	})
	reload := func(change func(*Config)) {
		t.Helper()
		c := *cfg
		change(&c)
		next <- &c
		hup <- os.Interrupt
	}
	until := func(page string, want, not []string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // between two looks
			got, right := string(s.want(200, "GET", "/api/v1/"+page, nil)), true
			for _, w := range want {
				right = right && strings.Contains(got, w)
			}
			for _, w := range not {
				right = right && !strings.Contains(got, w)
			}
			if right {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s, want %q and not %q", page, got, want, not)
			}
		}
	}
	until("monitors", []string{`"first"`, `"every_s":3600`}, []string{`"second"`})
	channel := notify.Channel{ID: "ops", Kind: "webhook", URL: "http://127.0.0.1:9/hook"}
	reload(func(c *Config) {
		c.Monitor, c.Channel = []monitor.Definition{one("first", 2*time.Hour), one("second", time.Hour)}, []notify.Channel{channel}
	})
	until("monitors", []string{`"first"`, `"every_s":7200`, `"second"`}, nil)
	until("channels", []string{`"ops"`}, nil)
	reload(func(c *Config) { c.Monitor = []monitor.Definition{one("second", time.Hour)} })
	until("monitors", []string{`"second"`}, []string{`"first"`})
	until("channels", nil, []string{`"ops"`})
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// A backup that is made while lines come in is whole, and a service that goes on from it takes in what came afterwards:
// nothing is lost and nothing comes twice.
func TestBackupWhileLinesComeIn(t *testing.T) {
	dir := t.TempDir()
	name, copied, again := filepath.Join(dir, "mail.log"), filepath.Join(dir, "copy"), filepath.Join(dir, "again")
	since, n := time.Now().Add(-24*time.Hour), 0
	write := func(messages int) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(flowing(since, since.Add(time.Duration(messages)*10*time.Minute), nil))
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		since, n = since.Add(time.Duration(messages)*10*time.Minute), n+messages
	}
	write(5)
	config := func() *Config { return &Config{Intake: []intake.Config{{Kind: "files", Paths: []string{name}}}} }
	cfg := config()
	s := quietService(t, cfg)
	untilStored(t, cfg.Serve.Data, "li@mine.example", n)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var out, errs bytes.Buffer
		if got := Run(t.Context(), []string{"backup", "--data", cfg.Serve.Data, copied}, strings.NewReader(""), &out, &errs, func(string) (string, bool) { return "", false }); got != exitOK {
			t.Errorf("backup: exit %d: %s", got, errs.String())
		}
	}()
	write(20)
	<-done
	write(5)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if got := Run(t.Context(), []string{"restore", "--data", again, copied}, strings.NewReader(""), &out, &errs, func(string) (string, bool) { return "", false }); got != exitOK {
		t.Fatalf("restore: exit %d: %s", got, errs.String())
	}
	if had := stored(t, again, "li@mine.example"); had < 5 || had > 25 {
		t.Errorf("the backup has %d messages, written were 5 before it and 25 when it ended", had)
	}
	next := config()
	s = quietService(t, next, func(o *serveOptions) { o.Config.Serve.Data = again })
	untilStored(t, again, "li@mine.example", n)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
