package web

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
)

// Queue is what waited in the queue of a machine when it was looked at.
type Queue struct {
	Host     string
	At       time.Time
	Messages int
	Deferred int
	Oldest   time.Time // when the oldest message came in; zero: none waits
	Report   *finding.Report
}

type queueRow struct {
	Size     int       `json:"size"`
	Deferred int       `json:"deferred"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Host     string    `json:"host,omitempty" doc:"of the oldest message"`
}

// queueOf sums the queues of all machines; nil where none was looked at.
func queueOf(all []Queue) *queueRow {
	if len(all) == 0 {
		return nil
	}
	row := &queueRow{}
	for _, q := range all {
		row.Size += q.Messages
		row.Deferred += q.Deferred
		if !q.Oldest.IsZero() && (row.Oldest.IsZero() || q.Oldest.Before(row.Oldest)) {
			row.Oldest, row.Host = q.Oldest, q.Host
		}
	}
	return row
}

type snapshotRow struct {
	Host   string    `json:"host"`
	At     time.Time `json:"at"`
	Report any       `json:"report" doc:"a report as docs/report.schema.json has it"`
}

type queueOut struct {
	Body struct {
		Snapshots []snapshotRow `json:"snapshots"`
	}
}

func (s *Server) queueRoutes() {
	if s.o.Queues == nil {
		return
	}
	s.pages = append(s.pages, page{"queue", access.SeeQueue})
	add(s, access.SeeQueue, huma.Operation{Method: http.MethodGet, Path: "/queue", Summary: "What waits in the mail queues, and why"}, func(ctx context.Context, _ *struct{}) (*queueOut, error) {
		out := &queueOut{}
		out.Body.Snapshots = []snapshotRow{}
		for _, q := range s.o.Queues() {
			raw, err := render.JSON(q.Report, render.Style{Lang: langOf(ctx), Version: s.o.Version})
			if err != nil {
				return nil, err
			}
			out.Body.Snapshots = append(out.Body.Snapshots, snapshotRow{q.Host, q.At, rawJSON(raw)})
		}
		return out, nil
	})
}
