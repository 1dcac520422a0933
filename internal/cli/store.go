package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

func (a *app) storeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: a.say("take logs into a store, and look after it"),
		Long: a.say(`Looks after the folder in which mailwhy serve remembers what the logs told.

"import" takes whole logs in, as fast as the machine allows; "mailwhy trace --store" asks them. "check" reads everything and tells damage. "retain" deletes what is older than is to be kept, but for what a legal hold covers.`),
		Args: a.nArgs(0, 0, "a subcommand"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.storeImport(), a.storeStats(), a.storeCheck(), a.storeCompact(), a.storeExport(), a.storeRetain(), a.storeHold())
	return c
}

// storeFolder adds the flag for the folder of the store and gives where it is.
func (a *app) storeFolder(c *cobra.Command) func() string {
	data := ""
	c.Flags().StringVar(&data, "data", "", a.say("folder of everything that is remembered"))
	return func() string {
		if data == "" {
			return a.dataFolder()
		}
		return data
	}
}

// openStore opens the store of a folder.
func (a *app) openStore(ctx context.Context, folder string, readOnly bool) (*sqlite.Store, error) {
	if rest, ok := strings.CutPrefix(folder, "file:"); ok {
		folder = strings.TrimPrefix(rest, "//")
	} else if i := strings.Index(folder, "://"); i > 0 {
		return nil, usage(finding.S("{{.URL}} is no store that mailwhy can open", finding.Args{"URL": shorten(folder)}), finding.S("give the folder of a store", nil))
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, folder, sqlite.Options{Dialects: dialects.All(), Local: time.Local, Know: env.Know, Now: env.Now, ReadOnly: readOnly,
		Trouble: func(err error) { a.notRead(err) }})
	switch {
	case errors.Is(err, sqlite.ErrInUse):
		return nil, &readError{finding.S("{{.Folder}} is in use by another mailwhy", finding.Args{"Folder": folder}), finding.S("stop mailwhy serve first, or let it do this", nil), err}
	case errors.Is(err, sqlite.ErrNoStore):
		return nil, &readError{finding.S("{{.Folder}} holds no store", finding.Args{"Folder": folder}), finding.S("mailwhy store import makes one", nil), err}
	case err != nil:
		return nil, unreadable(folder, err)
	}
	return s, nil
}

// storeReport is a report about the folder of a store.
func storeReport(folder string, facts any, says finding.Sentence) *finding.Report {
	return &finding.Report{Command: "store", Target: finding.Subject{Kind: finding.KindFile, Name: folder}, Headline: finding.Headline{State: finding.StateOK, Says: says}, Facts: facts}
}

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

func (a *app) storeStats() *cobra.Command {
	c := &cobra.Command{Use: "stats", Short: a.say("tell what the store holds"), Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), true)
		if err != nil {
			return err
		}
		defer s.Close()
		st, err := s.Stats(ctx)
		if err != nil {
			return unreadable(folder(), err)
		}
		rep := storeReport(folder(), st, finding.S("{{size .Bytes}} hold {{size .Text}} of logs in {{.N}} {{plural .N \"segment\" \"segments\"}}.", finding.Args{"Bytes": st.Bytes, "Text": st.Text, "N": len(st.Segments)}))
		rep.Sections = append(rep.Sections, segmentTable(finding.S("Segments", nil), st.Segments), sourceTable(st.Sources))
		return a.show(rep)
	}
	return c
}

// segmentTable lists segments.
func segmentTable(title finding.Sentence, list []sqlite.SegmentStats) finding.Section {
	sec := finding.Section{Title: title, Columns: []finding.Sentence{finding.S("segment", nil), finding.S("first line", nil), finding.S("last line", nil), finding.S("on disk", nil), finding.S("logs", nil), finding.S("state", nil)}}
	for _, g := range list {
		state := finding.S("open", nil)
		if g.Sealed {
			state = finding.S("sealed", nil)
		}
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(strconv.Itoa(g.Number)), finding.Raw(day(g.Since)), finding.Raw(day(g.Until)), finding.S("{{size .Size}}", finding.Args{"Size": g.Bytes}), finding.S("{{size .Size}}", finding.Args{"Size": g.Text}), state))
	}
	return sec
}

func sourceTable(list []sqlite.SourceStats) finding.Section {
	sec := finding.Section{Title: finding.S("Sources", nil), Columns: []finding.Sentence{finding.S("source", nil), finding.S("read up to", nil), finding.S("stored", nil)}}
	for _, s := range list {
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(s.Source), finding.Raw(strconv.FormatInt(s.Offset, 10)), finding.Raw(day(s.Stored))))
	}
	return sec
}

func day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format("2006-01-02 15:04")
}

var (
	ruleStoreSound = &finding.Rule{ID: "store.sound", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "The store is whole",
		OK:     "{{.N}} {{plural .N \"segment\" \"segments\"}} with {{size .Size}} of logs can be read, and their indexes lead to every line looked at",
		Says:   "the store is damaged: {{.Text}}",
		Why:    "A file was changed or cut off, or the disk gives back something else than was written.",
		Repair: "Keep the folder as it is, look at the disk, and restore the newest backup beside it; the other segments can still be read."}
	storeRules = []*finding.Rule{ruleStoreSound}
)

func (a *app) storeCheck() *cobra.Command {
	c := &cobra.Command{Use: "check", Short: a.say("read everything and tell what is damaged"), Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), true)
		if err != nil {
			return err
		}
		defer s.Close()
		st, err := s.Stats(ctx)
		if err != nil {
			return unreadable(folder(), err)
		}
		bad, err := s.Check(ctx, nil)
		if err != nil {
			return err
		}
		target := finding.Subject{Kind: finding.KindFile, Name: folder()}
		args := finding.Args{"N": len(st.Segments), "Size": st.Text}
		rep := storeReport(folder(), st, finding.S("The store is whole: {{.N}} {{plural .N \"segment\" \"segments\"}}, {{size .Size}} of logs.", args))
		if len(bad) == 0 {
			rep.Findings = append(rep.Findings, ruleStoreSound.Passed(target, args))
			return a.show(rep)
		}
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.Bad}} of {{.N}} segments are damaged.", finding.Args{"Bad": len(bad), "N": len(st.Segments)})}
		for _, b := range bad {
			rep.Findings = append(rep.Findings, ruleStoreSound.Failed(target, finding.Args{"Text": b.Error()}))
		}
		return a.show(rep)
	}
	return c
}

func (a *app) storeCompact() *cobra.Command {
	c := &cobra.Command{Use: "compact", Short: a.say("give room inside of the store's files back to the disk"), Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), false)
		if err != nil {
			return err
		}
		defer s.Close()
		before, err := s.Stats(ctx)
		if err != nil {
			return unreadable(folder(), err)
		}
		if err := s.Compact(ctx); err != nil {
			return unreadable(folder(), err)
		}
		after, err := s.Stats(ctx)
		if err != nil {
			return unreadable(folder(), err)
		}
		return a.show(storeReport(folder(), after, finding.S("{{size .Before}} before, {{size .After}} now.", finding.Args{"Before": before.Bytes, "After": after.Bytes})))
	}
	return c
}

func (a *app) storeExport() *cobra.Command {
	var to, since, until string
	c := &cobra.Command{Use: "export", Short: a.say("write every message of the store as JSON, one a line, the newest first"), Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.Flags().StringVarP(&to, "output", "o", "", a.say("write to this file instead of standard output"))
	c.Flags().StringVar(&since, "since", "", a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	c.Flags().StringVar(&until, "until", "", a.say("until this time"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		q := trace.Query{Kind: trace.ByFate, Newest: true}
		var err error
		if q.Since, err = a.when(since, time.Now()); err != nil {
			return err
		}
		if q.Until, err = a.when(until, time.Now()); err != nil {
			return err
		}
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), true)
		if err != nil {
			return err
		}
		defer s.Close()
		w := bufio.NewWriterSize(a.out, 1<<16)
		if to != "" {
			f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return unreadable(to, err)
			}
			defer f.Close()
			w = bufio.NewWriterSize(f, 1<<16)
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for j, err := range s.Journeys(ctx, q) {
			if err == nil {
				err = enc.Encode(exported{j.ID(), j})
			}
			if err != nil {
				return err
			}
		}
		return w.Flush()
	}
	return c
}

// exported is a line of `mailwhy store export`.
type exported struct {
	ID string `json:"id"`
	*trace.Journey
}

// RetainFacts are the JSON of `mailwhy store retain`, written down in docs/json.md.
type RetainFacts struct {
	Before  time.Time             `json:"before"`
	DryRun  bool                  `json:"dry_run,omitempty"`
	Deleted []sqlite.SegmentStats `json:"deleted"`
	Held    []sqlite.SegmentStats `json:"held,omitempty"`
	Record  string                `json:"record,omitempty"` // head of the audit log behind the record
}

func (a *app) storeRetain() *cobra.Command {
	var keep string
	var dry bool
	c := &cobra.Command{Use: "retain", Short: a.say("delete what is older than is to be kept"),
		Long: a.say("Deletes the segments whose lines are all older than is to be kept, but for those that a legal hold covers. Before anything is deleted it is written into the audit log, whose records are chained by hashes: \"mailwhy audit prove\" shows one to others."),
		Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.Flags().StringVar(&keep, "keep", "6mo", a.say("how long: 6mo, 12mo, or days (400d)"))
	c.Flags().BoolVar(&dry, "dry-run", false, a.say("only tell what would go"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		before, err := keptSince(keep, time.Now())
		if err != nil {
			return err
		}
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), dry)
		if err != nil {
			return err
		}
		defer s.Close()
		state, err := sqlite.OpenState(ctx, folder(), time.Now)
		if err != nil {
			return unreadable(folder(), err)
		}
		defer state.Close()
		holds, err := state.Holds(ctx)
		if err != nil {
			return unreadable(folder(), err)
		}
		facts := &RetainFacts{Before: before, DryRun: dry, Deleted: []sqlite.SegmentStats{}}
		gone, held, err := s.Retain(ctx, sqlite.Retention{Before: before, Holds: holds, DryRun: dry, Record: func(gone []sqlite.SegmentStats) error {
			head, err := recordDeletion(folder(), whoAmI(), keep, gone)
			facts.Record = head
			return err
		}})
		if err != nil {
			return unreadable(folder(), err)
		}
		facts.Deleted, facts.Held = append(facts.Deleted, gone...), held
		args := finding.Args{"N": len(gone), "Before": day(before), "Held": len(held)}
		says := finding.S("{{.N}} {{plural .N \"segment\" \"segments\"}} from before {{.Before}} deleted, {{.Held}} on hold.", args)
		if dry {
			says = finding.S("{{.N}} {{plural .N \"segment\" \"segments\"}} from before {{.Before}} would be deleted, {{.Held}} are on hold.", args)
		}
		rep := storeReport(folder(), facts, says)
		if len(gone) > 0 {
			rep.Sections = append(rep.Sections, segmentTable(finding.S("Deleted", nil), gone))
		}
		if len(held) > 0 {
			rep.Sections = append(rep.Sections, segmentTable(finding.S("On hold", nil), held))
		}
		return a.show(rep)
	}
	return c
}

// recordDeletion writes into the audit log what will be deleted, and gives the head of its chain.
func recordDeletion(folder, who, keep string, gone []sqlite.SegmentStats) (string, error) {
	l, err := audit.Open(filepath.Join(folder, "audit.log"), time.Now)
	if err != nil {
		return "", err
	}
	head, err := l.Append(audit.Record{Who: who, What: "store.delete", Target: "keep " + keep, Detail: deletionDetail(gone)})
	return head.String(), errors.Join(err, l.Close())
}

func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// keptSince reads how long is kept: months or days.
func keptSince(keep string, now time.Time) (time.Time, error) {
	for _, unit := range []string{"mo", "d"} {
		n, ok := strings.CutSuffix(keep, unit)
		v, err := strconv.Atoi(n)
		if !ok || err != nil || v < 1 || v > 10000 {
			continue
		}
		if unit == "mo" {
			return now.AddDate(0, -v, 0), nil
		}
		return now.AddDate(0, 0, -v), nil
	}
	return time.Time{}, usage(finding.S("{{.Text}} is no time to keep", finding.Args{"Text": shorten(keep)}), finding.S("6mo, 12mo, or days: 400d", nil))
}

// HoldFacts are the JSON of `mailwhy store hold`, written down in docs/json.md.
type HoldFacts struct {
	Holds []HeldSpan `json:"holds"`
}

// HeldSpan is a legal hold.
type HeldSpan struct {
	ID     string    `json:"id"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

func (a *app) storeHold() *cobra.Command {
	var reason, since, until, release string
	c := &cobra.Command{Use: "hold", Short: a.say("keep a span of time whatever the retention says, list the holds, or release one"),
		Example: "  mailwhy store hold --reason \"case 7\" --since 2026-01-01 --until 2026-04-01\n  mailwhy store hold\n  mailwhy store hold --release ID", Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.Flags().StringVar(&reason, "reason", "", a.say("why: begins a hold"))
	c.Flags().StringVar(&since, "since", "", a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	c.Flags().StringVar(&until, "until", "", a.say("until this time"))
	c.Flags().StringVar(&release, "release", "", a.say("end the hold of this id"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		h := sqlite.Hold{ID: strings.ToLower(rand.Text()[:8]), Reason: reason, By: whoAmI(), At: time.Now()}
		var err error
		if h.Since, err = a.when(since, h.At); err != nil {
			return err
		}
		if h.Until, err = a.when(until, h.At); err != nil {
			return err
		}
		ctx := a.begin(cmd)
		state, err := sqlite.OpenState(ctx, folder(), time.Now)
		if err != nil {
			return unreadable(folder(), err)
		}
		defer state.Close()
		if reason != "" {
			err = state.PutHold(ctx, h)
		} else if release != "" {
			err = state.ReleaseHold(ctx, release)
		}
		if errors.Is(err, sqlite.ErrNoHold) {
			return usage(finding.S("there is no hold {{.ID}}", finding.Args{"ID": shorten(release)}), finding.S("mailwhy store hold lists them", nil))
		}
		var holds []sqlite.Hold
		if err == nil {
			holds, err = state.Holds(ctx)
		}
		if err != nil {
			return unreadable(folder(), err)
		}
		return a.show(holdReport(folder(), holds))
	}
	return c
}

func holdReport(folder string, holds []sqlite.Hold) *finding.Report {
	facts := &HoldFacts{Holds: []HeldSpan{}}
	sec := finding.Section{Title: finding.S("Holds", nil), Columns: []finding.Sentence{finding.S("id", nil), finding.S("from", nil), finding.S("until", nil), finding.S("reason", nil), finding.S("by", nil)}}
	for _, h := range holds {
		facts.Holds = append(facts.Holds, HeldSpan(h))
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(h.ID), finding.Raw(day(h.Since)), finding.Raw(day(h.Until)), finding.Raw(h.Reason), finding.Raw(h.By)))
	}
	rep := storeReport(folder, facts, finding.S("{{.N}} {{plural .N \"hold\" \"holds\"}} in force.", finding.Args{"N": len(holds)}))
	if len(holds) > 0 {
		rep.Sections = []finding.Section{sec}
	}
	return rep
}

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
