package cli

import (
	"context"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/dmarc"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// topicCommand builds a command that runs one topic over domains and shows a report each.
func (a *app) topicCommand(use, short, long string, survey func(context.Context, *check.Env, string) *finding.Report) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: a.nArgs(1, -1, "one domain or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
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
				if err := a.show(survey(ctx, env, d)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) dmarcCommand() *cobra.Command {
	return a.topicCommand("dmarc DOMAIN…",
		a.say("judge the DMARC record of a domain, as old and new receivers read it"),
		a.say("Judges the DMARC record of a domain: whether receivers see it, what receivers of RFC 7489 and of RFC 9989 do with failing mail, side by side, and whether reports arrive."),
		dmarc.Survey)
}

// domainNames gives each argument as a domain, or the error of the first that is none.
func domainNames(args []string) (out []string, err error) {
	for _, s := range args {
		d, err := domainName(s)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// domainName gives a domain as it is asked for: lower case, without the trailing dot, internationalised labels as
// A-labels. What is no domain is an error of usage that names it.
func domainName(s string) (string, error) {
	d := strings.TrimSuffix(strings.TrimSpace(s), ".")
	bad := func() (string, error) {
		return "", usage(finding.S("{{.Name}} is not a domain", finding.Args{"Name": shorten(s)}), finding.S("give it like example.com", nil))
	}
	if _, err := netip.ParseAddr(d); err == nil || d == "" {
		return bad()
	}
	p, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false)).ToASCII(d)
	if err != nil || len(p) > 253 || strings.ContainsAny(p, " /@:\\\"'`()<>,;*?") {
		return bad()
	}
	for l := range strings.SplitSeq(p, ".") {
		if l == "" || len(l) > 63 {
			return bad()
		}
	}
	return strings.ToLower(p), nil
}

// shorten keeps an echoed argument readable.
func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
