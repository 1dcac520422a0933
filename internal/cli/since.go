package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// sinceFlags say what a check is compared with.
type sinceFlags struct {
	when  string // "last", or the time before which the other one was run
	store string
	remoteFlags
}

// fits refuses flags that would be without effect.
func (f *sinceFlags) fits(domains []string, file string) error {
	switch {
	case f.when == "" && (f.store != "" || f.url != "" || f.tokenFile != ""):
		return usage(finding.S("--store, --server and --token-file say where the runs of before are: give --since, too", nil), finding.Sentence{})
	case f.when != "" && (len(domains) != 1 || file != ""):
		return usage(finding.S("--since compares one domain", nil), finding.S("for a list, let mailwhy serve watch the domains", nil))
	}
	return nil
}

// earlier is where the runs of before are.
type earlier interface {
	// before gives the last run of the kind on the target that was done before the moment, or nil.
	before(ctx context.Context, kind, target string, moment time.Time, l finding.Lang) (*oldRun, error)
	// keep remembers a run, where that is for us to do.
	keep(ctx context.Context, r *runs.Run) error
	close() error
}

// oldRun is a run of before with its report.
type oldRun struct {
	at     time.Time
	by     string
	report json.RawMessage
}

// rememberedRuns are runs in the state of a folder.
type rememberedRuns struct{ *sqlite.State }

func (k rememberedRuns) before(ctx context.Context, kind, target string, moment time.Time, l finding.Lang) (*oldRun, error) {
	q := runs.Query{Kind: kind, Target: target, Before: moment, Limit: 50}
	for {
		list, err := k.Runs(ctx, q)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		for i := range list {
			q.Before, q.BeforeID = list[i].Started, list[i].ID
			if list[i].State != runs.Done {
				continue
			}
			r, err := k.Run(ctx, list[i].ID)
			if errors.Is(err, runs.ErrNone) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return &oldRun{r.Started, r.ByName, r.Reports[l]}, nil
		}
	}
}

func (k rememberedRuns) keep(ctx context.Context, r *runs.Run) error { return k.PutRun(ctx, r) }
func (k rememberedRuns) close() error                                { return k.State.Close() }

func (r *remote) before(ctx context.Context, kind, target string, moment time.Time, l finding.Lang) (*oldRun, error) {
	q := url.Values{"kind": {kind}, "target": {target}, "limit": {"50"}}
	for {
		raw, err := r.get(ctx, l, "runs", q)
		if err != nil {
			return nil, err
		}
		var list struct {
			Items []struct {
				ID, State string
				Started   time.Time
			}
			Next string
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		for _, x := range list.Items {
			if x.State != string(runs.Done) || !x.Started.Before(moment) {
				continue
			}
			raw, err := r.get(ctx, l, "runs/"+url.PathEscape(x.ID), nil)
			if err != nil {
				return nil, err
			}
			var one struct {
				By      string
				Started time.Time
				Report  json.RawMessage
			}
			return &oldRun{one.Started, one.By, one.Report}, json.Unmarshal(raw, &one)
		}
		if list.Next == "" {
			return nil, nil
		}
		q.Set("cursor", list.Next)
	}
}

func (*remote) keep(context.Context, *runs.Run) error { return nil } // it keeps what it ran itself
func (*remote) close() error                          { return nil }

// openEarlier opens where the runs of before are.
func (a *app) openEarlier(ctx context.Context, f *sinceFlags) (earlier, error) {
	if f.url != "" {
		if f.store != "" {
			return nil, usage(finding.S("--store and --server are two places: give one", nil), finding.Sentence{})
		}
		return a.openRemote(&f.remoteFlags)
	}
	folder := f.store
	if folder == "" {
		folder = a.dataFolder()
	}
	if strings.Contains(folder, "://") {
		return nil, usage(finding.S("runs are kept in the data folder of mailwhy serve", nil), finding.S("give the folder of a store", nil))
	}
	s, err := sqlite.OpenState(ctx, folder, time.Now)
	if err != nil {
		return nil, unreadable(folder, err)
	}
	return rememberedRuns{s}, nil
}

// compare tells in a section of the report what is different from the run of before, and keeps this run as the next
// one's "last". Without one before, it says so.
func (a *app) compare(ctx context.Context, r *finding.Report, f *sinceFlags) error {
	now := r.Started
	moment := now
	if f.when != "last" {
		var err error
		if moment, err = a.when(f.when, now); err != nil {
			return err
		}
	}
	where, err := a.openEarlier(ctx, f)
	if err != nil {
		return err
	}
	defer where.close()
	old, err := where.before(ctx, r.Command, r.Target.Name, moment, a.lang)
	if err != nil {
		return err
	}
	finding.Order(r.Findings)
	a.grade(r)
	run, err := asRun(r)
	if err != nil {
		return err
	}
	sec := finding.Section{Title: finding.S("Different from before", nil)}
	if old == nil {
		says := finding.S("no run of before is remembered: this one is, and the next is compared with it", nil)
		if f.url != "" {
			says = finding.S("the server remembers no run of before: run it from its page", nil)
		}
		sec.Rows = append(sec.Rows, finding.Cells(says))
	} else if err := a.differences(&sec, old, run.Reports[a.lang]); err != nil {
		return err
	}
	if err := where.keep(ctx, run); err != nil {
		return err
	}
	r.Sections = slices.Insert(r.Sections, 0, sec)
	return nil
}

// asRun is the report as serve keeps what was run.
func asRun(r *finding.Report) (*runs.Run, error) {
	run := &runs.Run{ID: strings.ToLower(rand.Text()), Kind: r.Command, Target: r.Target, Args: map[string]string{"domain": r.Target.Name}, State: runs.Done, Result: r.Headline.State,
		Started: r.Started, Ended: r.Started.Add(r.Took), Says: map[finding.Lang]string{}, Reports: map[finding.Lang]json.RawMessage{}}
	for _, l := range []finding.Lang{finding.EN, finding.ZH} {
		raw, err := render.JSON(r, render.Style{Lang: l, Version: Version()})
		if err != nil {
			return nil, err
		}
		run.Says[l], run.Reports[l] = r.Headline.Says.In(l), raw
	}
	return run, nil
}

// differences fills a section with what appeared, what is gone and what says something else.
func (a *app) differences(sec *finding.Section, old *oldRun, now json.RawMessage) error {
	d, err := runs.Diff(old.report, now)
	if err != nil {
		return err
	}
	sec.Title = finding.S("Different from the run of {{.At}}", finding.Args{"At": old.at})
	sec.Columns = []finding.Sentence{finding.S("what", nil), finding.S("finding", nil), finding.S("about", nil)}
	row := func(what finding.Sentence, raw json.RawMessage, before string) error {
		var f struct {
			Text    string
			Subject finding.Subject
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			return err
		}
		text := f.Text
		if before != "" {
			text = before + " → " + text
		}
		sec.Rows = append(sec.Rows, finding.Cells(what, finding.Raw(text), finding.Raw(f.Subject.Name)))
		return nil
	}
	for _, raw := range d.Appeared {
		if err := row(finding.S("new", nil), raw, ""); err != nil {
			return err
		}
	}
	for _, raw := range d.Gone {
		if err := row(finding.S("gone", nil), raw, ""); err != nil {
			return err
		}
	}
	for _, c := range d.Changed {
		var was struct{ Text string }
		if err := json.Unmarshal(c.Before, &was); err != nil {
			return err
		}
		if err := row(finding.S("changed", nil), c.After, was.Text); err != nil {
			return err
		}
	}
	if len(sec.Rows) == 0 {
		sec.Columns = nil
		sec.Rows = append(sec.Rows, finding.Cells(finding.S("nothing is different", nil)))
	}
	return nil
}
