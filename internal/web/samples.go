package web

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

type sampleRow struct {
	At          time.Time       `json:"at"`
	State       monitor.Verdict `json:"state"`
	MS          *float64        `json:"ms,omitempty"`
	Value       *float64        `json:"value,omitempty"`
	Unit        string          `json:"unit,omitempty"`
	Text        string          `json:"text,omitempty"`
	Maintenance bool            `json:"maintenance,omitempty"`
}

// maxSamples is how many samples one answer has: the newest.
const maxSamples = 5000

func (s *Server) getSamples(ctx context.Context, in *struct {
	ByID
	Span
}) (*listOut[sampleRow], error) {
	d, _, ok := s.o.Monitors.Find(in.ID)
	if !ok {
		return nil, missing()
	}
	since, until, err := s.monitorSpan(&in.Span, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	l, limits := langOf(ctx), d.Limits(monitor.FindKind(s.o.Monitors.Kinds(), d.Kind))
	var out []sampleRow
	err = s.o.Monitors.Store().Samples(ctx, in.ID, since, until, func(x *monitor.Sample) bool {
		o := monitor.Judge(&limits, x)
		last := lastOf(&o, l)
		r := sampleRow{At: x.At, State: o.Verdict, MS: last.MS, Value: last.Value, Unit: last.Unit, Maintenance: x.Maintenance}
		if o.Verdict != monitor.OK {
			r.Text = last.Text
		}
		if out = append(out, r); len(out) > 2*maxSamples {
			out = slices.Clone(out[maxSamples:])
		}
		return ctx.Err() == nil
	})
	return listed(out[max(0, len(out)-maxSamples):], ""), err
}

// monitorSpan reads a span; usual is how far back it goes where nothing is said.
func (s *Server) monitorSpan(in *Span, usual time.Duration) (since, until time.Time, err error) {
	now := s.o.Now()
	since = now.Add(-usual)
	if in.Since != "" {
		if since, err = moment(in.Since, now); err != nil {
			return since, until, at("since", finding.S("{{.Word}} is no time", finding.Args{"Word": in.Since}))
		}
	}
	if in.Until != "" {
		if until, err = moment(in.Until, now); err != nil {
			return since, until, at("until", finding.S("{{.Word}} is no time", finding.Args{"Word": in.Until}))
		}
	}
	return since, until, nil
}

// moment reads RFC 3339, a date, or so long ago.
func moment(word string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02"} {
		if t, err := time.Parse(layout, word); err == nil && t.Year() > 1970 && t.Year() < 2200 {
			return t, nil
		}
	}
	d, err := monitor.ParseSpan(word)
	return now.Add(-d), err
}

type replayOut struct {
	Body struct {
		Since     time.Time   `json:"since,omitzero"`
		Until     time.Time   `json:"until,omitzero"`
		Samples   int         `json:"samples"`
		Fired     int         `json:"fired"`
		Flaps     int         `json:"flaps"`
		Told      int         `json:"told"`
		Blind     int         `json:"blind"`
		LongestMS int64       `json:"longest_ms"`
		Incidents []periodRow `json:"incidents"`
	}
}

type periodRow struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until,omitzero"`
	Text  string    `json:"text"`
	Flap  bool      `json:"flap,omitempty"`
}

func (s *Server) replayMonitor(ctx context.Context, in *struct {
	ByID
	Body struct {
		Since string `json:"since,omitempty" maxLength:"50" doc:"30d where nothing is said"`
	}
}) (*replayOut, error) {
	since, _, err := s.monitorSpan(&Span{Since: cmp.Or(in.Body.Since, "30d")}, 0)
	if err != nil {
		return nil, err
	}
	x, err := s.o.Monitors.Replay(ctx, in.ID, since)
	switch {
	case errors.Is(err, monitor.ErrNone):
		return nil, missing()
	case errors.Is(err, monitor.ErrTooMuch):
		return nil, at("since", finding.S("that is more mail than can be replayed: give a later time", nil))
	case err != nil:
		return nil, err
	}
	out := &replayOut{}
	b := &out.Body
	b.Since, b.Until, b.Samples, b.Fired, b.Flaps, b.Told, b.Blind, b.LongestMS = x.Since, x.Until, x.Samples, x.Fired, x.Flaps, x.Told, x.Blind, x.Longest.Milliseconds()
	b.Incidents = []periodRow{}
	for _, i := range x.Incidents {
		b.Incidents = append(b.Incidents, periodRow{i.From, i.Until, inLang(i.Text, langOf(ctx)), i.Flap})
	}
	return out, nil
}
