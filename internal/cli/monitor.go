package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
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
	for _, build := range []func(*monitorFlags) *cobra.Command{a.monitorList, a.monitorRun, a.monitorReplay, a.monitorAck, a.monitorMute, a.monitorIncidents, a.monitorProposals, a.monitorTry} {
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
	d := &watchDesk{cfg: cfg, store: st.Monitors(), state: st, env: env, hands: &hands{app: a, state: st, data: data, more: cfg.Desk, now: env.Now, updates: cfg.Update}}
	d.runner, err = monitor.New(ctx, monitor.Options{
		Config: cfg.monitors(), Store: d.store, Now: env.Now, Applier: d.hands,
		Doors: func(_ context.Context, from *monitor.Vantage, _ bool) (*monitor.Doors, error) {
			e := *env
			if from != nil {
				if err := stand(&e, from, a.opt.resolvers, a.opt.timeout); err != nil {
					return nil, err
				}
			}
			doors := &monitor.Doors{Env: &e, Threat: a.threatDoor(&cfg.Threat, &e, data), Listings: st}
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

// verdictMark is how a monitor's state is marked.
func verdictMark(v monitor.Verdict) finding.Verdict {
	switch v {
	case monitor.OK:
		return finding.VerdictPass
	case monitor.Failing:
		return finding.VerdictError
	}
	return finding.VerdictUntested
}

func verdictWord(v monitor.Verdict) finding.Msg {
	switch v {
	case monitor.OK:
		return finding.M("ok")
	case monitor.Failing:
		return finding.M("failing")
	case monitor.Unknown:
		return finding.M("could not test")
	}
	return finding.M("not yet")
}

func word(m finding.Msg) finding.Sentence { return finding.Sentence{Msg: m} }

func clock(t time.Time) finding.Sentence {
	if t.IsZero() {
		return finding.Raw("-")
	}
	return finding.Raw(t.Local().Format("2006-01-02 15:04"))
}

// monitorRow is one monitor in JSON.
type monitorRow struct {
	ID       string               `json:"id"`
	Kind     string               `json:"kind"`
	Title    string               `json:"title"`
	Target   string               `json:"target,omitempty"`
	EveryMS  int64                `json:"every_ms"`
	Armed    bool                 `json:"armed"`
	State    monitor.Verdict      `json:"state"`
	Since    time.Time            `json:"since,omitzero"`
	Flapping bool                 `json:"flapping,omitempty"`
	Blind    bool                 `json:"blind,omitempty"`
	Incident string               `json:"incident,omitempty"`
	Last     *monitor.Observation `json:"last,omitempty"`
	Muted    *monitor.Mute        `json:"muted,omitempty"`
	Acked    *monitor.Ack         `json:"acked,omitempty"`
}

func (d *watchDesk) row(ctx context.Context, def *monitor.Definition) (monitorRow, error) {
	s, err := d.store.State(ctx, def.ID)
	if err != nil {
		return monitorRow{}, err
	}
	r := monitorRow{ID: def.ID, Kind: def.Kind, Title: def.Title, EveryMS: def.Every.D().Milliseconds(), Armed: def.IsArmed(), State: s.Known, Since: s.Since, Flapping: s.Flapping, Blind: s.Blind, Incident: s.Incident, Last: s.Last}
	if k := monitor.FindKind(d.runner.Kinds(), def.Kind); k != nil {
		r.Target = k.Target(def.Args)
	}
	if r.Muted, err = d.store.Mute(ctx, def.ID, d.env.Now()); err != nil {
		return r, err
	}
	if s.Incident != "" {
		i, err := d.store.Incident(ctx, s.Incident)
		if err != nil && !errors.Is(err, monitor.ErrNone) {
			return r, err
		}
		if i != nil {
			r.Acked = i.Ack
		}
	}
	return r, nil
}

// notes says what is special about a monitor.
func (r *monitorRow) notes() finding.Sentence {
	switch {
	case r.Muted != nil:
		return finding.S("muted until {{.At}} by {{.By}}: {{.Why}}", finding.Args{"At": clock(r.Muted.Until), "By": r.Muted.By, "Why": r.Muted.Reason})
	case !r.Armed:
		return finding.S("not armed", nil)
	case r.Flapping:
		return finding.S("flapping", nil)
	case r.Acked != nil:
		return finding.S("acknowledged by {{.By}}", finding.Args{"By": r.Acked.By})
	}
	return finding.Raw("")
}

func (a *app) monitorList(f *monitorFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("show every monitor and its state"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				var rows []monitorRow
				sec := finding.Section{Columns: []finding.Sentence{finding.S("monitor", nil), finding.S("kind", nil), finding.S("about", nil), finding.S("since", nil), finding.S("last seen", nil), finding.S("note", nil)}}
				failing, blind, muted := 0, 0, 0
				for _, def := range d.runner.Definitions() {
					r, err := d.row(ctx, &def)
					if err != nil {
						return nil, err
					}
					rows = append(rows, r)
					last := word(verdictWord(monitor.None))
					shown := r.State
					if r.Last != nil {
						last = r.Last.Text.Sentence()
						if r.Blind {
							shown = monitor.Unknown
						}
					}
					switch {
					case r.Muted != nil:
						muted++
					case shown == monitor.Failing:
						failing++
					case shown == monitor.Unknown:
						blind++
					}
					sec.Rows = append(sec.Rows, finding.Marked(verdictMark(shown), finding.Raw(r.ID), finding.Raw(r.Kind), finding.Raw(r.Target), clock(r.Since), last, r.notes()))
				}
				args := finding.Args{"N": len(rows), "Failing": failing, "Blind": blind, "Muted": muted}
				h := finding.Headline{State: finding.StateOK, Says: finding.S("{{.N}} {{plural .N \"monitor\" \"monitors\"}}: none is failing{{if .Blind}}, {{.Blind}} cannot test{{end}}{{if .Muted}}, {{.Muted}} muted{{end}}.", args)}
				if failing > 0 {
					h = finding.Headline{State: finding.StateBroken, Says: finding.S("{{.Failing}} of {{.N}} {{plural .N \"monitor\" \"monitors\"}} failing{{if .Blind}}, {{.Blind}} cannot test{{end}}{{if .Muted}}, {{.Muted}} muted{{end}}.", args), Next: finding.Cmd("monitor", "incidents")}
				}
				r := &finding.Report{Command: "monitor", Target: logSubject("monitors"), Headline: h, Facts: struct {
					Monitors []monitorRow `json:"monitors"`
				}{rows}}
				if len(rows) > 0 {
					r.Sections = []finding.Section{sec}
				}
				return r, nil
			})
		},
	}
}

func (a *app) monitorRun(f *monitorFlags) *cobra.Command {
	return &cobra.Command{
		Use: "run ID", Short: a.say("run a monitor once, now, and show what it would count; nothing is stored or told"), Args: a.nArgs(1, 1, "one monitor"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				def, err := d.definition(args[0])
				if err != nil {
					return nil, err
				}
				ran, err := d.runner.Look(ctx, def.ID)
				if err != nil {
					return nil, err
				}
				o := &ran.Observation
				sec := finding.Section{Title: finding.S("What the monitor makes of it", nil)}
				sec.Rows = append(sec.Rows, finding.Marked(verdictMark(o.Verdict), finding.S("verdict", nil), word(verdictWord(o.Verdict)), o.Text.Sentence()))
				for i := range ran.Sample.Points {
					p := &ran.Sample.Points[i]
					for _, name := range slices.Sorted(keysOf(p.Values)) {
						label := name
						if p.From != "" {
							label = p.From + " " + name
						}
						sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(label), monitor.Quantity(p.Values[name], unitOf(d.runner.Kinds(), def.Kind, name))))
					}
				}
				sec.Rows = append(sec.Rows, finding.Cells(finding.S("took", nil), finding.S("{{.D}}", finding.Args{"D": o.Took})))
				r := ran.Report
				if r == nil {
					r = &finding.Report{Command: "monitor", Target: logSubject(def.ID), Headline: finding.Headline{State: finding.StateUntested, Says: o.Text.Sentence()}}
				}
				r.Sections = append([]finding.Section{sec}, r.Sections...)
				return r, nil
			})
		},
	}
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func unitOf(kinds []monitor.Kind, kind, measure string) string {
	if k := monitor.FindKind(kinds, kind); k != nil {
		for _, m := range k.Measures {
			if m.Name == measure {
				return m.Unit
			}
		}
	}
	return "1"
}

func (a *app) monitorReplay(f *monitorFlags) *cobra.Command {
	since := "30d"
	c := &cobra.Command{
		Use: "replay ID", Short: a.say("tell how often a rule would have fired over stored samples, and how many of those were flaps"),
		Long: a.say(`Judges the stored samples of a monitor again by its rule as it stands now in the configuration, armed or not, with the code that runs live. Change a threshold or a number in the file and replay until it fires when it should.`),
		Args: a.nArgs(1, 1, "one monitor"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				def, err := d.definition(args[0])
				if err != nil {
					return nil, err
				}
				from, err := a.when(since, d.env.Now())
				if err != nil {
					return nil, err
				}
				x, err := monitor.Replay(ctx, d.store, &def, monitor.FindKind(d.runner.Kinds(), def.Kind), from, time.Time{})
				if err != nil {
					return nil, err
				}
				return replayReport(&def, x), nil
			})
		},
	}
	c.Flags().StringVar(&since, "since", since, a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	return c
}

func replayReport(def *monitor.Definition, x *monitor.Replayed) *finding.Report {
	args := finding.Args{"ID": def.ID, "Fired": x.Fired, "Flaps": x.Flaps, "N": x.Samples, "From": clock(x.Since), "To": clock(x.Until), "Span": x.FlapSpan, "Told": x.Told}
	h := finding.Headline{State: finding.StateOK}
	switch {
	case x.Samples == 0:
		h.State, h.Says = finding.StateUntested, finding.S("{{.ID}} has no stored samples in this span: let it run unarmed for a while, then replay.", args)
	case x.Fired == 0:
		h.Says = finding.S("{{.ID}} would not have fired over {{.N}} samples from {{.From}} to {{.To}}.", args)
	case x.Flaps == 0:
		h.Says = finding.S("{{.ID}} would have fired {{.Fired}} {{plural .Fired \"time\" \"times\"}} over {{.N}} samples from {{.From}} to {{.To}}; none was a flap.", args)
	default:
		h.State = finding.StateWarning
		h.Says = finding.S("{{.ID}} would have fired {{.Fired}} {{plural .Fired \"time\" \"times\"}} over {{.N}} samples from {{.From}} to {{.To}}; {{.Flaps}} of them were flaps, within {{.Span}} of another.", args)
	}
	r := &finding.Report{Command: "monitor", Target: logSubject(def.ID), Headline: h, Facts: struct {
		Replay *monitor.Replayed `json:"replay"`
	}{x}}
	if x.Samples == 0 {
		return r
	}
	r.Sections = append(r.Sections, finding.Section{Rows: []finding.Row{
		finding.Cells(finding.S("alerts it would have sent", nil), finding.Raw(fmt.Sprint(x.Told))),
		finding.Cells(finding.S("changes held back as flapping", nil), finding.Raw(fmt.Sprint(x.Held))),
		finding.Cells(finding.S("failing in all", nil), finding.S("{{.D}}", finding.Args{"D": x.Failing})),
		finding.Cells(finding.S("longest", nil), finding.S("{{.D}}", finding.Args{"D": x.Longest})),
		finding.Cells(finding.S("samples that could not test", nil), finding.Raw(fmt.Sprint(x.Blind))),
		finding.Cells(finding.S("rule", nil), finding.S("{{.N}} failures in a row open, {{.M}} successes close", finding.Args{"N": def.FailAfter, "M": def.ClearAfter})),
	}})
	if len(x.Incidents) > 0 {
		sec := finding.Section{Title: finding.S("When it would have fired", nil), Columns: []finding.Sentence{finding.S("began", nil), finding.S("ended", nil), finding.S("cause", nil), finding.Raw("")}}
		for _, i := range x.Incidents {
			flap := finding.Raw("")
			if i.Flap {
				flap = finding.S("flap", nil)
			}
			sec.Rows = append(sec.Rows, finding.Cells(clock(i.From), clock(i.Until), i.Text.Sentence(), flap))
		}
		r.Sections = append(r.Sections, sec)
	}
	return r
}

func (a *app) monitorAck(f *monitorFlags) *cobra.Command {
	note := ""
	c := &cobra.Command{
		Use: "ack ID", Short: a.say("take an open incident on: it is not told again until it is over"), Args: a.nArgs(1, 1, "one monitor or incident"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				id := args[0]
				if _, _, ok := d.runner.Find(id); ok {
					s, err := d.store.State(ctx, id)
					if err != nil {
						return nil, err
					}
					if s.Incident == "" {
						return nil, usage(finding.S("{{.ID}} has no open incident", finding.Args{"ID": id}), finding.S("mailwhy monitor incidents lists them", nil))
					}
					id = s.Incident
				}
				err := d.store.Acknowledge(ctx, id, monitor.Ack{By: f.by, At: d.env.Now(), Note: note})
				switch {
				case errors.Is(err, monitor.ErrNone):
					return nil, usage(finding.S("there is no incident {{.ID}}", finding.Args{"ID": shorten(id)}), finding.S("mailwhy monitor incidents lists them", nil))
				case errors.Is(err, monitor.ErrClosed):
					return nil, usage(finding.S("incident {{.ID}} is over already", finding.Args{"ID": id}), finding.Sentence{})
				case err != nil:
					return nil, err
				}
				return said(id, finding.S("{{.By}} has taken incident {{.ID}} on: no reminders until it is over.", finding.Args{"By": f.by, "ID": id})), nil
			})
		},
	}
	c.Flags().StringVar(&note, "note", "", a.say("kept with the incident"))
	return c
}

func said(id string, s finding.Sentence) *finding.Report {
	return &finding.Report{Command: "monitor", Target: logSubject(id), Headline: finding.Headline{State: finding.StateOK, Says: s}}
}

func (a *app) monitorMute(f *monitorFlags) *cobra.Command {
	span, reason, off := "", "", false
	c := &cobra.Command{
		Use: "mute ID", Short: a.say("let a monitor tell nothing for a while: it goes on watching"), Args: a.nArgs(1, 1, "one monitor"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				def, err := d.definition(args[0])
				if err != nil {
					return nil, err
				}
				if off {
					return said(def.ID, finding.S("{{.ID}} tells again what it notices.", finding.Args{"ID": def.ID})), d.store.PutMute(ctx, def.ID, nil)
				}
				if span == "" || strings.TrimSpace(reason) == "" {
					return nil, usage(finding.S("a mute wants an end and a reason", nil), finding.S("give --for 2h --reason \"…\", or --off", nil))
				}
				long, err := spanOf(span)
				if err != nil {
					return nil, err
				}
				now := d.env.Now()
				m := &monitor.Mute{Reason: reason, By: f.by, At: now, Until: now.Add(long)}
				return said(def.ID, finding.S("{{.ID}} is muted until {{.At}}: {{.Why}}.", finding.Args{"ID": def.ID, "At": clock(m.Until), "Why": reason})), d.store.PutMute(ctx, def.ID, m)
			})
		},
	}
	fl := c.Flags()
	fl.StringVar(&span, "for", "", a.say("how long: 30m, 2h, 7d"))
	fl.StringVar(&reason, "reason", "", a.say("why; asked for"))
	fl.BoolVar(&off, "off", false, a.say("end the mute"))
	return c
}

func (a *app) monitorIncidents(f *monitorFlags) *cobra.Command {
	since := "7d"
	c := &cobra.Command{
		Use: "incidents [ID]", Short: a.say("show what failed, since when, why, and who took it on"), Args: a.nArgs(0, 1, "at most one monitor"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				q := monitor.IncidentQuery{Limit: 200}
				var err error
				if q.Since, err = a.when(since, d.env.Now()); err != nil {
					return nil, err
				}
				if len(args) == 1 {
					q.Monitor = args[0]
				}
				all, err := d.store.Incidents(ctx, q)
				if err != nil {
					return nil, err
				}
				return incidentReport(all), nil
			})
		},
	}
	c.Flags().StringVar(&since, "since", since, a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	return c
}

func incidentReport(all []monitor.Incident) *finding.Report {
	open := 0
	sec := finding.Section{Columns: []finding.Sentence{finding.S("incident", nil), finding.S("began", nil), finding.S("ended", nil), finding.S("cause", nil), finding.S("acknowledged", nil)}}
	for i := range all {
		x := &all[i]
		mark, acked := finding.VerdictPass, finding.Raw("")
		if x.Ended.IsZero() {
			open++
			mark = finding.VerdictError
		}
		if x.Ack != nil {
			acked = finding.Raw(strings.TrimSpace(x.Ack.By + " " + x.Ack.Note))
		}
		sec.Rows = append(sec.Rows, finding.Marked(mark, finding.Raw(x.ID), clock(x.Started), clock(x.Ended), x.Text.Sentence(), acked))
	}
	args := finding.Args{"N": len(all), "Open": open}
	h := finding.Headline{State: finding.StateOK, Says: finding.S("{{.N}} {{plural .N \"incident\" \"incidents\"}}, none open.", args)}
	if open > 0 {
		h = finding.Headline{State: finding.StateBroken, Says: finding.S("{{.Open}} open {{plural .Open \"incident\" \"incidents\"}}, {{.N}} in all.", args)}
		for i := range all {
			if x := &all[i]; x.Ended.IsZero() {
				h.Owner, h.Next = x.Owner, x.Next
				break
			}
		}
	}
	r := &finding.Report{Command: "monitor", Target: logSubject("incidents"), Headline: h, Facts: struct {
		Incidents []monitor.Incident `json:"incidents"`
	}{all}}
	if len(all) > 0 {
		r.Sections = []finding.Section{sec}
	}
	return r
}

func (a *app) monitorProposals(f *monitorFlags) *cobra.Command {
	all := false
	c := &cobra.Command{
		Use: "proposals", Short: a.say("show actions that monitors propose, with their evidence"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				ps, err := d.store.Proposals(ctx, !all, 200)
				if err != nil {
					return nil, err
				}
				waiting := 0
				sec := finding.Section{Columns: []finding.Sentence{finding.S("proposal", nil), finding.S("state", nil), finding.S("ends", nil), finding.S("action", nil), finding.S("cause", nil)}}
				r := &finding.Report{Command: "monitor", Target: logSubject("proposals")}
				for i := range ps {
					p := &ps[i]
					until := p.Until
					if p.State == monitor.ProposalOpen {
						until = p.Expires
						if waiting++; waiting == 1 {
							r.Headline.Next = finding.Cmd("monitor", "approve", p.ID)
						}
					}
					sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(p.ID), proposalWord(p.State), clock(until), p.Title.Sentence(), p.Text.Sentence()))
					for _, e := range p.Evidence {
						sec.Rows = append(sec.Rows, finding.Row{Depth: 1, Cells: []finding.Sentence{finding.Raw(e)}})
					}
				}
				r.Headline.State = finding.StateOK
				r.Headline.Says = finding.S("{{.N}} {{plural .N \"proposal waits\" \"proposals wait\"}} for a decision.", finding.Args{"N": waiting})
				r.Facts = struct {
					Proposals []monitor.Proposal `json:"proposals"`
				}{ps}
				if len(ps) > 0 {
					r.Sections = []finding.Section{sec}
				}
				return r, nil
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, a.say("also what was decided and is over"))
	return c
}

func proposalWord(s monitor.ProposalState) finding.Sentence {
	switch s {
	case monitor.ProposalApproved:
		return finding.S("approved", nil)
	case monitor.ProposalRefused:
		return finding.S("refused", nil)
	case monitor.ProposalExpired:
		return finding.S("expired", nil)
	case monitor.ProposalEnded:
		return finding.S("ended", nil)
	}
	return finding.S("open", nil)
}

func (a *app) monitorDecide(f *monitorFlags, approve bool) *cobra.Command {
	note := ""
	c := &cobra.Command{Use: "approve PROPOSAL", Short: a.say("let a proposed action happen; it ends by itself"), Args: a.nArgs(1, 1, "one proposal")}
	if !approve {
		c.Use, c.Short = "refuse PROPOSAL", a.say("turn a proposed action down")
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
			p, err := d.store.Proposal(ctx, args[0])
			if err == nil {
				err = d.runner.Decide(ctx, p.ID, approve, f.by, note, p.Hash)
			}
			switch {
			case errors.Is(err, monitor.ErrNone):
				return nil, usage(finding.S("there is no proposal {{.ID}}", finding.Args{"ID": shorten(args[0])}), finding.S("mailwhy monitor proposals lists them", nil))
			case errors.Is(err, monitor.ErrClosed):
				return nil, usage(finding.S("proposal {{.ID}} was decided already, or has expired", finding.Args{"ID": p.ID}), finding.Sentence{})
			case err != nil:
				return nil, err
			}
			if !approve {
				return said(p.ID, finding.S("Refused: {{.Title}}.", finding.Args{"Title": p.Title.Sentence()})), nil
			}
			if p, err = d.store.Proposal(ctx, p.ID); err != nil {
				return nil, err
			}
			args := finding.Args{"Title": p.Title.Sentence(), "Until": clock(p.Until)}
			r := said(p.ID, finding.S("Approved: {{.Title}}. It ends at {{.Until}}.", args))
			if !d.hands.Does(p) {
				r.Headline.Says = finding.S("Approved: {{.Title}}. Carry the steps out by hand, and take them back at {{.Until}}.", args)
				sec := finding.Section{Title: finding.S("Steps", nil)}
				for _, s := range p.Steps {
					sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(s.Target), finding.Raw(s.Old), finding.Raw("→"), finding.Raw(s.New)))
				}
				r.Sections = []finding.Section{sec}
			}
			return r, nil
		})
	}
	c.Flags().StringVar(&note, "note", "", a.say("kept with the proposal"))
	return c
}

func (a *app) monitorTry(f *monitorFlags) *cobra.Command {
	return &cobra.Command{
		Use: "try CHANNEL", Short: a.say("send a test message to a channel of the configuration"), Args: a.nArgs(1, 1, "one channel"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := readConfig(f.config)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(cfg.Channel, func(c notify.Channel) bool { return c.ID == args[0] })
			if i < 0 {
				hint := finding.S("none is configured: give --config", nil)
				if ids := cfg.channels().IDs(); len(ids) > 0 {
					hint = finding.S("one of {{list .All}}", finding.Args{"All": ids})
				}
				return usage(finding.S("there is no channel {{.Name}}", finding.Args{"Name": shorten(args[0])}), hint)
			}
			ctx := a.begin(cmd)
			if err := notify.Try(ctx, &cfg.Channel[i], a.notifyDoors()); err != nil {
				return &readError{what: finding.S("{{.Name}} did not take the message: {{.Text}}", finding.Args{"Name": args[0], "Text": err.Error()}), err: err}
			}
			return a.show(said(args[0], finding.S("{{.Name}} took the message.", finding.Args{"Name": args[0]})))
		},
	}
}
