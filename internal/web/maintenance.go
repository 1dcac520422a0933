package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

// PlanTerms is a time in which monitors look but tell nothing: once (from, to), or again and again (cron, for).
type PlanTerms struct {
	Monitors []string   `json:"monitors,omitempty" maxItems:"100" doc:"ids or patterns of ids; none: every monitor"`
	Reason   string     `json:"reason" minLength:"1" maxLength:"1000"`
	From     *time.Time `json:"from,omitempty"`
	To       *time.Time `json:"to,omitempty"`
	Cron     string     `json:"cron,omitempty" maxLength:"100" doc:"minute hour day month weekday"`
	ForS     float64    `json:"for_s,omitempty" minimum:"0" maximum:"604800" doc:"with cron: how long"`
	Zone     string     `json:"zone,omitempty" maxLength:"100" doc:"of the cron expression, like Europe/Berlin; the server's where it is left out"`
}

type planRow struct {
	ID string `json:"id,omitempty" doc:"absent: it stands in the configuration file"`
	PlanTerms
	By   string    `json:"by,omitempty"`
	At   time.Time `json:"at,omitzero" doc:"when it was made"`
	Open bool      `json:"open" doc:"it goes on now"`
	Over bool      `json:"over" doc:"it is over for good"`
	File bool      `json:"file" doc:"it stands in the configuration file, and is changed there"`
}

type planOut struct{ Body planRow }

func (s *Server) maintenanceRoutes() {
	if s.o.Monitors == nil {
		return
	}
	add(s, access.SeeMonitors, huma.Operation{Method: http.MethodGet, Path: "/maintenance", Summary: "Maintenance windows"}, s.getPlans)
	add(s, access.KeepMonitors, huma.Operation{Method: http.MethodPost, Path: "/maintenance", Summary: "Plan a maintenance window", DefaultStatus: http.StatusCreated}, s.addPlan)
	add(s, access.KeepMonitors, huma.Operation{Method: http.MethodPut, Path: "/maintenance/{id}", Summary: "Change a maintenance window that was planned from the page"}, s.putPlan)
	add(s, access.KeepMonitors, huma.Operation{Method: http.MethodDelete, Path: "/maintenance/{id}", Summary: "Forget a maintenance window that was planned from the page"}, s.dropPlan)
}

func rowOfPlan(p *monitor.Planned, now time.Time) planRow {
	r := planRow{ID: p.ID, By: p.By, At: p.At, File: p.File, Open: p.Window.Covers(now), PlanTerms: PlanTerms{Monitors: p.Monitors, Reason: p.Reason, Cron: p.Cron, ForS: p.For.D().Seconds(), Zone: p.Zone}}
	if end := p.Ends(); !end.IsZero() {
		r.Over = !now.Before(end)
	}
	if !p.From.IsZero() {
		r.From = &p.From
	}
	if !p.To.IsZero() {
		r.To = &p.To
	}
	return r
}

func (t *PlanTerms) planned(id string) *monitor.Planned {
	p := &monitor.Planned{ID: id, Monitors: t.Monitors, Window: monitor.Window{Cron: t.Cron, For: monitor.Span(t.ForS * float64(time.Second)), Zone: t.Zone, Reason: t.Reason}}
	if t.From != nil {
		p.From = *t.From
	}
	if t.To != nil {
		p.To = *t.To
	}
	return p
}

func (s *Server) getPlans(ctx context.Context, _ *struct{}) (*listOut[planRow], error) {
	all, err := s.o.Monitors.Maintenance(ctx)
	if err != nil {
		return nil, err
	}
	var out []planRow
	for i := range all {
		out = append(out, rowOfPlan(&all[i], s.o.Now()))
	}
	return listed(out, ""), nil
}

func (s *Server) addPlan(ctx context.Context, in *struct{ Body PlanTerms }) (*planOut, error) {
	return s.plan(ctx, "maintenance.add", in.Body.planned(""))
}

func (s *Server) putPlan(ctx context.Context, in *struct {
	ByID
	Body PlanTerms
}) (*planOut, error) {
	return s.plan(ctx, "maintenance.change", in.Body.planned(in.ID))
}

func (s *Server) plan(ctx context.Context, what string, p *monitor.Planned) (*planOut, error) {
	for _, t := range []*time.Time{&p.From, &p.To} {
		if !t.IsZero() {
			if _, err := sane(*t); err != nil {
				return nil, err
			}
		}
	}
	bad, err := s.o.Monitors.Plan(ctx, p, user(ctx).Name)
	switch {
	case errors.Is(err, monitor.ErrNone):
		return nil, missing()
	case err != nil:
		return nil, err
	case len(bad) > 0:
		key, _ := bad[0].Path[0].(string)
		return nil, at(key, bad[0].Says)
	}
	return &planOut{rowOfPlan(p, s.o.Now())}, s.record(ctx, what, strings.Join(p.Monitors, " "), p.Reason)
}

func (s *Server) dropPlan(ctx context.Context, in *ByID) (*struct{}, error) {
	err := s.o.Monitors.Unplan(ctx, in.ID)
	if errors.Is(err, monitor.ErrNone) {
		return nil, missing()
	}
	if err != nil {
		return nil, err
	}
	return nil, s.record(ctx, "maintenance.remove", in.ID, "")
}

// planOf is the window that is open for a monitor now, or nil.
func (s *Server) planOf(ctx context.Context, id string) (*planRow, error) {
	all, err := s.o.Monitors.Maintenance(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if p := &all[i]; p.Covers(id, s.o.Now()) {
			r := rowOfPlan(p, s.o.Now())
			return &r, nil
		}
	}
	return nil, nil
}
