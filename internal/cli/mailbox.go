package cli

import (
	"context"
	"io"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/mailbox"
)

// mailboxOptions name a folder of an IMAP account.
type mailboxOptions struct {
	url, passwordFile string
	markSeen          bool
}

// readMailbox sums up the reports in a folder and gives its URL.
func (a *app) readMailbox(ctx context.Context, env *check.Env, sum *feedback.Sum, o *mailboxOptions) (string, error) {
	place, err := mailbox.Parse(o.url)
	if err != nil {
		return "", usage(finding.S("--imap wants imaps://user@host/folder (or imap:// for STARTTLS), without a password in it", nil), finding.Sentence{})
	}
	if a.opt.offline || a.opt.replay != "" {
		return "", usage(finding.S("--imap needs a network: it goes with neither --offline nor --replay", nil), finding.Sentence{})
	}
	password, err := a.password(o.passwordFile)
	if err != nil {
		return "", err
	}
	opt := mailbox.Options{Dial: env.Dial, Roots: env.Roots, Password: password, MarkSeen: o.markSeen}
	total, err := mailbox.Read(ctx, place, opt, func(name string, r io.Reader) {
		sum.Read(feedback.Input{Name: place.Folder + ": " + name, R: r, Mail: true})
	})
	if err != nil {
		sum.Unreadable(place.String(), finding.Raw(err.Error()))
	} else if total > mailbox.MaxMessages {
		sum.Unreadable(place.String(), finding.S("more than {{.N}} entries; the rest is not read", finding.Args{"N": mailbox.MaxMessages}))
	}
	return place.String(), nil
}
