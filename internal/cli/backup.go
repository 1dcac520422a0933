package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// BackupFacts are the JSON of `mailwhy backup` and `mailwhy restore`, written down in docs/json.md.
type BackupFacts struct {
	At    time.Time           `json:"at"`
	Files []sqlite.BackupFile `json:"files"`
}

func (a *app) backupCommand() *cobra.Command {
	c := &cobra.Command{Use: "backup FOLDER", Short: a.say("copy everything that is remembered into a new folder, while mailwhy serve goes on"), Args: a.nArgs(1, 1, "a new folder")}
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := sqlite.Backup(a.begin(cmd), folder(), args[0], time.Now())
		return a.showBackup(args[0], m, err, false)
	}
	return c
}

func (a *app) restoreCommand() *cobra.Command {
	c := &cobra.Command{Use: "restore FOLDER", Short: a.say("bring a backup back into a new folder, after holding every file against its hash"), Args: a.nArgs(1, 1, "the folder of a backup")}
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := sqlite.Restore(a.begin(cmd), args[0], folder())
		return a.showBackup(args[0], m, err, true)
	}
	return c
}

func (a *app) showBackup(folder string, m *sqlite.Manifest, err error, restored bool) error {
	if err != nil {
		return unreadable(folder, err)
	}
	var size int64
	for _, f := range m.Files {
		size += f.Bytes
	}
	args := finding.Args{"N": len(m.Files), "Size": size, "At": day(m.At)}
	says := finding.S("{{.N}} {{plural .N \"file\" \"files\"}} ({{size .Size}}) backed up.", args)
	if restored {
		says = finding.S("{{.N}} {{plural .N \"file\" \"files\"}} ({{size .Size}}) restored as they were at {{.At}}.", args)
	}
	files := slices.Clone(m.Files)
	rep := storeReport(folder, &BackupFacts{m.At, files}, says)
	rep.Command = "backup"
	return a.show(rep)
}
