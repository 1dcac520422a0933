package cli

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/threat"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
)

func (a *app) threatCommand() *cobra.Command {
	var src threat.Sources
	var base, keyFile, data string
	var maxAge time.Duration
	c := &cobra.Command{
		Use:   "threat ADDRESS|NETWORK|DOMAIN|URL|HASH…",
		Short: a.say("ask threat feeds: a MISP server, and plain lists by file or URL"),
		Long: a.say(`Asks sources of threat intelligence about addresses, domains, URLs and file hashes. What a source answered is kept for --max-age; a source that cannot be reached is answered from its last copy, and the report says so.

A MISP server is asked with the key of a user, read from a file; the key is said only over TLS with a certificate that is believed, or to this machine. With --sighting the server is told that you met what it knows.`),
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
			return a.show(threat.Survey(a.begin(cmd), env, door, want, src))
		},
	}
	f := c.Flags()
	f.StringArrayVar(&src.Lists, "feed", nil, a.say("a plain list, one entry a line: a file or a URL (repeatable)"))
	f.StringVar(&base, "misp", "", a.say("base URL of a MISP server"))
	f.StringVar(&keyFile, "misp-key-file", "", a.say("file that holds the key for the MISP server"))
	f.BoolVar(&src.Sight, "sighting", false, a.say("tell the MISP server of a sighting of what it knows"))
	f.DurationVar(&maxAge, "max-age", time.Hour, a.say("how long an answer is kept before the source is asked again"))
	f.StringVar(&data, "data", "", a.say("directory of the store (default: for root /var/lib/mailwhy; else ~/.local/state/mailwhy)"))
	return c
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
