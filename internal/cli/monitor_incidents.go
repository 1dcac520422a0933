package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

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
				if err := d.note("monitor.ack", id, note); err != nil {
					return nil, err
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
					if err := d.note("monitor.unmute", def.ID, ""); err != nil {
						return nil, err
					}
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
				if err := d.note("monitor.mute", def.ID, m.Until.UTC().Format(time.RFC3339)+" "+reason); err != nil {
					return nil, err
				}
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
