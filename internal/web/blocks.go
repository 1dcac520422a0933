package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
)

type blockRow struct {
	ID       string    `json:"id"`
	What     string    `json:"what" doc:"network or domain"`
	State    string    `json:"state" enum:"proposed,active,refused,expired,removed"`
	Reason   string    `json:"reason"`
	Evidence []string  `json:"evidence,omitempty"`
	Rule     string    `json:"rule,omitempty" doc:"the rule that proposed it; absent for a person"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until"`
	Decided  string    `json:"decided_by,omitempty"`
	Note     string    `json:"note,omitempty"`
	Says     []string  `json:"says,omitempty" doc:"what there is to know about the entry, in the reader's language"`
}

type blockOut struct{ Body blockRow }

type newBlock struct {
	Body struct {
		What     string    `json:"what" minLength:"1" maxLength:"300" doc:"address, network or domain"`
		Reason   string    `json:"reason" minLength:"1" maxLength:"300"`
		Until    time.Time `json:"until"`
		Evidence []string  `json:"evidence,omitempty" maxItems:"20"`
	}
}

type blockDecision struct {
	ByID
	Body struct {
		Note string `json:"note,omitempty" maxLength:"300"`
	}
}

type blockQuery struct {
	State string `query:"state" enum:"proposed,active,refused,expired,removed,"`
}

type blockExport struct {
	As string `query:"as" enum:"postfix-cidr,postfix-access,exim-hosts,exim-domains,nft,rbldnsd,plain" default:"plain"`
}

type textOut struct {
	Type string `header:"Content-Type"`
	Name string `header:"Content-Disposition"`
	Body []byte
}

func (s *Server) blockRoutes() {
	if s.o.Desk == nil {
		return
	}
	s.pages = append(s.pages, page{"blocks", access.SeeBlocks})
	add(s, access.SeeBlocks, huma.Operation{Method: http.MethodGet, Path: "/blocks", Summary: "Our own blocklist"}, s.getBlocks)
	add(s, access.KeepBlocks, huma.Operation{Method: http.MethodPost, Path: "/blocks", Summary: "Propose an entry", DefaultStatus: http.StatusCreated}, s.proposeBlock)
	add(s, access.Approve, huma.Operation{Method: http.MethodPost, Path: "/blocks/{id}/approve", Summary: "Let a proposal become active", Errors: []int{http.StatusConflict}}, s.decideBlock(true))
	add(s, access.Approve, huma.Operation{Method: http.MethodPost, Path: "/blocks/{id}/refuse", Summary: "Turn a proposal down", Errors: []int{http.StatusConflict}}, s.decideBlock(false))
	add(s, access.KeepBlocks, huma.Operation{Method: http.MethodDelete, Path: "/blocks/{id}", Summary: "Take an active entry back", Errors: []int{http.StatusConflict}}, s.removeBlock)
	add(s, access.SeeBlocks, huma.Operation{Method: http.MethodGet, Path: "/blocks/export", Summary: "The active entries as a file for a mail server or a packet filter"}, s.exportBlocks)
}

func (s *Server) blockRow(e *change.Entry) blockRow {
	r := blockRow{ID: e.ID, What: e.What, State: string(e.State(s.o.Now())), Reason: e.Reason, Evidence: e.Evidence, Rule: e.Rule, By: e.By, At: e.At, Until: e.Until}
	if e.Decided != nil {
		r.Decided, r.Note = e.Decided.By, e.Decided.Note
	}
	if e.Ended != nil {
		r.Until, r.Note = e.Ended.At, e.Ended.Note
	}
	return r
}

func (s *Server) getBlocks(ctx context.Context, in *blockQuery) (*listOut[blockRow], error) {
	all, err := s.o.Desk.List(ctx, change.State(in.State))
	if err != nil {
		return nil, err
	}
	var out []blockRow
	for i := len(all) - 1; i >= 0; i-- {
		out = append(out, s.blockRow(&all[i]))
	}
	return listed(out, ""), nil
}

func (s *Server) proposeBlock(ctx context.Context, in *newBlock) (*blockOut, error) {
	b := &in.Body
	e, obs, err := s.o.Desk.Propose(ctx, change.Proposal{What: b.What, Reason: b.Reason, Evidence: b.Evidence, Until: b.Until, By: user(ctx).Name})
	if err != nil {
		return nil, err
	}
	said := s.o.Desk.Guard.Findings(obs, b.Until)
	if e == nil {
		return nil, at("what", said[0].Says())
	}
	out := &blockOut{s.blockRow(e)}
	for i := range said {
		out.Body.Says = append(out.Body.Says, said[i].Says().In(langOf(ctx)))
	}
	return out, s.record(ctx, "block.propose", e.What, e.ID)
}

func (s *Server) decideBlock(approve bool) func(context.Context, *blockDecision) (*blockOut, error) {
	word := map[bool]string{true: "block.approve", false: "block.refuse"}[approve]
	return func(ctx context.Context, in *blockDecision) (*blockOut, error) {
		e, obs, err := s.o.Desk.Decide(ctx, in.ID, user(ctx).Name, approve, in.Body.Note)
		if err != nil {
			return nil, s.deskFault(e, err)
		}
		if len(obs) > 0 {
			return nil, fault(http.StatusConflict, s.o.Desk.Guard.Findings(obs, e.Until)[0].Says())
		}
		return &blockOut{s.blockRow(e)}, s.record(ctx, word, e.What, e.ID)
	}
}

func (s *Server) removeBlock(ctx context.Context, in *ByID) (*struct{}, error) {
	e, err := s.o.Desk.Remove(ctx, in.ID, user(ctx).Name, "")
	if err != nil {
		return nil, s.deskFault(e, err)
	}
	return nil, s.record(ctx, "block.remove", e.What, e.ID)
}

func (s *Server) exportBlocks(ctx context.Context, in *blockExport) (*textOut, error) {
	active, err := s.o.Desk.List(ctx, change.Active)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := change.Export(&b, in.As, active, s.o.Now()); err != nil {
		return nil, at("as", finding.S("unknown format {{.Word}}", finding.Args{"Word": in.As}))
	}
	return &textOut{"text/plain; charset=utf-8", `attachment; filename="mailwhy-` + in.As + `.txt"`, b.Bytes()}, nil
}

func (s *Server) deskFault(e *change.Entry, err error) error {
	switch {
	case errors.Is(err, change.ErrNoEntry):
		return missing()
	case errors.Is(err, change.ErrState):
		return fault(http.StatusConflict, finding.S("entry {{.ID}} ({{.What}}) is {{.State}}", finding.Args{"ID": e.ID, "What": e.What, "State": change.StateWord(e, s.o.Now())}))
	}
	return err
}
