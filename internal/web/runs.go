package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/runs"
)

type runRow struct {
	ID      string            `json:"id"`
	Kind    string            `json:"kind"`
	Args    map[string]string `json:"args"`
	Target  string            `json:"target"`
	State   runs.State        `json:"state"`
	Result  finding.State     `json:"result,omitempty" doc:"state of the report's headline: ok, warning, broken, could-not-test"`
	By      string            `json:"by,omitempty"`
	Started time.Time         `json:"started"`
	Ended   time.Time         `json:"ended,omitzero"`
	Problem string            `json:"problem,omitempty" doc:"why it failed"`
	Says    *says             `json:"headline,omitempty"`
	Report  json.RawMessage   `json:"report,omitempty" doc:"a report as docs/report.schema.json has it"`
	Steps   []runStep         `json:"steps,omitempty" doc:"of a run under way"`
}

// says is a headline in short.
type says struct {
	State finding.State `json:"state"`
	Text  string        `json:"text"`
}

type runStep struct {
	Name string    `json:"name"`
	Text string    `json:"text,omitempty"`
	At   time.Time `json:"at"`
}

func rowOfRun(r *runs.Run, l finding.Lang) runRow {
	row := runRow{ID: r.ID, Kind: r.Kind, Args: r.Args, Target: r.Target.Name, State: r.State, Result: r.Result, By: r.ByName, Started: r.Started, Ended: r.Ended, Problem: r.Problem, Report: r.Reports[l]}
	if t := r.Says[l]; t != "" {
		row.Says = &says{r.Result, t}
	}
	return row
}

// inList is a run without its report.
func inList(r *runs.Run, l finding.Lang) runRow {
	row := rowOfRun(r, l)
	row.Report = nil
	return row
}

type runOut struct{ Body runRow }

type runIn struct {
	Body struct {
		Kind string         `json:"kind" maxLength:"50"`
		Args map[string]any `json:"args" doc:"fields of the kind: see the catalogue"`
	}
}

func (s *Server) runRoutes() {
	if s.o.Runner == nil {
		return
	}
	s.pages = append(s.pages, page{"check", access.RunChecks})
	s.live = newLive(s.o.Now)
	add(s, access.SignedIn, huma.Operation{Method: http.MethodGet, Path: "/catalogue", Summary: "What can be run and watched, with the fields each asks for"}, s.catalogue)
	add(s, access.RunChecks, huma.Operation{Method: http.MethodPost, Path: "/runs", Summary: "Run a survey", DefaultStatus: http.StatusCreated, MaxBodyBytes: maxBody, BodyReadTimeout: time.Minute, Errors: []int{http.StatusTooManyRequests}}, s.startRun)
	add(s, access.SeeRuns, huma.Operation{Method: http.MethodGet, Path: "/runs", Summary: "Runs, the newest first"}, s.getRuns)
	add(s, access.SeeRuns, huma.Operation{Method: http.MethodGet, Path: "/runs/{id}", Summary: "One run with its report"}, s.getRun)
	add(s, access.SeeRuns, huma.Operation{Method: http.MethodGet, Path: "/runs/{id}/diff", Summary: "What changed since the run before, or since another one"}, s.diffRun)
	s.shareRoutes()
	stream(s, access.SeeRuns, huma.Operation{Method: http.MethodGet, Path: "/runs/{id}/events", Summary: "A run as it goes on: events step, done, problem"}, s.runEvents)
}

type catalogueOut struct {
	Body struct {
		Runs     []kindRow `json:"runs"`
		Monitors []kindRow `json:"monitors,omitempty"`
		Channels []kindRow `json:"channels,omitempty"`
	}
}

type kindRow struct {
	Kind   string     `json:"kind"`
	Group  string     `json:"group,omitempty"`
	Title  string     `json:"title"`
	About  string     `json:"about,omitempty"`
	Fields []fieldRow `json:"fields"`
}

type fieldRow struct {
	Name        string   `json:"name"`
	Label       string   `json:"label"`
	Type        string   `json:"type"`
	Required    bool     `json:"required"`
	Placeholder string   `json:"placeholder,omitempty"`
	Choices     []choice `json:"choices,omitempty"`
}

type choice struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// DescribeKind says a kind in a language.
func DescribeKind(k *runs.Kind, l finding.Lang) kindRow {
	say := func(m finding.Msg) string { return finding.Sentence{Msg: m}.In(l) }
	row := kindRow{Kind: k.Kind, Group: k.Group, Title: say(k.Title), About: say(k.About), Fields: []fieldRow{}}
	for _, f := range k.Fields {
		r := fieldRow{Name: f.Name, Label: say(f.Label), Type: shown(f.Type), Required: f.Required, Placeholder: f.Placeholder}
		for _, c := range f.Choices {
			r.Choices = append(r.Choices, choice{c, c})
		}
		row.Fields = append(row.Fields, r)
	}
	return row
}

// shown is the type of a field as a form draws it: an account is picked from a list.
func shown(fieldType string) string {
	if fieldType == runs.AccountField {
		return "choice"
	}
	return fieldType
}

// allows tells whether the user may run this kind with these arguments, and see what came of it. What logs in or looks at
// this machine is not for everybody who may probe the network.
func allows(u *access.User, k *runs.Kind, args map[string]string) bool {
	return (!k.Machine || u.May(access.SeeMachine)) && (!k.NeedsAccount() && k.Account(args) == "" || u.May(access.UseAccounts))
}

// offered is a kind as the user may run it: where accounts are not for the user, or there are none, without the fields that
// name one. ok is false for what the user may not run at all.
func offered(u *access.User, k runs.Kind) (out runs.Kind, ok bool) {
	if k.Machine && !u.May(access.SeeMachine) {
		return k, false
	}
	if u.May(access.UseAccounts) && k.HasAccounts() {
		return k, true
	}
	return k.WithoutAccounts()
}

func (s *Server) catalogue(ctx context.Context, _ *struct{}) (*catalogueOut, error) {
	out := &catalogueOut{}
	out.Body.Runs = []kindRow{}
	if user(ctx).May(access.RunChecks) {
		for _, k := range s.o.Runner.Kinds() {
			if k, ok := offered(user(ctx), k); ok {
				out.Body.Runs = append(out.Body.Runs, DescribeKind(&k, langOf(ctx)))
			}
		}
	}
	if user(ctx).May(access.KeepMonitors) {
		out.Body.Monitors = s.monitorKinds(langOf(ctx))
	}
	if s.o.Channels != nil && user(ctx).May(access.KeepChannels) {
		out.Body.Channels = s.channelKinds(langOf(ctx))
	}
	return out, nil
}

func (s *Server) startRun(ctx context.Context, in *runIn) (*runOut, error) {
	i := slices.IndexFunc(s.o.Runner.Kinds(), func(k runs.Kind) bool { return k.Kind == in.Body.Kind })
	if i < 0 {
		return nil, at("kind", finding.S("there is no kind {{.Kind}}", finding.Args{"Kind": in.Body.Kind}))
	}
	k := s.o.Runner.Kinds()[i]
	args, err := k.Words(in.Body.Args)
	if err != nil {
		return nil, err
	}
	u := user(ctx)
	if !allows(u, &k, args) {
		return nil, fault(http.StatusForbidden, finding.S("your role may not do this", nil))
	}
	job, err := s.o.Runner.Prepare(k.Kind, args)
	if err != nil {
		return nil, err
	}
	leave, err := s.limit.enter(u.ID)
	if err != nil {
		return nil, err
	}
	r := &runs.Run{ID: access.NewID(), Kind: k.Kind, Args: kept(&k, args), Target: job.Target, State: runs.Running, By: u.ID, ByName: u.Name, Started: s.o.Now()}
	if err := s.record(ctx, "run."+k.Kind, job.Target.Name, r.ID); err != nil {
		leave()
		return nil, err
	}
	x := s.live.start(r)
	out := &runOut{rowOfRun(r, langOf(ctx))}
	s.work.Go(func() {
		s.execute(x, job, k.Kept, leave)
	})
	return out, nil
}

// kept are the arguments as they are remembered: a text area may hold a message, of which only the size is kept.
func kept(k *runs.Kind, args map[string]string) map[string]string {
	out := maps.Clone(args)
	for _, f := range k.Fields {
		if v, ok := out[f.Name]; ok && (f.Type == "textarea" || f.Type == "file") && !k.Kept {
			out[f.Name] = fmt.Sprintf("(%d bytes)", len(v))
		}
	}
	return out
}

// longestRun ends a run that hangs.
const longestRun = 5 * time.Minute

// execute does a run and stores it. Whoever is told that it is done finds it where it stays: it is stored first.
func (s *Server) execute(x *liveRun, job *runs.Job, store bool, leave func()) {
	ctx, cancel := context.WithTimeout(s.runCtx, longestRun)
	defer cancel()
	reports, err := s.attempt(ctx, job, x)
	if err == nil {
		err = ctx.Err() // what a survey says that was stopped half-way is no report
	}
	end := x.copy()
	end.Ended, end.State, end.Reports, end.Says = s.o.Now(), runs.Done, map[finding.Lang]json.RawMessage{}, map[finding.Lang]string{}
	for l, rep := range reports {
		if err == nil {
			end.Result, end.Says[l] = rep.Headline.State, rep.Headline.Says.In(l)
			end.Reports[l], err = render.JSON(rep, render.Style{Lang: l, Version: s.o.Version})
		}
	}
	if err != nil {
		end.State, end.Problem, end.Reports, end.Says = runs.Failed, err.Error(), nil, nil
		s.o.Log.Warn("a run failed", "run", end.ID, "kind", end.Kind, "error", err)
	}
	if store && s.o.Runs != nil {
		if err := s.o.Runs.PutRun(context.WithoutCancel(ctx), &end); err != nil {
			s.o.Log.Error("a run could not be stored", "run", end.ID, "error", err)
		} else {
			s.live.forget(end.ID)
		}
	}
	leave() // before anybody is told: who knows of the end may begin the next one
	x.change(func(r *runs.Run) { *r = end })
}

// attempt runs the job; a panic of a survey is an error of this run alone.
func (s *Server) attempt(ctx context.Context, job *runs.Job, x *liveRun) (rs map[finding.Lang]*finding.Report, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("mailwhy has a bug: %v", p)
		}
	}()
	return job.Run(ctx, func(name, text string) { x.step(runStep{name, text, s.o.Now()}) })
}

// sees tells whether the user may know of a run: one's own, and for a helpdesk else those about its domains.
func (s *Server) sees(u *access.User, r *runs.Run) bool {
	for _, k := range s.o.Runner.Kinds() {
		if k.Kind == r.Kind && !allows(u, &k, r.Args) {
			return false
		}
	}
	if !u.Limited() || r.By == u.ID {
		return true
	}
	switch r.Target.Kind {
	case finding.KindDomain, finding.KindHost:
		return u.Sees(r.Target.Name)
	case finding.KindAddress:
		return u.SeesAddress(r.Target.Name)
	case finding.KindService:
		if _, err := netip.ParseAddrPort(r.Target.Name); err == nil {
			return false
		}
		host, _, _ := strings.Cut(r.Target.Name, ":")
		return u.Sees(host)
	}
	return false
}

// find gives a run the user may know of, from memory or the store.
func (s *Server) find(ctx context.Context, id string) (*runs.Run, *liveRun, error) {
	if x := s.live.get(id); x != nil {
		r := x.copy()
		if !s.sees(user(ctx), &r) {
			return nil, nil, missing()
		}
		return &r, x, nil
	}
	if s.o.Runs == nil {
		return nil, nil, missing()
	}
	r, err := s.o.Runs.Run(ctx, id)
	switch {
	case errors.Is(err, runs.ErrNone), err == nil && !s.sees(user(ctx), r):
		return nil, nil, missing()
	case err != nil:
		return nil, nil, err
	}
	return r, nil, nil
}

type runsIn struct {
	Paging
	Kind   string `query:"kind" maxLength:"50"`
	Target string `query:"target" maxLength:"500"`
	Mine   bool   `query:"mine" doc:"only one's own"`
}

func (s *Server) getRuns(ctx context.Context, in *runsIn) (*listOut[runRow], error) {
	u := user(ctx)
	q := runs.Query{Kind: in.Kind, Target: in.Target, Limit: in.Limit + 1}
	if in.Mine {
		q.By = u.ID
	}
	if in.Cursor != "" {
		when, id, ok := strings.Cut(in.Cursor, "~")
		t, err := time.Parse(time.RFC3339Nano, when)
		if err != nil || !ok {
			return nil, fault(http.StatusUnprocessableEntity, finding.S("this is no cursor of this list", nil))
		}
		q.Before, q.BeforeID = t, id
	}
	var out []runRow
	if in.Cursor == "" { // what is under way or only in memory stands first
		for _, r := range s.live.all() {
			if s.sees(u, &r) && (in.Kind == "" || r.Kind == in.Kind) && (in.Target == "" || r.Target.Name == in.Target) && (!in.Mine || r.By == u.ID) && len(out) < in.Limit {
				out = append(out, inList(&r, langOf(ctx)))
			}
		}
	}
	next := ""
	for s.o.Runs != nil {
		rs, err := s.o.Runs.Runs(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range rs {
			if len(out) >= in.Limit {
				return listed(out, next), nil
			}
			next = rs[i].Started.Format(time.RFC3339Nano) + "~" + rs[i].ID
			if s.sees(u, &rs[i]) && !slices.ContainsFunc(out, func(r runRow) bool { return r.ID == rs[i].ID }) {
				out = append(out, inList(&rs[i], langOf(ctx)))
			}
		}
		if len(rs) < q.Limit {
			break
		}
		q.Before, q.BeforeID = rs[len(rs)-1].Started, rs[len(rs)-1].ID
	}
	return listed(out, ""), nil
}

func (s *Server) getRun(ctx context.Context, in *ByID) (*runOut, error) {
	r, x, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &runOut{rowOfRun(r, langOf(ctx))}
	if x != nil && r.State == runs.Running {
		out.Body.Steps = x.seen()
	}
	return out, nil
}

// publicURL is where the visitor sees this server, without a slash at the end.
func (s *Server) publicURL(ctx context.Context) string {
	if s.o.PublicURL != "" {
		return s.o.PublicURL
	}
	v := visitOf(ctx)
	if v.secure {
		return "https://" + v.host + s.o.BasePath
	}
	return "http://" + v.host + s.o.BasePath
}
