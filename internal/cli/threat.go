package cli

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/check/threat"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
)

func (a *app) threatCommand() *cobra.Command {
	var src threat.Sources
	var base, keyFile, data string
	var maxAge time.Duration
	var propose bool
	desk := blockFlags{}
	c := &cobra.Command{
		Use:   "threat ADDRESS|NETWORK|DOMAIN|URL|HASH…",
		Short: a.say("ask threat feeds: a MISP server, and plain lists by file or URL"),
		Long: a.say(`Asks sources of threat intelligence about addresses, domains, URLs and file hashes. What a source answered is kept for --max-age; a source that cannot be reached is answered from its last copy, and the report says so.

A MISP server is asked with the key of a user, read from a file; the key is said only over TLS with a certificate that is believed, or to this machine. With --sighting the server is told that you met what it knows.

With --propose, whatever a source means for detection waits on the desk of our own blocklist (mailwhy block) for a decision; nothing is blocked before somebody approves it, and our own networks and partners never are.`),
		Args: a.nArgs(1, -1, "one address, network, domain, URL or hash or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := indicators(args)
			if err != nil {
				return err
			}
			if base != "" {
				m, err := a.misp(base, keyFile)
				if err != nil {
					return err
				}
				src.MISP = append(src.MISP, m)
			}
			switch {
			case len(src.Lists)+len(src.MISP) == 0:
				return usage(finding.S("no source to ask", nil), finding.S("name lists with --feed FILE or URL, or a MISP server with --misp URL --misp-key-file FILE", nil))
			case src.Sight && base == "":
				return usage(finding.S("--sighting needs --misp", nil), finding.Sentence{})
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			if data == "" {
				data = a.dataFolder()
			}
			door := threat.Door(env)
			if a.tape == nil { // a recording holds what was said, not what was kept
				door.Fresh, door.Cache = maxAge, feed.Cache{Folder: filepath.Join(data, "feeds")}
			}
			r := threat.Survey(a.begin(cmd), env, door, want, src)
			if desk.data = data; propose {
				if err := a.proposeKnown(cmd, &desk, r); err != nil {
					return err
				}
			}
			return a.show(r)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&src.Lists, "feed", nil, a.say("a plain list, one entry a line: a file or a URL (repeatable)"))
	f.StringVar(&base, "misp", "", a.say("base URL of a MISP server"))
	f.StringVar(&keyFile, "misp-key-file", "", a.say("file that holds the key for the MISP server"))
	f.BoolVar(&src.Sight, "sighting", false, a.say("tell the MISP server of a sighting of what it knows"))
	f.DurationVar(&maxAge, "max-age", time.Hour, a.say("how long an answer is kept before the source is asked again"))
	f.BoolVar(&propose, "propose", false, a.say("put what is known on the desk of our own blocklist, where it waits for a decision"))
	desk.untilFlag(a, c)
	f.StringVar(&desk.guard, "guard", "", a.say("TOML file of what is never blocked (default: guard.toml in the data directory)"))
	f.StringVar(&data, "data", "", a.say("directory of the store (default: for root /var/lib/mailwhy; else ~/.local/state/mailwhy)"))
	return c
}

// proposeKnown asks for an entry for everything a source knows as harmful, with the source's words as evidence.
func (a *app) proposeKnown(cmd *cobra.Command, f *blockFlags, r *finding.Report) error {
	var wanted []change.Proposal
	for i := range r.Findings {
		x := &r.Findings[i]
		if x.Verdict() != finding.VerdictWarning {
			continue
		}
		if _, ok := change.ParseWhat(x.Subject.Name); !ok {
			continue // a URL or a hash: no server blocks by it
		}
		p := change.Proposal{What: x.Subject.Name, Rule: x.Rule.ID, Reason: strings.TrimSuffix(fmt.Sprint(x.Args["Source"], ": ", x.Args["Note"]), ": ")}
		for _, e := range x.Evidence {
			p.Evidence = append(p.Evidence, e.Place+" "+e.Raw)
		}
		wanted = append(wanted, p)
	}
	d, done, err := a.desk(cmd, f)
	if err != nil {
		return err
	}
	defer done()
	b, err := f.proposeAll(cmd.Context(), d, wanted)
	if err != nil {
		return err
	}
	note := finding.Note // nobody asked for that very entry: that it may not be is worth knowing, no more
	for i := range b.findings {
		b.findings[i].Severity = &note
	}
	r.Findings = append(r.Findings, b.findings...)
	if len(b.entries) > 0 {
		t := change.Table(b.entries, d.Now())
		t.Title = finding.S("on the desk of our own blocklist", nil)
		r.Sections = append(r.Sections, t)
		r.Headline.Next = b.next
	}
	return nil
}

func indicators(args []string) (out []feed.Indicator, err error) {
	for _, s := range args {
		w, ok := feed.Parse(s)
		if !ok {
			return nil, usage(finding.S("{{.Word}} is no address, network, domain, URL or hash", finding.Args{"Word": shorten(s)}), finding.S("give it like 203.0.113.7, spam.example, https://spam.example/x or a SHA-256 in hex", nil))
		}
		out = append(out, w)
	}
	return out, nil
}

// misp reads the key; it never stands in a flag.
func (a *app) misp(base, keyFile string) (feed.MISP, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return feed.MISP{}, usage(finding.S("{{.Word}} in --misp is no URL", finding.Args{"Word": shorten(base)}), finding.S("give it like https://misp.mine.example", nil))
	}
	if keyFile == "" {
		return feed.MISP{}, usage(finding.S("--misp needs --misp-key-file", nil), finding.Sentence{})
	}
	f, err := a.input(keyFile)
	if err != nil {
		return feed.MISP{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return feed.MISP{}, unreadable(keyFile, err)
	}
	key := strings.TrimSpace(string(raw))
	if key == "" || strings.ContainsAny(key, "\r\n\x00 ") {
		return feed.MISP{}, usage(finding.S("{{.File}} does not hold one key and nothing else", finding.Args{"File": keyFile}), finding.Sentence{})
	}
	return feed.MISP{Base: base, Key: key}, nil
}
