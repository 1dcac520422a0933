package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	logcheck "github.com/mailwhy/mailwhy/internal/check/logs"
	queuecheck "github.com/mailwhy/mailwhy/internal/check/queue"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
	"github.com/mailwhy/mailwhy/internal/web"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// watchPart runs the monitors and sends alerts.
func watchPart(ctx context.Context, v *service) (*part, error) {
	d := notify.NewDispatcher(v.state.Outbox(), v.app.notifyDoors(), v.cfg.channels(), v.log)
	book, err := notify.NewBook(ctx, v.state.Channels(), d, v.cfg.Serve.pageDoors(v.app.notifyDoors()), v.cfg.channels())
	if err != nil {
		return nil, err
	}
	hands := &hands{app: v.app, state: v.state, data: v.cfg.Serve.Data, more: v.cfg.Desk, now: v.now, updates: v.cfg.Update, note: v.recordOf}
	runner, err := monitor.New(ctx, monitor.Options{
		Config: v.cfg.monitors(), Store: v.state.Monitors(), Announcer: &herald{d, v.cfg.Serve.PublicURL}, Now: v.now, Log: v.log,
		Applier: hands, Doors: v.monitorDoors, History: v.flow().times,
	})
	if err != nil {
		return nil, err
	}
	v.web.Monitors, v.web.Dispatcher, v.web.Channels, v.web.Hands = runner, d, book, hands
	v.web.MonitorCounts = func(ctx context.Context) (web.MonitorCounts, error) { return web.MonitorCountsOf(ctx, runner, v.now()) }
	v.watch, v.alerts = runner, d
	return &part{
		name: "monitors",
		run: func(ctx context.Context) error {
			done := make(chan struct{})
			go func() { defer close(done); d.Serve(ctx) }()
			runner.Serve(ctx)
			<-done
			return nil
		},
		reload: func(c *Config) error {
			ctx := context.WithoutCancel(ctx)
			hands.reload(c.Update)
			return errors.Join(book.Reload(ctx, c.channels()), runner.Reload(ctx, c.monitors()))
		},
	}, nil
}

// monitorDoors is what a run of a monitor may touch: for one of the configuration file whatever this machine may, for one
// made from the page what the page's probes may.
func (v *service) monitorDoors(_ context.Context, from *monitor.Vantage, page bool) (*monitor.Doors, error) {
	env, done, err := v.newEnv(nil)
	if err != nil {
		return nil, err
	}
	d := &monitor.Doors{Env: env, Close: done, Flow: v.flow().count, Account: v.accounts.open, Threat: v.threatDoor(), Listings: v.state}
	if page {
		return d, nil
	}
	if v.ownEnv { // an Env that a test gave is the world already
		timeout := time.Duration(v.cfg.Serve.Timeout)
		if timeout <= 0 {
			timeout = 10 * time.Second
		}
		if err := stand(env, from, v.cfg.Serve.Resolvers, timeout); err != nil {
			return nil, err
		}
	}
	v.app.localDoors(d)
	return d, nil
}

// threatDoor is the way of monitors to the threat feeds. The feeds are the admin's, so that it is open wherever they stand,
// for monitors of the page as well.
func (v *service) threatDoor() func(context.Context, []string) (*finding.Report, error) {
	if v.cfg.Threat.empty() {
		return nil
	}
	return func(ctx context.Context, words []string) (*finding.Report, error) {
		env, done, err := v.newEnv(nil)
		if err != nil {
			return nil, err
		}
		defer done()
		if v.ownEnv {
			if err := stand(env, nil, v.cfg.Serve.Resolvers, env.Probe.Timeout); err != nil {
				return nil, err
			}
		}
		return v.app.threatDoor(&v.cfg.Threat, env, v.cfg.Serve.Data)(ctx, words)
	}
}

// stand moves an Env to a vantage point.
func stand(env *check.Env, from *monitor.Vantage, resolvers []string, timeout time.Duration) error {
	dialer := &net.Dialer{Timeout: timeout}
	if from != nil {
		if len(from.Resolvers) > 0 {
			resolvers = from.Resolvers
		}
		if from.Source != "" {
			ip, err := netip.ParseAddr(from.Source)
			if err != nil {
				return fmt.Errorf("source of vantage %s: %w", from.Name, err)
			}
			env.Probe.NoIPv6 = env.Probe.NoIPv6 || ip.Is4()
			dialer.LocalAddr = &net.TCPAddr{IP: ip.AsSlice()}
		}
	}
	env.Dial, env.Allow = dialer, nil
	if env.DNS != nil {
		env.DNS.Close()
	}
	env.DNS = dns.New(dns.Options{Servers: resolvers, Timeout: min(timeout, 5*time.Second), NoIPv6: env.Probe.NoIPv6, Now: env.Now})
	if env.SMTP != nil {
		env.SMTP.Door = env.SMTPDoor()
	}
	return nil
}

// localDoors are what monitors may see of this machine.
func (a *app) localDoors(d *monitor.Doors) {
	env := d.Env
	d.Secret = func(file string) (string, error) { return a.readSecret(notify.Secret("file:" + file)) }
	d.Local = func(ctx context.Context, ntp string) (*finding.Report, map[string]float64, error) {
		r, err := thisMachine(ctx, env, ntp, cmp.Or(env.Probe.Timeout, 10*time.Second))
		if err != nil {
			return nil, nil, err
		}
		return r, localValues(r), nil
	}
	d.Queue = func(ctx context.Context) (*finding.Report, map[string]float64, error) {
		now := env.Now()
		g := queuecheck.NewGatherer(now, liveLifetime(ctx))
		sum, err := a.readQueue(ctx, "", now, g.Entry)
		if err != nil {
			return nil, nil, err
		}
		f := g.Facts(sum, nil, env.Know)
		values := map[string]float64{"messages": float64(f.Messages), "oldest": 0}
		if len(f.Oldest) > 0 {
			values["oldest"] = max(now.Sub(f.Oldest[0].At).Seconds(), 0)
		}
		return queuecheck.Survey(env, finding.Host(hostname()), f, 10), values, nil
	}
	d.Logs = func(ctx context.Context, files []string, since time.Duration) (*finding.Report, error) {
		sum := a.sumLogs(ctx, files, tally.Options{Since: env.Now().Add(-since)}, false)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return logcheck.Survey(env, logcheck.Input{Stats: sum.tally.Stats(10), Files: sum.files, Top: 10})
	}
}

// notifyDoors are what channels may touch.
func (a *app) notifyDoors() *notify.Doors {
	return &notify.Doors{Secret: a.readSecret, HELO: ownName()}
}

// pageDoors are what channels made from the page may touch: of the network what the page's probes may, at any port.
func (s *ServeConfig) pageDoors(d *notify.Doors) *notify.Doors {
	p := s.policy()
	p.AnyPort = true
	dial := p.Dialer(10 * time.Second)
	return &notify.Doors{HELO: d.HELO, Now: d.Now, Dial: dial, HTTP: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dial.DialContext, MaxIdleConns: 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// readSecret reads what a reference of a configuration file leads to: the first line of a file, or a variable.
func (a *app) readSecret(ref notify.Secret) (string, error) {
	if name, ok := strings.CutPrefix(string(ref), "env:"); ok {
		v, ok := a.getenv(name)
		if !ok {
			return "", fmt.Errorf("the variable %s is not set", name)
		}
		return v, nil
	}
	name := strings.TrimPrefix(string(ref), "file:")
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	return strings.TrimRight(string(line), "\r"), nil
}

// herald makes alerts of what monitors tell.
type herald struct {
	to   *notify.Dispatcher
	page string // public URL, "" for none
}

// Announce hands an event over.
func (h *herald) Announce(ctx context.Context, n *monitor.News) error {
	return h.to.Take(ctx, alertOf(n, h.page), n.Channels)
}

func alertOf(n *monitor.News, page string) *notify.Alert {
	e, o := &n.Event, &n.Event.Observation
	a := &notify.Alert{
		ID: e.ID, Key: e.Incident, Status: notify.Firing, Severity: n.Severity, Event: string(e.Kind), Monitor: e.Monitor, Kind: n.Monitor.Kind, Title: n.Monitor.Title,
		Target: n.Target, What: notify.Text(o.Text), How: both(eventWords(e, n.Monitor.FlapWithin.D())), Since: e.Since, At: e.At, Owner: o.Owner.String(),
		Whose: both(word(render.OwnerWord(o.Owner))), Next: render.Command(o.Next),
	}
	if a.Next == "" {
		a.Next = render.Command(finding.Cmd("monitor", "run", e.Monitor))
	}
	switch e.Kind {
	case monitor.Resolved:
		a.Status = notify.Resolved
	case monitor.Calmed:
		if o.Verdict == monitor.OK {
			a.Status = notify.Resolved
		}
	case monitor.Blinded, monitor.Changed, monitor.Proposes, monitor.SeesOn:
		a.Status = notify.Info
		switch e.Kind {
		case monitor.Proposes:
		case monitor.SeesOn: // ends what Blinded began
			a.Key = e.Monitor + "-" + string(monitor.Blinded)
		default:
			a.Key = e.Monitor + "-" + string(e.Kind)
		}
	}
	for i := range o.Causes {
		c := &o.Causes[i]
		if len(a.Why) < 5 && i > 0 {
			a.Why = append(a.Why, notify.Text(c.Text))
		}
		for _, ev := range c.Evidence {
			if len(a.Evidence) < 5 {
				a.Evidence = append(a.Evidence, ev)
			}
		}
	}
	if p := n.Proposal; p != nil {
		a.What, a.Evidence, a.Next = notify.Text(p.Title), p.Evidence[:min(len(p.Evidence), 5)], render.Command(finding.Cmd("monitor", "approve", p.ID))
		a.Key = p.ID
	}
	if page != "" {
		a.Link = page + "/#/monitors/" + e.Monitor
	}
	return a
}

func both(s finding.Sentence) notify.Text { return notify.Text(monitor.Say(s)) }

// eventWords says what happened to a monitor.
func eventWords(e *monitor.Event, within time.Duration) finding.Sentence {
	args := finding.Args{"N": e.Count, "Within": within, "From": e.Observation.From, "For": e.At.Sub(e.Since)}
	switch e.Kind {
	case monitor.Opened:
		if len(e.Observation.From) > 1 {
			return finding.S("failed {{.N}} {{plural .N \"time\" \"times\"}} in a row, seen from {{list .From}}", args)
		}
		return finding.S("failed {{.N}} {{plural .N \"time\" \"times\"}} in a row", args)
	case monitor.Widened:
		return finding.S("something else fails, too", nil)
	case monitor.Reminded:
		return finding.S("still failing after {{.For}}, and nobody has acknowledged it", args)
	case monitor.Resolved:
		return finding.S("fine again after {{.For}}", args)
	case monitor.Flapped:
		return finding.S("changed {{.N}} times within {{.Within}}: alerts are held back until it is calm", args)
	case monitor.Calmed:
		if e.Observation.Verdict == monitor.OK {
			return finding.S("no change for {{.Within}}: it stays fine", args)
		}
		return finding.S("no change for {{.Within}}: it stays broken", args)
	case monitor.Blinded:
		switch e.Before {
		case monitor.None:
			return finding.S("could not be tested {{.N}} times in a row; nothing is known from before", args)
		case monitor.Failing:
			return finding.S("could not be tested {{.N}} times in a row; it failed before that", args)
		}
		return finding.S("could not be tested {{.N}} times in a row; it was fine before that", args)
	case monitor.SeesOn:
		return finding.S("can be tested again after {{.For}}", args)
	case monitor.Changed:
		return finding.S("{{.N}} {{plural .N \"thing\" \"things\"}} changed since the run before", args)
	case monitor.Proposes:
		return finding.S("an action is proposed and waits for approval", nil)
	}
	return finding.S("changed while flapping; not told", nil)
}
