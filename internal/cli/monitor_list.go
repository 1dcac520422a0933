package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

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
	Paused   bool                 `json:"maintenance,omitempty"` // a maintenance window is open
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
	if r.Paused, err = d.runner.InMaintenance(ctx, def, d.env.Now()); err != nil {
		return r, err
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
	case r.Paused:
		return finding.S("in maintenance", nil)
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
