package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/canary"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) canaryCommand() *cobra.Command {
	var o canary.Options
	var acc account
	var submit, fromUser, fromFile, protocol string
	var byMX bool
	c := &cobra.Command{
		Use:   "canary --from ADDRESS --to ADDRESS (--submit HOST[:PORT] | --by-mx)",
		Short: a.say("send a marked test message for real and look for it at the other end"),
		Long: a.say(`Sends one marked message and waits for it in the recipient's mailbox: which folder it fell into, how long each hop took, what the far end noted about SPF, DKIM and DMARC. Then it deletes this one message again (not with --keep).

This delivers a message. It is handed over by submission with the sender's login (--submit), or straight to the recipient's MX (--by-mx). Nothing is sent before the recipient's mailbox could be opened.

The recipient's password comes from --password-file, from MAILWHY_PASSWORD, or is asked for; the sender's from --from-password-file or MAILWHY_FROM_PASSWORD, and is the same where both addresses are.`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !isAddress(o.From) || !isAddress(o.To) || (submit == "") == !byMX {
				return usage(finding.S("canary delivers a message: it wants --from, --to, and one of --submit and --by-mx", nil), finding.S("see {{.Cmd}} --help", finding.Args{"Cmd": cmd.CommandPath()}))
			}
			if protocol != "imap" && protocol != "pop3" {
				return usage(finding.S("unknown protocol {{.Word}} in --protocol", finding.Args{"Word": shorten(protocol)}), finding.S("one of {{list .All}}", finding.Args{"All": []string{"imap", "pop3"}}))
			}
			if o.Wait <= 0 || o.Wait > time.Hour {
				return usage(finding.S("--wait wants a time of at most one hour", nil), finding.Sentence{})
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			o.Fetch = server.LoginOptions{Address: o.To, Protocols: []string{protocol}}
			if err := a.logInAs(&acc, &o.Fetch); err != nil {
				return err
			}
			if submit != "" {
				s := server.LoginOptions{Address: o.From, User: fromUser, Insecure: acc.insecure}
				if s.Server, s.Port, err = serverFlag(submit); err != nil {
					return err
				}
				if s.Secret, err = a.senderPassword(fromFile, o.From == o.To, o.Fetch.Secret); err != nil {
					return err
				}
				o.Submit = &s
			}
			r, err := canary.Survey(a.begin(cmd), env, o)
			if err != nil {
				return err
			}
			return a.show(r)
		},
	}
	a.accountFlags(c, &acc)
	f := c.Flags()
	f.StringVar(&o.From, "from", "", a.say("sender of the message"))
	f.StringVar(&o.To, "to", "", a.say("recipient, whose mailbox is looked into"))
	f.StringVar(&submit, "submit", "", a.say("hand the message over here, with the sender's login: HOST[:PORT]"))
	f.BoolVar(&byMX, "by-mx", false, a.say("hand the message over to the recipient's MX, without a login"))
	f.StringVar(&fromUser, "from-user", "", a.say("user name of the sender (default: the address)"))
	f.StringVar(&fromFile, "from-password-file", "", a.say("file whose first line is the sender's password"))
	f.StringVar(&protocol, "protocol", "imap", a.say("look for the message by imap or pop3"))
	f.DurationVar(&o.Wait, "wait", 2*time.Minute, a.say("how long to wait for the message"))
	f.BoolVar(&o.Keep, "keep", false, a.say("do not delete the message at the other end"))
	return c
}

// senderPassword is the password of the sending account.
func (a *app) senderPassword(file string, same bool, recipients string) (string, error) {
	if file != "" {
		return a.password(file)
	}
	if p, ok := a.getenv("MAILWHY_FROM_PASSWORD"); ok {
		return p, nil
	}
	if same {
		return recipients, nil
	}
	return "", usage(finding.S("no password for the sender", nil), finding.S("give --from-password-file FILE or set MAILWHY_FROM_PASSWORD", nil))
}
