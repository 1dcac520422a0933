package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/web"
)

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
				sec := finding.Section{Columns: []finding.Sentence{finding.S("proposal", nil), finding.S("state", nil), finding.S("ends", nil), finding.S("carried out by", nil), finding.S("action", nil), finding.S("cause", nil)}}
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
					sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(p.ID), proposalWord(p.State), clock(until), byWhom(d.hands, p), p.Title.Sentence(), p.Text.Sentence()))
					for _, e := range p.Evidence {
						sec.Rows = append(sec.Rows, finding.Row{Depth: 1, Cells: []finding.Sentence{finding.Raw(e)}})
					}
				}
				r.Headline.State = finding.StateOK
				r.Headline.Says = finding.S("{{.N}} {{plural .N \"proposal waits\" \"proposals wait\"}} for a decision.", finding.Args{"N": waiting})
				r.Facts = proposalFacts(d.hands, ps)
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

// ProposalFacts is the JSON of mailwhy monitor proposals.
type ProposalFacts struct {
	Proposals []ProposedFact `json:"proposals"`
}

// ProposedFact is a proposal and who carries it out.
type ProposedFact struct {
	monitor.Proposal
	Hands string `json:"hands"` // "mailwhy" or "people"
}

func proposalFacts(h *hands, ps []monitor.Proposal) (f ProposalFacts) {
	f.Proposals = []ProposedFact{}
	for i := range ps {
		f.Proposals = append(f.Proposals, ProposedFact{ps[i], web.HandsOf(h, &ps[i])})
	}
	return f
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

// decisionWord is what the audit log calls a decision.
func decisionWord(approve bool) string {
	if approve {
		return "proposal.approve"
	}
	return "proposal.refuse"
}

// byWhom says who carries a proposal out.
func byWhom(h *hands, p *monitor.Proposal) finding.Sentence {
	if h.Does(p) {
		return finding.S("mailwhy", nil)
	}
	return finding.S("people, by hand", nil)
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
				err = d.note(decisionWord(approve), p.ID, strings.TrimSpace(p.Title.EN+" "+p.Hash+" "+note))
			}
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
