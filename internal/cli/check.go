package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/check/mx"
	"github.com/mailwhy/mailwhy/internal/check/view"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// checkFlags are the flags of `mailwhy check`.
type checkFlags struct {
	file     string
	dnsOnly  bool
	parallel int
	views    []string
	since    sinceFlags
}

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check [DOMAIN…]",
		Short: a.say("check everything about a domain's mail"),
		Long: a.say(`Checks everything about a domain's mail: MX and hosts, reverse names, SPF, DKIM, DMARC, transport security, DNSSEC, name servers, and the mail servers themselves.

Many domains come from -f FILE or standard input, one a line (# begins a comment). They are checked at once; a table follows at the end (whole reports with -v), or one JSON line per domain with --json. To spare the resolver, a list leaves out the blocklists (mailwhy blocklist), questions over TCP to every name server, and SPF records of the obsolete type 99.`),
		RunE: func(cmd *cobra.Command, args []string) error { return a.check(cmd, args, f) },
	}
	c.Flags().StringVarP(&f.file, "file", "f", "", a.say("read domains from a file, one a line; - is standard input"))
	c.Flags().StringSliceVar(&f.views, "view", nil, a.say("hold the domain against what is asked by google, yahoo, microsoft or standards (repeatable)"))
	c.Flags().StringVar(&f.since.when, "since", "", a.say("tell what is different from the last run (last), or from the last one before a time: 2026-11-22, 24h, 7d; this run is remembered, too"))
	c.Flags().StringVar(&f.since.store, "store", "", a.say("with --since: folder of everything that is remembered"))
	a.remoteFlags(c, &f.since.remoteFlags)
	c.Flags().BoolVar(&f.dnsOnly, "dns-only", false, a.say("leave the mail servers alone: DNS checks only"))
	c.Flags().IntVar(&f.parallel, "parallel", 100, a.say("domains checked at once"))
	return c
}

func (a *app) mxCommand() *cobra.Command {
	return a.topicCommand("mx DOMAIN…",
		a.say("judge the MX records of a domain and what they lead to"),
		a.say("Judges the MX records of a domain: preferences, hosts, addresses, aliases, and whether all name servers give the same."),
		mx.Survey)
}

func (a *app) check(cmd *cobra.Command, args []string, f checkFlags) error {
	if f.parallel < 1 || f.parallel > 10_000 {
		return usage(finding.S("--parallel wants a number from 1 to 10000", nil), finding.Sentence{})
	}
	if len(args) == 0 && f.file == "" {
		if in, ok := a.in.(*os.File); !ok || isTerminal(in) {
			return usage(finding.S("no domain given", nil), finding.S("give it like example.com, or a list with -f FILE", nil))
		}
		f.file = "-"
	}
	if err := f.since.fits(args, f.file); err != nil {
		return err
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	env.Probe.SkipSMTP = env.Probe.SkipSMTP || f.dnsOnly
	if len(args) == 1 && f.file == "" {
		name, err := domainName(args[0])
		if err != nil {
			return err
		}
		views, err := chosenViews(env, f.views)
		if err != nil {
			return err
		}
		r := domain.Survey(a.begin(cmd), env, name, domain.Options{})
		for _, v := range views {
			r.Sections = append(r.Sections, view.Section(v, view.Judge(v, r.Findings)))
		}
		if f.since.when != "" {
			if err := a.compare(cmd.Context(), r, &f.since); err != nil {
				return err
			}
		}
		return a.show(r)
	}
	return a.checkMany(a.begin(cmd), env, args, f)
}

// lessCollection trades memory, of which lists need little, for time.
const lessCollection = 400

// chosenViews finds the views named with --view.
func chosenViews(env *check.Env, ids []string) ([]*knowledge.View, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	table, err := env.Know.Views()
	if err != nil {
		return nil, err
	}
	var out []*knowledge.View
	for _, id := range ids {
		v := table.View(id)
		if v == nil {
			return nil, usage(finding.S("there is no view {{.View}}", finding.Args{"View": id}), finding.S("one of {{list .All}}", finding.Args{"All": table.IDs()}))
		}
		out = append(out, v)
	}
	return out, nil
}

// checkMany runs a list: reports one by one where the format is for machines or all is wanted, else a table.
func (a *app) checkMany(ctx context.Context, env *check.Env, args []string, f checkFlags) error {
	env.Probe.Many = true
	debug.SetGCPercent(lessCollection)
	whole := a.opt.format != "text" || a.opt.verbose
	var in io.ReadCloser
	if f.file != "" {
		var err error
		if in, err = a.input(f.file); err != nil {
			return err
		}
		defer in.Close()
	}
	started := env.Now()
	var lines []domain.Summary
	bar := a.newProgress(len(args) + lineCount(f.file))
	seen := 0
	err := domain.Many(ctx, env, func(yield func(string) bool) { a.domains(args, in, yield) }, f.parallel, func(r *finding.Report) error {
		seen++
		bar.step(seen)
		if whole {
			return a.show(r)
		}
		finding.Order(r.Findings)
		a.grade(r)
		lines = append(lines, domain.Summarise(r))
		return nil
	})
	bar.done()
	a.settle()
	if err != nil && ctx.Err() == nil {
		return err
	}
	if !whole && len(lines) > 0 {
		if perr := a.printer.Report(domain.Table(lines, started, env.Now())); perr != nil {
			return perr
		}
	}
	return err
}

// domains yields the names given as arguments, then those of the list. What is no domain is said on standard error and
// makes the exit status 2.
func (a *app) domains(args []string, in io.Reader, yield func(string) bool) {
	give := func(s, where string) bool {
		name, err := domainName(s)
		if err != nil {
			a.warn(finding.S("{{.Where}}{{.Name}} is not a domain: left out", finding.Args{"Where": where, "Name": shorten(s)}))
			a.leftOut.Store(true)
			return true
		}
		return yield(name)
	}
	for _, s := range args {
		if !give(s, "") {
			return
		}
	}
	if in == nil {
		return
	}
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 4096), 1<<20)
	some := false
	for n := 1; sc.Scan(); n++ {
		s, _, _ := strings.Cut(sc.Text(), "#")
		s = strings.TrimSpace(s)
		some = some || s != ""
		if s != "" && !give(s, fmt.Sprintf("%d: ", n)) {
			return
		}
	}
	if !some {
		a.warn(finding.S("the list (-f) is empty", nil))
		a.leftOut.Store(true)
	}
	if err := sc.Err(); err != nil {
		a.warn(finding.S("cannot read {{.File}}: {{.Text}}", finding.Args{"File": "-f", "Text": err.Error()}))
		a.leftOut.Store(true)
	}
}

// trustAnchors reads --trust-anchor: records as they stand, or files of them.
func (a *app) trustAnchors() ([]string, error) {
	var out []string
	for _, s := range a.opt.anchors {
		line := s
		if !strings.Contains(s, " ") {
			raw, err := os.ReadFile(s)
			if err != nil {
				return nil, unreadable(s, err)
			}
			line = string(raw)
		}
		if err := dns.CheckAnchors([]string{line}); err != nil {
			return nil, usage(finding.S("{{.What}} in --trust-anchor is no DS or DNSKEY record", finding.Args{"What": shorten(s)}), finding.Raw(err.Error()))
		}
		out = append(out, line)
	}
	return out, nil
}

// progress shows on standard error, where that is a terminal, how far a list is. The length is known only of lists in
// memory or in a file that can be read twice; of others the count alone is shown.
type progress struct {
	w    io.Writer
	all  int // 0: not known
	last time.Time
	show bool
}

func (a *app) newProgress(all int) *progress {
	f, ok := a.errw.(*os.File)
	return &progress{w: a.errw, all: all, show: ok && isTerminal(f)}
}

// barWidth is the width of the bar in columns.
const barWidth = 30

// step shows how far it is, ten times a second at most.
func (p *progress) step(n int) {
	if !p.show || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	if p.all < n {
		fmt.Fprintf(p.w, "\r%d ", n)
		return
	}
	done := n * barWidth / p.all
	fmt.Fprintf(p.w, "\r[%s%s] %d/%d ", strings.Repeat("#", done), strings.Repeat(".", barWidth-done), n, p.all)
}

func (p *progress) done() {
	if p.show {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// lineCount counts the names of a list in a file, 0 where it cannot be read twice.
func lineCount(name string) (n int) {
	st, err := os.Stat(name)
	if name == "-" || err != nil || !st.Mode().IsRegular() {
		return 0
	}
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if s, _, _ := strings.Cut(sc.Text(), "#"); strings.TrimSpace(s) != "" {
			n++
		}
	}
	return n
}
