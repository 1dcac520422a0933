package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/receive"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/sieve"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
	sievelang "github.com/mailwhy/mailwhy/internal/mail/sieve"
)

func (a *app) sieveCommand() *cobra.Command {
	var script, message, from, to, address string
	var many []string
	var acc account
	var newest int
	c := &cobra.Command{
		Use:   "sieve [FILE | --script FILE] [--message FILE | --messages DIR|MBOX | --account ADDRESS]",
		Short: a.say("read a Sieve filter: what is wrong with it, and which line does what to a message"),
		Long: a.say(`Reads a Sieve filter: faults with their lines, and rules that never match or are never reached. With a message it runs the filter and says which line fired, what happens to the message and why; with many messages, which of them would be thrown away, refused, filed or sent on. With --account it runs the filter that is active on the server (or that of --script) over the newest messages of the inbox.

Nothing is sent, filed or changed. The envelope is taken from Return-Path and Delivered-To; give --from and --to where you know better.`),
		Args: a.nArgs(0, 1, "at most one filter"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && script == "" {
				script = args[0]
			}
			if script == "" && address == "" || message != "" && len(many) > 0 || address != "" && message+strings.Join(many, "") != "" {
				return usage(finding.S("sieve wants --script FILE or --account ADDRESS and, if at all, one of --message and --messages", nil), finding.S("see {{.Cmd}} --help", finding.Args{"Cmd": cmd.CommandPath()}))
			}
			ctx := a.begin(cmd)
			if address != "" {
				return a.sieveAccount(ctx, address, script, newest, &acc)
			}
			src, err := a.readAll(script, sievelang.MaxScript+1)
			if err != nil {
				return err
			}
			var env sieve.Envelope
			if cmd.Flags().Changed("from") {
				env.From = &from
			}
			if cmd.Flags().Changed("to") {
				env.To = &to
			}
			s := sieve.Read(script, src)
			if len(many) > 0 && s.Script != nil {
				return a.sieveMany(s, many, env)
			}
			var raw []byte
			if message != "" {
				m, err := a.readMessage(message)
				if err != nil {
					a.unread(message, err)
				} else {
					raw = m.Raw
				}
			}
			return a.show(s.Survey(message, raw, env, time.Now()))
		},
	}
	c.Flags().StringVar(&script, "script", "", a.say("the filter; \"-\" reads standard input"))
	c.Flags().StringVar(&message, "message", "", a.say("a saved message to run it over"))
	c.Flags().StringSliceVar(&many, "messages", nil, a.say("a folder, maildir or mbox to run it over (repeatable)"))
	c.Flags().StringVar(&from, "from", "", a.say("envelope sender (MAIL FROM; default: from Return-Path)"))
	c.Flags().StringVar(&to, "to", "", a.say("envelope recipient (RCPT TO; default: from Delivered-To)"))
	c.Flags().StringVar(&address, "account", "", a.say("run the filter of this account over the newest messages of its inbox (ManageSieve and IMAP; logs in)"))
	c.Flags().IntVar(&newest, "newest", 50, a.say("how many messages of the account, at most 100"))
	a.accountFlags(c, &acc)
	return c
}

// sieveAccount runs the active filter of an account, or one that is still to be stored there, over its newest messages.
func (a *app) sieveAccount(ctx context.Context, address, script string, newest int, acc *account) error {
	if !isAddress(address) || newest < 1 || newest > 100 {
		return usage(finding.S("--account wants a mail address, and --newest a number from 1 to 100", nil), finding.Sentence{})
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	o := server.LoginOptions{Address: address, Newest: newest}
	var text []byte
	if script != "" {
		if text, err = a.readAll(script, sievelang.MaxScript+1); err != nil {
			return err
		}
	}
	if err := a.logInAs(acc, &o); err != nil {
		return err
	}
	r, err := receive.FilterOf(ctx, env, o, script, text)
	if err != nil {
		return err
	}
	return a.show(r)
}

func (a *app) readAll(name string, limit int64) ([]byte, error) {
	f, err := a.input(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, unreadable(name, err)
	}
	return raw, nil
}

func (a *app) sieveMany(s *sieve.Script, names []string, env sieve.Envelope) error {
	var lines []sieve.Line
	now := time.Now()
	for _, name := range a.mailFiles(names) {
		raw, err := a.readAll(name, maxMailFile+1)
		if err != nil {
			a.unread(name, err)
			continue
		}
		if len(raw) > maxMailFile {
			raw = raw[:maxMailFile]
			a.warn(finding.S("{{.File}} is bigger than {{size .Limit}}: only that much of it is read; split the mailbox", finding.Args{"File": name, "Limit": maxMailFile}))
			a.untested()
		}
		mails := dsn.Split(raw)
		for i, m := range mails {
			label := name
			if len(mails) > 1 {
				label = fmt.Sprintf("%s#%d", name, i+1)
			}
			lines = append(lines, s.Of(label, m, env, now))
		}
	}
	return a.show(s.Many(lines, now))
}
