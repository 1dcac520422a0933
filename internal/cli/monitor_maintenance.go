package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

func (a *app) monitorMaintenance(f *monitorFlags) *cobra.Command {
	span, at, reason, remove := "", "", "", ""
	c := &cobra.Command{
		Use: "maintenance [ID…]", Short: a.say("show maintenance windows; with --for, plan one for some monitors or all"),
		Long: a.say(`Within a maintenance window monitors go on watching and keep their samples, but nothing counts and nothing is told. Without flags the windows are listed, those of the configuration file included.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atMonitors(cmd, f, func(ctx context.Context, d *watchDesk) (*finding.Report, error) {
				switch {
				case remove != "":
					if err := d.runner.Unplan(ctx, remove); errors.Is(err, monitor.ErrNone) {
						return nil, usage(finding.S("there is no maintenance window {{.ID}}", finding.Args{"ID": shorten(remove)}), finding.S("mailwhy monitor maintenance lists them", nil))
					} else if err != nil {
						return nil, err
					}
					return said(remove, finding.S("The maintenance window is gone.", nil)), d.note("maintenance.remove", remove, "")
				case span != "":
					return a.planWindow(ctx, d, f.by, args, at, span, reason)
				}
				all, err := d.runner.Maintenance(ctx)
				return windowReport(d, all), err
			})
		},
	}
	fl := c.Flags()
	fl.StringVar(&span, "for", "", a.say("how long: 30m, 2h, 7d"))
	fl.StringVar(&at, "at", "", a.say("when it begins (default: now)"))
	fl.StringVar(&reason, "reason", "", a.say("why; asked for"))
	fl.StringVar(&remove, "remove", "", a.say("forget the window of this name"))
	return c
}

func (a *app) planWindow(ctx context.Context, d *watchDesk, by string, ids []string, at, span, reason string) (*finding.Report, error) {
	long, err := spanOf(span)
	if err != nil {
		return nil, err
	}
	p := &monitor.Planned{Monitors: ids, Window: monitor.Window{From: d.env.Now(), Reason: strings.TrimSpace(reason)}}
	if at != "" {
		if p.From, err = a.when(at, d.env.Now()); err != nil {
			return nil, err
		}
	}
	p.To = p.From.Add(long)
	bad, err := d.runner.Plan(ctx, p, by)
	if err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		return nil, usage(bad[0].Says, finding.S("give --for 2h --reason \"…\" and the names of monitors, or none for all", nil))
	}
	if err := d.note("maintenance.add", strings.Join(p.Monitors, " "), p.Reason); err != nil {
		return nil, err
	}
	args := finding.Args{"From": clock(p.From), "To": clock(p.To), "All": ids}
	if len(ids) == 0 {
		return said(p.ID, finding.S("Maintenance of every monitor from {{.From}} to {{.To}}.", args)), nil
	}
	return said(p.ID, finding.S("Maintenance of {{list .All}} from {{.From}} to {{.To}}.", args)), nil
}

func windowReport(d *watchDesk, all []monitor.Planned) *finding.Report {
	open := 0
	sec := finding.Section{Columns: []finding.Sentence{finding.S("window", nil), finding.S("monitors", nil), finding.S("when", nil), finding.S("reason", nil), finding.S("made by", nil)}}
	for i := range all {
		w := &all[i]
		mark := finding.VerdictPass
		if w.Window.Covers(d.env.Now()) {
			open++
			mark = finding.VerdictNote
		}
		id, who, of := finding.Raw(w.ID), finding.Raw(w.By), finding.S("all", nil)
		if w.File {
			id, who = finding.Raw("-"), finding.S("configuration file", nil)
		}
		if len(w.Monitors) > 0 {
			of = finding.Raw(strings.Join(w.Monitors, ", "))
		}
		when := finding.S("{{.From}} to {{.To}}", finding.Args{"From": clock(w.From), "To": clock(w.To)})
		if w.Cron != "" {
			when = finding.S("{{.Cron}} for {{.For}}", finding.Args{"Cron": w.Cron, "For": w.For.D()})
		}
		sec.Rows = append(sec.Rows, finding.Marked(mark, id, of, when, finding.Raw(w.Reason), who))
	}
	r := &finding.Report{Command: "monitor", Target: logSubject("maintenance"), Headline: finding.Headline{State: finding.StateOK,
		Says: finding.S("{{.N}} maintenance {{plural .N \"window\" \"windows\"}}, {{.Open}} open now.", finding.Args{"N": len(all), "Open": open})}}
	r.Facts = struct {
		Maintenance []monitor.Planned `json:"maintenance"`
	}{all}
	if len(all) > 0 {
		r.Sections = []finding.Section{sec}
	}
	return r
}
