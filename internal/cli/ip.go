package cli

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/host"
	"github.com/mailwhy/mailwhy/internal/check/registry"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) ipCommand() *cobra.Command {
	var opt host.Options
	c := &cobra.Command{
		Use:   "ip ADDRESS…",
		Short: a.say("what receivers see of a sending address: reverse name, network and its holder, blocklists"),
		Long: a.say(`Looks at IP addresses as receivers do before the first byte of mail: the reverse name (PTR) and whether it leads back, whether it looks like a customer line, the network that announces it and whether RPKI covers the route, who holds the network and where abuse is reported, how old the domain of the name is, and what the blocklists say.

Holders come from RDAP, or from WHOIS where there is no RDAP; the state of the route from a service on the web. --rdap-server, --whois-server and --rpki-server name others, such as your own Routinator.`),
		Args: a.nArgs(1, -1, "one IP address or more"),
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
				r, err := host.Survey(ctx, env, ip, opt)
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
	registryFlags(a, c, &opt.Registry)
	c.Flags().BoolVar(&opt.NoRegistry, "no-registry", false, a.say("ask no registry (RDAP, WHOIS) and no RPKI service"))
	return c
}

// registryFlags are the flags of commands that ask registries.
func registryFlags(a *app, c *cobra.Command, opt *registry.Options) {
	c.Flags().StringVar(&opt.RDAP, "rdap-server", "", a.say("ask this RDAP server, by its base URL, in place of the registries"))
	c.Flags().StringVar(&opt.WHOIS, "whois-server", "", a.say("ask this WHOIS server first, host or host:port"))
	c.Flags().StringVar(&opt.RPKI, "rpki-server", "", a.say("RPKI validator: base URL of a Routinator, or a URL with {as} and {prefix} in it"))
}
