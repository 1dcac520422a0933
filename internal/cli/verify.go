package cli

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/verify"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) verifyCommand() *cobra.Command {
	var o verify.Options
	var ip, from string
	c := &cobra.Command{
		Use:   "verify FILE…",
		Short: a.say("verify SPF, DKIM, ARC and DMARC of a message again"),
		Long: a.say(`Verifies a message again, not only reads what others noted: SPF for the address it came from, every DKIM signature with the reason where one does not hold, the ARC chain, and DMARC as old and new receivers evaluate it.

FILE is a saved message; "-" or no FILE reads standard input. The client's address is that of the oldest Received line that can be believed; name it with --ip where you know it.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if ip != "" {
				var err error
				if o.IP, err = netip.ParseAddr(ip); err != nil {
					return usage(finding.S("{{.Text}} is not an IP address", finding.Args{"Text": shorten(ip)}), finding.S("give it like 192.0.2.1 or 2001:db8::1", nil))
				}
			}
			if cmd.Flags().Changed("from") {
				o.From = &from
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			if len(args) == 0 {
				args = []string{"-"}
			}
			for _, name := range args {
				m, err := a.readMessage(name)
				if err != nil {
					a.unread(name, err)
					continue
				}
				if err := a.show(verify.Survey(ctx, env, m, o)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&o.Trust, "trust", nil, a.say("our own border: host names (and all below them), addresses, prefixes; lines inward of it are believed (default: guessed)"))
	c.Flags().StringVar(&ip, "ip", "", a.say("address the message came from (default: from the Received lines)"))
	c.Flags().StringVar(&o.HELO, "helo", "", a.say("HELO name of the client (default: from the Received lines)"))
	c.Flags().StringVar(&from, "from", "", a.say("envelope sender (MAIL FROM; default: from Return-Path)"))
	return c
}
