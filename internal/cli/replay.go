package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// replay runs the command line of the recording again, with the flags given now behind it, so that these win.
func (a *app) replay(ctx context.Context) error {
	args := recorded(a.tape.Args(), a.opt.lang != "")
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return usage(finding.S("the recording {{.File}} holds no command", finding.Args{"File": a.opt.replay}),
			finding.S("name the command that was recorded, like mailwhy check DOMAIN --replay FILE", nil))
	}
	now := a.args
	if i := slices.Index(args, "--"); i >= 0 { // flags end there
		args = slices.Concat(args[:i], now, args[i:])
	} else {
		args = slices.Concat(args, now)
	}
	a.status = Run(ctx, args, a.in, a.out, a.errw, a.getenv)
	a.printer = nil // the other run has closed its own
	return nil
}

// recorded takes out of a recorded command line what must not happen again: writing a recording; and the language,
// where another is wanted. The command comes first, whatever flags stood before it.
func recorded(in []string, otherLang bool) []string {
	var out, flags []string
	drop := func(name string) bool { return name == "--record" || name == "--lang" && otherLang }
	for i := 0; i < len(in); i++ {
		name, _, whole := strings.Cut(in[i], "=")
		switch {
		case drop(name):
			if !whole {
				i++
			}
		case len(out) == 0 && strings.HasPrefix(name, "-") && in[i] != "--":
			flags = append(flags, in[i])
			if !whole && i+1 < len(in) && valued(name) {
				i++
				flags = append(flags, in[i])
			}
		default:
			out = append(out, in[i])
		}
	}
	if len(out) == 0 {
		return nil
	}
	return slices.Concat(out[:1], flags, out[1:])
}

// valued tells the global flags that take their value from the next word.
func valued(name string) bool {
	return slices.Contains([]string{"--lang", "--format", "--fail-on", "--color", "--resolver", "--trust-anchor", "--root-server",
		"--timeout", "--profile", "--knowledge"}, name)
}
