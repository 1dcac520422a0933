package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/render"
)

type incidentRow struct {
	ID      string        `json:"id"`
	Monitor string        `json:"monitor"`
	Title   string        `json:"title"`
	Started time.Time     `json:"started"`
	Ended   time.Time     `json:"ended,omitzero"`
	Text    string        `json:"text"`
	Owner   finding.Owner `json:"owner"`
	Next    string        `json:"next,omitempty"`
	Acked   *monitor.Ack  `json:"acked,omitempty"`
	History []eventRow    `json:"history,omitempty"`
}

type eventRow struct {
	At   time.Time         `json:"at"`
	Kind monitor.EventKind `json:"kind"`
	Text string            `json:"text"`
	Told bool              `json:"told"`
}

func (s *Server) rowOfIncident(i *monitor.Incident, l finding.Lang) incidentRow {
	r := incidentRow{ID: i.ID, Monitor: i.Monitor, Title: i.Monitor, Started: i.Started, Ended: i.Ended, Text: inLang(i.Text, l), Owner: i.Owner, Next: render.Command(i.Next), Acked: i.Ack}
	if d, _, ok := s.o.Monitors.Find(i.Monitor); ok {
		r.Title = d.Title
	}
	for _, e := range i.History {
		r.History = append(r.History, eventRow{e.At, e.Kind, inLang(e.Observation.Text, l), !e.Silent && e.Kind != monitor.Turned})
	}
	return r
}

func (s *Server) getIncidents(ctx context.Context, in *struct {
	Paging
	Monitor string `query:"monitor" maxLength:"100"`
	Open    bool   `query:"open"`
}) (*listOut[incidentRow], error) {
	limit := cmp.Or(in.Limit, 50)
	all, err := s.o.Monitors.Store().Incidents(ctx, monitor.IncidentQuery{Monitor: in.Monitor, Open: in.Open, Before: in.Cursor, Limit: limit + 1})
	if err != nil {
		return nil, err
	}
	next := ""
	if len(all) > limit {
		all = all[:limit]
		next = all[limit-1].ID
	}
	var out []incidentRow
	for i := range all {
		out = append(out, s.rowOfIncident(&all[i], langOf(ctx)))
	}
	return listed(out, next), nil
}

type incidentOut struct{ Body incidentRow }

func (s *Server) getIncident(ctx context.Context, in *ByID) (*incidentOut, error) {
	i, err := s.o.Monitors.Store().Incident(ctx, in.ID)
	if errors.Is(err, monitor.ErrNone) {
		return nil, missing()
	}
	if err != nil {
		return nil, err
	}
	return &incidentOut{s.rowOfIncident(i, langOf(ctx))}, nil
}

// FixStep is one step of a change, as finding.Step.
type FixStep finding.Step

func steps(in []finding.Step) []FixStep {
	out := []FixStep{}
	for _, s := range in {
		out = append(out, FixStep(s))
	}
	return out
}

type proposalRow struct {
	ID        string                `json:"id"`
	Title     string                `json:"title"`
	Text      string                `json:"text"`
	Monitor   string                `json:"monitor,omitempty"`
	At        time.Time             `json:"at"`
	Steps     []FixStep             `json:"steps"`
	Undo      []FixStep             `json:"undo"`
	Evidence  []finding.Evidence    `json:"evidence"`
	Hash      string                `json:"hash"`
	Until     time.Time             `json:"until,omitzero" doc:"approved: when it ends; open: when it falls"`
	State     monitor.ProposalState `json:"state"`
	By        string                `json:"by,omitempty"`
	Note      string                `json:"note,omitempty"`
	Automatic bool                  `json:"automatic,omitempty"`
	Hands     string                `json:"hands" enum:"mailwhy,people" doc:"who carries it out once it is approved"`
}

// Hands tell what mailwhy carries out itself.
type Hands interface {
	Does(p *monitor.Proposal) bool
}

// HandsOf says who carries a proposal out: "mailwhy" or "people". Nil hands do nothing.
func HandsOf(h Hands, p *monitor.Proposal) string {
	if h != nil && h.Does(p) {
		return "mailwhy"
	}
	return "people"
}

func (s *Server) rowOfProposal(p *monitor.Proposal, l finding.Lang) proposalRow {
	r := proposalRow{p.ID, inLang(p.Title, l), inLang(p.Text, l), p.Monitor, p.At, steps(p.Steps), steps(p.Undo), []finding.Evidence{}, p.Hash, p.Until, p.State, p.By, p.Note, p.Automatic, HandsOf(s.o.Hands, p)}
	if p.State == monitor.ProposalOpen {
		r.Until = p.Expires
	}
	for _, e := range p.Evidence {
		r.Evidence = append(r.Evidence, finding.Evidence{Source: "monitor", Raw: e})
	}
	return r
}

func (s *Server) getProposals(ctx context.Context, in *struct {
	Open bool `query:"open"`
}) (*listOut[proposalRow], error) {
	all, err := s.o.Monitors.Store().Proposals(ctx, in.Open, 200)
	if err != nil {
		return nil, err
	}
	var out []proposalRow
	for i := range all {
		out = append(out, s.rowOfProposal(&all[i], langOf(ctx)))
	}
	return listed(out, ""), nil
}

// Decision is what somebody says to a proposal.
type Decision struct {
	ByID
	Body struct {
		Hash string `json:"hash,omitempty" maxLength:"100" doc:"of the proposal as it was shown; needed to approve"`
		Note string `json:"note,omitempty" maxLength:"1000"`
	}
}

type proposalOut struct{ Body proposalRow }

func (s *Server) approveProposal(ctx context.Context, in *Decision) (*proposalOut, error) {
	return s.decide(ctx, in, true)
}

func (s *Server) refuseProposal(ctx context.Context, in *Decision) (*proposalOut, error) {
	return s.decide(ctx, in, false)
}

func (s *Server) decide(ctx context.Context, in *Decision, approve bool) (*proposalOut, error) {
	store := s.o.Monitors.Store()
	p, err := store.Proposal(ctx, in.ID)
	if errors.Is(err, monitor.ErrNone) {
		return nil, missing()
	}
	if err != nil {
		return nil, err
	}
	what := "proposal.refuse"
	if approve {
		what = "proposal.approve"
	}
	if err := s.record(ctx, what, in.ID, strings.TrimSpace(p.Title.EN+" "+p.Hash+" "+in.Body.Note)); err != nil {
		return nil, err
	}
	switch err := s.o.Monitors.Decide(ctx, in.ID, approve, user(ctx).Name, in.Body.Note, in.Body.Hash); {
	case errors.Is(err, monitor.ErrMoved):
		return nil, fault(http.StatusConflict, finding.S("the proposal is not the one that was looked at: look again", nil))
	case errors.Is(err, monitor.ErrClosed):
		return nil, fault(http.StatusConflict, finding.S("the proposal was decided already, or has expired", nil))
	case err != nil:
		s.o.Log.Warn("a proposal could not be carried out", "proposal", in.ID, "why", err)
		return nil, fault(http.StatusConflict, finding.S("it could not be carried out: {{.Text}}", finding.Args{"Text": err.Error()}))
	}
	if p, err = store.Proposal(ctx, in.ID); err != nil {
		return nil, err
	}
	return &proposalOut{s.rowOfProposal(p, langOf(ctx))}, nil
}
