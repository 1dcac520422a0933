package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // Windows and bare containers have no time zones of their own

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/store/clickhouse"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/web"
)

func (a *app) serveCommand() *cobra.Command {
	var file, data, listen, where, passwordFile string
	c := &cobra.Command{
		Use:   "serve",
		Short: a.say("keep running: take logs in, serve the page and the API, watch and alert"),
		Long: a.say(`Keeps running: takes in the logs of all servers, serves the page and the API, watches what it is told to watch, and wakes the right person with the reason.

Everything is remembered in one folder. The first start prints a link that makes the first user. SIGHUP reads the configuration again; SIGTERM and Ctrl-C stop within seconds, and nothing is lost.`),
		Example: "  mailwhy serve\n  mailwhy serve --config /etc/mailwhy/mailwhy.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (*Config, error) {
				c, err := readConfig(file)
				if err != nil {
					return nil, err
				}
				if listen != "" {
					c.Serve.Listen = listen
				}
				if data != "" {
					c.Serve.Data = data
				}
				if where != "" {
					if err := secretOnCommandLine(where); err != nil {
						return nil, err
					}
					c.Serve.Store = where
				}
				if passwordFile != "" {
					c.Serve.StorePasswordFile = passwordFile
				}
				if c.Serve.Data == "" {
					c.Serve.Data = a.dataFolder()
				}
				return c, c.Serve.check()
			}
			cfg, err := load()
			if err != nil {
				return err
			}
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			return a.serve(a.begin(cmd), serveOptions{Config: cfg, Load: load, Reload: hup, Ready: a.welcome})
		},
	}
	f := c.Flags()
	f.StringVar(&file, "config", "", a.say("configuration file (TOML or YAML)"))
	f.StringVar(&data, "data", "", a.say("folder of everything that is remembered"))
	f.StringVar(&where, "store", "", a.say("where logs are kept: a ClickHouse server or cluster, clickhouse://user@host:9000,…/database?cluster=name (default: the data folder)"))
	a.storePasswordFlag(c, &passwordFile)
	f.StringVar(&listen, "listen", "", a.say("listen here: [ADDRESS]:PORT (default 127.0.0.1:8025)"))
	return c
}

// welcome tells where the page is, and how the first user is made.
func (a *app) welcome(page, setup string) {
	if setup != "" {
		a.note(finding.S("No user yet. Open this link to make the first one; it works once: {{.Link}}", finding.Args{"Link": setup}))
		return
	}
	a.note(finding.S("The page is at {{.Link}}", finding.Args{"Link": page}))
}

// serveOptions start a service. Only Config is needed; Data and Listen must be set in it.
type serveOptions struct {
	Config *Config
	Log    *slog.Logger                          // nil: to standard error as the configuration says
	Now    func() time.Time                      // nil: the clock
	Opened func(context.Context, *service) error // called before the page answers; nil: nothing to add
	Ready  func(page, setup string)              // called when the page answers; setup is the one-time link, "" when there are users
	Env    newEnv                                // the door of one run to the world and what closes it; nil: the Internet
	Load   func() (*Config, error)               // reads the configuration again; nil: no reload
	Reload <-chan os.Signal
}

// service is mailwhy serve at work: what its parts share.
type service struct {
	app    *app
	cfg    *Config
	log    *slog.Logger
	now    func() time.Time
	newEnv newEnv
	ownEnv bool // newEnv is our own, not one that a test gave
	watch  *monitor.Runner
	alerts *notify.Dispatcher
	know   *knowledge.Base
	state  *sqlite.State
	access *access.Keeper
	audit  *audit.Log
	web    web.Options // a part adds what it brings to the page

	accounts *accounts // mailboxes of the configuration
	inboxAt  string    // where test mails are received

	journeys journeyStore        // what the logs told
	taken    func() intake.Stats // figures of taking logs in
}

// part is a room that works as long as serve does.
type part struct {
	name   string
	run    func(context.Context) error // until the context ends; an error stops the service
	reload func(*Config) error         // nil: nothing of it can change while it runs
	close  func() error                // after every run ended; nil: nothing to close
}

// parts are the rooms of the service, built in this order and closed in the reverse. A builder gives nil where the
// configuration does not ask for its part.
var parts = []func(context.Context, *service) (*part, error){journeysPart, retentionPart, intakePart, queuePart, inboxPart, watchPart, deskPart, metricsPart}

// serve runs the service until the context ends.
func (a *app) serve(ctx context.Context, o serveOptions) (err error) {
	v := &service{app: a, cfg: o.Config, log: o.Log, now: o.Now, newEnv: o.Env}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = logger(a.errw, &o.Config.Serve)
	}
	if v.newEnv == nil {
		v.newEnv, v.ownEnv = v.door, true
	}
	done, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	var running []*part
	defer func() {
		for i := len(running) - 1; i >= 0; i-- {
			if c := running[i].close; c != nil {
				err = errors.Join(err, c())
			}
		}
	}()
	for _, build := range parts {
		p, err := build(ctx, v)
		if err != nil {
			return err
		}
		if p != nil {
			running = append(running, p)
		}
	}
	if o.Opened != nil {
		if err := o.Opened(ctx, v); err != nil {
			return err
		}
	}
	l, err := v.listen(ctx)
	if err != nil {
		return err
	}
	page, err := v.webPart(l)
	if err != nil {
		l.Close()
		return err
	}
	setup, err := v.setupLink(ctx, l)
	if err != nil {
		l.Close()
		return err
	}
	v.record("serve.start", "version "+Version())
	running = append(running, page)
	v.log.Info("serving", "page", v.link(l), "data", o.Config.Serve.Data, "version", Version(), "audit", v.audit.Head().String())
	if o.Ready != nil {
		o.Ready(v.link(l), setup)
	}
	err = v.run(ctx, running, o)
	v.record("serve.stop", "")
	v.log.Info("stopped", "audit", v.audit.Head().String())
	return err
}

// run runs the parts until the context ends or one of them fails.
func (v *service) run(ctx context.Context, all []*part, o serveOptions) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for _, p := range all {
		if p.run == nil {
			continue
		}
		wg.Go(func() {
			if err := p.run(ctx); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", p.name, err))
			}
		})
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-o.Reload:
			v.reload(all, o.Load)
		}
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// reload reads the configuration again. A bad one changes nothing.
func (v *service) reload(all []*part, load func() (*Config, error)) {
	if load == nil {
		return
	}
	c, err := load()
	if err != nil {
		v.log.Error("the configuration was not read again: the old one stays", "error", err)
		return
	}
	for _, p := range all {
		if p.reload == nil {
			continue
		}
		if err := p.reload(c); err != nil {
			v.log.Error("the new configuration was not taken", "part", p.name, "error", err)
		}
	}
	v.accounts.list.Store(&c.Account)
	v.record("serve.reload", "")
	v.log.Info("configuration read again")
}

// open opens what all parts share, and gives what closes it.
func (v *service) open(ctx context.Context) (func() error, error) {
	dir := v.cfg.Serve.Data
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, unreadable(dir, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	if err := lockFile(lock); err != nil {
		lock.Close()
		return nil, &readError{what: finding.S("{{.Dir}} is in use by another mailwhy serve", finding.Args{"Dir": dir}), err: err}
	}
	v.know = knowledge.Embedded()
	if name := v.cfg.Serve.Knowledge; name != "" {
		if v.know, err = knowledge.Open(name); err != nil {
			lock.Close()
			return nil, unreadable(name, err)
		}
	}
	if v.state, err = sqlite.OpenState(ctx, dir, v.now); err != nil {
		lock.Close()
		return nil, err
	}
	if v.audit, err = openSigning(dir, v.now); err != nil {
		v.state.Close()
		lock.Close()
		return nil, err
	}
	s := &v.cfg.Serve
	v.accounts = v.app.newAccounts(v.cfg.Account)
	v.access = access.New(v.state, access.Options{Now: v.now, Idle: time.Duration(s.SessionIdle), Most: time.Duration(s.SessionLongest)})
	proxies, _ := prefixes(s.Proxies) // checked when it was read
	scrapers, _ := prefixes(s.Scrapers)
	v.web = web.Options{
		Version: Version(), BasePath: s.BasePath, PublicURL: s.PublicURL, Proxies: proxies, Scrapers: scrapers, Log: v.log, Now: v.now,
		Access: v.access, Audit: v.audit, Rules: Rules(), Settings: v.settings,
		Runner: &runner{newEnv: v.newEnv, accounts: v.accounts, ntp: s.NTP, more: append(v.threatKind(), v.blocklistKind()...)}, Runs: v.state, Reports: v.state, RunsPerUser: s.RunsPerUser, RunsPerMinute: s.RunsPerMinute,
	}
	v.web.Ready = v.ready
	if v.web.SignOns, err = signOns(v.cfg.OIDC); err == nil {
		v.web.UI, err = web.UI()
	}
	return func() error { return errors.Join(v.audit.Close(), v.state.Close(), lock.Close()) }, err
}

// longestLook bounds the look of readyz at the stores.
const longestLook = 3 * time.Second

// ready tells why the service cannot do its work: a store is away.
func (v *service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longestLook)
	defer cancel()
	if err := v.state.Alive(ctx); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if s, ok := v.journeys.(interface{ Alive(context.Context) error }); ok {
		if err := s.Alive(ctx); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// settings are what an admin is shown of the configuration.
func (v *service) settings() map[string]string {
	s := &v.cfg.Serve
	out := map[string]string{"listen": s.Listen, "data": s.Data, "version": Version(), "audit_head": v.audit.Head().String(), "audit_key": v.audit.Fingerprint()}
	store, _ := clickhouse.SplitPassword(s.Store)
	for k, x := range map[string]string{"store": store, "base_path": s.BasePath, "public_url": s.PublicURL, "resolvers": strings.Join(s.Resolvers, " "), "allow_targets": strings.Join(s.AllowTargets, " ")} {
		if x != "" {
			out[k] = x
		}
	}
	return out
}

// listen opens the port, with TLS where the configuration has a certificate.
func (v *service) listen(ctx context.Context) (net.Listener, error) {
	s := &v.cfg.Serve
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return nil, busy(s.Listen, err)
	}
	if s.TLSCert == "" {
		return l, nil
	}
	// Read again with every handshake that is not resumed: a renewed certificate needs no restart.
	if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
		l.Close()
		return nil, unreadable(s.TLSCert, err)
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
		return &c, err
	}}), nil
}

// webPart makes the page and the API of everything the parts brought.
func (v *service) webPart(l net.Listener) (*part, error) {
	w, err := web.New(v.web)
	if err != nil {
		return nil, err
	}
	return &part{name: "web", run: func(ctx context.Context) error { return w.Serve(ctx, l) }, close: w.Close}, nil
}

// link is where the page is, as far as this machine knows.
func (v *service) link(l net.Listener) string {
	s := &v.cfg.Serve
	if s.PublicURL != "" {
		return s.PublicURL + "/"
	}
	scheme := "http"
	if s.TLSCert != "" {
		scheme = "https"
	}
	host := l.Addr().String()
	if a, ok := l.Addr().(*net.TCPAddr); ok && a.IP.IsUnspecified() {
		host = net.JoinHostPort(hostname(), fmt.Sprint(a.Port))
	}
	return scheme + "://" + host + s.BasePath + "/"
}

func (v *service) setupLink(ctx context.Context, l net.Listener) (string, error) {
	token, err := v.access.SetupSecret(ctx)
	if err != nil || token == "" {
		return "", err
	}
	return v.link(l) + "#/setup?token=" + token, nil
}

// record writes what the server itself did into the audit log.
func (v *service) record(what, detail string) { v.recordOf(what, "", detail) }

// recordOf writes what it did to something.
func (v *service) recordOf(what, target, detail string) {
	if _, err := v.audit.Append(audit.Record{What: what, Target: target, Detail: detail}); err != nil {
		v.log.Error("the audit log cannot be written", "error", err)
	}
}

// logger writes the service's own log.
func logger(w io.Writer, s *ServeConfig) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[s.LogLevel] // else info, the zero value
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
