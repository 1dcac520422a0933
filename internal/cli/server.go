package cli

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/server"
)

func (a *app) serverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "server HOST…",
		Short: a.say("look at a mail server as mail programs do: SMTP, IMAP, POP3 and ManageSieve on their ports"),
		Long: a.say(`Looks at a mail server on the ports that mail programs and other servers use: SMTP 25, 587 and 465, IMAP 143 and 993, POP3 110 and 995, ManageSieve 4190, all at once.

For each port: greeting, software, capabilities, STARTTLS, certificate, login methods, and whether passwords are taken without encryption. Nobody is logged in: that is what "mailwhy login" does.`),
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
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			for _, h := range hosts {
				r, err := server.Report(ctx, env, h)
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
}

// hostName takes a host name or an address.
func hostName(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), nil
	}
	return domainName(s)
}
