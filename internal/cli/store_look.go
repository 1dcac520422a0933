package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

func (a *app) storeStats() *cobra.Command {
	c := &cobra.Command{Use: "stats", Short: a.say("tell what the store holds")}
	return a.storeJob(c, true, func(ctx context.Context, s *sqlite.Store, folder string) (*finding.Report, error) {
		st, err := s.Stats(ctx)
		if err != nil {
			return nil, err
		}
		rep := storeReport(folder, st, finding.S("{{size .Bytes}} hold {{size .Text}} of logs in {{.N}} {{plural .N \"segment\" \"segments\"}}.", finding.Args{"Bytes": st.Bytes, "Text": st.Text, "N": len(st.Segments)}))
		rep.Sections = append(rep.Sections, segmentTable(finding.S("Segments", nil), st.Segments), sourceTable(st.Sources))
		return rep, nil
	})
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
	c := &cobra.Command{Use: "check", Short: a.say("read everything and tell what is damaged")}
	return a.storeJob(c, true, func(ctx context.Context, s *sqlite.Store, folder string) (*finding.Report, error) {
		st, err := s.Stats(ctx)
		if err != nil {
			return nil, err
		}
		bad, err := s.Check(ctx, nil)
		if err != nil {
			return nil, err
		}
		target := finding.Subject{Kind: finding.KindFile, Name: folder}
		args := finding.Args{"N": len(st.Segments), "Size": st.Text}
		for _, b := range bad {
			if !slices.ContainsFunc(st.Segments, func(g sqlite.SegmentStats) bool { return strings.Contains(b.Error(), g.Path) }) {
				args["N"] = args["N"].(int) + 1 // it cannot even be counted
			}
		}
		rep := storeReport(folder, st, finding.S("The store is whole: {{.N}} {{plural .N \"segment\" \"segments\"}}, {{size .Size}} of logs.", args))
		if len(bad) == 0 {
			rep.Findings = append(rep.Findings, ruleStoreSound.Passed(target, args))
			return rep, nil
		}
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.Bad}} of {{.N}} segments are damaged.", finding.Args{"Bad": len(bad), "N": len(st.Segments)})}
		for _, b := range bad {
			rep.Findings = append(rep.Findings, ruleStoreSound.Failed(target, finding.Args{"Text": b.Error()}))
		}
		return rep, nil
	})
}

func (a *app) storeCompact() *cobra.Command {
	c := &cobra.Command{Use: "compact", Short: a.say("give room inside of the store's files back to the disk")}
	return a.storeJob(c, false, func(ctx context.Context, s *sqlite.Store, folder string) (*finding.Report, error) {
		before, err := s.Stats(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.Compact(ctx); err != nil {
			return nil, err
		}
		after, err := s.Stats(ctx)
		if err != nil {
			return nil, err
		}
		return storeReport(folder, after, finding.S("{{size .Before}} before, {{size .After}} now.", finding.Args{"Before": before.Bytes, "After": after.Bytes})), nil
	})
}
