package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/court"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

func (a *app) resolveCommand() *cobra.Command {
	var opt court.Options
	var watch bool
	var every, limit time.Duration
	c := &cobra.Command{
		Use:   "resolve NAME [TYPE…]",
		Short: a.say("ask the authoritative servers, this machine and public resolvers the same question, and say who is right"),
		Long: a.say(`Asks the authoritative servers (found by walking down from the root), the resolvers of this machine, its hosts file and well-known public resolvers, over UDP, TLS and HTTPS, all at once. Says who differs and why: a change that is still spreading and when it ends, a declared view (--expect), rewriting of missing names, a filter, an answer beyond its time, an answer nobody entitled gives, a dead, slow or refusing resolver, a line in the hosts file.

Without a type it asks for A and MX. With --resolver those are asked in place of the list of public resolvers.`),
		Args: a.nArgs(1, 17, "a name, and record types if not A and MX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := domainName(args[0])
			if err != nil {
				return err
			}
			for _, s := range args[1:] {
				t, ok := dns.ParseType(s)
				if !ok || t == mail.Type(255) || t == mail.Type(252) {
					return usage(finding.S("{{.Word}} is no record type", finding.Args{"Word": shorten(s)}), finding.S("such as A, AAAA, MX, TXT, NS, CNAME", nil))
				}
				opt.Types = append(opt.Types, t)
			}
			if every < time.Second {
				return usage(finding.S("--every wants a second or more", nil), finding.Sentence{})
			}
			for _, s := range a.opt.resolvers {
				opt.Public = append(opt.Public, knowledge.PublicResolver{Name: s, Server: s})
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			if !watch {
				r, err := court.Survey(ctx, env, name, opt)
				if err != nil {
					return err
				}
				return a.show(r)
			}
			r, err := court.Watch(ctx, env, name, opt, every, limit, func(n int, until time.Time) {
				a.warn(finding.S("{{.N}} {{plural .N \"answer differs\" \"answers differ\"}}{{if .Known}}; the cached ones run out by {{.Until}}{{end}}; asking again in {{.Every}}",
					finding.Args{"N": n, "Known": !until.IsZero(), "Until": until, "Every": every}))
			})
			if err != nil {
				return err
			}
			return a.show(r)
		},
	}
	c.Flags().StringArrayVar(&opt.Expect, "expect", nil, a.say("an answer that is right inside: a declared split view (repeatable)"))
	c.Flags().BoolVar(&watch, "watch", false, a.say("ask again until they agree"))
	c.Flags().DurationVar(&every, "every", 15*time.Second, a.say("with --watch: time between two rounds"))
	c.Flags().DurationVar(&limit, "for", 0, a.say("with --watch: give up after this time"))
	return c
}
