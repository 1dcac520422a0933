package cli

import (
	"io"
	"net/netip"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) blocklistCommand() *cobra.Command {
	var opt blocklist.Options
	var keys string
	c := &cobra.Command{
		Use:   "blocklist ADDRESS|DOMAIN…",
		Short: a.say("ask DNS blocklists about addresses and domains, believing only lists that pass their own test"),
		Long:  a.say("Asks all DNS blocklists of the table at once about each address (IPv4, IPv6) and domain. Every list is tested in the same run by its own test entries; lists that are dead, refuse this resolver, list everything or answer nonsense are shown as not tested, never as a listing."),
		Args:  a.nArgs(1, -1, "one IP address or domain or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var subjects []string
			for _, s := range args {
				if ip, err := netip.ParseAddr(s); err == nil {
					subjects = append(subjects, ip.Unmap().WithZone("").String())
					continue
				}
				d, err := domainName(s)
				if err != nil {
					return err
				}
				subjects = append(subjects, d)
			}
			if err := a.readKeys(keys, &opt); err != nil {
				return err
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			for _, s := range subjects {
				r, err := blocklist.Survey(ctx, env, []string{s}, opt)
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
	c.Flags().StringArrayVar(&opt.Only, "list", nil, a.say("ask this list only, by its id or zone (repeatable)"))
	c.Flags().StringVar(&keys, "keys", "", a.say("TOML file of keys by list id, such as spamhaus-zen = \"…\""))
	return c
}

// readKeys reads the file of list keys; it must hold nothing but strings.
func (a *app) readKeys(name string, opt *blocklist.Options) error {
	if name == "" {
		return nil
	}
	f, err := a.input(name)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return unreadable(name, err)
	}
	if err := toml.Unmarshal(raw, &opt.Keys); err != nil {
		return usage(finding.S("{{.File}} is no TOML file of list ids and keys", finding.Args{"File": name}), finding.S("one line per list: spamhaus-zen = \"key\"", nil))
	}
	return nil
}
