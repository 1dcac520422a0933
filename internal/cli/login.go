package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

func (a *app) loginCommand() *cobra.Command {
	o := server.LoginOptions{Newest: 5}
	var acc account
	c := &cobra.Command{
		Use:   "login ADDRESS",
		Short: a.say("log in to an account step by step and say why a login is refused"),
		Long: a.say(`Logs in to the account of a mail address by IMAP, POP3, SMTP submission and ManageSieve and says of each refusal why: wrong password, wrong method, TLS required, account locked, too many connections, app password needed, IP blocked, a fault of the server. Behind the login it shows folders, quota, the newest messages and the Sieve scripts.

Nothing is delivered, marked, moved or deleted. After a wrong password the other protocols are not tried, so that the account is not locked out.

The password comes from --password-file, from the variable MAILWHY_PASSWORD, or is asked for; for XOAUTH2 it is the access token. It is never sent without TLS or to a server whose certificate is not believed, unless --insecure is given.`),
		Args: a.nArgs(1, 1, "one mail address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !isAddress(args[0]) {
				return usage(finding.S("{{.Name}} is not a mail address", finding.Args{"Name": shorten(args[0])}), finding.S("give it like li@mine.example", nil))
			}
			o.Address, o.Mechanism = args[0], strings.ToUpper(o.Mechanism)
			if o.Mechanism != "" && !wire.Spoken(o.Mechanism) {
				return usage(finding.S("unknown login method {{.Word}}", finding.Args{"Word": shorten(o.Mechanism)}),
					finding.S("one of {{list .All}}", finding.Args{"All": append(wire.Mechanisms(), "XOAUTH2", "EXTERNAL", "PASSWORD")}))
			}
			all := []string{"imap", "pop3", "smtp", "managesieve"}
			for _, p := range o.Protocols {
				if !slices.Contains(all, p) {
					return usage(finding.S("unknown protocol {{.Word}} in --protocol", finding.Args{"Word": shorten(p)}), finding.S("one of {{list .All}}", finding.Args{"All": all}))
				}
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			if err := a.logInAs(&acc, &o); err != nil {
				return err
			}
			r, err := server.Login(a.begin(cmd), env, o)
			if err != nil {
				return err
			}
			return a.show(r)
		},
	}
	a.accountFlags(c, &acc)
	f := c.Flags()
	f.StringSliceVar(&o.Protocols, "protocol", nil, a.say("imap, pop3, smtp or managesieve (repeatable; default: all, in this order)"))
	f.StringVar(&o.Mechanism, "method", "", a.say("login method: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256, XOAUTH2, EXTERNAL, or PASSWORD for the protocol's own command (default: the best offered)"))
	return c
}

// maxSecret is how long a password or token may be, in bytes.
const maxSecret = 16 << 10

// password takes the secret from a file, the environment, or the terminal. A replay needs none.
func (a *app) password(file string) (string, error) {
	if a.tape != nil && a.tape.Replaying() {
		return "", nil
	}
	if file != "" {
		in, err := a.input(file)
		if err != nil {
			return "", err
		}
		defer in.Close()
		line, err := bufio.NewReader(io.LimitReader(in, maxSecret)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", unreadable(file, err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	if p, ok := a.getenv("MAILWHY_PASSWORD"); ok {
		return p, nil
	}
	if f, ok := a.in.(*os.File); ok && isTerminal(f) {
		fmt.Fprint(a.errw, a.say("Password: "))
		p, err := readHidden(f)
		fmt.Fprintln(a.errw)
		return p, err
	}
	return "", usage(finding.S("no password", nil), finding.S("give --password-file FILE or set MAILWHY_PASSWORD; on a terminal it is asked for", nil))
}
