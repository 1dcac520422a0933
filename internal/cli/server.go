package cli

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) serverCommand() *cobra.Command {
	o := server.Options{Abuse: true}
	c := &cobra.Command{
		Use:   "server HOST…",
		Short: a.say("look at a mail server as mail programs do: SMTP, IMAP, POP3 and ManageSieve on their ports"),
		Long: a.say(`Looks at a mail server on the ports that mail programs and other servers use: SMTP 25, 587 and 465, IMAP 143 and 993, POP3 110 and 995, ManageSieve 4190, all at once.

For each port: greeting, software, capabilities, STARTTLS, certificate, login methods, and whether passwords are taken without encryption. Foreign recipients are tried in nine ways by RCPT alone, a command is slipped in behind STARTTLS, and port 25 is asked for what its EHLO promises (SIZE, 8BITMIME, SMTPUTF8, PIPELINING, CHUNKING) and for names (VRFY, EXPN); nothing is sent. Nobody is logged in: that is what "mailwhy login" does.`),
		Args: a.nArgs(1, -1, "one host or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var hosts []string
			for _, s := range args {
				h, err := hostName(s)
				if err != nil {
					return err
				}
				hosts = append(hosts, h)
			}
			if o.Owner != "" && !isAddress(o.Owner) {
				return usage(finding.S("{{.Name}} is not a mail address", finding.Args{"Name": shorten(o.Owner)}), finding.S("give it like li@mine.example", nil))
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			for _, h := range hosts {
				r, err := server.Report(ctx, env, h, o)
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
	c.Flags().StringVar(&o.Owner, "i-own-this-server", "", a.say("an address on this server, which is yours: also try false ends of a message (SMTP smuggling), in DATA and in BDAT; test messages are delivered there, one of a sound server and more of one that is fooled"))
	return c
}

// hostName takes a host name or an address.
func hostName(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), nil
	}
	return domainName(s)
}
