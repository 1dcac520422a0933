package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

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

// maxPassword bounds what is read of a password file, in bytes.
const maxPassword = 4 << 10

// readMailbox sums up the reports in a folder and gives its URL.
func (a *app) readMailbox(ctx context.Context, env *check.Env, sum *feedback.Sum, o *mailboxOptions) (string, error) {
	place, err := mailbox.Parse(o.url)
	if err != nil {
		return "", usage(finding.S("--imap wants imaps://user@host/folder (or imap:// for STARTTLS), without a password in it", nil), finding.Sentence{})
	}
	if a.opt.offline || a.opt.replay != "" {
		return "", usage(finding.S("--imap needs a network: it goes with neither --offline nor --replay", nil), finding.Sentence{})
	}
	password, err := a.mailboxPassword(o)
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

func (a *app) mailboxPassword(o *mailboxOptions) (string, error) {
	if o.passwordFile == "" {
		if p, ok := a.getenv("MAILWHY_PASSWORD"); ok && p != "" {
			return p, nil
		}
		if f, ok := a.in.(*os.File); ok && isTerminal(f) {
			fmt.Fprintf(a.errw, "%s: ", o.url)
			p, err := readHidden(f)
			fmt.Fprintln(a.errw)
			return p, err
		}
		return "", usage(finding.S("no password for the IMAP account", nil), finding.S("set MAILWHY_PASSWORD or give --password-file", nil))
	}
	f, err := os.Open(o.passwordFile)
	if err != nil {
		return "", unreadable(o.passwordFile, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassword))
	if err != nil {
		return "", unreadable(o.passwordFile, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
