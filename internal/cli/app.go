package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/tape"
)

// app is one run of the program: its streams, its global options, and what the commands share.
type app struct {
	in      io.Reader
	out     io.Writer
	errw    io.Writer
	getenv  func(string) (string, bool)
	args    []string
	lang    finding.Lang
	opt     globals
	status  int
	leftOut atomic.Bool // a line of a list was no input; see settle
	ran     bool        // a command began its work: what fails now is no usage error
	cmd     *cobra.Command

	printer render.Printer
	profile map[string]finding.Severity // by rule ID, from --profile
	tape    *tape.Tape
	tapeOut *os.File
	envOnce *check.Env
}

// globals are the flags every command has.
type globals struct {
	lang, format, failOn, color, profile, knowledge, record, replay string
	json, verbose, noIPv6, offline                                  bool
	resolvers, anchors, roots                                       []string
	timeout                                                         time.Duration
}

func newApp(in io.Reader, out, errw io.Writer, env func(string) (string, bool)) *app {
	return &app{in: in, out: out, errw: errw, getenv: env}
}

// say gives a sentence of the interface in the run's language. The literal is a key of the catalogue.
func (a *app) say(m finding.Msg) string { return finding.Sentence{Msg: m}.In(a.lang) }

// root builds the command tree.
func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "mailwhy [WHAT]",
		Short: a.say("Says why email fails: what is wrong, the evidence, whose job it is, the repair, and the proof."),
		Long: a.say(`Says why email fails: what is wrong, the evidence, whose job it is, the repair, and the proof.

Give it what you have in hand (a domain, an address, an IP, a host:port, a reply, a file) and it runs the right command, or name the command.

Exit status: 1 if a finding reaches --fail-on (default error); else 2 if something of error severity could not be tested or an input could not be read; else 0. 64 for malformed arguments.`),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, args []string) error { return a.recognise(cmd, args) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.cmd = cmd
			return a.start()
		},
	}
	c.SetOut(a.out)
	c.SetErr(a.errw)
	c.SetIn(a.in)
	a.globalFlags(c)
	c.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(badFlag(err), finding.S("see {{.Cmd}} --help", finding.Args{"Cmd": cmd.CommandPath()}))
	})
	for _, build := range commands {
		c.AddCommand(build(a))
	}
	addExamples(c)
	a.localiseHelp(c)
	return c
}

func (a *app) globalFlags(c *cobra.Command) {
	f, o := c.PersistentFlags(), &a.opt
	f.StringVar(&o.lang, "lang", "", a.say("language: en or zh (default: from the locale)"))
	f.StringVar(&o.format, "format", "text", a.say("text, json, html, markdown, junit, sarif or csv"))
	f.BoolVar(&o.json, "json", false, a.say("short for --format json"))
	f.StringVar(&o.failOn, "fail-on", "error", a.say("exit with 1 from this severity on: note, warning, error or never"))
	f.BoolVarP(&o.verbose, "verbose", "v", false, a.say("show everything: what is fine, transcripts, references"))
	f.StringVar(&o.color, "color", "auto", a.say("auto, always or never; NO_COLOR is honoured"))
	f.StringArrayVar(&o.resolvers, "resolver", nil, a.say("ask this resolver: address[:port], tls://address, https://host/path (repeatable; default: the system's)"))
	f.StringArrayVar(&o.anchors, "trust-anchor", nil, a.say("DNSSEC trust anchor for a private zone: a DS or DNSKEY record, or a file of them (repeatable)"))
	f.StringArrayVar(&o.roots, "root-server", nil, a.say("address of a root server of a private name space, for walks from the root (repeatable)"))
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, a.say("longest wait for one network operation"))
	f.BoolVar(&o.noIPv6, "no-ipv6", false, a.say("do not use IPv6"))
	f.BoolVar(&o.offline, "offline", false, a.say("ask the network nothing"))
	f.StringVar(&o.knowledge, "knowledge", "", a.say("directory with tables that replace the built-in ones"))
	f.StringVar(&o.profile, "profile", "", a.say("TOML file that overrides severities by rule ID"))
	f.StringVar(&o.record, "record", "", a.say("keep all observations of this run in a file"))
	f.StringVar(&o.replay, "replay", "", a.say("judge a recorded run again, without a network"))
}

// start checks the global flags and opens what they name. It runs before every command.
func (a *app) start() error {
	o := &a.opt
	if o.json {
		o.format = "json"
	}
	if o.lang != "" && o.lang != "en" && o.lang != "zh" {
		return usage(finding.S("unknown language {{.Lang}}", finding.Args{"Lang": o.lang}), finding.S("one of en, zh", nil))
	}
	if _, ok := finding.ParseSeverity(o.failOn); !ok && o.failOn != "never" {
		return usage(finding.S("unknown severity {{.Word}} in --fail-on", finding.Args{"Word": o.failOn}), finding.S("one of note, warning, error, never", nil))
	}
	style, err := a.style()
	if err != nil {
		return err
	}
	if a.profile, err = readProfile(o.profile); err != nil {
		return err
	}
	if a.printer, err = render.New(o.format, a.out, style); err != nil {
		return usage(finding.S("unknown format {{.Word}}", finding.Args{"Word": o.format}), finding.S("one of {{list .All}}", finding.Args{"All": render.Formats}))
	}
	return a.openTape()
}

// style tells the faces about the terminal.
func (a *app) style() (render.Style, error) {
	s := render.Style{Lang: a.lang, Verbose: a.opt.verbose, Version: Version()}
	f, isFile := a.out.(*os.File)
	tty := isFile && isTerminal(f)
	switch a.opt.color {
	case "always":
		s.Color = true
	case "never":
	case "auto":
		_, no := a.getenv("NO_COLOR")
		term, _ := a.getenv("TERM")
		s.Color = tty && !no && term != "dumb"
	default:
		return s, usage(finding.S("unknown word {{.Word}} in --color", finding.Args{"Word": a.opt.color}), finding.S("one of auto, always, never", nil))
	}
	s.Width = 100
	if tty {
		if w := terminalWidth(f); w >= 40 {
			s.Width = min(w, 140)
		}
	}
	return s, nil
}

func (a *app) openTape() error {
	switch {
	case a.opt.record != "" && a.opt.replay != "":
		return usage(finding.S("--record and --replay exclude each other", nil), finding.Sentence{})
	case a.opt.record != "":
		f, err := os.OpenFile(a.opt.record, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return unreadable(a.opt.record, err)
		}
		a.tapeOut = f
		a.tape = tape.NewRecorder(f, time.Now(), a.args)
	case a.opt.replay != "":
		f, err := os.Open(a.opt.replay)
		if err != nil {
			return unreadable(a.opt.replay, err)
		}
		defer f.Close()
		if a.tape, err = tape.Open(f); err != nil {
			return unreadable(a.opt.replay, err)
		}
	}
	return nil
}

// env is the run's door to the world; commands of one run share it.
func (a *app) env() (*check.Env, error) {
	if a.envOnce != nil {
		return a.envOnce, nil
	}
	know := knowledge.Embedded()
	if a.opt.knowledge != "" {
		var err error
		if know, err = knowledge.Open(a.opt.knowledge); err != nil {
			return nil, unreadable(a.opt.knowledge, err)
		}
	}
	e := &check.Env{
		Now:  time.Now,
		Know: know,
		Dial: &net.Dialer{Timeout: a.opt.timeout},
		Probe: check.Probe{
			NoIPv6: a.opt.noIPv6, Offline: a.opt.offline, Timeout: a.opt.timeout,
		},
	}
	anchors, err := a.trustAnchors()
	if err != nil {
		return nil, err
	}
	for _, s := range a.opt.resolvers {
		if _, err := dns.ParseServer(s); err != nil {
			return nil, usage(finding.S("{{.Server}} in --resolver is no resolver", finding.Args{"Server": shorten(s)}),
				finding.S("give it like 192.0.2.1, 192.0.2.1:5353, tls://192.0.2.1 or https://dns.example/dns-query", nil))
		}
	}
	do := dns.Options{Servers: a.opt.resolvers, Timeout: min(a.opt.timeout, 5*time.Second), NoIPv6: a.opt.noIPv6, Roots: a.opt.roots, Anchors: anchors}
	if a.tape != nil {
		e.Tape, do.Tape = a.tape, a.tape
		if a.tape.Replaying() {
			at := a.tape.Started()
			e.Now = func() time.Time { return at }
		}
	}
	if a.opt.offline {
		e.Dial, do.Dial = wire.NoNetwork{}, wire.NoNetwork{}
	}
	do.Now = e.Now
	e.DNS = dns.New(do)
	a.introduce(e)
	a.envOnce = e
	return e, nil
}

// show prints a report and lets it count towards the exit status. The profile is applied here.
func (a *app) show(r *finding.Report) error {
	a.ran = true
	finding.Order(r.Findings)
	a.grade(r)
	return a.printer.Report(r)
}

// grade raises the exit status to what a report deserves.
func (a *app) grade(r *finding.Report) {
	failOn, armed := finding.ParseSeverity(a.opt.failOn)
	for i := range r.Findings {
		f := &r.Findings[i]
		if s, ok := a.profile[f.Rule.ID]; ok {
			f.Severity = &s
		}
		switch {
		case armed && f.Outcome == finding.Fail && f.Level() >= failOn:
			a.status = exitFinding
		case f.Outcome == finding.Unknown && f.Level() == finding.Error && a.status == exitOK:
			a.status = exitUntested
		}
	}
}

// settle makes what was left out of a list count, once the list is done: lists are read beside the work on them.
func (a *app) settle() {
	if a.leftOut.Load() && a.status == exitOK {
		a.status = exitUntested
	}
}

// finish closes the printer and the recording.
func (a *app) finish() error {
	var err error
	if a.printer != nil {
		err = a.printer.Close()
	}
	if a.tape != nil {
		err = errors.Join(err, a.tape.Close())
	}
	if a.tapeOut != nil {
		err = errors.Join(err, a.tapeOut.Close())
	}
	return err
}

// warn says something on standard error without ending the run; an input that could not be read makes the exit status
// at least 2.
func (a *app) warn(s finding.Sentence) {
	fmt.Fprintf(a.errw, "mailwhy: %s\n", render.Clean(s.In(a.lang)))
}

// input opens a file argument; "-" is standard input.
func (a *app) input(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return f, nil
}

// begin gives the context of a command and marks that its work has begun.
func (a *app) begin(cmd *cobra.Command) context.Context { a.ran = true; return cmd.Context() }

// nArgs wants a number of arguments and says what they are.
func (a *app) nArgs(least, most int, what finding.Msg) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		return usage(
			finding.S("{{.Cmd}} wants {{.What}}", finding.Args{"Cmd": cmd.CommandPath(), "What": what}),
			finding.S("usage: {{.Line}}", finding.Args{"Line": strings.TrimSuffix(cmd.UseLine(), " [flags]")}))
	}
}
