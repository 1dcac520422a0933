package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/trace"
)

type overviewIn struct {
	Span
	Host []string `query:"host,explode" maxItems:"100" doc:"only what these machines logged"`
}

type causeRow struct {
	Cause    string        `json:"cause" doc:"id in the table of causes; empty: the replies do not tell"`
	Title    string        `json:"title"`
	Owner    finding.Owner `json:"owner"`
	Advice   string        `json:"advice,omitempty"`
	Count    int64         `json:"count"`
	Deferred int64         `json:"deferred"`
	Bounced  int64         `json:"bounced"`
	Rejected int64         `json:"rejected"`
}

type hostRow struct {
	Name     string    `json:"name"`
	LastSeen time.Time `json:"last_seen,omitzero"`
	LagMS    int64     `json:"lag_ms"`
	SkewMS   int64     `json:"clock_skew_ms"`
}

type totalsRow struct {
	trace.Totals
	DelayMS int64 `json:"delay_ms" doc:"sum over the deliveries"`
}

type overviewOut struct {
	Body struct {
		Headline  headlineRow           `json:"headline" doc:"is mail all right?"`
		Since     time.Time             `json:"since,omitzero"`
		Until     time.Time             `json:"until,omitzero"`
		Totals    totalsRow             `json:"totals"`
		Hours     []trace.HourTotals    `json:"hours"`
		Providers []trace.ProviderTotal `json:"providers"`
		Causes    []causeRow            `json:"causes"`
		Hosts     []hostRow             `json:"hosts"`
		Sources   []Source              `json:"sources,omitempty" doc:"what logs are taken in from"`
		LagMS     int64                 `json:"lag_ms" doc:"how long ago the lines were written that are stored now, of the host most behind"`
		Queue     *queueRow             `json:"queue,omitempty"`
		Monitors  *MonitorCounts        `json:"monitors,omitempty"`
		Newest    []newestRow           `json:"newest" doc:"what was found last: what monitors tell and what the queues show, what goes on first"`
	}
}

// MonitorCounts is how the monitors stand.
type MonitorCounts struct {
	OK      int `json:"ok"`
	Failing int `json:"failing"`
	Unknown int `json:"unknown"`
	Muted   int `json:"muted"`
}

func (s *Server) getOverview(ctx context.Context, in *overviewIn) (*overviewOut, error) {
	q := trace.OverviewQuery{Hosts: in.Host}
	var err error
	if q.Since, q.Until, err = in.times(s.o.Now()); err != nil {
		return nil, err
	}
	o, err := s.o.Journeys.Overview(ctx, q)
	if err != nil {
		return nil, err
	}
	l := langOf(ctx)
	out := &overviewOut{}
	b := &out.Body
	b.Since, b.Until, b.Totals, b.LagMS = o.Since, o.Until, totalsRow{o.Totals, o.Totals.Delay.Milliseconds()}, o.Lag.Milliseconds()
	b.Hours, b.Providers, b.Causes, b.Hosts = append([]trace.HourTotals{}, o.Hours...), s.providers(o, l), s.causes(o, l), []hostRow{}
	for _, h := range o.Hosts {
		b.Hosts = append(b.Hosts, hostRow{h.Name, h.LastSeen, h.Lag.Milliseconds(), h.Skew.Milliseconds()})
	}
	if s.o.Queues != nil {
		b.Queue = queueOf(s.o.Queues())
	}
	if s.o.MonitorCounts != nil {
		c, err := s.o.MonitorCounts(ctx)
		if err != nil {
			return nil, err
		}
		b.Monitors = &c
	}
	if s.o.Sources != nil {
		b.Sources = s.o.Sources(l)
	}
	told, err := s.incidentsOf(ctx, q.Since)
	if err != nil {
		return nil, err
	}
	b.Newest = s.newest(told, l)
	b.Headline = rowOfHeadline(s.headline(out, told, l), l)
	return out, nil
}

// providers names the providers; the servers of nobody we know by name stand last.
func (s *Server) providers(o *trace.Overview, l finding.Lang) []trace.ProviderTotal {
	out := append([]trace.ProviderTotal{}, o.Providers...)
	slices.SortStableFunc(out, func(a, b trace.ProviderTotal) int {
		return cmp.Compare(btoi(a.Provider == ""), btoi(b.Provider == ""))
	})
	for i := range out {
		if out[i].Provider == "" {
			out[i].Name = finding.S("all other servers", nil).In(l)
		} else if n := s.o.Know.ProviderName(out[i].Provider); n.EN != "" {
			out[i].Name = finding.Both(n.EN, n.ZH).In(l)
		} else {
			out[i].Name = out[i].Provider
		}
	}
	return out
}

// causes names the causes, and says whose job each is.
func (s *Server) causes(o *trace.Overview, l finding.Lang) []causeRow {
	out := []causeRow{}
	for _, c := range o.Causes {
		row := causeRow{Cause: c.Cause, Count: c.Count, Deferred: c.Deferred, Bounced: c.Bounced, Rejected: c.Rejected}
		if k, err := s.o.Know.Cause(c.Cause); err == nil && k != nil {
			row.Title, row.Owner, row.Advice = finding.Both(k.Name.EN, k.Name.ZH).In(l), k.Owner(), finding.Both(k.Admin.EN, k.Admin.ZH).In(l)
		} else {
			row.Title = finding.S("a cause the reply does not tell", nil).In(l)
		}
		out = append(out, row)
	}
	return out
}

// Source is a source of logs, and how far behind its reading is.
type Source struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Lines   int64     `json:"lines" doc:"stored since the start"`
	Behind  int64     `json:"behind_bytes" doc:"written already and not read yet"`
	Spooled int64     `json:"spooled_bytes" doc:"that wait on disk for the store"`
	Dropped int64     `json:"dropped" doc:"lines lost"`
	Stored  time.Time `json:"stored,omitzero" doc:"when something of it was stored last"`
	Trouble string    `json:"trouble,omitempty"`
}

// headlineRow is a headline as reports have it.
type headlineRow struct {
	State finding.State `json:"state"`
	Text  string        `json:"text"`
	Owner finding.Owner `json:"owner"`
	Next  string        `json:"next,omitempty" doc:"the next command"`
}

func rowOfHeadline(h finding.Headline, l finding.Lang) headlineRow {
	return headlineRow{h.State, h.Says.In(l), h.Owner, render.Command(h.Next)}
}

// What makes mail not all right, beside a monitor that fails.
const (
	acceptedFew  = 0.75           // of the attempts, below which mail is broken
	acceptedMost = 0.95           // and below which it is to be looked at
	lagWorth     = time.Minute    // of reading the logs
	behindWorth  = 16 << 20       // bytes not read yet
	queueWorth   = 4 * time.Hour  // the oldest message waits
	queueOld     = 24 * time.Hour // and this is broken
	newestShown  = 8              // findings
	newestSpan   = 7 * 24 * time.Hour
)

// headline says in one sentence whether mail is all right: the worst of what is known, whose job it is, and what to do
// next. What was told by no log is "could not test".
func (s *Server) headline(o *overviewOut, told []monitor.Incident, l finding.Lang) finding.Headline {
	b := &o.Body
	t := &b.Totals
	tried := t.Delivered + t.Deferred + t.Bounced
	args := finding.Args{"N": t.Delivered, "Share": percentOf(t.Delivered, tried)}
	for i := range told {
		in := &told[i]
		if !in.Ended.IsZero() {
			continue
		}
		args["What"], args["Text"] = s.titleOf(in.Monitor), strings.TrimRight(inLang(in.Text, l), ".。")
		h := finding.Headline{State: finding.StateBroken, Owner: in.Owner, Next: in.Next, Says: finding.S("{{.What}}: {{.Text}}.", args)}
		if tried > 0 {
			h.Says = finding.S("{{.What}}: {{.Text}}. {{.Share}} % of delivery attempts were accepted.", args)
		}
		return h
	}
	if b.Monitors != nil && b.Monitors.Failing > 0 {
		args["Failing"] = b.Monitors.Failing
		return finding.Headline{State: finding.StateBroken, Says: finding.S("{{.Failing}} {{plural .Failing \"monitor fails\" \"monitors fail\"}}.", args)}
	}
	for _, x := range b.Sources {
		args["Source"], args["Text"], args["Bytes"] = x.Name, x.Trouble, x.Behind>>20
		switch {
		case x.Trouble != "":
			return finding.Headline{State: finding.StateWarning, Owner: finding.OwnerServer, Says: finding.S("The log of {{.Source}} is not read: {{.Text}}", args)}
		case x.Behind > behindWorth && b.LagMS > lagWorth.Milliseconds():
			return finding.Headline{State: finding.StateWarning, Owner: finding.OwnerServer, Says: finding.S("Reading {{.Source}} is {{.Bytes}} MB behind: the figures are older than they look.", args)}
		}
	}
	if tried == 0 && t.Received == 0 && t.Rejected == 0 {
		return finding.Headline{State: finding.StateUntested, Says: finding.S("No mail was logged in this time.", nil)}
	}
	if c := mostHeld(b.Causes); c != nil && float64(t.Delivered) < acceptedMost*float64(tried) {
		args["Cause"], args["Count"] = c.Title, c.Deferred+c.Bounced
		h := finding.Headline{State: finding.StateWarning, Owner: c.Owner, Says: finding.S("Only {{.Share}} % of delivery attempts were accepted. Most often: {{.Cause}} ({{.Count}}).", args)}
		if float64(t.Delivered) < acceptedFew*float64(tried) {
			h.State = finding.StateBroken
		}
		return h
	}
	if q := b.Queue; q != nil && !q.Oldest.IsZero() && s.o.Now().Sub(q.Oldest) > queueWorth {
		args["Host"], args["Age"], args["Waiting"] = q.Host, s.o.Now().Sub(q.Oldest).Truncate(time.Minute), q.Size
		h := finding.Headline{State: finding.StateWarning, Owner: finding.OwnerServer, Next: finding.Cmd("queue"),
			Says: finding.S("{{.Waiting}} {{plural .Waiting \"message waits\" \"messages wait\"}} in the queue, the oldest for {{.Age}} on {{.Host}}.", args)}
		if s.o.Now().Sub(q.Oldest) > queueOld {
			h.State = finding.StateBroken
		}
		return h
	}
	if tried == 0 {
		return finding.Headline{State: finding.StateOK, Says: finding.S("Mail comes in, and nothing was to be delivered in this time.", args)}
	}
	return finding.Headline{State: finding.StateOK, Says: finding.S("Mail is all right: {{.N}} {{plural .N \"delivery\" \"deliveries\"}}, {{.Share}} % of all attempts accepted.", args)}
}

func percentOf(n, all int64) string {
	if all == 0 {
		return "100"
	}
	return strconv.FormatFloat(float64(1000*n/all)/10, 'f', -1, 64) // 99.96 is not 100
}

// mostHeld is the cause that kept most of our own mail from getting on; what we refused ourselves is no trouble of ours.
func mostHeld(all []causeRow) (most *causeRow) {
	for i := range all {
		c := &all[i]
		if n := c.Deferred + c.Bounced; n > 0 && (most == nil || n > most.Deferred+most.Bounced) {
			most = c
		}
	}
	return most
}

// newestRow is something that was found.
type newestRow struct {
	At      time.Time     `json:"at"`
	Verdict string        `json:"verdict" doc:"error or warning"`
	Title   string        `json:"title" doc:"what it is about"`
	Text    string        `json:"text"`
	Owner   finding.Owner `json:"owner"`
	Next    string        `json:"next,omitempty"`
	Ended   time.Time     `json:"ended,omitzero" doc:"it is over"`
	Monitor string        `json:"monitor,omitempty"`
	Queue   string        `json:"queue,omitempty" doc:"the machine whose queue shows it"`
}

// incidentsOf gives what monitors told: what goes on, and what ended since. Where the monitors are, it is told to whoever
// may see the overview.
func (s *Server) incidentsOf(ctx context.Context, since time.Time) ([]monitor.Incident, error) {
	if s.o.Monitors == nil {
		return nil, nil
	}
	if since.IsZero() || s.o.Now().Sub(since) > newestSpan {
		since = s.o.Now().Add(-newestSpan)
	}
	store := s.o.Monitors.Store()
	open, err := store.Incidents(ctx, monitor.IncidentQuery{Open: true, Limit: newestShown})
	if err != nil {
		return nil, err
	}
	all, err := store.Incidents(ctx, monitor.IncidentQuery{Limit: 2 * newestShown})
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if !i.Ended.IsZero() && i.Ended.After(since) {
			open = append(open, i)
		}
	}
	return slices.DeleteFunc(open, func(i monitor.Incident) bool { _, _, known := s.o.Monitors.Find(i.Monitor); return !known }), nil
}

// titleOf is what a monitor is called.
func (s *Server) titleOf(id string) string {
	d, _, _ := s.o.Monitors.Find(id)
	return cmp.Or(d.Title, id)
}

// newest lists what goes on first, errors before warnings, then what ended last.
func (s *Server) newest(told []monitor.Incident, l finding.Lang) []newestRow {
	out := []newestRow{}
	for i := range told {
		x := &told[i]
		out = append(out, newestRow{At: x.Started, Verdict: finding.VerdictError.String(), Title: s.titleOf(x.Monitor), Text: inLang(x.Text, l), Owner: x.Owner, Next: render.Command(x.Next), Ended: x.Ended, Monitor: x.Monitor})
	}
	if s.o.Queues != nil {
		for _, q := range s.o.Queues() {
			if q.Report == nil {
				continue
			}
			for i := range q.Report.Findings {
				if f := &q.Report.Findings[i]; f.Verdict() == finding.VerdictError || f.Verdict() == finding.VerdictWarning {
					out = append(out, newestRow{At: q.At, Verdict: f.Verdict().String(), Title: finding.S("queue of {{.Host}}", finding.Args{"Host": q.Host}).In(l), Text: f.Says().In(l), Owner: f.Whose(), Queue: q.Host})
				}
			}
		}
	}
	grave := func(r *newestRow) int {
		return btoi(r.Ended.IsZero()) + btoi(r.Ended.IsZero() && r.Verdict == finding.VerdictError.String())
	}
	slices.SortStableFunc(out, func(a, b newestRow) int {
		return cmp.Or(cmp.Compare(grave(&b), grave(&a)), b.At.Compare(a.At))
	})
	return out[:min(len(out), newestShown)]
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
