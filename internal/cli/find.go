package cli

import (
	"strings"

	"github.com/spf13/cobra"

	findcheck "github.com/mailwhy/mailwhy/internal/check/find"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/addr"
)

func (a *app) findCommand() *cobra.Command {
	var write string
	c := &cobra.Command{
		Use:   "find ADDRESS|DOMAIN",
		Short: a.say("find what to type into a mail program: servers, ports, security"),
		Long: a.say(`Finds the settings for a mail program: from SRV records, autoconfig and Autodiscover of the domain, the provider behind its MX, and names that are often right. Each server is tried (port, TLS, certificate); the best stands first, and contradictions are named.

No password is sent and no login tried. --write gives a file that a mail program can import.`),
		Args: a.nArgs(1, 1, finding.M("an address or a domain")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if write != "" && write != "mobileconfig" && write != "autoconfig" {
				return usage(finding.S("unknown word {{.Word}} in --write", finding.Args{"Word": write}), finding.S("one of mobileconfig, autoconfig", nil))
			}
			domain, address := args[0], ""
			if !strings.Contains(domain, "@") {
				domain = "postmaster@" + domain
			}
			p, err := addr.Parse(domain)
			if err != nil || p.ASCII == "" {
				return usage(finding.S("{{.Text}} is neither an address nor a domain", finding.Args{"Text": shorten(args[0])}), finding.Sentence{})
			}
			if strings.Contains(args[0], "@") {
				address = p.SMTP()
			}
			if write == "mobileconfig" && address == "" {
				return usage(finding.S("--write mobileconfig wants an address, not a domain", nil), finding.Sentence{})
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			r, err := findcheck.Survey(a.begin(cmd), env, p.ASCII, address)
			if err != nil {
				return err
			}
			if write == "" {
				return a.show(r)
			}
			return a.writeSettings(r, write)
		},
	}
	c.Flags().StringVar(&write, "write", "", a.say("write a file to import instead of the report: mobileconfig or autoconfig"))
	return c
}

func (a *app) writeSettings(r *finding.Report, kind string) error {
	f, _ := r.Facts.(*findcheck.Facts)
	file := findcheck.File(f, kind)
	if file == nil {
		a.warn(r.Headline.Says)
		a.grade(r)
		a.untested()
		return nil
	}
	_, err := a.out.Write(file)
	return err
}
