package cli

import (
	"bytes"
	"context"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/check/score"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/inbox"
	"github.com/mailwhy/mailwhy/internal/render"
)

type inboxOptions struct {
	listen, domain string
	count          int
	wait           time.Duration
	maxBytes       int64
	score          score.Options
}

func (a *app) inboxCommand() *cobra.Command {
	var o inboxOptions
	c := &cobra.Command{
		Use:   "inbox",
		Short: a.say("receive a test mail at a one-time address and score it"),
		Long: a.say(`Listens for SMTP, gives out a one-time address, and scores what arrives there. Nothing else is accepted and nothing is relayed or stored. It ends after --count messages or after --wait.

To receive from the Internet, let the MX record of a domain of its own point to this machine, give that domain with --domain and listen on port 25.`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runInbox(a.begin(cmd), o) },
	}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:2525", a.say("listen here: [ADDRESS]:PORT"))
	f.StringVar(&o.domain, "domain", "", a.say("right side of the address, and our name in the greeting (default: this machine's name)"))
	f.IntVar(&o.count, "count", 1, a.say("end after this many messages"))
	f.DurationVar(&o.wait, "wait", time.Hour, a.say("end after this time"))
	f.Int64Var(&o.maxBytes, "max-bytes", 25<<20, a.say("largest message that is taken"))
	f.StringVar(&o.score.SpamAssassin, "spamassassin", "", a.say("ask this SpamAssassin daemon (spamd) too: HOST:PORT"))
	f.StringVar(&o.score.Rspamd, "rspamd", "", a.say("ask this rspamd too: URL of its scan worker (password in MAILWHY_RSPAMD_PASSWORD)"))
	return c
}

func (a *app) runInbox(ctx context.Context, o inboxOptions) error {
	if o.domain == "" {
		o.domain, _ = os.Hostname()
	}
	if o.domain == "" || o.count < 1 {
		return usage(finding.S("--domain must name a host and --count must be at least 1", nil), finding.Sentence{})
	}
	o.score.Trust = []string{o.domain}
	o.score.RspamdPassword, _ = a.getenv("MAILWHY_RSPAMD_PASSWORD")
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	var failed error
	left := o.count
	s := inbox.New(inbox.Options{Domain: o.domain, Lifetime: o.wait, Uses: o.count, MaxBytes: o.maxBytes, Handle: func(m inbox.Message) {
		if left <= 0 {
			return
		}
		left--
		if err := a.scoreArrived(ctx, m, o.score); err != nil {
			failed, left = err, 0
		}
		if left == 0 {
			cancel()
		}
	}})
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return busy(o.listen, err)
	}
	addr, err := s.Open()
	if err != nil {
		return err
	}
	a.note(finding.S("send a mail to {{.Address}}; listening on {{.Listen}} for {{.Wait}}", finding.Args{"Address": addr, "Listen": l.Addr().String(), "Wait": o.wait}))
	if err := s.Serve(ctx, l); err != nil {
		return err
	}
	if failed == nil && left == o.count {
		a.warn(finding.S("nothing arrived at {{.Address}}", finding.Args{"Address": addr}))
		a.status = max(a.status, exitUntested)
	}
	return failed
}

// note tells the user something on standard error, so that standard output holds reports alone.
func (a *app) note(s finding.Sentence) {
	_, _ = a.errw.Write([]byte(render.Clean(s.In(a.lang)) + "\n"))
}

func (a *app) scoreArrived(ctx context.Context, m inbox.Message, o score.Options) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	msg, err := eml.Read(bytes.NewReader(m.Raw), m.Address)
	if err != nil {
		return err
	}
	r, err := score.Survey(ctx, env, msg, o)
	if err != nil {
		return err
	}
	return a.show(r)
}
