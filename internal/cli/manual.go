package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/web"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: a.say("print the manual page, or write a page per command to DIR"),
		Args:  a.nArgs(0, 1, "at most one directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			h := &doc.GenManHeader{Title: "MAILWHY", Section: "1", Source: "mailwhy " + Version()}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if len(args) == 0 {
				return doc.GenMan(root, h, a.out)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return unreadable(args[0], err)
			}
			return doc.GenManTree(root, h, args[0])
		},
	}
}

// docsCommand writes the generated documents. It is for the project's own build and hidden from help.
func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "gendocs DIR",
		Short:  a.say("write the generated documents"),
		Hidden: true,
		Args:   a.nArgs(1, 1, "the docs directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, l := range []finding.Lang{finding.EN, finding.ZH} {
				if err := writeRuleDocs(filepath.Join(args[0], "rules", string(l)), l); err != nil {
					return err
				}
			}
			if err := writeConfigSchema(filepath.Join(args[0], "config.schema.json")); err != nil {
				return err
			}
			return writeOpenAPI(filepath.Join(args[0], "openapi.json"))
		},
	}
}

// writeRuleDocs writes a page per topic and an index, and removes pages of topics that are gone.
func writeRuleDocs(dir string, l finding.Lang) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(name string, fill func(io.Writer) error) error {
		var b bytes.Buffer
		if err := fill(&b); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644)
	}
	for _, t := range topics() {
		if err := write(t+".md", func(w io.Writer) error { return render.RuleDoc(w, l, t, rulesOf(t)) }); err != nil {
			return err
		}
	}
	return write("README.md", func(w io.Writer) error { return render.RuleIndex(w, l, Rules()) })
}

func rulesOf(topic string) (out []*finding.Rule) {
	for _, r := range Rules() {
		if r.Topic() == topic {
			out = append(out, r)
		}
	}
	return out
}

// writeOpenAPI writes the document of the whole API, whatever a server's configuration leaves out.
func writeOpenAPI(name string) error {
	w, err := web.New(wholeAPI())
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(w.OpenAPI(), "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(raw, '\n'), 0o644)
}

// wholeAPI are options with every part there is, none of them at work: good for the document alone.
func wholeAPI() web.Options {
	return web.Options{Version: "1", Rules: Rules(), Runner: &runner{}, Now: time.Now, Journeys: (*sqlite.Store)(nil), Inbox: (*testInbox)(nil), Queues: func() []web.Queue { return nil }, Monitors: &monitor.Runner{},
		Channels: &notify.Book{}, Desk: &change.Desk{}, Reports: (*sqlite.State)(nil), SignOns: []web.SignOn{{ID: "id", Issuer: "https://issuer.example"}}}
}
