package cli

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/host"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) ipCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ip ADDRESS…",
		Short: a.say("what receivers see of a sending address: reverse name, confirmation, network, blocklists"),
		Long:  a.say("Looks at IP addresses as receivers do before the first byte of mail: the reverse name (PTR) and whether it leads back, whether it looks like a customer line, the network that announces it, and what the blocklists say."),
		Args:  a.nArgs(1, -1, "one IP address or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var addrs []netip.Addr
			for _, s := range args {
				ip, err := netip.ParseAddr(s)
				if err != nil {
					return usage(finding.S("{{.Name}} is not an IP address", finding.Args{"Name": shorten(s)}), finding.S("give it like 192.0.2.25 or 2001:db8::25", nil))
				}
				addrs = append(addrs, ip.Unmap().WithZone(""))
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			for _, ip := range addrs {
				r, err := host.Survey(ctx, env, ip)
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
