package cli

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/spf"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) spfCommand() *cobra.Command {
	var ip, from, helo string
	c := &cobra.Command{
		Use:   "spf DOMAIN…",
		Short: a.say("judge the SPF record of a domain, and whether a server may send for it"),
		Long:  a.say("Judges the SPF record of a domain with everything it includes: mistakes with their place, the look-ups at each term and the one that breaks the limit. With --ip it evaluates the record for a client and shows every step."),
		Args:  a.nArgs(1, -1, "one domain or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := spf.Question{From: from, HELO: helo}
			if ip != "" {
				var err error
				if q.IP, err = netip.ParseAddr(ip); err != nil {
					return usage(finding.S("{{.Text}} is not an IP address", finding.Args{"Text": shorten(ip)}), finding.S("give it like 192.0.2.1 or 2001:db8::1", nil))
				}
			} else if from != "" || helo != "" {
				return usage(finding.S("--from and --helo need --ip", nil), finding.S("give the client's address: --ip 192.0.2.1", nil))
			}
			domains, err := domainNames(args)
			if err != nil {
				return err
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			for _, d := range domains {
				if err := a.show(spf.Survey(ctx, env, d, q)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&ip, "ip", "", a.say("evaluate the record for this client address"))
	c.Flags().StringVar(&from, "from", "", a.say("envelope sender (MAIL FROM) for --ip; default: postmaster of the domain"))
	c.Flags().StringVar(&helo, "helo", "", a.say("HELO name for --ip"))
	return c
}
