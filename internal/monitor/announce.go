package monitor

import (
	"context"
	"errors"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Announcer takes over what must be told. It returns nil when the event is in safe hands; it may get the same event twice
// and tells it once (Event.ID).
type Announcer interface {
	Announce(ctx context.Context, n *News) error
}

// News is an event with all that a reader needs.
type News struct {
	Event    Event
	Monitor  Definition // complete
	Target   string     // what it is about: a domain, a host
	Incident *Incident  // nil where the event is of none
	Proposal *Proposal  // of an event that proposes
	Severity finding.Severity
	Channels []string // nil: all
}

// Announce hands over what is stored and not yet told. What cannot be handed over stays and is tried again.
func (r *Runner) Announce(ctx context.Context) {
	if r.o.Announcer == nil {
		return
	}
	for {
		events, err := r.o.Store.Unannounced(ctx, 100)
		if err != nil || len(events) == 0 {
			if err != nil && ctx.Err() == nil {
				r.o.Log.Error("what must be told could not be read", "why", err)
			}
			return
		}
		for i := range events {
			if err := r.announce(ctx, &events[i]); err != nil {
				if ctx.Err() == nil {
					r.o.Log.Error("an alert could not be handed over", "event", events[i].ID, "why", err)
				}
				return
			}
		}
	}
}

func (r *Runner) announce(ctx context.Context, e *Event) error {
	n := &News{Event: *e, Severity: severity(e)}
	if def, _, ok := r.Find(e.Monitor); ok {
		n.Monitor, n.Channels = def, def.Channels
		if k := FindKind(r.o.Kinds, def.Kind); k != nil {
			n.Target = k.Target(def.Args)
		}
	} else {
		n.Monitor = Definition{ID: e.Monitor, Title: e.Monitor}
	}
	if e.Incident != "" {
		i, err := r.o.Store.Incident(ctx, e.Incident)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		if n.Incident = i; i != nil && (e.Kind == Resolved || e.Kind == Calmed) { // the end goes where the beginning went
			for j := range i.Causes {
				n.Severity = max(n.Severity, i.Causes[j].Severity)
			}
		}
	}
	if e.Kind == Proposes {
		p, err := r.o.Store.Proposal(ctx, e.ID)
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		n.Proposal = p
	}
	if err := r.o.Announcer.Announce(ctx, n); err != nil {
		return err
	}
	return r.o.Store.Announced(ctx, e.ID)
}

// severity is how loud an event is: that of its gravest cause while it fails, a warning where nobody can see, else a note.
func severity(e *Event) finding.Severity {
	switch e.Kind {
	case Blinded, Flapped, Changed, Proposes:
		return finding.Warning
	}
	worst := finding.Note
	if e.Observation.Verdict == Failing {
		for i := range e.Observation.Causes {
			worst = max(worst, e.Observation.Causes[i].Severity)
		}
	}
	return worst
}
