package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
)

// TestAddress is a one-time address of the test inbox with what arrived at it.
type TestAddress struct {
	Address  string
	By       string // ID of the user who asked for it
	Created  time.Time
	Expires  time.Time
	Messages []TestMessage
}

// TestMessage is what arrived: who sent it and how it scores. The message itself is not kept.
type TestMessage struct {
	At      time.Time
	From    string
	Client  string
	Subject string
	Report  *finding.Report // nil while it is scored
}

// Inbox is the test inbox. ErrInboxFull says that too many addresses are open.
type Inbox interface {
	Open(ctx context.Context, by string) (*TestAddress, error)
	Addresses() []TestAddress // the newest first
}

// ErrInboxFull says that too many addresses are open.
var ErrInboxFull = errors.New("too many open addresses")

type addressRow struct {
	Address  string       `json:"address"`
	Created  time.Time    `json:"created"`
	Expires  time.Time    `json:"expires"`
	Messages []messageRow `json:"messages"`
}

type messageRow struct {
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	Client  string    `json:"client,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Report  any       `json:"report,omitempty" doc:"a report as docs/report.schema.json has it; absent while it is made"`
}

type addressOut struct{ Body addressRow }

type byAddress struct {
	Address string `path:"address" maxLength:"320"`
}

func (s *Server) inboxRoutes() {
	if s.o.Inbox == nil {
		return
	}
	s.pages = append(s.pages, page{"inbox", access.UseInbox})
	add(s, access.UseInbox, huma.Operation{Method: http.MethodPost, Path: "/inbox", Summary: "Open a one-time address; send a mail there and see how it scores", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusTooManyRequests}}, s.openInbox)
	add(s, access.UseInbox, huma.Operation{Method: http.MethodGet, Path: "/inbox", Summary: "One's open addresses; those of all for an admin"}, s.getInbox)
	add(s, access.UseInbox, huma.Operation{Method: http.MethodGet, Path: "/inbox/{address}", Summary: "What arrived at an address"}, s.getAddress)
}

func (s *Server) addressRow(a *TestAddress, l finding.Lang) (addressRow, error) {
	row := addressRow{a.Address, a.Created, a.Expires, []messageRow{}}
	for _, m := range a.Messages {
		x := messageRow{At: m.At, From: m.From, Client: m.Client, Subject: m.Subject}
		if m.Report != nil {
			raw, err := render.JSON(m.Report, render.Style{Lang: l, Version: s.o.Version})
			if err != nil {
				return row, err
			}
			x.Report = rawJSON(raw)
		}
		row.Messages = append(row.Messages, x)
	}
	return row, nil
}

func (s *Server) openInbox(ctx context.Context, _ *struct{}) (*addressOut, error) {
	leave, err := s.inboxLimit.enter(user(ctx).ID)
	if err != nil {
		return nil, err
	}
	leave()
	a, err := s.o.Inbox.Open(ctx, user(ctx).ID)
	if errors.Is(err, ErrInboxFull) {
		return nil, &Fault{Status: http.StatusTooManyRequests, What: finding.S("too many addresses are open: try again later", nil), Wait: time.Minute}
	}
	if err != nil {
		return nil, err
	}
	row, err := s.addressRow(a, langOf(ctx))
	if err != nil {
		return nil, err
	}
	return &addressOut{row}, s.record(ctx, "inbox.open", a.Address, "")
}

// mine tells whether an address is one the user may see: one's own, and any for an admin.
func mine(ctx context.Context, a *TestAddress) bool {
	return a.By == user(ctx).ID || user(ctx).Role == access.Admin
}

func (s *Server) getInbox(ctx context.Context, _ *struct{}) (*listOut[addressRow], error) {
	var out []addressRow
	for _, a := range s.o.Inbox.Addresses() {
		if mine(ctx, &a) {
			row, err := s.addressRow(&a, langOf(ctx))
			if err != nil {
				return nil, err
			}
			out = append(out, row)
		}
	}
	return listed(out, ""), nil
}

func (s *Server) getAddress(ctx context.Context, in *byAddress) (*addressOut, error) {
	for _, a := range s.o.Inbox.Addresses() {
		if strings.EqualFold(a.Address, in.Address) && mine(ctx, &a) {
			row, err := s.addressRow(&a, langOf(ctx))
			return &addressOut{row}, err
		}
	}
	return nil, missing()
}
