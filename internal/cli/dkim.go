package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/dkim"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) dkimCommand() *cobra.Command {
	var selectors []string
	var private string
	c := &cobra.Command{
		Use:   "dkim DOMAIN",
		Short: a.say("judge the DKIM keys of a domain"),
		Long:  a.say("Judges the DKIM keys of a domain. The DNS cannot list selectors: names that senders use are tried, and those given with --selector. With --private-key it tells whether the published key belongs to the key a server signs with; the private key is only read."),
		Args:  a.nArgs(1, 1, "one domain"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := domainName(args[0])
			if err != nil {
				return err
			}
			q := dkim.Question{}
			for _, s := range selectors {
				name, err := domainName(s)
				if err != nil {
					return usage(finding.S("{{.Name}} is no selector", finding.Args{"Name": shorten(s)}), finding.S("give it as it stands in s= of a DKIM-Signature", nil))
				}
				q.Selectors = append(q.Selectors, name)
			}
			if private != "" {
				if q.Own, err = a.privateKey(private); err != nil {
					return err
				}
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			r, err := dkim.Survey(a.begin(cmd), env, d, q)
			if err != nil {
				return err
			}
			return a.show(r)
		},
	}
	c.Flags().StringArrayVar(&selectors, "selector", nil, a.say("look at this selector too (repeatable)"))
	c.Flags().StringVar(&private, "private-key", "", a.say("PEM file with the private key a server signs with"))
	return c
}

// privateKey reads the public half of a key file.
func (a *app) privateKey(file string) (*dkim.Own, error) {
	r, err := a.input(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, unreadable(file, err)
	}
	own, err := dkim.ReadPrivateKey(file, raw)
	if err != nil {
		return nil, unreadable(file, err)
	}
	return own, nil
}
