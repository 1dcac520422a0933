// Package cli reads flags, environment and configuration, composes the rooms, and exits. No other room does any of
// these.
//
// Promise: the exit status is what --help says; an error names the bad input and carries a hint; Ctrl-C ends cleanly
// with what is known so far.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs/queue"
	"github.com/mailwhy/mailwhy/internal/render"
)

// Exit statuses, stated in --help.
const (
	exitOK       = 0
	exitFinding  = 1  // a finding reached --fail-on, or a search found nothing
	exitUntested = 2  // something of error severity could not be tested, or an input could not be read
	exitUsage    = 64 // malformed arguments (EX_USAGE)
	exitInternal = 70 // mailwhy could not do its own work (EX_SOFTWARE)
)

// Main runs the program and exits.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
}

// Run is the program without the process: it returns the exit status. Tests call it.
func Run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer, env func(string) (string, bool)) int {
	a := newApp(in, out, errw, env)
	a.args = args
	a.lang = a.pickLang(args)
	root := a.root()
	root.SetArgs(args)
	root.SetContext(ctx)
	err := root.ExecuteContext(ctx)
	if cerr := a.finish(); err == nil {
		err = cerr
	}
	if err == nil {
		return a.status
	}
	return a.complain(err)
}

// usageError is a malformed command line; hint says what would be right.
type usageError struct{ what, hint finding.Sentence }

func (e *usageError) Error() string { return e.what.String() }

// usage makes an error for a malformed command line (exit status 64).
func usage(what, hint finding.Sentence) error { return &usageError{what, hint} }

// readError is an input that could not be read (exit status 2).
type readError struct {
	what, hint finding.Sentence
	err        error
}

func (e *readError) Error() string { return e.what.String() }
func (e *readError) Unwrap() error { return e.err }

// unreadable makes an error for an input that could not be read (exit status 2).
func unreadable(name string, err error) error {
	return &readError{
		what: finding.S("cannot read {{.File}}: {{.Text}}", finding.Args{"File": name, "Text": because(err)}),
		err:  err,
	}
}

// busy is an address that cannot be listened at: mostly because another program has the port.
func busy(where string, err error) error {
	why := err.Error()
	var oe *net.OpError
	if errors.As(err, &oe) {
		why = oe.Err.Error()
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		why = se.Err.Error()
	}
	return &readError{what: finding.S("cannot listen at {{.Where}}: {{.Text}}", finding.Args{"Where": where, "Text": why}), err: err}
}

// reason strips the operation and the path from an error of the os package: the sentence names the file already.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// because is reason in the reader's language, for the errors people meet.
func because(err error) finding.Sentence {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding.S("there is no such file", nil)
	case errors.Is(err, fs.ErrPermission):
		return finding.S("permission denied", nil)
	case errors.Is(err, syscall.EISDIR):
		return finding.S("it is a folder", nil)
	case errors.Is(err, queue.ErrEmpty):
		return finding.S("it holds no queue listing", nil)
	case errors.Is(err, queue.ErrUnknown):
		return finding.S("it is no queue listing of Postfix, Exim or Sendmail", nil)
	}
	return finding.Raw(reason(err))
}

// badFlag says in the reader's language what pflag says of a flag.
func badFlag(err error) finding.Sentence {
	var none *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &none):
		return finding.S("there is no flag {{.Flag}}", finding.Args{"Flag": dashed(none.GetSpecifiedName())})
	case errors.As(err, &bare):
		return finding.S("{{.Flag}} wants a value", finding.Args{"Flag": dashed(bare.GetSpecifiedName())})
	case errors.As(err, &bad):
		return finding.S("{{.Value}} is no value for {{.Flag}}", finding.Args{"Value": shorten(bad.GetValue()), "Flag": dashed(bad.GetFlag().Name)})
	}
	return finding.Raw(err.Error())
}

// dashed writes a flag as it stands on the command line.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// complain prints an error with its hint and gives the exit status.
func (a *app) complain(err error) int {
	var ue *usageError
	var re *readError
	what, hint, status := finding.Raw(err.Error()), finding.Sentence{}, exitUsage
	switch {
	case errors.As(err, &ue):
		what, hint = ue.what, ue.hint
	case errors.As(err, &re):
		what, hint, status = re.what, re.hint, exitUntested
	case errors.Is(err, context.Canceled):
		what, status = finding.S("interrupted", nil), 130
	case a.ran:
		status = exitInternal
	default:
		hint = finding.S("see mailwhy --help", nil)
	}
	fmt.Fprintf(a.errw, "mailwhy: %s\n", render.Clean(what.In(a.lang)))
	if !hint.IsZero() {
		fmt.Fprintln(a.errw, render.Clean(finding.S("hint: {{.Hint}}", finding.Args{"Hint": hint}).In(a.lang)))
	}
	return status
}

// pickLang finds the language before the command tree is built, because help texts need it: --lang, then the locale.
func (a *app) pickLang(args []string) finding.Lang {
	for i, s := range args {
		if v, ok := strings.CutPrefix(s, "--lang="); ok {
			return lang(v)
		}
		if s == "--lang" && i+1 < len(args) {
			return lang(args[i+1])
		}
		if s == "--" {
			break
		}
	}
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v, ok := a.getenv(k); ok && v != "" {
			return lang(v)
		}
	}
	return finding.EN
}

func lang(s string) finding.Lang {
	if strings.HasPrefix(strings.ToLower(s), "zh") {
		return finding.ZH
	}
	return finding.EN
}
