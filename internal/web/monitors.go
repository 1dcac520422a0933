package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/render"
)

type monitorRow struct {
	ID          string           `json:"id"`
	Kind        string           `json:"kind"`
	Says        string           `json:"kind_title,omitempty" doc:"the kind in words"`
	Title       string           `json:"title"`
	Target      string           `json:"target,omitempty"`
	Args        map[string]any   `json:"args"`
	Terms       []termRow        `json:"terms,omitempty" doc:"the arguments in words"`
	EveryS      float64          `json:"every_s"`
	FailAfter   int              `json:"fail_after"`
	ClearAfter  int              `json:"clear_after"`
	Armed       bool             `json:"armed"`
	State       monitor.Verdict  `json:"state" doc:"ok, failing or unknown"`
	Known       monitor.Verdict  `json:"known,omitempty" doc:"the last state that is known, where state is unknown"`
	Since       time.Time        `json:"since,omitzero"`
	Suspect     int              `json:"suspect,omitempty" doc:"so many runs in a row say failing, which is not fail_after yet"`
	Flapping    bool             `json:"flapping,omitempty"`
	Incident    string           `json:"incident,omitempty" doc:"the open one"`
	Last        *lastRow         `json:"last,omitempty"`
	Muted       *monitor.Mute    `json:"muted,omitempty"`
	Acked       *monitor.Ack     `json:"acked,omitempty"`
	Channels    []string         `json:"channels"`
	SlowerMS    float64          `json:"slower_than_ms,omitempty"`
	FailOn      string           `json:"fail_on,omitempty"`
	Ignore      []string         `json:"ignore,omitempty"`
	Maintenance []monitor.Window `json:"maintenance,omitempty"`
	Window      *planRow         `json:"window,omitempty" doc:"the maintenance window that is open now"`
	From        []string         `json:"from,omitempty" doc:"vantage points"`
	Editable    bool             `json:"editable" doc:"made from the page; one of the configuration file is changed there"`
}

// termRow is an argument of a monitor in words.
type termRow struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

type lastRow struct {
	At    time.Time       `json:"at"`
	State monitor.Verdict `json:"state"`
	Text  string          `json:"text"`
	Owner finding.Owner   `json:"owner,omitempty"`
	Next  string          `json:"next,omitempty"`
	Value *float64        `json:"value,omitempty"`
	Unit  string          `json:"unit,omitempty"`
	MS    *float64        `json:"ms,omitempty" doc:"where the value is a time"`
}

type monitorOut struct{ Body monitorRow }

// MonitorTerms is what a monitor is made of.
type MonitorTerms struct {
	ID         string         `json:"id,omitempty" maxLength:"63" doc:"made from kind and target where it is left out"`
	Kind       string         `json:"kind" maxLength:"50"`
	Title      string         `json:"title,omitempty" maxLength:"200"`
	Args       map[string]any `json:"args,omitempty" doc:"fields of the kind: see the catalogue"`
	EveryS     float64        `json:"every_s,omitempty" minimum:"0" maximum:"2678400"`
	SlowerMS   float64        `json:"slower_than_ms,omitempty" minimum:"0" maximum:"3600000"`
	FailAfter  int            `json:"fail_after,omitempty" minimum:"0" maximum:"1000"`
	ClearAfter int            `json:"clear_after,omitempty" minimum:"0" maximum:"1000"`
	FailOn     string         `json:"fail_on,omitempty" enum:"note,warning,error,"`
	Ignore     []string       `json:"ignore,omitempty" maxItems:"100"`
	Channels   []string       `json:"channels,omitempty" maxItems:"100"`
	Armed      *bool          `json:"armed,omitempty"`
}

func (s *Server) monitorRoutes() {
	if s.o.Monitors == nil {
		return
	}
	s.pages = append(s.pages, page{"monitors", access.SeeMonitors})
	get, post := http.MethodGet, http.MethodPost
	add(s, access.SeeMonitors, huma.Operation{Method: get, Path: "/monitors", Summary: "Every monitor and its state"}, s.getMonitors)
	add(s, access.KeepMonitors, huma.Operation{Method: post, Path: "/monitors", Summary: "Make a monitor", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict}}, s.addMonitor)
	add(s, access.SeeMonitors, huma.Operation{Method: get, Path: "/monitors/{id}", Summary: "One monitor"}, s.getMonitor)
	add(s, access.KeepMonitors, huma.Operation{Method: http.MethodPut, Path: "/monitors/{id}", Summary: "Change a monitor that was made from the page", Errors: []int{http.StatusConflict}}, s.putMonitor)
	add(s, access.KeepMonitors, huma.Operation{Method: http.MethodDelete, Path: "/monitors/{id}", Summary: "Forget a monitor that was made from the page", Errors: []int{http.StatusConflict}}, s.dropMonitor)
	add(s, access.KeepMonitors, huma.Operation{Method: post, Path: "/monitors/{id}/run", Summary: "Run a monitor now; it counts", DefaultStatus: http.StatusOK, Errors: []int{http.StatusConflict}}, s.runMonitor)
	add(s, access.KeepMonitors, huma.Operation{Method: post, Path: "/monitors/{id}/ack", Summary: "Take the open incident of a monitor on", DefaultStatus: http.StatusOK, Errors: []int{http.StatusConflict}}, s.ackMonitor)
	add(s, access.KeepMonitors, huma.Operation{Method: post, Path: "/monitors/{id}/mute", Summary: "Let a monitor tell nothing for a while", DefaultStatus: http.StatusOK}, s.muteMonitor)
	add(s, access.KeepMonitors, huma.Operation{Method: post, Path: "/monitors/{id}/unmute", Summary: "Let a monitor tell again", DefaultStatus: http.StatusOK}, s.unmuteMonitor)
	add(s, access.SeeMonitors, huma.Operation{Method: get, Path: "/monitors/{id}/samples", Summary: "What a monitor saw, the oldest first"}, s.getSamples)
	add(s, access.SeeMonitors, huma.Operation{Method: post, Path: "/monitors/{id}/replay", Summary: "How often the rule would have fired over stored samples", DefaultStatus: http.StatusOK}, s.replayMonitor)
	add(s, access.SeeMonitors, huma.Operation{Method: get, Path: "/incidents", Summary: "Incidents, the newest first"}, s.getIncidents)
	add(s, access.SeeMonitors, huma.Operation{Method: get, Path: "/incidents/{id}", Summary: "One incident with its history"}, s.getIncident)
	add(s, access.SeeMonitors, huma.Operation{Method: get, Path: "/proposals", Summary: "Actions that monitors propose, the newest first"}, s.getProposals)
	add(s, access.Approve, huma.Operation{Method: post, Path: "/proposals/{id}/approve", Summary: "Let a proposed action happen", DefaultStatus: http.StatusOK, Errors: []int{http.StatusConflict}}, s.approveProposal)
	add(s, access.Approve, huma.Operation{Method: post, Path: "/proposals/{id}/refuse", Summary: "Turn a proposed action down", DefaultStatus: http.StatusOK, Errors: []int{http.StatusConflict}}, s.refuseProposal)
}

func inLang(t monitor.Said, l finding.Lang) string { return t.Sentence().In(l) }

func lastOf(o *monitor.Observation, l finding.Lang) *lastRow {
	if o == nil {
		return nil
	}
	r := &lastRow{At: o.At, State: o.Verdict, Text: inLang(o.Text, l), Owner: o.Owner, Next: render.Command(o.Next)}
	if v := o.Value; v != nil {
		if v.Name == monitor.Response {
			ms := v.Value * 1000
			r.MS = &ms
		} else {
			r.Value, r.Unit = &v.Value, v.Unit
		}
	}
	return r
}

// rowOfMonitor says a monitor in a language.
func (s *Server) rowOfMonitor(ctx context.Context, d *monitor.Definition, pageMade bool) (monitorRow, error) {
	store := s.o.Monitors.Store()
	st, err := store.State(ctx, d.ID)
	if err != nil {
		return monitorRow{}, err
	}
	r := monitorRow{
		ID: d.ID, Kind: d.Kind, Title: d.Title, Args: d.Args, EveryS: d.Every.D().Seconds(), FailAfter: d.FailAfter, ClearAfter: d.ClearAfter, Armed: d.IsArmed(),
		State: st.Known, Since: st.Since, Flapping: st.Flapping, Incident: st.Incident, Last: lastOf(st.Last, langOf(ctx)), Channels: d.Channels, Maintenance: d.Maintenance,
		From: d.From, Editable: pageMade, SlowerMS: float64(d.SlowerThan.D().Microseconds()) / 1000, FailOn: d.FailOn, Ignore: d.Ignore,
	}
	if r.Args == nil {
		r.Args = map[string]any{}
	}
	if r.Channels == nil {
		r.Channels = []string{}
	}
	if k := monitor.FindKind(s.o.Monitors.Kinds(), d.Kind); k != nil {
		r.Target, r.Says, r.Terms = k.Target(d.Args), finding.Sentence{Msg: k.Title}.In(langOf(ctx)), termsOf(k, d.Args, langOf(ctx))
	}
	if st.Known != monitor.Failing && st.StreakOf == monitor.Failing {
		r.Suspect = st.Streak
	}
	if st.Known == monitor.None || st.Blind {
		r.Known, r.State = st.Known, monitor.Unknown
		if st.Blind {
			r.Since = st.UnknownAt
		}
	}
	if r.Muted, err = store.Mute(ctx, d.ID, s.o.Now()); err != nil {
		return r, err
	}
	if r.Window, err = s.planOf(ctx, d.ID); err != nil {
		return r, err
	}
	if st.Incident != "" {
		i, err := store.Incident(ctx, st.Incident)
		if err != nil && !errors.Is(err, monitor.ErrNone) {
			return r, err
		}
		if i != nil {
			r.Acked = i.Ack
		}
	}
	return r, nil
}

// termsOf says the arguments of a monitor in a language; what is switched on is a label alone.
func termsOf(k *monitor.Kind, args map[string]any, l finding.Lang) (out []termRow) {
	for _, f := range k.Fields {
		t := termRow{Label: finding.Sentence{Msg: f.Label}.In(l)}
		switch v := args[f.Name].(type) {
		case nil:
			continue
		case bool:
			if !v {
				continue
			}
		case []any:
			var words []string
			for _, x := range v {
				words = append(words, fmt.Sprint(x))
			}
			t.Value = strings.Join(words, ", ")
		default:
			t.Value = fmt.Sprint(v)
		}
		out = append(out, t)
	}
	return out
}

// MonitorCountsOf tells how the monitors of a runner stand.
func MonitorCountsOf(ctx context.Context, m *monitor.Runner, now time.Time) (c MonitorCounts, err error) {
	for _, d := range m.Definitions() {
		st, err := m.Store().State(ctx, d.ID)
		if err != nil {
			return c, err
		}
		mute, err := m.Store().Mute(ctx, d.ID, now)
		if err != nil {
			return c, err
		}
		switch {
		case mute != nil:
			c.Muted++
		case st.Blind || st.Known == monitor.None:
			c.Unknown++
		case st.Known == monitor.Failing:
			c.Failing++
		default:
			c.OK++
		}
	}
	return c, nil
}

func (s *Server) getMonitors(ctx context.Context, _ *struct{}) (*listOut[monitorRow], error) {
	var out []monitorRow
	for _, d := range s.o.Monitors.Definitions() {
		_, made, _ := s.o.Monitors.Find(d.ID)
		r, err := s.rowOfMonitor(ctx, &d, made)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return listed(out, ""), nil
}

func (s *Server) oneMonitor(ctx context.Context, id string) (*monitorOut, error) {
	d, made, ok := s.o.Monitors.Find(id)
	if !ok {
		return nil, missing()
	}
	r, err := s.rowOfMonitor(ctx, &d, made)
	return &monitorOut{r}, err
}

func (s *Server) getMonitor(ctx context.Context, in *ByID) (*monitorOut, error) {
	return s.oneMonitor(ctx, in.ID)
}

// definition makes a definition of terms; base is what is kept of one that was there.
func (s *Server) definition(t *MonitorTerms, base monitor.Definition) (monitor.Definition, error) {
	d := base
	d.ID, d.Kind, d.Title, d.Args = t.ID, t.Kind, t.Title, t.Args
	d.Every, d.FailAfter, d.ClearAfter, d.FailOn = monitor.Span(t.EveryS*float64(time.Second)), t.FailAfter, t.ClearAfter, t.FailOn
	d.SlowerThan, d.Ignore, d.Channels, d.Armed = monitor.Span(t.SlowerMS*float64(time.Millisecond)), t.Ignore, t.Channels, t.Armed
	if len(d.Channels) == 0 {
		d.Channels = nil
	}
	k := monitor.FindKind(s.o.Monitors.Kinds(), d.Kind)
	if k != nil {
		d.Args = k.Words(d.Args)
		if d.ID == "" {
			d.ID = idOf(d.Kind + "-" + k.Target(d.Args))
		}
	}
	var names []string
	if s.o.Dispatcher != nil {
		for _, c := range s.o.Dispatcher.Channels() {
			names = append(names, c.ID)
		}
	}
	if k != nil && k.Machine {
		return d, at("kind", finding.S("{{.Kind}} reads this machine: it is set up in the configuration file only", finding.Args{"Kind": d.Kind}))
	}
	if k != nil {
		if name, found := k.FileOnly(d.Args); found {
			return d, at("args."+name, finding.S("{{.Name}} is set in the configuration file only", finding.Args{"Name": name}))
		}
	}
	if bad := s.o.Monitors.Config().Check(&d, s.o.Monitors.Kinds(), names); len(bad) > 0 {
		var words []string
		for _, x := range bad[0].Path {
			words = append(words, fmt.Sprint(x))
		}
		return d, at(strings.Join(words, "."), bad[0].Says)
	}
	return d, nil
}

// idOf makes a name that an id may have.
func idOf(s string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	return strings.Trim(id[:min(len(id), 60)], "-.")
}

func (s *Server) addMonitor(ctx context.Context, in *struct{ Body MonitorTerms }) (*monitorOut, error) {
	d, err := s.definition(&in.Body, monitor.Definition{})
	if err != nil {
		return nil, err
	}
	if in.Body.ID == "" { // a second one of the same target has a name of its own
		for n, base := 2, d.ID; n < 1000; n++ {
			if _, _, taken := s.o.Monitors.Find(d.ID); !taken {
				break
			}
			d.ID = fmt.Sprintf("%s-%d", base[:min(len(base), 58)], n)
		}
	}
	if _, _, taken := s.o.Monitors.Find(d.ID); taken {
		return nil, fault(http.StatusConflict, finding.S("the name is taken", nil))
	}
	return s.keepMonitor(ctx, "monitor.add", &d)
}

func (s *Server) keepMonitor(ctx context.Context, what string, d *monitor.Definition) (*monitorOut, error) {
	if err := s.record(ctx, what, d.ID, d.Kind); err != nil {
		return nil, err
	}
	if err := s.o.Monitors.Store().PutMonitor(ctx, d); err != nil {
		return nil, err
	}
	if err := s.o.Monitors.Reload(ctx, s.o.Monitors.Config()); err != nil {
		return nil, err
	}
	return s.oneMonitor(ctx, d.ID)
}

// own finds a monitor that was made from the page.
func (s *Server) own(id string) (monitor.Definition, error) {
	d, made, ok := s.o.Monitors.Find(id)
	switch {
	case !ok:
		return d, missing()
	case !made:
		return d, fault(http.StatusConflict, finding.S("{{.ID}} stands in the configuration file: change it there", finding.Args{"ID": id}))
	}
	return d, nil
}

func (s *Server) putMonitor(ctx context.Context, in *struct {
	ByID
	Body MonitorTerms
}) (*monitorOut, error) {
	if _, err := s.own(in.ID); err != nil {
		return nil, err
	}
	all, err := s.o.Monitors.Store().Monitors(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(d monitor.Definition) bool { return d.ID == in.ID })
	if i < 0 {
		return nil, missing()
	}
	in.Body.ID = in.ID
	d, err := s.definition(&in.Body, all[i])
	if err != nil {
		return nil, err
	}
	return s.keepMonitor(ctx, "monitor.change", &d)
}

func (s *Server) dropMonitor(ctx context.Context, in *ByID) (*struct{}, error) {
	if _, err := s.own(in.ID); err != nil {
		return nil, err
	}
	if err := s.record(ctx, "monitor.remove", in.ID, ""); err != nil {
		return nil, err
	}
	if err := s.o.Monitors.Store().DropMonitor(ctx, in.ID); err != nil {
		return nil, err
	}
	return nil, s.o.Monitors.Reload(ctx, s.o.Monitors.Config())
}

// monitorKinds are the kinds that can be made from the page, for the catalogue.
func (s *Server) monitorKinds(l finding.Lang) []kindRow {
	if s.o.Monitors == nil {
		return nil
	}
	say := func(m finding.Msg) string { return finding.Sentence{Msg: m}.In(l) }
	var out []kindRow
	cfg := s.o.Monitors.Config()
	for _, k := range s.o.Monitors.Kinds() {
		if !cfg.Offers(&k) {
			continue
		}
		row := kindRow{Kind: k.Name, Title: say(k.Title), About: say(k.About), Fields: []fieldRow{}}
		for _, f := range k.Fields {
			if f.File || f.Type == monitor.AccountField && len(cfg.Account) == 0 {
				continue
			}
			r := fieldRow{Name: f.Name, Label: say(f.Label), Type: f.Type, Required: f.Required || f.Page, Placeholder: f.Example}
			switch f.Type {
			case "span":
				r.Type = "text"
			case monitor.AccountField:
				r.Type = "choice"
				for _, name := range cfg.AccountNames() {
					r.Choices = append(r.Choices, choice{name, name})
				}
			}
			for _, c := range f.Choices {
				if f.Type == "choice" {
					r.Choices = append(r.Choices, choice{c, c})
				}
			}
			row.Fields = append(row.Fields, r)
		}
		out = append(out, row)
	}
	return out
}
