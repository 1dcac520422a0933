package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/check/demo"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

func (a *app) demoCommand() *cobra.Command {
	var live bool
	var listen string
	var last time.Duration
	c := &cobra.Command{
		Use:   "demo [NAME…]",
		Short: a.say("see mailwhy at work on a small Internet inside this process: no network, no root"),
		Long: a.say(`Raises a small Internet inside this process (name servers, mail servers, certificates) with a dozen domains, most of them broken on purpose, and lets deliver and check find out what is wrong. Nothing leaves this machine.

Without a NAME all of them are shown with their answer, and two in full; with NAMEs, those in full.

With --live the whole service runs on it: the page, with a week of made-up logs that grow as you look.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			cases, err := demoCases(args)
			if err != nil {
				return err
			}
			w, err := demo.New(time.Now())
			if err != nil {
				return err
			}
			defer w.Close()
			ctx := a.begin(cmd)
			defer func() { a.status = exitOK }() // the faults are the demo's own
			if live {
				if last > 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithCancel(ctx)
					defer time.AfterFunc(last, stop).Stop()
				}
				if !cmd.Flags().Changed("listen") {
					listen = freeOr(ctx, listen)
				}
				return a.demoLive(ctx, w, listen)
			}
			if len(args) > 0 {
				for _, c := range cases {
					if err := a.show(demoRun(ctx, w, c)); err != nil {
						return err
					}
				}
				return nil
			}
			return a.demoAll(ctx, w, cases)
		},
	}
	c.Flags().BoolVar(&live, "live", false, a.say("run the whole service on it, with the page, until Ctrl-C"))
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8025", a.say("where the page of --live listens"))
	c.Flags().DurationVar(&last, "for", 0, a.say("end --live after this time"))
	return c
}

// demoCases gives the cases named, or all.
func demoCases(names []string) ([]*demo.Case, error) {
	var out []*demo.Case
	var all []string
	for i := range demo.Cases {
		all = append(all, demo.Cases[i].Name)
		if len(names) == 0 {
			out = append(out, &demo.Cases[i])
		}
	}
	for _, n := range names {
		found := false
		for i := range demo.Cases {
			if c := &demo.Cases[i]; c.Name == n || c.Domain() == n {
				out, found = append(out, c), true
			}
		}
		if !found {
			return nil, usage(finding.S("the demo has no {{.Name}}", finding.Args{"Name": shorten(n)}), finding.S("one of {{list .All}}", finding.Args{"All": all}))
		}
	}
	return out, nil
}

// demoRun does what a case shows. Cases run one after the other: our own address differs between them.
func demoRun(ctx context.Context, w *demo.World, c *demo.Case) *finding.Report {
	env := w.Env(c)
	defer env.DNS.Close()
	if c.Check {
		return domain.Survey(ctx, env, c.Domain(), domain.Options{})
	}
	env.Gate = &wire.Gate{AtOnce: 1}
	return delivery.Survey(ctx, env, delivery.Options{From: demo.Sender, To: c.To})
}

// demoAll shows one line per case and two reports in full. Machines get every report.
func (a *app) demoAll(ctx context.Context, w *demo.World, cases []*demo.Case) error {
	var reports []*finding.Report
	table := finding.Section{
		Title:   finding.S("what deliver and check find", nil),
		Columns: []finding.Sentence{finding.S("fault", nil), finding.S("answer", nil)},
	}
	for _, c := range cases {
		r := demoRun(ctx, w, c)
		reports = append(reports, r)
		mark := map[finding.State]finding.Verdict{finding.StateBroken: finding.VerdictError, finding.StateWarning: finding.VerdictWarning, finding.StateUntested: finding.VerdictUntested}
		v, bad := mark[r.Headline.State]
		if !bad {
			v = finding.VerdictPass
		}
		table.Rows = append(table.Rows, finding.Marked(v, finding.Sentence{Msg: c.About}, r.Headline.Says))
	}
	if a.opt.format != "text" {
		for _, r := range reports {
			if err := a.show(r); err != nil {
				return err
			}
		}
		return nil
	}
	over := &finding.Report{Command: "demo", Started: reports[0].Started, Sections: []finding.Section{table}, Headline: finding.Headline{
		State: finding.StateOK, Says: finding.S("{{.N}} domains on a small Internet inside this process; mailwhy demo NAME shows one in full.", finding.Args{"N": len(cases)}),
	}}
	if err := a.show(over); err != nil {
		return err
	}
	for i, c := range cases {
		if c.Name == "strict" || c.Name == "relay" {
			if err := a.show(reports[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
