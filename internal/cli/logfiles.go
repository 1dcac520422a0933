package cli

import (
	"errors"
	"io/fs"
	"os"

	logcheck "github.com/mailwhy/mailwhy/internal/check/logs"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// openLogs opens log files: names, patterns, rotated sets, - for standard input; without names the usual places of this
// machine, or standard input where something is piped in. What cannot be read is named on standard error, the rest goes
// on, and the exit status becomes 2.
func (a *app) openLogs(names []string) []*logs.Input {
	usual := len(names) == 0
	if usual && a.piped() {
		names, usual = []string{"-"}, false
	}
	if usual {
		names = logs.Places
	}
	files, errs := logs.Expand(names)
	for _, err := range errs {
		if !usual {
			a.notRead(err)
		}
	}
	var out []*logs.Input
	for _, name := range files {
		in, err := a.openLog(name)
		switch {
		case err == nil:
			out = append(out, in)
		case usual && errors.Is(err, logs.ErrEmpty):
		default:
			a.notRead(err)
		}
	}
	logs.Chain(out)
	return out
}

// lateYears gives what came up while packed logs were read about the years of their lines, by name; nil for nothing.
func lateYears(inputs []*logs.Input) map[string]*logs.Years {
	var out map[string]*logs.Years
	for _, in := range inputs {
		if in.Late() {
			if out == nil {
				out = map[string]*logs.Years{}
			}
			out[in.Name] = in.Years()
		}
	}
	return out
}

// piped tells whether something stands on standard input.
func (a *app) piped() bool {
	f, ok := a.in.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && (st.Mode()&fs.ModeNamedPipe != 0 || st.Mode().IsRegular() && st.Size() > 0)
}

// notRead names an input that could not be read, or not to its end.
func (a *app) notRead(err error) {
	var named *logs.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &named) && logcheck.Partly(err):
		a.warn(finding.S("{{.Name}}: not read in full: {{.Why}}", finding.Args{"Name": named.Name, "Why": logcheck.Why(named.Err)}))
	case errors.As(err, &named):
		a.warn(finding.S("{{.Name}}: not read: {{.Why}}", finding.Args{"Name": named.Name, "Why": logcheck.Why(named.Err)}))
	case errors.As(err, &path):
		a.warn(finding.S("{{.Name}}: not read: {{.Why}}", finding.Args{"Name": path.Path, "Why": logcheck.Why(path.Err)}))
	default:
		a.warn(finding.S("not read: {{.Error}}", finding.Args{"Error": err.Error()}))
	}
	if a.status == exitOK {
		a.status = exitUntested
	}
}

func closeLogs(inputs []*logs.Input) {
	for _, in := range inputs {
		in.Close()
	}
}
