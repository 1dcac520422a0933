package cli

import (
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
)

func (a *app) rulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rules [TOPIC]",
		Short: a.say("list every rule this binary may say"),
		Long:  a.say("Lists every rule this binary may say: ID, severity, whose job, and what it means. TOPIC (spf, dkim, ptr …) narrows the list."),
		RunE: func(cmd *cobra.Command, args []string) error {
			rules := Rules()
			if len(args) > 0 {
				rules = slices.DeleteFunc(rules, func(r *finding.Rule) bool { return !slices.Contains(args, r.Topic()) })
			}
			if len(rules) == 0 {
				return usage(finding.S("no rules under {{list .Topics}}", finding.Args{"Topics": args}), finding.S("topics: {{list .All}}", finding.Args{"All": topics()}))
			}
			return render.Rules(a.out, a.opt.format, a.lang, rules)
		},
	}
}

func topics() []string {
	var out []string
	for _, r := range Rules() {
		if t := r.Topic(); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// ruleByID finds a rule, or nil.
// ruleIDs are the ids of all rules: words of ours that look like host names.
var ruleIDs = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, r := range Rules() {
		out[r.ID] = true
	}
	return out
})

// isRuleID tells an id of a rule, also one that a threshold speaks under.
func isRuleID(s string) bool { return ruleIDs()[s] || strings.HasPrefix(s, "monitor.threshold.") }

func ruleByID(id string) *finding.Rule {
	for _, r := range Rules() {
		if r.ID == strings.ToLower(id) {
			return r
		}
	}
	return nil
}

// explainRule prints one rule whole.
func (a *app) explainRule(r *finding.Rule) error { return render.Rule(a.out, a.opt.format, a.lang, r) }
