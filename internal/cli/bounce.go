package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/bounce"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

func (a *app) bounceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "bounce FILE…",
		Short: a.say("read bounces: who refused, why, whose job it is, what to do"),
		Long: a.say(`Reads bounces and other notices about the fate of a message: standard delivery status notifications, the home-made reports of every mail server known, complaints, delays, automatic answers. For each recipient: who refused, the code, the cause, hard or soft, whose job it is, what to do.

FILE is a message, an mbox, a maildir or any folder of messages; "-" or no FILE reads standard input. Many messages give a table (whole reports with -v), or one JSON line each with --json.`),
		RunE: func(cmd *cobra.Command, args []string) error { return a.bounce(a.begin(cmd), args) },
	}
}

// maxMailFile bounds what is read of one file: an mbox may be big, a single message is not.
const maxMailFile = 256 << 20

func (a *app) bounce(ctx context.Context, args []string) error {
	know, err := a.know()
	if err != nil {
		return err
	}
	r, err := bounce.NewReader(know, a.lang)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	b := bouncer{app: a, reader: r}
	for _, name := range a.mailFiles(args) {
		if ctx.Err() != nil {
			break
		}
		if err := b.file(name); err != nil {
			return err
		}
	}
	return b.finish()
}

// bouncer collects reports. The first is held back, because one message alone gets its whole report and many get a
// table.
type bouncer struct {
	app    *app
	reader *bounce.Reader
	first  *finding.Report
	lines  []bounce.Summary
}

func (b *bouncer) file(name string) error {
	f, err := b.app.input(name)
	if err != nil {
		b.app.unread(name, err)
		return nil
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxMailFile+1))
	if err != nil {
		b.app.unread(name, err)
		return nil
	}
	if len(raw) == 0 {
		b.app.warn(finding.S("{{.File}} is empty", finding.Args{"File": name}))
		b.app.untested()
		return nil
	}
	if len(raw) > maxMailFile {
		raw = raw[:maxMailFile]
		b.app.warn(finding.S("{{.File}} is bigger than {{size .Limit}}: only that much of it is read; split the mailbox", finding.Args{"File": name, "Limit": maxMailFile}))
		b.app.untested()
	}
	if bytes.IndexByte(raw[:min(len(raw), 8<<10)], 0) >= 0 {
		if _, err := eml.Read(bytes.NewReader(raw), name); err != nil {
			b.app.unread(name, err)
			return nil
		}
	}
	mails := dsn.Split(raw)
	for i, m := range mails {
		label := name
		if len(mails) > 1 {
			label = fmt.Sprintf("%s#%d", name, i+1)
		}
		if err := b.one(b.reader.Survey(label, m, time.Now())); err != nil {
			return err
		}
	}
	return nil
}

func (b *bouncer) one(r *finding.Report) error {
	if b.app.opt.format != "text" || b.app.opt.verbose {
		return b.app.show(r)
	}
	facts, _ := r.Facts.(*bounce.Facts)
	b.lines = append(b.lines, bounce.Summary{File: r.Target.Name, Facts: facts})
	if b.first == nil {
		b.first = r
		return nil
	}
	b.app.grade(r)
	return nil
}

func (b *bouncer) finish() error {
	switch {
	case b.first == nil:
		return nil
	case len(b.lines) == 1:
		return b.app.show(b.first)
	}
	b.app.grade(b.first)
	return b.app.printer.Report(bounce.Table(b.lines, time.Now()))
}

// mailFiles lists the files behind the arguments: a folder stands for the files below it (a maildir's tmp is left out).
func (a *app) mailFiles(args []string) []string {
	var out []string
	for _, name := range args {
		st, err := os.Stat(name)
		if name == "-" || err != nil || !st.IsDir() {
			out = append(out, name)
			continue
		}
		var below []string
		err = filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				a.unread(p, err)
			case d.IsDir() && d.Name() == "tmp":
				return fs.SkipDir
			case d.Type().IsRegular() && !hidden(d.Name()):
				below = append(below, p)
			}
			return nil
		})
		if err != nil {
			a.unread(name, err)
		}
		if len(below) == 0 {
			a.warn(finding.S("{{.File}} holds no files", finding.Args{"File": name}))
			a.untested()
		}
		slices.Sort(below)
		out = append(out, below...)
	}
	return out
}

// hidden tells the index and control files of mail servers from messages.
func hidden(name string) bool {
	return name[0] == '.' || len(name) > 7 && name[:7] == "dovecot"
}

// untested lets an input that could not be read count towards the exit status; a finding counts more.
func (a *app) untested() {
	if a.status == exitOK {
		a.status = exitUntested
	}
}
