package web

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// shareDays is how long a link shows its run where nothing else is asked for.
const shareDays = 7

func (s *Server) shareRoutes() {
	add(s, access.RunChecks, huma.Operation{Method: http.MethodPost, Path: "/runs/{id}/share", Summary: "Make a link that shows this run without signing in, until it ends; it takes the place of the one before", DefaultStatus: http.StatusOK, Errors: []int{http.StatusConflict}}, s.shareRun)
	add(s, access.RunChecks, huma.Operation{Method: http.MethodDelete, Path: "/runs/{id}/share", Summary: "End the link that shows this run"}, s.endShare)
	add(s, access.RunChecks, huma.Operation{Method: http.MethodGet, Path: "/shares", Summary: "Runs that a link shows to whoever has it"}, s.getShares)
	add(s, access.Anyone, huma.Operation{Method: http.MethodGet, Path: "/shared/{token}", Summary: "A run that was shared", Errors: []int{http.StatusGone}}, s.sharedRun)
}

type shareIn struct {
	ByID
	Body *struct {
		Days int `json:"days,omitempty" minimum:"0" maximum:"365" doc:"after which the link ends; 7 where it is left out"`
	}
}

type shareOut struct {
	Body struct {
		URL   string    `json:"url" doc:"told this once"`
		Until time.Time `json:"until"`
	}
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (s *Server) shareRun(ctx context.Context, in *shareIn) (*shareOut, error) {
	r, x, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if r.State != runs.Done {
		return nil, fault(http.StatusConflict, finding.S("only a run that is done can be shared", nil))
	}
	days := shareDays
	if in.Body != nil {
		days = cmp.Or(in.Body.Days, shareDays)
	}
	token := access.NewID() + access.NewID()
	out := &shareOut{}
	out.Body.URL, out.Body.Until = s.publicURL(ctx)+"/#/shared/"+token, s.o.Now().AddDate(0, 0, days)
	if err := s.record(ctx, "run.share", r.Target.Name, fmt.Sprintf("%s for %d days", r.ID, days)); err != nil {
		return nil, err
	}
	return out, s.putShare(ctx, r, x, runs.Share{Hash: hashOf(token), By: user(ctx).Name, Until: out.Body.Until})
}

// putShare gives a run another link, in memory or in the store.
func (s *Server) putShare(ctx context.Context, r *runs.Run, x *liveRun, share runs.Share) error {
	if x != nil {
		x.change(func(live *runs.Run) { live.Share = share })
		return nil
	}
	r.Share = share
	return s.o.Runs.PutRun(ctx, r)
}

func (s *Server) endShare(ctx context.Context, in *ByID) (*struct{}, error) {
	r, x, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if r.Share.Hash == "" {
		return nil, missing()
	}
	if err := s.record(ctx, "run.unshare", r.Target.Name, r.ID); err != nil {
		return nil, err
	}
	return nil, s.putShare(ctx, r, x, runs.Share{})
}

type shareRow struct {
	Run     string    `json:"run" doc:"id of the run"`
	Kind    string    `json:"kind"`
	Target  string    `json:"target"`
	Started time.Time `json:"started" doc:"when it ran"`
	By      string    `json:"by" doc:"who made the link"`
	Until   time.Time `json:"until"`
}

// maxShares is how many links are listed.
const maxShares = 500

// getShares lists the links that work still, of the runs the user may know of.
func (s *Server) getShares(ctx context.Context, _ *struct{}) (*listOut[shareRow], error) {
	all := s.live.all()
	if s.o.Runs != nil {
		stored, err := s.o.Runs.Runs(ctx, runs.Query{Shared: true, Limit: maxShares})
		if err != nil {
			return nil, err
		}
		all = append(all, stored...)
	}
	var out []shareRow
	for i := range all {
		if r := &all[i]; r.Share.Hash != "" && s.o.Now().Before(r.Share.Until) && s.sees(user(ctx), r) {
			out = append(out, shareRow{r.ID, r.Kind, r.Target.Name, r.Started, r.Share.By, r.Share.Until})
		}
	}
	return listed(out, ""), nil
}

// ByToken names a shared run by the secret of its link.
type ByToken struct {
	Token string `path:"token" maxLength:"100"`
}

func (s *Server) sharedRun(ctx context.Context, in *ByToken) (*runOut, error) {
	hash := hashOf(in.Token)
	r := s.live.shared(hash)
	if r == nil && s.o.Runs != nil {
		var err error
		if r, err = s.o.Runs.RunByShare(ctx, hash); err != nil && !errors.Is(err, runs.ErrNone) {
			return nil, err
		}
	}
	if r == nil {
		return nil, missing()
	}
	if !s.o.Now().Before(r.Share.Until) {
		return nil, fault(http.StatusGone, finding.S("this link ended on {{.Day}}: ask who sent it for a new one", finding.Args{"Day": r.Share.Until.Format(time.DateOnly)}))
	}
	row := rowOfRun(r, langOf(ctx))
	row.By = "" // who ran it is nobody's business outside
	return &runOut{row}, nil
}
