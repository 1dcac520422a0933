package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
)

type diffIn struct {
	ByID
	With string `query:"with" maxLength:"100" doc:"id of the other run; the one before of the same kind and target where absent"`
}

type diffOut struct {
	Body struct {
		With string `json:"with,omitempty" doc:"id of the other run; absent where there is none"`
		runs.Difference
	}
}

func (s *Server) diffRun(ctx context.Context, in *diffIn) (*diffOut, error) {
	r, _, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if r.State != runs.Done {
		return nil, fault(http.StatusConflict, finding.S("only runs that are done can be compared", nil))
	}
	var before *runs.Run
	if in.With != "" {
		if before, _, err = s.find(ctx, in.With); err != nil {
			return nil, err
		}
	} else if before, err = s.runBefore(ctx, r); err != nil {
		return nil, err
	}
	out := &diffOut{}
	if before == nil {
		out.Body.Difference = runs.Difference{Appeared: []json.RawMessage{}, Gone: []json.RawMessage{}, Changed: []runs.Change{}}
		return out, nil
	}
	if before.State != runs.Done {
		return nil, fault(http.StatusConflict, finding.S("only runs that are done can be compared", nil))
	}
	d, err := runs.Diff(before.Reports[langOf(ctx)], r.Reports[langOf(ctx)])
	if err != nil {
		return nil, err
	}
	out.Body.With, out.Body.Difference = before.ID, *d
	return out, nil
}

// runBefore finds the last run of the same kind and target that is done, or nil.
func (s *Server) runBefore(ctx context.Context, r *runs.Run) (*runs.Run, error) {
	if s.o.Runs == nil {
		return nil, nil
	}
	q := runs.Query{Kind: r.Kind, Target: r.Target.Name, Before: r.Started, BeforeID: r.ID, Limit: 20}
	rs, err := s.o.Runs.Runs(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range rs {
		if rs[i].State == runs.Done && s.sees(user(ctx), &rs[i]) {
			before, err := s.o.Runs.Run(ctx, rs[i].ID)
			if errors.Is(err, runs.ErrNone) {
				continue
			}
			return before, err
		}
	}
	return nil, nil
}
