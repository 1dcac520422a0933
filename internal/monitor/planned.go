package monitor

import (
	"context"
	"crypto/rand"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Planned is a maintenance window that was made while mailwhy runs, or as it is shown one of the configuration file.
type Planned struct {
	ID       string   `json:"id,omitempty"`       // "" for one of the file
	Monitors []string `json:"monitors,omitempty"` // IDs or patterns of IDs; none: every monitor
	Window
	By   string    `json:"by,omitempty"`
	At   time.Time `json:"at,omitzero"`    // when it was made
	File bool      `json:"file,omitempty"` // of the configuration file: changed there
}

// Covers tells whether the window is open for a monitor at a time.
func (p *Planned) Covers(id string, at time.Time) bool {
	return p.Of(id) && p.Window.Covers(at)
}

// Of tells whether the window is one of a monitor.
func (p *Planned) Of(id string) bool {
	return len(p.Monitors) == 0 || slices.ContainsFunc(p.Monitors, func(pattern string) bool { ok, _ := path.Match(pattern, id); return ok })
}

// Ends is when it is over for good; zero for one that comes again.
func (p *Planned) Ends() time.Time {
	if p.Cron != "" {
		return time.Time{}
	}
	return p.To
}

// Maintenance lists every window: those of the configuration file, then those made while mailwhy runs, the newest first.
func (r *Runner) Maintenance(ctx context.Context) ([]Planned, error) {
	r.mu.Lock()
	config := r.o.Config
	r.mu.Unlock()
	var out []Planned
	for _, w := range config.Defaults.Maintenance {
		out = append(out, Planned{Window: w, File: true})
	}
	for i := range config.Monitor {
		d := &config.Monitor[i]
		for _, w := range d.Maintenance {
			out = append(out, Planned{Monitors: []string{d.ID}, Window: w, File: true})
		}
	}
	made, err := r.o.Store.Windows(ctx)
	slices.SortStableFunc(made, func(a, b Planned) int { return b.At.Compare(a.At) })
	return append(out, made...), err
}

// Plan makes a maintenance window, or changes the one with its ID (ErrNone where there is none); by is who does it. The
// problems are what is wrong with it; then nothing is stored.
func (r *Runner) Plan(ctx context.Context, p *Planned, by string) ([]Problem, error) {
	if bad := r.checkPlan(p); len(bad) > 0 {
		return bad, nil
	}
	p.By, p.At, p.File = by, r.o.Now(), false
	if p.ID != "" {
		if _, err := r.planned(ctx, p.ID); err != nil {
			return nil, err
		}
	} else {
		p.ID = strings.ToLower(rand.Text()[:10])
	}
	return nil, r.o.Store.PutWindow(ctx, p)
}

// maxPatterns bounds the monitors that one window names.
const maxPatterns = 100

func (r *Runner) checkPlan(p *Planned) (bad []Problem) {
	add := func(key string, s finding.Sentence) {
		if !s.IsZero() {
			bad = append(bad, Problem{[]any{key}, s})
		}
	}
	if len(p.Monitors) > maxPatterns {
		add("monitors", finding.S("at most {{.N}} monitors", finding.Args{"N": maxPatterns}))
		return bad
	}
	all := r.Definitions()
	for _, pattern := range p.Monitors {
		_, err := path.Match(pattern, "")
		one := Planned{Monitors: []string{pattern}}
		switch {
		case err != nil || pattern == "":
			add("monitors", finding.S("{{.Name}} is no pattern", finding.Args{"Name": cut(pattern)}))
		case !slices.ContainsFunc(all, func(d Definition) bool { return one.Of(d.ID) }):
			add("monitors", finding.S("there is no monitor {{.ID}}", finding.Args{"ID": cut(pattern)}))
		}
	}
	if strings.TrimSpace(p.Reason) == "" || len(p.Reason) > longest {
		add("reason", finding.S("a maintenance window wants a reason", nil))
	}
	if len(p.Cron) > 100 || len(p.Zone) > 100 {
		add("cron", finding.S("{{.Cron}} is no cron expression: give five fields such as \"0 2 * * 0\" (Sundays at two)", finding.Args{"Cron": cut(p.Cron)}))
		return bad
	}
	add("window", p.check())
	if p.Cron == "" && p.To.Before(r.o.Now()) && !p.To.IsZero() {
		add("to", finding.S("the maintenance window is over already", nil))
	}
	return bad
}

// Unplan forgets a maintenance window that was made while mailwhy runs; ErrNone where there is none.
func (r *Runner) Unplan(ctx context.Context, id string) error {
	if _, err := r.planned(ctx, id); err != nil {
		return err
	}
	return r.o.Store.DropWindow(ctx, id)
}

func (r *Runner) planned(ctx context.Context, id string) (*Planned, error) {
	made, err := r.o.Store.Windows(ctx)
	if err != nil {
		return nil, err
	}
	for i := range made {
		if made[i].ID == id {
			return &made[i], nil
		}
	}
	return nil, ErrNone
}

// InMaintenance tells whether a window is open for a monitor: one of its complete definition or one made while mailwhy runs.
func (r *Runner) InMaintenance(ctx context.Context, def *Definition, at time.Time) (bool, error) {
	if def.InMaintenance(at) {
		return true, nil
	}
	made, err := r.o.Store.Windows(ctx)
	return err == nil && slices.ContainsFunc(made, func(p Planned) bool { return p.Covers(def.ID, at) }), err
}
