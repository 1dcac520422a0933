package cli

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store/clickhouse"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	"github.com/mailwhy/mailwhy/internal/web"
)

// journeyStore is what the service needs of a store of logs.
type journeyStore interface {
	trace.Store
	intake.Sink
	Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error)
	Journey(ctx context.Context, id string, domains []string) (*trace.Journey, error)
	Close() error
}

// journeysPart opens the store of logs.
func journeysPart(ctx context.Context, v *service) (*part, error) {
	if url := v.cfg.Serve.Store; url != "" {
		secret, err := v.app.storePassword(v.cfg.Serve.StorePasswordFile)
		if err != nil {
			return nil, err
		}
		s, err := clickhouse.Open(ctx, url, clickhouse.Options{Dialects: dialects.All(), Local: time.Local, Know: v.know, Now: v.now, Password: secret})
		if err != nil {
			return nil, notOpened(url, err)
		}
		v.journeys = s
		v.web.Journeys, v.web.Know = s, v.know
		return &part{name: "store", close: s.Close}, nil
	}
	s, err := sqlite.Open(ctx, v.cfg.Serve.Data, sqlite.Options{Dialects: dialects.All(), Local: time.Local, Know: v.know, Now: v.now,
		Trouble: func(err error) { v.log.Error("store", "error", err) }})
	if err != nil {
		return nil, unreadable(v.cfg.Serve.Data, err)
	}
	v.journeys = s
	v.web.Journeys, v.web.Know = s, v.know
	return &part{name: "store", close: s.Close}, nil
}

// intakePart takes the logs in.
func intakePart(_ context.Context, v *service) (*part, error) {
	t := &takingIn{v: v, list: v.cfg.Intake, changed: make(chan struct{}, 1)}
	if err := t.build(t.list); err != nil {
		return nil, err
	}
	v.taken = t.stats
	if len(t.list) > 0 {
		v.web.Sources = t.sources
	}
	return &part{name: "intake", run: t.run, reload: t.reload}, nil
}

// takingIn runs the intake, and begins anew when its configuration changes.
type takingIn struct {
	v       *service
	changed chan struct{}

	mu   sync.Mutex
	in   *intake.Intake
	list []intake.Config
}

// build makes the intake of a list.
func (t *takingIn) build(list []intake.Config) error {
	v := t.v
	node := ""
	if v.cfg.Serve.Store != "" { // other machines write to it, too
		node = hostname()
	}
	in, err := intake.New(intake.Options{Now: v.now, Local: time.Local, Log: v.log, Spool: filepath.Join(v.cfg.Serve.Data, "spool"), Stdin: v.app.in, Node: node, Dial: &net.Dialer{Timeout: 30 * time.Second}}, list, v.journeys, v.state)
	if err == nil {
		t.mu.Lock()
		t.in = in
		t.mu.Unlock()
		for _, at := range in.Addrs() {
			v.log.Info("syslog is listened for", "at", at)
		}
	}
	return err
}

func (t *takingIn) stats() intake.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.in.Stats()
}

// sources are the figures of the intake as the page shows them.
func (t *takingIn) sources(l finding.Lang) (out []web.Source) {
	for _, x := range t.stats().Sources {
		r := web.Source{Name: x.Name, Kind: x.Kind, Lines: x.Lines, Behind: x.Behind, Spooled: x.Spooled, Dropped: x.Dropped, Stored: x.Stored}
		if !x.Trouble.IsZero() {
			r.Trouble = x.Trouble.In(l)
		}
		out = append(out, r)
	}
	return out
}

func (t *takingIn) reload(c *Config) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.EqualFunc(t.list, c.Intake, intake.Config.Equal) {
		return nil
	}
	t.list = c.Intake
	select {
	case t.changed <- struct{}{}:
	default:
	}
	return nil
}

// run runs until the context ends. Where a new configuration cannot be used (a port is taken), the old one goes on.
func (t *takingIn) run(ctx context.Context) error {
	list := t.list
	for {
		if err := t.once(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		t.mu.Lock()
		next := t.list
		t.mu.Unlock()
		if err := t.build(next); err != nil {
			t.v.log.Error("the new sources of logs cannot be used: the old ones stay", "error", err)
			if err := t.build(list); err != nil {
				return err
			}
			continue
		}
		list = next
	}
}

// once runs until the context ends or the configuration changes.
func (t *takingIn) once(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- t.in.Run(ctx) }()
	select {
	case err := <-ended: // every source came to its end
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-t.changed:
		}
		return nil
	case <-ctx.Done():
	case <-t.changed:
	}
	stop()
	return <-ended
}
