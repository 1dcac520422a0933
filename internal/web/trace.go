package web

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/check/journey"
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// Journeys is what the page needs of a store of logs. Journey gives trace.ErrNoJourney, also where the domains do not let
// it be seen, and trace.ErrID for what is no id.
type Journeys interface {
	trace.Store
	Journey(ctx context.Context, id string, domains []string) (*trace.Journey, error)
	Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error)
}

// longestSearch ends a search; what was found by then is given.
const longestSearch = 20 * time.Second

// Span is a stretch of time in a question.
type Span struct {
	Since string `query:"since" maxLength:"50" doc:"RFC 3339, a date, or so long ago: 90m, 24h, 7d"`
	Until string `query:"until" maxLength:"50"`
}

func (s *Span) times(now time.Time) (since, until time.Time, err error) {
	if since, err = when(s.Since, now); err != nil {
		return since, until, err
	}
	until, err = when(s.Until, now)
	return since, until, err
}

// when reads a time as the command line takes it.
func when(word string, now time.Time) (time.Time, error) {
	if word = strings.TrimSpace(word); word == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, word, time.Local); err == nil {
			return sane(t)
		}
	}
	if days, ok := strings.CutSuffix(word, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 36500 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(word); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fault(http.StatusUnprocessableEntity, finding.S("{{.Word}} is no time", finding.Args{"Word": word}))
}

// sane keeps times within what nanoseconds can count.
func sane(t time.Time) (time.Time, error) {
	if t.Year() < 1970 || t.Year() > 2200 {
		return t, fault(http.StatusUnprocessableEntity, finding.S("{{.Word}} is no time", finding.Args{"Word": t.Format(time.RFC3339)}))
	}
	return t, nil
}

// Search is a question about messages.
type Search struct {
	Q string `query:"q" maxLength:"1000" doc:"a message-id, queue id, address, *@domain, IP, host or part of a subject; empty: the latest"`
	Span
	Status    string `query:"status" enum:"sent,deferred,bounced,expired,discarded,rejected," doc:"only messages with a recipient of this fate"`
	Direction string `query:"direction" enum:"in,out,"`
	Lines     bool   `query:"lines" doc:"also log lines that belong to no message: logins, connections"`
}

type traceIn struct {
	Search
	Paging
}

// query turns the question into what trace takes, limited to what the user may know of.
func (s *Server) query(ctx context.Context, in *Search) (trace.Query, error) {
	q := trace.Query{What: in.Q, Kind: trace.ByFate}
	var err error
	if strings.TrimSpace(in.Q) != "" {
		if q, err = trace.ParseQuery(in.Q); err != nil {
			return q, fault(http.StatusUnprocessableEntity, finding.S("{{.What}} is too short or matches everything", finding.Args{"What": in.Q}))
		}
	}
	if q.Since, q.Until, err = in.times(s.o.Now()); err != nil {
		return q, err
	}
	if in.Status == "rejected" {
		q.Rejected = true
	} else if in.Status != "" {
		q.Status, _ = event.ParseStatus(in.Status)
	}
	q.Direction, q.Messages, q.Newest = in.Direction, !in.Lines, true
	q.Domains, err = domainsOf(user(ctx))
	return q, err
}

// domainsOf is what the user's sight is limited to, none for no limit. Who is limited to nothing sees nothing: a list
// without domains would mean no limit.
func domainsOf(u *access.User) ([]string, error) {
	if !u.Limited() {
		return nil, nil
	}
	if len(u.Domains) == 0 {
		return nil, fault(http.StatusForbidden, finding.S("a helpdesk needs the domains it answers for", nil))
	}
	return u.Domains, nil
}

// cursorOf is where a page ended.
func cursorOf(j *trace.Journey) string {
	return strconv.FormatInt(j.Started.UnixNano(), 36) + "~" + j.ID()
}

func placeAt(cursor string) (trace.Place, error) {
	if cursor == "" {
		return trace.Place{}, nil
	}
	at, id, ok := strings.Cut(cursor, "~")
	n, err := strconv.ParseInt(at, 36, 64)
	if !ok || err != nil || id == "" {
		return trace.Place{}, fault(http.StatusUnprocessableEntity, finding.S("this is no cursor of this list", nil))
	}
	return trace.Place{Started: time.Unix(0, n), ID: id}, nil
}

// journeyRow is a journey in short.
type journeyRow struct {
	ID         string         `json:"id"`
	Started    time.Time      `json:"started,omitzero"`
	Ended      time.Time      `json:"ended,omitzero"`
	From       *string        `json:"from,omitempty" doc:"the null sender is the empty text; absent: not logged"`
	Recipients []recipientRow `json:"recipients,omitempty"`
	State      trace.State    `json:"state"`
	Direction  string         `json:"direction,omitempty"`
	Subject    string         `json:"subject,omitempty"`
	MessageIDs []string       `json:"message_ids,omitempty"`
	QueueIDs   []string       `json:"queue_ids,omitempty"`
	Hosts      []string       `json:"hosts,omitempty"`
	Client     string         `json:"client,omitempty"`
	Size       int64          `json:"size,omitempty"`
	Sentence   string         `json:"sentence" doc:"what became of it"`
	Cause      string         `json:"cause,omitempty" doc:"id of the cause"`
	Owner      string         `json:"owner,omitempty" doc:"whose job it is"`
}

type recipientRow struct {
	To     string `json:"to"`
	Status string `json:"status"`
	Relay  string `json:"relay,omitempty"`
	Code   int    `json:"code,omitempty"`
	DSN    string `json:"dsn,omitempty"`
	Text   string `json:"text,omitempty"`
}

// maxRecipients bounds the recipients of a journey in short.
const maxRecipients = 20

func (s *Server) rowOfJourney(j *trace.Journey, l finding.Lang) journeyRow {
	r := journey.Report(j, "", s.o.Know)
	row := journeyRow{
		ID: j.ID(), Started: j.Started, Ended: j.Ended, From: j.From, State: j.State, Direction: j.Direction, Subject: j.Subject,
		MessageIDs: j.MessageIDs, QueueIDs: j.QueueIDs, Hosts: j.Hosts, Size: j.Size, Sentence: r.Headline.Says.In(l),
	}
	if f, ok := r.Facts.(*journey.Facts); ok {
		row.Cause, row.Owner = f.Cause, f.Owner
	}
	if j.Client != nil {
		row.Client = strings.TrimSpace(j.Client.Name + " " + j.Client.IP)
	}
	for i := range j.Recipients[:min(len(j.Recipients), maxRecipients)] {
		x := &j.Recipients[i]
		row.Recipients = append(row.Recipients, recipientRow{x.To, x.Status, x.Relay, x.Code, x.DSN, x.Text})
	}
	if j.State == trace.RejectedS {
		row.Recipients = append(row.Recipients, refused(j.Rejects)...)
	}
	return row
}

// refused are the recipients that were turned away at the door, each once.
func refused(rejects []trace.Reject) (out []recipientRow) {
	for i := range rejects {
		x := &rejects[i]
		known := slices.ContainsFunc(out, func(r recipientRow) bool { return r.To == x.To })
		if x.To != "" && !known && len(out) < maxRecipients {
			out = append(out, recipientRow{To: x.To, Status: "rejected", Code: x.Code, DSN: x.DSN, Text: x.Text})
		}
	}
	return out
}

func (s *Server) traceRoutes() {
	if s.o.Journeys == nil {
		return
	}
	s.pages = append(s.pages, page{"overview", access.SeeOverview}, page{"trace", access.SeeJourneys}, page{"bounces", access.SeeJourneys})
	add(s, access.SeeJourneys, huma.Operation{Method: http.MethodGet, Path: "/trace", Summary: "Messages, the latest first"}, s.getTrace)
	stream(s, access.SeeJourneys, huma.Operation{Method: http.MethodGet, Path: "/trace/stream", Summary: "Messages as they are found: events journey, done, problem"}, s.streamTrace)
	add(s, access.SeeJourneys, huma.Operation{Method: http.MethodGet, Path: "/journeys/{id}", Summary: "One message: its journey and the report on it"}, s.getJourney)
	add(s, access.SeeOverview, huma.Operation{Method: http.MethodGet, Path: "/overview", Summary: "How mail went: volume, acceptance, causes"}, s.getOverview)
	add(s, access.SeeJourneys, huma.Operation{Method: http.MethodGet, Path: "/bounces", Summary: "What bounced, and why"}, s.getBounces)
}

type traceOut struct {
	Body struct {
		List[journeyRow]
		Cut bool `json:"cut,omitempty" doc:"the search took too long: there may be more"`
	}
}

func (s *Server) getTrace(ctx context.Context, in *traceIn) (*traceOut, error) {
	q, err := s.query(ctx, &in.Search)
	if err != nil {
		return nil, err
	}
	if q.After, err = placeAt(in.Cursor); err != nil {
		return nil, err
	}
	q.Limit = in.Limit
	if err := s.searched(ctx, in.Q); err != nil {
		return nil, err
	}
	out := &traceOut{}
	out.Body.Items = []journeyRow{}
	limited, cancel := context.WithTimeout(ctx, longestSearch)
	defer cancel()
	for j, err := range s.o.Journeys.Journeys(limited, q) {
		if err != nil {
			if limited.Err() != nil && ctx.Err() == nil {
				out.Body.Cut = true
				break
			}
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, s.rowOfJourney(j, langOf(ctx)))
		if len(out.Body.Items) >= in.Limit {
			out.Body.Next = cursorOf(j)
			break
		}
	}
	return out, nil
}

// searched writes down what somebody looked for; looking at the latest is not worth a line.
func (s *Server) searched(ctx context.Context, what string) error {
	if strings.TrimSpace(what) == "" {
		return nil
	}
	return s.looked(ctx, "see.trace", what)
}

func (s *Server) streamTrace(ctx context.Context, in *traceIn) (func(context.Context, *sender) error, error) {
	q, err := s.query(ctx, &in.Search)
	if err != nil {
		return nil, err
	}
	if q.After, err = placeAt(in.Cursor); err != nil {
		return nil, err
	}
	q.Limit = in.Limit
	if err := s.searched(ctx, in.Q); err != nil {
		return nil, err
	}
	l := langOf(ctx)
	return func(ctx context.Context, e *sender) error {
		ctx, cancel := context.WithTimeout(ctx, longestSearch)
		defer cancel()
		n, next := 0, ""
		for j, err := range s.o.Journeys.Journeys(ctx, q) {
			if err != nil {
				if ctx.Err() != nil {
					break
				}
				s.o.Log.Error("a search failed", "error", err)
				return e.send("problem", s.problem(ctx, http.StatusInternalServerError, finding.S("mailwhy could not do its own work; its log says more", nil)))
			}
			if err := e.send("journey", s.rowOfJourney(j, l)); err != nil {
				return err
			}
			if n++; n >= in.Limit {
				next = cursorOf(j)
				break
			}
		}
		return e.send("done", map[string]any{"count": n, "next": next, "cut": ctx.Err() != nil})
	}, nil
}

type journeyIn struct {
	ID  string `path:"id" maxLength:"6000"`
	Raw bool   `query:"raw" doc:"with the log lines"`
}

type rawLine struct {
	Host string    `json:"host,omitempty"`
	At   time.Time `json:"at,omitzero"`
	File string    `json:"file,omitempty"`
	Raw  string    `json:"raw"`
}

type journeyOut struct {
	Body struct {
		ID      string         `json:"id"`
		Journey *trace.Journey `json:"journey" doc:"as mailwhy trace --json has it: docs/json.md"`
		Report  any            `json:"report" doc:"a report as docs/report.schema.json has it"`
		Lines   []rawLine      `json:"lines,omitempty"`
		Gone    bool           `json:"lines_gone,omitempty" doc:"raw lines were asked for, and those of some steps were let go already"`
	}
}

func (s *Server) getJourney(ctx context.Context, in *journeyIn) (*journeyOut, error) {
	u := user(ctx)
	if in.Raw && !u.May(access.SeeRaw) {
		return nil, fault(http.StatusForbidden, finding.S("a {{.Role}} may not do this", finding.Args{"Role": string(u.Role)}))
	}
	domains, err := domainsOf(u)
	if err != nil {
		return nil, err
	}
	j, err := s.o.Journeys.Journey(ctx, in.ID, domains)
	switch {
	case errors.Is(err, trace.ErrNoJourney), errors.Is(err, trace.ErrID):
		return nil, missing()
	case err != nil:
		return nil, err
	}
	what := "see.journey"
	if in.Raw {
		what = "see.raw"
	}
	target := ""
	if len(j.MessageIDs) > 0 {
		target = "<" + j.MessageIDs[0] + ">"
	} else if len(j.QueueIDs) > 0 {
		target = j.QueueIDs[0]
	}
	if err := s.looked(ctx, what, target); err != nil {
		return nil, err
	}
	out := &journeyOut{}
	b := &out.Body
	b.ID = in.ID
	if in.Raw {
		for i := range j.Steps {
			st := &j.Steps[i]
			b.Gone = b.Gone || st.Line == ""
			if n := len(b.Lines); st.Line != "" && (n == 0 || b.Lines[n-1].Raw != st.Line) {
				b.Lines = append(b.Lines, rawLine{st.Host, st.At, st.File, st.Line})
			}
		}
	} else {
		j = withoutLines(j)
	}
	r := journey.Report(j, "", s.o.Know)
	r.Sections = slices.DeleteFunc(r.Sections, func(sec finding.Section) bool { return len(sec.Rows) == 0 && sec.Raw == "" && sec.Chart == nil })
	r.Facts = nil // the journey stands beside
	raw, err := render.JSON(r, render.Style{Lang: langOf(ctx), Version: s.o.Version})
	b.Journey, b.Report = j, rawJSON(raw)
	return out, err
}

// rawJSON is JSON that goes through as it is.
type rawJSON []byte

// MarshalJSON gives the bytes.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// withoutLines is the journey without its log lines.
func withoutLines(j *trace.Journey) *trace.Journey {
	c := *j
	c.Steps, c.Recipients, c.Rejects = slices.Clone(j.Steps), slices.Clone(j.Recipients), slices.Clone(j.Rejects)
	for i := range c.Steps {
		c.Steps[i].Line = ""
	}
	for i := range c.Recipients {
		c.Recipients[i].Line = ""
	}
	for i := range c.Rejects {
		c.Rejects[i].Line = ""
	}
	return &c
}

type bouncesOut struct {
	Body struct {
		Causes    []causeRow            `json:"causes"`
		Providers []trace.ProviderTotal `json:"providers"`
		Recent    []journeyRow          `json:"recent"`
	}
}

// recentBounces is how many bounced messages are shown, and bouncesCounted how many are counted for those who must not
// see the sums over all mail.
const (
	recentBounces  = 20
	bouncesCounted = 500
)

func (s *Server) getBounces(ctx context.Context, in *Span) (*bouncesOut, error) {
	since, until, err := in.times(s.o.Now())
	if err != nil {
		return nil, err
	}
	out := &bouncesOut{}
	b := &out.Body
	b.Causes, b.Providers, b.Recent = []causeRow{}, []trace.ProviderTotal{}, []journeyRow{}
	q, err := s.query(ctx, &Search{Status: "bounced"})
	if err != nil {
		return nil, err
	}
	q.Since, q.Until, q.Limit = since, until, recentBounces
	limited := user(ctx).Limited()
	if limited {
		q.Limit = bouncesCounted
	}
	counted, cancel := context.WithTimeout(ctx, longestSearch)
	defer cancel()
	sums := map[string]int64{}
	for row, err := range s.rows(counted, q, langOf(ctx)) {
		if err != nil {
			if counted.Err() != nil && ctx.Err() == nil {
				break
			}
			return nil, err
		}
		sums[row.Cause]++
		if len(b.Recent) < recentBounces {
			b.Recent = append(b.Recent, row)
		}
	}
	if limited { // the sums over all mail are not for them: theirs are counted
		o := &trace.Overview{}
		for cause, n := range sums {
			o.Causes = append(o.Causes, trace.CauseTotal{Cause: cause, Count: n, Bounced: n})
		}
		slices.SortFunc(o.Causes, func(x, y trace.CauseTotal) int {
			if x.Count != y.Count {
				return int(y.Count - x.Count)
			}
			return strings.Compare(x.Cause, y.Cause)
		})
		b.Causes = s.causes(o, langOf(ctx))
		return out, nil
	}
	o, err := s.o.Journeys.Overview(ctx, trace.OverviewQuery{Since: since, Until: until})
	if err != nil {
		return nil, err
	}
	b.Providers = slices.DeleteFunc(s.providers(o, langOf(ctx)), func(p trace.ProviderTotal) bool { return p.Bounced == 0 && p.Deferred == 0 })
	b.Causes = slices.DeleteFunc(s.causes(o, langOf(ctx)), func(c causeRow) bool { return c.Bounced == 0 })
	return out, nil
}

// rows gives journeys in short.
func (s *Server) rows(ctx context.Context, q trace.Query, l finding.Lang) iter.Seq2[journeyRow, error] {
	return func(yield func(journeyRow, error) bool) {
		for j, err := range s.o.Journeys.Journeys(ctx, q) {
			var row journeyRow
			if err == nil {
				row = s.rowOfJourney(j, l)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
