package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

func (a *app) monitorReplay(f *monitorFlags) *cobra.Command {
	since := "30d"
	c := &cobra.Command{
		Use: "replay ID", Short: a.say("tell how often a rule would have fired over stored samples, and how many of those were flaps"),
		Long: a.say(`Judges the stored samples of a monitor again by its rule as it stands now in the configuration, armed or not, with the code that runs live. Change a threshold or a number in the file and replay until it fires when it should.

A monitor of absence of mail needs no samples: it is judged over the mail that the store knows of, so that it can be replayed before it ever ran.`),
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
				x, err := d.runner.Replay(ctx, def.ID, from)
				if errors.Is(err, monitor.ErrTooMuch) {
					return nil, usage(finding.S("that is more mail than can be replayed", nil), finding.S("give a later --since", nil))
				}
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
	case x.Samples == 0 && x.Stored:
		h.State, h.Says = finding.StateUntested, finding.S("the store knows of no mail that {{.ID}} counts, in this span.", args)
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
