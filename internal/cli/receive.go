package cli

import (
	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/receive"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) receiveCommand() *cobra.Command {
	var from, message string
	var acc account
	c := &cobra.Command{
		Use:   "receive ADDRESS",
		Short: a.say("find out why mail does not reach our own mailbox, from the outside world to the inbox"),
		Long: a.say(`Walks the way of a message to a mailbox of ours and names the first place where it breaks: MX records, port 25 of each server, TLS, whether the recipient is accepted; then, with a password, the login, the quota, and what the active Sieve filter does with a sample message.

Nothing is delivered, marked, moved or deleted. The password comes from --password-file or from the variable MAILWHY_PASSWORD; on a terminal it is asked for with --login. Without one only the outside is looked at.`),
		Args: a.nArgs(1, 1, "one mail address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !isAddress(args[0]) {
				return usage(finding.S("{{.Name}} is not a mail address", finding.Args{"Name": shorten(args[0])}), finding.S("give it like li@mine.example", nil))
			}
			o := receive.Options{To: args[0], From: from}
			env, err := a.env()
			if err != nil {
				return err
			}
			if a.hasPassword(&acc) {
				l := server.LoginOptions{Newest: 5}
				if err := a.logInAs(&acc, &l); err != nil {
					return err
				}
				o.Login = &l
			}
			if message != "" {
				m, err := a.readMessage(message)
				if err != nil {
					return err
				}
				o.Sample, o.SampleAs = m.Raw, message
			}
			r, err := receive.Survey(a.begin(cmd), env, o)
			if err != nil {
				return err
			}
			return a.show(r)
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", a.say("sender of the envelope (default: the null sender)"))
	f.StringVar(&message, "message", "", a.say("a saved message to run the filter over (default: a plain one)"))
	f.BoolVar(&acc.ask, "login", false, a.say("log in: ask for the password where neither file nor variable gives it"))
	a.accountFlags(c, &acc)
	return c
}
