package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// forever is the word for what is never deleted.
const forever = "forever"

// RetentionConfig is [retention]: how long each kind of what is remembered is kept: "6mo", "12mo", "400d", "forever".
// What is left out is as the preset has it, and kept for ever without one.
type RetentionConfig struct {
	Preset   string `toml:"preset"`   // "6mo" or "12mo"
	Lines    string `toml:"lines"`    // raw lines: "" is as long as journeys
	Journeys string `toml:"journeys"` // journeys, bounces and the numbers of charts
	Reports  string `toml:"reports"`  // DMARC and TLS reports
	Runs     string `toml:"runs"`     // checks that people ran, with their reports
	Audit    string `toml:"audit"`    // who did and looked at what
}

// The kinds of data with a retention of their own, in the order in which they are deleted: what is deleted is recorded in
// the last one.
const (
	keptLines    = "lines"
	keptJourneys = "journeys"
	keptReports  = "reports"
	keptRuns     = "runs"
	keptAudit    = "audit"
)

var keptKinds = []string{keptLines, keptJourneys, keptReports, keptRuns, keptAudit}

// retentionPresets are how long everything is kept, and the audit log, which must outlive what it tells of.
var retentionPresets = map[string]string{"6mo": "12mo", "12mo": "24mo"}

// keeps says how long each kind is kept; what is kept for ever is left out.
func (c *RetentionConfig) keeps() map[string]string {
	out := map[string]string{}
	for kind, keep := range map[string]string{keptLines: c.Lines, keptJourneys: c.Journeys, keptReports: c.Reports, keptRuns: c.Runs, keptAudit: c.Audit} {
		if longest, ok := retentionPresets[c.Preset]; ok && keep == "" && kind != keptLines {
			if keep = c.Preset; kind == keptAudit {
				keep = longest
			}
		}
		if keep != "" && keep != forever {
			out[kind] = keep
		}
	}
	return out
}

// problems says what is wrong, by key.
func (c *RetentionConfig) problems(bad func(key string, says finding.Sentence)) {
	if _, ok := retentionPresets[c.Preset]; c.Preset != "" && !ok {
		bad("preset", finding.S("unknown word {{.Word}}: one of {{list .All}}", finding.Args{"Word": shorten(c.Preset), "All": slices.Sorted(maps.Keys(retentionPresets))}))
	}
	keeps := c.keeps()
	for _, kind := range keptKinds {
		if _, err := keptSince(cmp.Or(keeps[kind], "1d"), time.Unix(0, 0)); err != nil {
			bad(kind, finding.S("{{.Text}} is no time to keep: give 6mo, 12mo, or days such as 400d", finding.Args{"Text": shorten(keeps[kind])}))
		}
	}
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

// retainer is a store of logs that can delete what is old.
type retainer interface {
	Retain(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error)
	LetGo(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error)
}

// deleting deletes what is older than is to be kept. Every part that goes is written into the audit log first, signed.
type deleting struct {
	journeys retainer
	state    *sqlite.State
	audit    *audit.Log // with a key
	who      string     // "" is the server itself
	dry      bool
}

// run deletes of one kind what is older than is kept.
func (d *deleting) run(ctx context.Context, kind, keep string, now time.Time) (gone, held []store.Deletion, err error) {
	r := store.Retention{DryRun: d.dry}
	if r.Before, err = keptSince(keep, now); err != nil {
		return nil, nil, err
	}
	if r.Holds, err = d.state.Holds(ctx); err != nil {
		return nil, nil, err
	}
	r.Record = func(p store.Deletion) error {
		_, err := d.audit.AppendSigned(audit.Record{Who: d.who, What: "store.delete", Target: kind + ": " + p.Part, Detail: deletionDetail(keep, p)})
		return err
	}
	switch kind {
	case keptLines:
		return d.journeys.LetGo(ctx, r)
	case keptJourneys:
		return d.journeys.Retain(ctx, r)
	case keptAudit:
		gone, err = d.forgetAudit(r)
		return gone, nil, err
	}
	gone, err = d.state.Forget(ctx, kind, r)
	return gone, nil, err
}

// forgetAudit deletes the oldest records, up to the first that a hold covers: a chain has no holes.
func (d *deleting) forgetAudit(r store.Retention) ([]store.Deletion, error) {
	for _, h := range r.Holds {
		if h.Since.Before(r.Before) {
			r.Before = h.Since
		}
	}
	if d.dry || r.Before.IsZero() {
		return nil, nil
	}
	n, err := d.audit.Forget(r.Before, d.who)
	if n == 0 || err != nil {
		return nil, err
	}
	return []store.Deletion{{Part: keptAudit, Until: r.Before, Rows: n}}, nil
}

// deletionDetail says what was in the part that goes.
func deletionDetail(keep string, d store.Deletion) string {
	what := fmt.Sprintf("keep %s: %s to %s", keep, d.Since.Format(time.RFC3339), d.Until.Format(time.RFC3339))
	if d.Rows > 0 {
		what += fmt.Sprintf(", %d rows", d.Rows)
	}
	if d.Text > 0 {
		what += fmt.Sprintf(", %d bytes of logs", d.Text)
	}
	if d.Hash != "" {
		what += ", sha256 " + d.Hash
	}
	return what
}

// fileLock is a lock by a file. It waits for whoever has it.
func fileLock(name string) audit.Lock {
	return func() (func(), error) {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := waitForLock(f); err != nil {
			f.Close()
			return nil, err
		}
		return func() { f.Close() }, nil
	}
}

// noteDown writes what was done by a command into the audit log of a folder, beside a mailwhy serve that may be running.
func noteDown(folder, who, what, target, detail string, now func() time.Time) error {
	l, err := openSigning(folder, now)
	if err != nil {
		return unreadable(filepath.Join(folder, "audit.log"), err)
	}
	_, err = l.Append(audit.Record{Who: who, From: "command line", What: what, Target: target, Detail: detail})
	return errors.Join(err, l.Close())
}

// openSigning opens the audit log of a folder to sign what is deleted. It must be closed.
func openSigning(folder string, now func() time.Time) (*audit.Log, error) {
	k, err := audit.OpenKey(folder)
	if err != nil {
		return nil, err
	}
	l, err := audit.OpenShared(filepath.Join(folder, "audit.log"), now, fileLock(filepath.Join(folder, "audit.lock")))
	if err != nil {
		return nil, err
	}
	l.SignWith(k)
	return l, nil
}

// kindsToKeep reads the words of --kind.
func kindsToKeep(words []string) ([]string, error) {
	var out []string
	for _, w := range words {
		if !slices.Contains(keptKinds, w) {
			return nil, usage(finding.S("unknown word {{.Word}} in --kind", finding.Args{"Word": shorten(w)}), finding.S("one of {{list .All}}", finding.Args{"All": keptKinds}))
		}
	}
	for _, k := range keptKinds {
		if slices.Contains(words, k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no kind")
	}
	return out, nil
}
