package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/demo"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// The living demo: how far back its logs go, how busy it is, and when a provider began to put us off.
const (
	demoHistory = 7 * 24 * time.Hour
	demoPerHour = 120
	demoWave    = 2 * time.Hour
	demoUser    = "demo"

	demoHelpdesk = "helpdesk"
)

// demoLive runs serve on the small Internet, with logs that grow as one looks, until the context ends.
func (a *app) demoLive(ctx context.Context, w *demo.World, listen string) error {
	dir, err := os.MkdirTemp("", "mailwhy-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	logs, err := openDemoLogs(filepath.Join(dir, "logs"))
	if err != nil {
		return err
	}
	defer logs.close()
	now := time.Now()
	traffic := demo.NewTraffic(1, now.Add(-demoHistory), now.Add(-demoWave))
	if err := traffic.WriteUntil(now, demoPerHour, logs.of); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	grown := make(chan error, 1)
	go func() { grown <- growDemoLogs(ctx, traffic, logs) }()
	listing := filepath.Join(dir, "queue.json")
	suspects := filepath.Join(dir, "suspects.txt")
	if err := errors.Join(writeDemoQueue(listing, now), os.WriteFile(suspects, []byte(demoSuspects), 0o600)); err != nil {
		return err
	}
	phone, hangUp, err := demoPhone(ctx)
	if err != nil {
		return err
	}
	defer hangUp()
	cfg := &Config{
		Serve:   ServeConfig{Listen: listen, Data: filepath.Join(dir, "data"), LogLevel: "warn", RunsPerMinute: 120},
		Intake:  []intake.Config{{Kind: "files", Paths: []string{filepath.Join(dir, "logs", "*.log")}}},
		Queue:   QueueConfig{Listing: listing},
		Inbox:   InboxConfig{Listen: "127.0.0.1:0", Domain: "inbox.mine.example"},
		Monitor: demoMonitors(),
		Threat:  ThreatConfig{Feeds: []string{suspects}},
		Channel: []notify.Channel{{ID: "on-call", Kind: "webhook", URL: phone}},
	}
	failed := make(chan error, 1)
	ready := false
	var serving *service
	err = a.serve(ctx, serveOptions{Config: cfg,
		Env: func(tape wire.Tape) (*check.Env, func(), error) {
			e := w.Live(tape)
			return e, func() { e.DNS.Close() }, nil
		},
		Opened: func(ctx context.Context, v *service) error { serving = v; return keepDemoReports(ctx, v.state, now) },
		// The page answers once Ready has returned.
		Ready: func(page, setup string) {
			ready = true
			go func() { failed <- a.demoGreet(ctx, page, setup, serving.inboxAt, stop) }()
		}})
	stop()
	err = errors.Join(err, <-grown)
	if ready {
		err = errors.Join(err, <-failed)
	}
	return err
}

// freeOr is the address, or any free port of loopback where something listens there already: a demo starts beside a service.
func freeOr(ctx context.Context, listen string) string {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close()
	return listen
}

// demoGreet makes the users and says how to sign in; a demo that nobody can enter ends.
func (a *app) demoGreet(ctx context.Context, page, setup, inboxAt string, stop func()) error {
	password, err := demoSetup(ctx, page, setup, inboxAt)
	if err != nil {
		defer stop()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	a.note(finding.S("A living demo: open {{.Page}} and sign in as {{.User}} with the password {{.Password}} ({{.Helpdesk}} with the same one sees one domain only). Ctrl-C ends it, and nothing is left behind.",
		finding.Args{"Page": page, "User": demoUser, "Password": password, "Helpdesk": demoHelpdesk}))
	return nil
}

// demoLogs are the log files of the demo's machines.
type demoLogs map[string]*os.File

func openDemoLogs(dir string) (demoLogs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := demoLogs{}
	for _, h := range demo.Hosts {
		f, err := os.Create(filepath.Join(dir, h+".log"))
		if err != nil {
			l.close()
			return nil, err
		}
		l[h] = f
	}
	return l, nil
}

func (l demoLogs) of(host string) io.Writer { return l[host] }

func (l demoLogs) close() {
	for _, f := range l {
		f.Close()
	}
}

// growDemoLogs writes on, a second at a time, and busier than the history: who looks wants to see something move.
func growDemoLogs(ctx context.Context, t *demo.Traffic, l demoLogs) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := t.WriteUntil(now, 20*demoPerHour, l.of); err != nil {
				return err
			}
		}
	}
}

// demoSuspects is a plain list as others publish them.
const demoSuspects = "# seen in the last week\n203.0.113.0/24 ; offers to every address\n198.51.100.200\nspam.example\n"

// demoMonitors watch the small Internet: most are fine, two are not.
func demoMonitors() []monitor.Definition {
	soon := monitor.Settings{Every: monitor.Span(20 * time.Second), FailAfter: 2}
	return []monitor.Definition{
		{ID: "to-fine", Kind: "deliver", Title: "fine.example", Args: map[string]any{"to": "wang@fine.example"}, Settings: soon, SlowerThan: monitor.Span(300 * time.Millisecond)},
		{ID: "to-dark", Kind: "deliver", Title: "dark.example", Args: map[string]any{"to": "wang@dark.example"}, Settings: soon},
		{ID: "dns-fine", Kind: "domain", Title: "fine.example", Args: map[string]any{"domain": "fine.example", "dns_only": true}, Settings: soon},
		{ID: "dns-broken", Kind: "domain", Title: "broken.example", Args: map[string]any{"domain": "broken.example", "dns_only": true}, Settings: soon,
			Propose: &monitor.Propose{Action: monitor.LowerTTL, Target: "broken.example TXT", Old: "300", New: "60", For: monitor.Span(2 * time.Hour)}},
	}
}

// writeDemoQueue makes a queue as postqueue -j shows it: what partners put off.
func writeDemoQueue(name string, now time.Time) error {
	var b bytes.Buffer
	for i := range 60 {
		to, why := "wang@full.example", "host mx.full.example[192.0.2.140] said: 452 4.2.2 <wang@full.example>: Mailbox full (in reply to RCPT TO command)"
		switch {
		case i%3 == 0:
			to, why = "li@club.example", "host aspmx.l.google.com[192.0.2.26] said: 421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address (in reply to end of DATA command)"
		case i%7 == 0:
			to, why = "zhang@dark.example", "connect to mx.dark.example[192.0.2.180]:25: Connection timed out"
		}
		fmt.Fprintf(&b, "{\"queue_name\":\"deferred\",\"queue_id\":\"4FhK%06X\",\"arrival_time\":%d,\"message_size\":%d,\"forced_expire\":false,\"sender\":\"li@mine.example\",\"recipients\":[{\"address\":%q,\"delay_reason\":%q}]}\n",
			i*7919, now.Add(-time.Duration(i*i)*time.Minute).Unix(), 2000+i*531, to, why)
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
