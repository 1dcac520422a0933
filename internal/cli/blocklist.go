package cli

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

func (a *app) blocklistCommand() *cobra.Command {
	var opt blocklist.Options
	var keys, file, data string
	c := &cobra.Command{
		Use:   "blocklist ADDRESS|DOMAIN…",
		Short: a.say("ask DNS blocklists about addresses and domains, believing only lists that pass their own test"),
		Long: a.say(`Asks all DNS blocklists of the table at once about each address (IPv4, IPv6) and domain. Every list is tested in the same run by its own test entries; lists that are dead, refuse this resolver, list everything or answer nonsense are shown as not tested, never as a listing.

Many subjects come as arguments or from -f FILE, one a line (# begins a comment); a table follows at the end (whole reports with -v), or one JSON line per subject with --json.

Where mailwhy serve keeps its data, or in the folder of --data, is remembered since when a list names what is asked about, and the report of a single subject ends with that history. A list that could not be tested neither begins nor ends anything.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && file == "" {
				return usage(finding.S("no address and no domain given", nil), finding.S("give one IP address or domain or more, or a list with -f FILE", nil))
			}
			if err := a.readKeys(keys, &opt); err != nil {
				return err
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			if len(args) == 1 && file == "" {
				s, err := listSubject(args[0])
				if err != nil {
					return err
				}
				done, err := a.pastListings(cmd, data, env, &opt)
				if err != nil {
					return err
				}
				defer done()
				r, err := blocklist.Survey(a.begin(cmd), env, []string{s}, opt)
				if err != nil {
					return err
				}
				return a.show(r)
			}
			return a.blocklistMany(cmd, env, args, file, opt)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", a.say("read addresses and domains from a file, one a line; - is standard input"))
	c.Flags().StringArrayVar(&opt.Only, "list", nil, a.say("ask this list only, by its id or zone (repeatable)"))
	c.Flags().StringVar(&keys, "keys", "", a.say("TOML file of keys by list id, such as spamhaus-zen = \"…\""))
	c.Flags().StringVar(&data, "data", "", a.say("keep and show since when lists name it, in this directory (default: that of mailwhy serve, where there is one)"))
	return c
}

// pastListings opens the memory of listings: the folder named, or that of mailwhy serve where there is one. A replay has
// none.
func (a *app) pastListings(cmd *cobra.Command, data string, env *check.Env, opt *blocklist.Options) (done func(), err error) {
	asked := data != ""
	if !asked {
		data = a.dataFolder()
		if _, err := os.Stat(filepath.Join(data, "state.db")); err != nil || a.tape != nil {
			return func() {}, nil
		}
	}
	st, err := sqlite.OpenState(cmd.Context(), data, env.Now)
	switch {
	case err != nil && asked:
		return nil, unreadable(data, err)
	case err != nil:
		a.warn(finding.S("the history of listings cannot be read: {{.Text}}", finding.Args{"Text": err.Error()}))
		return func() {}, nil
	}
	opt.History = st
	return func() { st.Close() }, nil
}

// listSubject reads an address or a domain.
func listSubject(s string) (string, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().WithZone("").String(), nil
	}
	return domainName(s)
}

// blocklistMany runs a list: reports one by one where the format is for machines or all is wanted, else a table.
func (a *app) blocklistMany(cmd *cobra.Command, env *check.Env, args []string, file string, opt blocklist.Options) error {
	var in io.ReadCloser
	if file != "" {
		var err error
		if in, err = a.input(file); err != nil {
			return err
		}
		defer in.Close()
	}
	for _, s := range args { // a slip in an argument is told before anything is asked
		if _, err := listSubject(s); err != nil {
			return err
		}
	}
	whole := a.opt.format != "text" || a.opt.verbose
	ctx, started := a.begin(cmd), env.Now()
	var lines []blocklist.Line
	bar, seen := a.newProgress(len(args)+lineCount(file)), 0
	err := blocklist.Many(ctx, env, func(yield func(string) bool) { a.listSubjects(args, in, yield) }, opt, func(r *finding.Report) error {
		seen++
		bar.step(seen)
		if whole {
			return a.show(r)
		}
		a.grade(r)
		lines = append(lines, blocklist.Summarise(r))
		return nil
	})
	bar.done()
	a.settle()
	if err != nil && ctx.Err() == nil {
		return err
	}
	if len(lines) > 0 {
		if perr := a.printer.Report(blocklist.Table(lines, started, env.Now())); perr != nil {
			return perr
		}
	}
	return err
}

// listSubjects yields the arguments, then the lines of the list. What is neither address nor domain is said on standard
// error and makes the exit status 2.
func (a *app) listSubjects(args []string, in io.Reader, yield func(string) bool) {
	for _, s := range args {
		if x, err := listSubject(s); err == nil && !yield(x) {
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
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		some = true
		x, err := listSubject(s)
		if err != nil {
			a.warn(finding.S("{{.Where}}{{.Name}} is neither an address nor a domain: left out", finding.Args{"Where": fmt.Sprintf("%d: ", n), "Name": shorten(s)}))
			a.leftOut.Store(true)
			continue
		}
		if !yield(x) {
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

// readKeys reads the file of list keys; it must hold nothing but strings.
func (a *app) readKeys(name string, opt *blocklist.Options) error {
	if name == "" {
		return nil
	}
	f, err := a.input(name)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return unreadable(name, err)
	}
	if err := toml.Unmarshal(raw, &opt.Keys); err != nil {
		return usage(finding.S("{{.File}} is no TOML file of list ids and keys", finding.Args{"File": name}), finding.S("one line per list: spamhaus-zen = \"key\"", nil))
	}
	return nil
}
