package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// reportsMemory makes the collector work harder instead of letting the heap of a long run grow, in bytes.
const reportsMemory = 48 << 20

func (a *app) reportsCommand() *cobra.Command {
	var box mailboxOptions
	c := &cobra.Command{
		Use:   "reports FILE|FOLDER…",
		Short: a.say("sum up DMARC, TLS and complaint reports: who sends in your name, what fails, what a stricter policy would do"),
		Long: a.say(`Sums up the reports receivers send: DMARC aggregate reports (RFC 7489 and RFC 9990), failure reports, TLS reports, complaints. It takes them as they come: XML, JSON, gzip, zip, attached to mails, in mailboxes (mbox, maildir) and folders; - is standard input.

Reports that came twice count once. A file that cannot be read is named with the reason, the rest goes on, and the exit status is 2. With --offline no names of sources are looked up.

--imap reads a folder of an IMAP account: imaps://user@host/folder, or imap:// for STARTTLS. The password is read from --password-file or MAILWHY_PASSWORD. Messages stay unread unless --mark-seen is given.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && box.url == "" {
				return a.nArgs(1, -1, "one file or folder or more")(cmd, args)
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			debug.SetMemoryLimit(reportsMemory)
			started := env.Now()
			sum := feedback.NewSum()
			ctx := a.begin(cmd)
			for _, name := range args {
				if err := a.readReports(sum, name); err != nil {
					return err
				}
				if ctx.Err() != nil {
					break
				}
			}
			if box.url != "" {
				place, err := a.readMailbox(ctx, env, sum, &box)
				if err != nil {
					return err
				}
				args = append(args, place)
			}
			title := args[0]
			if len(args) > 1 {
				title += " +" + strconv.Itoa(len(args)-1)
			}
			return a.show(sum.Finish(ctx, env, started, title))
		},
	}
	f := c.Flags()
	f.StringVar(&box.url, "imap", "", a.say("read a folder of an IMAP account: imaps://user@host/folder"))
	f.StringVar(&box.passwordFile, "password-file", "", a.say("file with the password of that account (default: MAILWHY_PASSWORD)"))
	f.BoolVar(&box.markSeen, "mark-seen", false, a.say("let the server mark as read what was read"))
	return c
}

// readReports reads a file, or all files below a folder.
func (a *app) readReports(sum *feedback.Sum, name string) error {
	if name == "-" {
		sum.Read(feedback.Input{Name: "-", R: a.in})
		return nil
	}
	st, err := os.Stat(name)
	if err != nil {
		return unreadable(name, err)
	}
	if !st.IsDir() {
		readReport(sum, name)
		return nil
	}
	return filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			sum.Unreadable(p, finding.Raw(err.Error()))
		case d.Type().IsRegular():
			readReport(sum, p)
		}
		return nil
	})
}

func readReport(sum *feedback.Sum, name string) {
	f, err := os.Open(name)
	if err != nil {
		sum.Unreadable(name, finding.Raw(err.Error()))
		return
	}
	defer f.Close()
	in := feedback.Input{Name: name, R: f}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		in.At, in.Size = f, st.Size()
	}
	sum.Read(in)
}
