package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/threat"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
)

// ThreatConfig is [threat]: the sources of threat intelligence that runs from the page and monitors ask. Users of the page
// name what to ask about, never whom to ask.
type ThreatConfig struct {
	Feeds  []string     `toml:"feeds"`   // plain lists: files or URLs
	MISP   []MISPConfig `toml:"misp"`    //
	MaxAge duration     `toml:"max_age"` // how long an answer is kept; 0 means 1h
}

// MISPConfig is a [[threat.misp]].
type MISPConfig struct {
	URL     string `toml:"url"`
	KeyFile string `toml:"key_file"` // holds the key of a user
}

func (c *ThreatConfig) empty() bool { return len(c.Feeds)+len(c.MISP) == 0 }

// sources reads the keys.
func (c *ThreatConfig) sources(a *app) (src threat.Sources, err error) {
	src.Lists = c.Feeds
	for i, m := range c.MISP {
		one, err := a.misp(m.URL, m.KeyFile)
		if err != nil {
			return src, fmt.Errorf("threat.misp %d: %w", i+1, err)
		}
		src.MISP = append(src.MISP, one)
	}
	return src, nil
}

// ask asks every source of the configuration. The answers are kept in the data folder, where `mailwhy threat` keeps its own.
func (c *ThreatConfig) ask(ctx context.Context, a *app, env *check.Env, data string, want []feed.Indicator) (*finding.Report, error) {
	src, err := c.sources(a)
	if err != nil {
		return nil, err
	}
	door := threat.Door(env)
	if door.Fresh = time.Duration(c.MaxAge); door.Fresh == 0 {
		door.Fresh = time.Hour
	}
	door.Cache = feed.Cache{Folder: filepath.Join(data, "feeds")}
	return threat.Survey(ctx, env, door, want, src), nil
}

// threatDoor gives monitors their way to the sources; nil where there are none.
func (a *app) threatDoor(c *ThreatConfig, env *check.Env, data string) func(context.Context, []string) (*finding.Report, error) {
	if c.empty() {
		return nil
	}
	return func(ctx context.Context, words []string) (*finding.Report, error) {
		want, err := indicators(words)
		if err != nil {
			return nil, err
		}
		return c.ask(ctx, a, env, data, want)
	}
}

// maxIndicators bounds one run from the page.
const maxIndicators = 200

// threatKind is the run of the page; there is none where no source is configured. The sources are the admin's choice and
// may stand where probes from the page may not go.
func (v *service) threatKind() []runKind {
	c := &v.cfg.Threat
	if c.empty() {
		return nil
	}
	return []runKind{{
		Kind: runs.Kind{Kind: "threat", Group: "server", Kept: true, Title: finding.M("Threat feeds"), About: finding.M("What our sources of threat intelligence know about addresses, networks, domains, URLs and file hashes."),
			Fields: []runs.Field{{Name: "what", Type: "textarea", Required: true, Label: finding.M("Addresses, networks, domains, URLs or hashes, one a line"), Placeholder: "203.0.113.7"}}},
		prepare: func(args map[string]string) (finding.Subject, survey, error) {
			words := strings.FieldsFunc(args["what"], func(r rune) bool { return strings.ContainsRune(" ,;\t\r\n，；、", r) })
			if len(words) > maxIndicators {
				return finding.Subject{}, nil, &runs.BadArg{Name: "what", What: finding.S("{{.N}} at once are too many: at most {{.Max}}", finding.Args{"N": len(words), "Max": maxIndicators})}
			}
			want, err := indicators(words)
			if err != nil {
				return finding.Subject{}, nil, badArg("what", err)
			}
			target := finding.Subject{Kind: finding.KindFile, Name: shorten(strings.Join(words, ", "))}
			if len(want) == 1 {
				target = threat.Subject(want[0])
			}
			return target, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
				if v.ownEnv {
					if err := stand(env, nil, v.cfg.Serve.Resolvers, env.Probe.Timeout); err != nil {
						return nil, err
					}
				}
				return c.ask(ctx, v.app, env, v.cfg.Serve.Data, want)
			}, nil
		},
	}}
}

// blocklistKind is the run of the page with a memory.
func (v *service) blocklistKind() []runKind {
	for _, k := range runKinds {
		if k.Kind.Kind == "blocklist" {
			k.prepare = func(args map[string]string) (finding.Subject, survey, error) { return runBlocklistWith(v.state, args) }
			return []runKind{k}
		}
	}
	return nil
}

// problems says what is wrong with a server of a [threat], by key.
func (m *MISPConfig) problems(bad func(key string, says finding.Sentence)) {
	if !strings.HasPrefix(m.URL, "https://") && !strings.HasPrefix(m.URL, "http://") {
		bad("url", finding.S("{{.Text}} is no address like https://why.mine.example", finding.Args{"Text": strconv.Quote(shorten(m.URL))}))
	}
	if m.KeyFile == "" {
		bad("key_file", finding.S("it is missing", nil))
	}
}

// problems says what is wrong with [threat] itself.
func (c *ThreatConfig) problems(bad func(key string, says finding.Sentence)) {
	if slices.Contains(c.Feeds, "") {
		bad("feeds", finding.S("an empty name", nil))
	}
}
