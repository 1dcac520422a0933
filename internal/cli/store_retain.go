package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// RetainFacts are the JSON of `mailwhy store retain`, written down in docs/json.md.
type RetainFacts struct {
	Before  time.Time        `json:"before"`
	DryRun  bool             `json:"dry_run,omitempty"`
	Deleted []store.Deletion `json:"deleted"`
	Held    []store.Deletion `json:"held,omitempty"`
	Record  string           `json:"record,omitempty"` // head of the audit log behind the records
}

func (a *app) storeRetain() *cobra.Command {
	var keep string
	var dry bool
	kinds := []string{keptJourneys}
	c := &cobra.Command{Use: "retain", Short: a.say("delete what is older than is to be kept"),
		Long: a.say(`Deletes what is older than is to be kept, but for what a legal hold covers: of journeys the segments whose lines are all older, of reports and runs each one, of the audit log the oldest records. With --kind lines journeys stay and their raw lines go: what is no part of a message is deleted, and the rest is not given out any more.

Before anything is deleted it is written into the audit log, signed with the key of the folder (audit.key, made at the first start), and chained by hashes to what is there: "mailwhy audit verify" holds signatures and chain, "mailwhy audit prove" shows one record to others, "mailwhy audit key" prints the public key.`)}
	c.Flags().StringVar(&keep, "keep", "6mo", a.say("how long: 6mo, 12mo, or days (400d)"))
	c.Flags().StringSliceVar(&kinds, "kind", kinds, a.say("of what: lines, journeys, reports, runs, audit"))
	c.Flags().BoolVar(&dry, "dry-run", false, a.say("only tell what would go"))
	folder := a.storeFolder(c)
	c.Args = cobra.NoArgs
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		before, err := keptSince(keep, time.Now())
		if err != nil {
			return err
		}
		list, err := kindsToKeep(kinds)
		if err != nil {
			return err
		}
		ctx := a.begin(cmd)
		facts := &RetainFacts{Before: before, DryRun: dry, Deleted: []store.Deletion{}}
		if err := a.retain(ctx, folder(), keep, list, facts); err != nil {
			return notDone(ctx, folder(), err)
		}
		return a.show(retainReport(folder(), facts))
	}
	return c
}

// retain deletes what is older of some kinds.
func (a *app) retain(ctx context.Context, folder, keep string, kinds []string, facts *RetainFacts) error {
	s, err := a.openStore(ctx, folder, facts.DryRun)
	if err != nil {
		return err
	}
	defer s.Close()
	d := &deleting{journeys: s, who: whoAmI(), dry: facts.DryRun}
	if d.state, err = sqlite.OpenState(ctx, folder, time.Now); err != nil {
		return err
	}
	defer d.state.Close()
	if !d.dry {
		if d.audit, err = openSigning(folder, time.Now); err != nil {
			return err
		}
		defer d.audit.Close()
	}
	for _, kind := range kinds {
		gone, held, err := d.run(ctx, kind, keep, time.Now())
		facts.Deleted, facts.Held = append(facts.Deleted, gone...), append(facts.Held, held...)
		if err != nil {
			return err
		}
	}
	if d.audit != nil && len(facts.Deleted) > 0 {
		facts.Record = d.audit.Head().String()
	}
	return nil
}

func retainReport(folder string, facts *RetainFacts) *finding.Report {
	args := finding.Args{"N": len(facts.Deleted), "Before": day(facts.Before), "Held": len(facts.Held)}
	says := finding.S("{{.N}} {{plural .N \"part\" \"parts\"}} from before {{.Before}} deleted, {{.Held}} on hold.", args)
	if facts.DryRun {
		says = finding.S("{{.N}} {{plural .N \"part\" \"parts\"}} from before {{.Before}} would be deleted, {{.Held}} are on hold.", args)
	}
	rep := storeReport(folder, facts, says)
	if len(facts.Deleted) > 0 {
		rep.Sections = append(rep.Sections, deletionTable(finding.S("Deleted", nil), facts.Deleted))
	}
	if len(facts.Held) > 0 {
		rep.Sections = append(rep.Sections, deletionTable(finding.S("On hold", nil), facts.Held))
	}
	return rep
}

func deletionTable(title finding.Sentence, list []store.Deletion) finding.Section {
	sec := finding.Section{Title: title, Columns: []finding.Sentence{finding.S("what", nil), finding.S("from", nil), finding.S("until", nil), finding.S("rows", nil), finding.S("logs", nil)}}
	for _, d := range list {
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(d.Part), finding.Raw(day(d.Since)), finding.Raw(day(d.Until)), finding.S("{{.N}}", finding.Args{"N": d.Rows}), finding.S("{{size .Size}}", finding.Args{"Size": d.Text})))
	}
	return sec
}

func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
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
		h := store.Hold{ID: strings.ToLower(rand.Text()[:8]), Reason: reason, By: whoAmI(), At: time.Now()}
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
		var holds []store.Hold
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

func holdReport(folder string, holds []store.Hold) *finding.Report {
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
