package cli

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// ImportFacts are the JSON of `mailwhy store import`, written down in docs/json.md.
type ImportFacts struct {
	Files []ImportedFile `json:"files"`
}

// ImportedFile tells what was taken in of one file.
type ImportedFile struct {
	File     string `json:"file"`
	Lines    int64  `json:"lines"`
	Bytes    int64  `json:"bytes"`
	Before   int64  `json:"before,omitempty"` // bytes that an earlier import had stored
	Unparsed int64  `json:"unparsed,omitempty"`
}

func (a *app) storeImport() *cobra.Command {
	c := &cobra.Command{Use: "import FILE…", Short: a.say("take whole logs into the store; what is stored already is left out"),
		Long: a.say("Takes whole logs into the store, plain or packed, with their rotated predecessors where a pattern names them. Run again after it was broken off, it goes on where it was."),
		Args: a.nArgs(1, -1, "log files")}
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := a.begin(cmd)
		inputs := a.openLogs(args)
		defer closeLogs(inputs)
		if len(inputs) == 0 {
			return nil
		}
		s, err := a.openStore(ctx, folder(), false)
		if err != nil {
			return err
		}
		defer s.Close()
		facts := &ImportFacts{Files: []ImportedFile{}}
		sec := finding.Section{Title: finding.S("Taken in", nil), Columns: []finding.Sentence{finding.S("file", nil), finding.S("lines", nil), finding.S("size", nil), finding.S("stored before", nil)}}
		var lines, size int64
		start := time.Now()
		for _, in := range inputs {
			if in.Name, err = absolute(in.Name); err != nil {
				return err
			}
			shown := time.Now()
			got, err := s.Import(ctx, in, func(n int64) {
				if time.Since(shown) > 2*time.Second {
					shown = time.Now()
					a.note(finding.S("{{.File}}: {{size .Size}} stored", finding.Args{"File": in.Name, "Size": n}))
				}
			})
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				a.notRead(err)
			}
			facts.Files = append(facts.Files, ImportedFile{in.Name, got.Lines, got.Bytes, got.Before, got.Counts.Unparsed})
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(in.Name), finding.S("{{.N}}", finding.Args{"N": got.Lines}), finding.S("{{size .Size}}", finding.Args{"Size": got.Bytes}), finding.S("{{size .Size}}", finding.Args{"Size": got.Before})))
			lines, size = lines+got.Lines, size+got.Bytes
		}
		if err := s.Seal(ctx); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return unreadable(folder(), err)
		}
		rep := storeReport(folder(), facts, finding.S("{{.N}} {{plural .N \"line\" \"lines\"}} ({{size .Size}}) taken in within {{.Took}}.", finding.Args{"N": lines, "Size": size, "Took": time.Since(start)}))
		rep.Sections = append(rep.Sections, sec)
		return a.show(rep)
	}
	return c
}

// absolute names a file so that it is the same from every folder; standard input has no other name.
func absolute(name string) (string, error) {
	if _, err := os.Stat(name); err != nil {
		return name, nil
	}
	return filepath.Abs(name)
}
