package cli

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/reply"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func (a *app) explainCommand() *cobra.Command {
	var opt reply.Options
	c := &cobra.Command{
		Use:   "explain TEXT…|RULE-ID",
		Short: a.say("say what an SMTP reply, a status code or a rule of mailwhy means"),
		Long: a.say(`Says what a mail server's reply means: any SMTP reply, a status like 5.7.26, or a fragment of a log line or bounce that holds one. What it means, temporary or not, whose job it is, what to do, where it is documented. A text that is not known is said to be unknown, with the nearest known ones.

A rule ID (mailwhy rules lists them) prints that rule. "-" reads the text from standard input.`),
		RunE: func(cmd *cobra.Command, args []string) error { return a.explain(cmd, args, opt) },
	}
	c.Flags().StringVar(&opt.Host, "host", "", a.say("the server that said it: chooses the provider's dialect"))
	c.Flags().StringVar(&opt.Command, "stage", "", a.say("the SMTP command it answered: CONN, EHLO, MAIL, RCPT, DATA"))
	return c
}

const maxExplain = 64 << 10

func (a *app) explain(cmd *cobra.Command, args []string, opt reply.Options) error {
	text := strings.Join(args, " ")
	if len(args) == 1 {
		if r := ruleByID(args[0]); r != nil {
			return a.explainRule(r)
		}
	}
	if text == "-" || text == "" {
		raw, err := io.ReadAll(io.LimitReader(a.in, maxExplain))
		if err != nil {
			return err
		}
		text = string(raw)
	}
	if strings.TrimSpace(text) == "" {
		return usage(finding.S("nothing to explain", nil), finding.S("give a reply like \"550 5.7.26 …\" or a rule ID", nil))
	}
	a.begin(cmd)
	know, err := a.know()
	if err != nil {
		return err
	}
	opt.Lang = a.lang
	return a.show(reply.Survey(know, text, opt, time.Now()))
}

// know opens the tables without an Env: commands that look at texts need no network and no resolver.
func (a *app) know() (*knowledge.Base, error) {
	if a.opt.knowledge == "" {
		return knowledge.Embedded(), nil
	}
	return knowledge.Open(a.opt.knowledge)
}
