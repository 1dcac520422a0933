package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	logcheck "github.com/mailwhy/mailwhy/internal/check/logs"
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
	"github.com/mailwhy/mailwhy/internal/wire/geoip"
)

// logsOptions are the flags of mailwhy logs.
type logsOptions struct {
	top            int
	full, unparsed bool
	redact         bool
	since, until   string
	against        []string
	compare, geoip string
}

// rows is how many rows of each table are needed: all with --full.
func (o *logsOptions) rows() int {
	if o.full {
		return 0
	}
	return o.top
}

func (a *app) logsCommand() *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use:   "logs [FILE…]",
		Short: a.say("sum up mail logs: volume, causes, providers, logins, and what is alarming"),
		Long: a.say(`Sums up mail logs of Postfix, Exim, Sendmail, Dovecot, Exchange and their filters: totals, flow by hour, why mail did not go through and whose job that is, acceptance by provider, logins, TLS, and what is alarming.

FILE may be compressed (gz, zst, xz, bz2), a pattern, or - for standard input; without one the usual places of this machine are read.`),
		Example: "  mailwhy logs /var/log/mail.log*\n  mailwhy logs --since 24h --full\n  mailwhy logs today.log --against yesterday.log\n  mailwhy logs --compare 24h --format html > mail.html",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.logs(cmd, args, &o) },
	}
	f := c.Flags()
	f.IntVar(&o.top, "top", 10, a.say("rows per table"))
	f.BoolVar(&o.full, "full", false, a.say("all tables: by hour, day, sender, recipient, domain, client, login"))
	f.BoolVar(&o.unparsed, "unparsed", false, a.say("show mail lines that were not understood"))
	f.BoolVar(&o.redact, "redact", false, a.say("put pseudonyms in the place of addresses, hosts, IPs and subjects, the same for the same one"))
	f.StringVar(&o.since, "since", "", a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	f.StringVar(&o.until, "until", "", a.say("until this time"))
	f.StringArrayVar(&o.against, "against", nil, a.say("compare with these logs (repeatable)"))
	f.StringVar(&o.compare, "compare", "", a.say("compare the last span of the logs (24h, 7d) with the one before"))
	f.StringVar(&o.geoip, "geoip", "", a.say("database in MaxMind format, for logins by country and impossible travel"))
	return c
}

// logsMemory is what a summary may take before garbage is collected, in bytes.
const logsMemory = 100 << 20

func (a *app) logs(cmd *cobra.Command, args []string, o *logsOptions) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	var span tally.Options
	if span.Since, err = a.when(o.since, env.Now()); err != nil {
		return err
	}
	if span.Until, err = a.when(o.until, env.Now()); err != nil {
		return err
	}
	in := logcheck.Input{Top: o.top, Full: o.full}
	if o.geoip != "" {
		db, err := geoip.Open(o.geoip)
		if err != nil {
			return unreadable(o.geoip, err)
		}
		defer db.Close()
		in.Locate = func(ip netip.Addr) (logcheck.Place, bool) {
			p, ok := db.Locate(ip)
			return logcheck.Place(p), ok
		}
	}
	ctx := a.begin(cmd)
	defer holdHeap(-1, logsMemory)()
	if o.compare != "" {
		if err := a.splitPeriods(ctx, args, o.compare, &in, span); err != nil {
			return err
		}
	} else {
		sum := a.sumLogs(ctx, args, span, o.unparsed)
		in.Stats, in.Files, in.Unread = sum.tally.Stats(o.rows()), sum.files, sum.unread
		if len(o.against) > 0 {
			other := a.sumLogs(ctx, o.against, span, false)
			in.Against = other.tally.Stats(o.rows())
			in.Files = append(in.Files, other.files...)
		}
	}
	r, err := logcheck.Survey(env, in)
	if err != nil {
		return err
	}
	if o.redact {
		redactReport(r, &trace.Redactor{Key: []byte(rand.Text())})
	}
	return a.show(r)
}

// splitPeriods reads the logs for their end, then sums the last span and the one before.
func (a *app) splitPeriods(ctx context.Context, args []string, word string, in *logcheck.Input, opt tally.Options) error {
	length, err := spanOf(word)
	if err != nil {
		return err
	}
	whole := a.sumLogs(ctx, args, opt, false)
	end := whole.tally.Stats(1).To
	now, before := opt, opt
	now.Since = end.Add(-length)
	before.Since, before.Until = end.Add(-2*length), end.Add(-length)
	rows := in.Top
	if in.Full {
		rows = 0
	}
	sum := a.sumLogs(ctx, args, now, false)
	in.Stats, in.Files = sum.tally.Stats(rows), sum.files
	in.Against = a.sumLogs(ctx, args, before, false).tally.Stats(rows)
	return nil
}

// summed is what reading a set of logs gave.
type summed struct {
	tally  *tally.Tally
	files  []logcheck.File
	unread []string
}

// sumLogs reads every input; what cannot be read is noted beside what could.
func (a *app) sumLogs(ctx context.Context, args []string, opt tally.Options, unparsed bool) *summed {
	names, errs := a.logNames(args)
	ends := logs.Ends(names)
	s, late := a.sumNamed(ctx, names, errs, ends, nil, opt, unparsed)
	if late != nil { // times without a year in packed logs of several years: now it is known which
		s, _ = a.sumNamed(ctx, names, errs, ends, late, opt, unparsed)
	}
	return s
}

// sumNamed reads the files. late is what came up about the years of their lines too late to be used.
func (a *app) sumNamed(ctx context.Context, names []string, errs []namedError, ends map[string]time.Time, years map[string]*logs.Years, opt tally.Options, unparsed bool) (s *summed, late map[string]*logs.Years) {
	s = &summed{tally: tally.New(opt)}
	var read []*logs.Input
	for _, err := range errs {
		f := logcheck.File{Name: err.name}
		f.Unread(err.err)
		s.files = append(s.files, f)
	}
	var mu sync.Mutex
	for i, name := range names {
		f := logcheck.File{Name: name}
		in, err := a.openLog(name)
		if err != nil {
			f.Unread(err)
			s.files = append(s.files, f)
			continue
		}
		f.Format = in.Format
		if end, ok := ends[name]; ok {
			in.Before(end)
		}
		if y := years[name]; y != nil {
			in.Tell(y)
		}
		all := dialects.All()
		in.Sniff(all)
		r := in.Reader(time.Local, all)
		if unparsed {
			r.Unread = func(o *event.Origin) {
				mu.Lock()
				defer mu.Unlock()
				if len(s.unread) < 1000 {
					s.unread = append(s.unread, string(o.Line[:min(len(o.Line), 2000)]))
				}
			}
		}
		if err := s.tally.Scan(ctx, in, r, int32(i), &f.Lines); err != nil {
			f.Unread(err)
		}
		if in.Unplaced() {
			f.Lines.Years = 1
		}
		in.Close()
		s.files = append(s.files, f)
		read = append(read, in)
	}
	return s, lateYears(read)
}

type namedError struct {
	name string
	err  error
}

// logNames are the inputs: the arguments with patterns and rotated sets in order, or the usual places.
func (a *app) logNames(args []string) ([]string, []namedError) {
	if len(args) == 0 {
		names, _ := logs.Expand(logs.Places)
		if len(names) == 0 {
			return nil, []namedError{{"/var/log", fs.ErrNotExist}}
		}
		return names, nil
	}
	names, errs := logs.Expand(args)
	var out []namedError
	for _, err := range errs {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			out = append(out, namedError{pe.Path, pe.Err})
		}
	}
	return names, out
}

func (a *app) openLog(name string) (*logs.Input, error) {
	if name == "-" {
		return logs.FromReader("-", a.in, time.Now())
	}
	return logs.Open(name)
}

// when reads a time of a flag: a date, a date with a time, RFC 3339, or a span before now. Empty is no time.
func (a *app) when(word string, now time.Time) (time.Time, error) {
	if word == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, word, time.Local); err == nil {
			return t, nil
		}
	}
	if d, err := spanOf(word); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, usage(finding.S("{{.Word}} is no time", finding.Args{"Word": word}),
		finding.S("give 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or a span like 90m, 24h, 7d", nil))
}

// spanOf reads "90m", "24h", "7d".
func spanOf(word string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(word, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 {
		return 0, usage(finding.S("{{.Word}} is no span of time", finding.Args{"Word": word}), finding.S("give one like 90m, 24h, 7d", nil))
	}
	return d, nil
}
