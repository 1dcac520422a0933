package cli

import (
	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/score"
)

func (a *app) scoreCommand() *cobra.Command {
	var o score.Options
	c := &cobra.Command{
		Use:   "score FILE…",
		Short: a.say("score a message: authentication, infrastructure, headers, content, links, attachments, unsubscribing, size"),
		Long: a.say(`Scores a message from 0 to 10, with the reason for every point lost. Only what could be tested is scored, and the report says what cannot be seen from here. The weights stand in the table score.toml; --knowledge replaces it.

FILE is a saved message as it arrived; "-" or no FILE reads standard input. Nothing inside the message is fetched or run. --spamassassin and --rspamd add the opinion of a filter of your own.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := a.begin(cmd)
			env, err := a.env()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"-"}
			}
			o.RspamdPassword, _ = a.getenv("MAILWHY_RSPAMD_PASSWORD")
			for _, name := range args {
				m, err := a.readMessage(name)
				if err != nil {
					a.unread(name, err)
					continue
				}
				r, err := score.Survey(ctx, env, m, o)
				if err != nil {
					return err
				}
				if err := a.show(r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Trust, "trust", nil, a.say("our own border: host names (and all below them), addresses, prefixes; lines inward of it are believed (default: guessed)"))
	f.StringVar(&o.SpamAssassin, "spamassassin", "", a.say("ask this SpamAssassin daemon (spamd) too: HOST:PORT"))
	f.StringVar(&o.Rspamd, "rspamd", "", a.say("ask this rspamd too: URL of its scan worker (password in MAILWHY_RSPAMD_PASSWORD)"))
	return c
}
