package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// monitorFlags are what the commands of monitors share.
type monitorFlags struct {
	config, data, by string
}

func (a *app) monitorCommand() *cobra.Command {
	var f monitorFlags
	c := &cobra.Command{
		Use:   "monitor",
		Short: a.say("what mailwhy serve watches: list, run, replay, acknowledge, mute"),
		Long: a.say(`Shows and steers what mailwhy serve watches. The monitors stand in the configuration file or were made from the page; what they saw is in the data folder. These commands work beside a running mailwhy serve.

Before a rule is armed, replay tells how often it would have fired over the samples that are stored, and how many of those were flaps.`),
		Example: "  mailwhy monitor list --config mailwhy.toml\n  mailwhy monitor replay mx --since 30d\n  mailwhy monitor ack mx --note \"the host is being moved\"\n  mailwhy monitor mute mx --for 2h --reason \"kernel update\"",
	}
	p := c.PersistentFlags()
	p.StringVar(&f.config, "config", "", a.say("configuration file (TOML or YAML)"))
	p.StringVar(&f.data, "data", "", a.say("folder of everything that is remembered"))
	p.StringVar(&f.by, "by", "", a.say("who does this (default: the login name)"))
	for _, build := range []func(*monitorFlags) *cobra.Command{a.monitorList, a.monitorRun, a.monitorReplay, a.monitorAck, a.monitorMute, a.monitorMaintenance, a.monitorIncidents, a.monitorProposals, a.monitorTry} {
		c.AddCommand(build(&f))
	}
	c.AddCommand(a.monitorDecide(&f, true), a.monitorDecide(&f, false))
	return c
}

// desk of monitors: the configuration, the store, and a runner over both that announces nothing.
type watchDesk struct {
	cfg    *Config
	store  *sqlite.Monitors
	state  *sqlite.State
	runner *monitor.Runner
	hands  *hands
	env    *check.Env
	note   func(what, target, detail string) error // into the audit log, before it is done
}

// atMonitors opens everything, does, and shows the report.
func (a *app) atMonitors(cmd *cobra.Command, f *monitorFlags, do func(context.Context, *watchDesk) (*finding.Report, error)) error {
	cfg, err := readConfig(f.config)
	if err != nil {
		return err
	}
	data := f.data
	if data == "" {
		data = cfg.Serve.Data
	}
	if data == "" {
		data = a.dataFolder()
	}
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) && f.config == "" {
		return &readError{what: finding.S("{{.Dir}} is not there: mailwhy serve has not remembered anything here", finding.Args{"Dir": data}), hint: finding.S("give --data or --config as mailwhy serve has it", nil), err: err}
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	if f.by == "" {
		f.by = a.loginName()
	}
	ctx := a.begin(cmd)
	st, err := sqlite.OpenState(ctx, data, env.Now)
	if err != nil {
		return unreadable(data, err)
	}
	defer st.Close()
	note := func(what, target, detail string) error { return noteDown(data, f.by, what, target, detail, env.Now) }
	d := &watchDesk{note: note, cfg: cfg, store: st.Monitors(), state: st, env: env, hands: &hands{app: a, state: st, data: data, more: cfg.Desk, now: env.Now, updates: cfg.Update, note: func(what, target, detail string) { a.notedLate(note(what, target, detail)) }}}
	mail := &flow{open: func(ctx context.Context) (flowStore, func(), error) {
		s, err := a.openAsked(ctx, cmp.Or(cfg.Serve.Store, data), cfg.Serve.StorePasswordFile)
		if err != nil {
			return nil, nil, err
		}
		return s, func() { _ = s.Close() }, nil // it was only read
	}}
	d.runner, err = monitor.New(ctx, monitor.Options{
		Config: cfg.monitors(), Store: d.store, Now: env.Now, Applier: d.hands, History: mail.times,
		Doors: func(_ context.Context, from *monitor.Vantage, _ bool) (*monitor.Doors, error) {
			e := *env
			if from != nil {
				if err := stand(&e, from, a.opt.resolvers, a.opt.timeout); err != nil {
					return nil, err
				}
			}
			doors := &monitor.Doors{Env: &e, Flow: mail.count, Account: a.newAccounts(cfg.Account).open, Threat: a.threatDoor(&cfg.Threat, &e, data), Listings: st}
			a.localDoors(doors)
			return doors, nil
		},
	})
	if err != nil {
		return err
	}
	r, err := do(ctx, d)
	if err != nil {
		return err
	}
	return a.show(r)
}

// notedLate tells that something was done and is not in the audit log.
func (a *app) notedLate(err error) {
	if err != nil {
		a.note(finding.S("the audit log cannot be written: {{.Text}}", finding.Args{"Text": err.Error()}))
	}
}

// loginName is who runs the program.
func (a *app) loginName() string {
	for _, key := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if v, ok := a.getenv(key); ok && v != "" {
			return v
		}
	}
	return "root"
}

// definition finds a monitor or says which there are.
func (d *watchDesk) definition(id string) (monitor.Definition, error) {
	def, _, ok := d.runner.Find(id)
	if ok {
		return def, nil
	}
	var names []string
	for _, x := range d.runner.Definitions() {
		names = append(names, x.ID)
	}
	hint := finding.S("none is configured: give --config", nil)
	if len(names) > 0 {
		hint = finding.S("one of {{list .All}}", finding.Args{"All": names})
	}
	return def, usage(finding.S("there is no monitor {{.ID}}", finding.Args{"ID": shorten(id)}), hint)
}

func logSubject(name string) finding.Subject {
	return finding.Subject{Kind: finding.KindService, Name: name}
}

func word(m finding.Msg) finding.Sentence { return finding.Sentence{Msg: m} }

func clock(t time.Time) finding.Sentence {
	if t.IsZero() {
		return finding.Raw("-")
	}
	return finding.Raw(t.Local().Format("2006-01-02 15:04"))
}

func said(id string, s finding.Sentence) *finding.Report {
	return &finding.Report{Command: "monitor", Target: logSubject(id), Headline: finding.Headline{State: finding.StateOK, Says: s}}
}

func (a *app) monitorTry(f *monitorFlags) *cobra.Command {
	return &cobra.Command{
		Use: "try CHANNEL", Short: a.say("send a test message to a channel of the configuration or of the page"), Args: a.nArgs(1, 1, "one channel"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				file, doors := d.cfg.channels(), a.notifyDoors()
				book, err := notify.NewBook(ctx, d.state.Channels(), notify.NewDispatcher(d.state.Outbox(), doors, file, nil), d.cfg.Serve.pageDoors(doors), file)
				if err != nil {
					return nil, err
				}
				err = book.Test(ctx, args[0])
				if errors.Is(err, notify.ErrNone) {
					var ids []string
					for _, e := range book.List() {
						ids = append(ids, e.Channel.ID)
					}
					hint := finding.S("none is configured: give --config", nil)
					if len(ids) > 0 {
						hint = finding.S("one of {{list .All}}", finding.Args{"All": ids})
					}
					return nil, usage(finding.S("there is no channel {{.Name}}", finding.Args{"Name": shorten(args[0])}), hint)
				}
				if err != nil {
					return nil, &readError{what: finding.S("{{.Name}} did not take the message: {{.Text}}", finding.Args{"Name": args[0], "Text": err.Error()}), err: err}
				}
				return said(args[0], finding.S("{{.Name}} took the message.", finding.Args{"Name": args[0]})), nil
			})
		},
	}
}
