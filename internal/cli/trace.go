package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/journey"
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// traceFlags are the flags of `mailwhy trace`.
type traceFlags struct {
	since, until, status, direction string
	store, passwordFile             string
	raw, unparsed, redact, all      bool
}

func (a *app) traceCommand() *cobra.Command {
	var f traceFlags
	c := &cobra.Command{
		Use:   "trace WHAT [FILE…]",
		Short: a.say("follow a message through the logs, from the first connection to the mailbox or the bounce"),
		Long: a.say(`Follows messages through mail logs: connection, queue, filter, next host, mailbox or bounce, over all files given, in any order, of several hosts and programs. No index, no set-up.

WHAT is a message-id, a queue id, an address, *@domain or another pattern, an IP address or network, a host or domain, or part of a subject. A prefix says it outright: message-id: queue: from: to: ip: host: subject:

FILE is a log, plain or packed (.gz .xz .zst .bz2), a pattern, or - for standard input. Without FILE the usual log places of this machine are read.

Exit status: 0 if something was found, 1 if nothing was, 2 if an input could not be read.`),
		Args: a.nArgs(1, -1, "what to look for, and log files"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.trace(cmd, args, f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.since, "since", "", a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	fl.StringVar(&f.until, "until", "", a.say("until this time"))
	fl.StringVar(&f.status, "status", "", a.say("only messages with a recipient of this fate: sent, deferred, bounced, expired, discarded, rejected"))
	fl.StringVar(&f.direction, "direction", "", a.say("only messages that come in or go out: in, out"))
	fl.StringVar(&f.store, "store", "", a.say("ask the store in this folder, or clickhouse://user@host:9000,…/database?cluster=name, instead of files; mailwhy serve may be writing to it"))
	a.storePasswordFlag(c, &f.passwordFile)
	fl.BoolVar(&f.raw, "raw", false, a.say("print the very log lines in order of time, like a perfect grep"))
	fl.BoolVar(&f.unparsed, "unparsed", false, a.say("print the mail lines of the files that mailwhy does not understand"))
	fl.BoolVar(&f.redact, "redact", false, a.say("put pseudonyms in the place of addresses, hosts, IPs and subjects, the same for the same one"))
	fl.BoolVar(&f.all, "all", false, a.say("show every message whole, however many there are"))
	return c
}

// wholeJourneys is how many messages are shown whole in text before the rest becomes a table.
const wholeJourneys = 5

// What keeps the memory of a wide search down: what it holds are few large slices, quickly collected, and beyond a bound it is
// better to collect often than to let garbage stand.
const (
	traceCollection = 40        // percent
	traceMemory     = 120 << 20 // bytes
)

func (a *app) trace(cmd *cobra.Command, args []string, f traceFlags) error {
	q, err := trace.ParseQuery(args[0])
	if err != nil {
		return usage(finding.S("{{.What}} is too short or matches everything", finding.Args{"What": args[0]}), finding.S("give a message-id, a queue id, an address, an IP, a host or part of a subject", nil))
	}
	if err := f.fill(a, &q, time.Now()); err != nil {
		return err
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	ctx := a.begin(cmd)
	names := args[1:]
	if f.store != "" {
		if len(names) > 0 || f.unparsed {
			return usage(finding.S("--store takes the place of files and of --unparsed", nil), finding.S("leave one of them out", nil))
		}
		return a.traceStore(ctx, q, args[0], f, env.Know)
	}
	if f.unparsed && len(names) == 0 && isFile(args[:1]) {
		names = args
	}
	inputs := a.openLogs(names)
	defer func() { closeLogs(inputs) }()
	defer holdHeap(traceCollection, traceMemory)()
	opt := trace.Options{Dialects: dialects.All(), Local: time.Local, Workers: runtime.GOMAXPROCS(0)}
	if f.unparsed {
		return a.showUnparsed(ctx, inputs, opt, f.redact)
	}
	found, err := trace.Scan(ctx, inputs, q, opt)
	if err != nil {
		return err
	}
	if late := lateYears(inputs); late != nil && !(q.Since.IsZero() && q.Until.IsZero()) { // the span was compared with times of other years
		found.Close()
		closeLogs(inputs)
		inputs = a.openLogs(names)
		for _, in := range inputs {
			if y := late[in.Name]; y != nil {
				in.Tell(y)
			}
		}
		if found, err = trace.Scan(ctx, inputs, q, opt); err != nil {
			return err
		}
	}
	defer found.Close()
	if f.redact {
		found.Redact = &trace.Redactor{Key: []byte(rand.Text())}
	}
	for _, e := range found.Errors {
		a.notRead(e)
	}
	n := 0
	if f.raw {
		n, err = a.showRaw(ctx, found)
	} else {
		what := args[0]
		if f.redact {
			what = found.Redact.Text(what)
		}
		n, err = a.showJourneys(found.Journeys(ctx), found.Session, what, f, env.Know)
	}
	if err != nil {
		return err
	}
	if err = found.Err(); err != nil {
		a.notRead(err)
	}
	if n == 0 {
		a.nothingFound(args[0], &q, inputs)
	}
	return nil
}

// fill puts the flags into the query.
func (f *traceFlags) fill(a *app, q *trace.Query, now time.Time) error {
	var err error
	if q.Since, err = a.when(f.since, now); err != nil {
		return err
	}
	if q.Until, err = a.when(f.until, now); err != nil {
		return err
	}
	switch f.direction {
	case "", "in", "out":
		q.Direction = f.direction
	default:
		return usage(finding.S("unknown word {{.Word}} in --direction", finding.Args{"Word": f.direction}), finding.S("one of in, out", nil))
	}
	if f.status == "rejected" {
		q.Rejected = true
	} else if f.status != "" {
		var ok bool
		if q.Status, ok = event.ParseStatus(f.status); !ok {
			return usage(finding.S("unknown word {{.Word}} in --status", finding.Args{"Word": f.status}), finding.S("one of sent, deferred, bounced, expired, discarded, rejected", nil))
		}
	}
	return nil
}

// showJourneys prints what was found, the first at once, and tells how many there were.
func (a *app) showJourneys(found func(func(*trace.Journey) bool), session func(*trace.Journey), query string, flags traceFlags, know *knowledge.Base) (n int, err error) {
	rest := journey.NewList(query, 1000, know)
	whole := flags.all || a.opt.format != "text"
	for j := range found {
		n++
		if !whole && n > wholeJourneys {
			rest.Add(j)
			continue
		}
		if n <= 200 {
			session(j)
		}
		if err = a.show(journey.Report(j, query, know)); err != nil {
			return n, err
		}
	}
	if rest.Len() > 0 {
		err = a.show(rest.Report())
	}
	return n, err
}

// showRaw prints the lines themselves.
func (a *app) showRaw(ctx context.Context, f *trace.Found) (n int, err error) {
	w := bufio.NewWriterSize(a.out, 1<<16)
	out, isFile := a.out.(*os.File)
	tty := isFile && isTerminal(out)
	for _, line := range f.RawLines(ctx) {
		n++
		if tty {
			w.WriteString(render.Clean(string(line)))
		} else {
			w.Write(line)
		}
		if err = w.WriteByte('\n'); err != nil {
			return n, err
		}
	}
	return n, w.Flush()
}

func (a *app) showUnparsed(ctx context.Context, inputs []*logs.Input, opt trace.Options, redact bool) error {
	w := bufio.NewWriterSize(a.out, 1<<16)
	by := trace.Redactor{Key: []byte(rand.Text())}
	counts, errs := trace.Unparsed(ctx, inputs, opt, func(_ string, line []byte) {
		if redact {
			line = by.Line(line, nil)
		}
		w.WriteString(render.Clean(string(line)))
		w.WriteByte('\n')
	})
	if err := w.Flush(); err != nil {
		return err
	}
	for _, e := range errs {
		a.notRead(e)
	}
	a.warn(finding.S("{{.Lines}} {{plural .Lines \"line\" \"lines\"}}: {{.Mail}} of mail programs understood, {{.Foreign}} of other programs, {{.Unparsed}} not understood",
		finding.Args{"Lines": counts.Lines, "Mail": counts.Mail, "Foreign": counts.Foreign, "Unparsed": counts.Unparsed}))
	return nil
}

// nothingFound says what was searched; the exit status is 1.
func (a *app) nothingFound(what string, q *trace.Query, inputs []*logs.Input) {
	var names []string
	var size int64
	for _, in := range inputs {
		size += in.Size
		if len(names) < 20 {
			names = append(names, in.Name)
		}
	}
	args := finding.Args{"What": what, "N": len(inputs), "Names": names, "Size": size, "Since": "", "Until": "", "Limited": q.Status != event.NoStatus || q.Rejected || q.Direction != ""}
	if !q.Since.IsZero() {
		args["Since"] = q.Since
	}
	if !q.Until.IsZero() {
		args["Until"] = q.Until
	}
	if len(inputs) == 0 {
		a.warn(finding.S("{{.What}}: no log could be read", args))
	} else {
		a.warn(finding.S("{{.What}}: nothing{{if .Limited}} of that status or direction{{end}} found in {{.N}} {{plural .N \"input\" \"inputs\"}} ({{size .Size}}){{if .Since}} from {{.Since}}{{end}}{{if .Until}} until {{.Until}}{{end}}: {{list .Names}}", args))
	}
	if a.status == exitOK {
		a.status = exitFinding
	}
}
