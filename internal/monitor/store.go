package monitor

import (
	"context"
	"errors"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Store is what monitors need to be remembered. Its methods are safe for concurrent use, also by two processes.
type Store interface {
	// Monitors lists the definitions made from the page, by ID. Those of the configuration file are not stored.
	Monitors(ctx context.Context) ([]Definition, error)
	PutMonitor(ctx context.Context, d *Definition) error
	// DropMonitor forgets a definition; what it saw stays until it is pruned.
	DropMonitor(ctx context.Context, id string) error

	// State is what a monitor knew after its last run; the zero State for one that never ran.
	State(ctx context.Context, id string) (State, error)
	// Commit stores what one run led to, all or nothing.
	Commit(ctx context.Context, c *Commit) error
	// Unannounced lists events that were stored and not yet announced, oldest first.
	Unannounced(ctx context.Context, limit int) ([]Event, error)
	Announced(ctx context.Context, eventID string) error

	// Samples calls each for the samples of a monitor from since to before until (zero: no bound), oldest first, until it
	// returns false.
	Samples(ctx context.Context, id string, since, until time.Time, each func(*Sample) bool) error

	Incidents(ctx context.Context, q IncidentQuery) ([]Incident, error)
	// Incident gives one with its history; ErrNone where there is none.
	Incident(ctx context.Context, id string) (*Incident, error)
	// Acknowledge notes who took an open incident on; ErrNone where there is none, ErrClosed where it is over.
	Acknowledge(ctx context.Context, incident string, ack Ack) error

	// Mute is in force for a monitor at a time; nil: none.
	Mute(ctx context.Context, id string, at time.Time) (*Mute, error)
	PutMute(ctx context.Context, id string, m *Mute) error // nil ends it

	// Windows lists the maintenance windows made while mailwhy runs.
	Windows(ctx context.Context) ([]Planned, error)
	PutWindow(ctx context.Context, p *Planned) error // in the place of the one with its ID
	DropWindow(ctx context.Context, id string) error

	PutProposal(ctx context.Context, p *Proposal) error
	// DecideProposal changes the state of a proposal that is still in state from; ErrClosed where it is not.
	DecideProposal(ctx context.Context, id string, from, to ProposalState, by string, at time.Time, note string) error
	Proposal(ctx context.Context, id string) (*Proposal, error)
	Proposals(ctx context.Context, open bool, limit int) ([]Proposal, error)

	// Prune forgets samples, closed incidents with their events, and maintenance windows that ended, from before a time, and
	// tells how many rows.
	Prune(ctx context.Context, samples, incidents time.Time) (int64, error)
}

// ErrNone says that there is no such thing in the store.
var ErrNone = errors.New("there is none")

// ErrClosed says that it is over, or was decided already.
var ErrClosed = errors.New("it is over already")

// ErrTooMuch says that more was asked for than can be looked through.
var ErrTooMuch = errors.New("that is too much to look through")

// Commit is what one run led to.
type Commit struct {
	Monitor string
	State   State
	Sample  *Sample // nil: none to keep
	Events  []Event // become history of their incidents; those that are told wait to be announced
}

// Incident is a time during which a monitor failed.
type Incident struct {
	ID      string        `json:"id"`
	Monitor string        `json:"monitor"`
	Started time.Time     `json:"started"`
	Ended   time.Time     `json:"ended,omitzero"`
	Text    Said          `json:"text"`
	Owner   finding.Owner `json:"owner,omitempty"`
	Next    []string      `json:"next,omitempty"`
	Ack     *Ack          `json:"acked,omitempty"`
	Causes  []Seen        `json:"causes,omitempty"`
	History []Event       `json:"history,omitempty"` // oldest first; given by Incident only
}

// Ack says who took an incident on.
type Ack struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// Mute keeps a monitor from telling anything. It always ends.
type Mute struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
}

// IncidentQuery chooses incidents; the newest come first.
type IncidentQuery struct {
	Monitor string
	Open    bool      // open ones only
	Since   time.Time // that were open after it
	Before  string    // page on: only those that come after this ID
	Limit   int       // 0: 100
}

// told are the kinds of event that are announced.
func (k EventKind) told() bool { return k != Turned }

// Told lists the events of a commit that must be announced.
func (c *Commit) Told() []Event {
	var out []Event
	for _, e := range c.Events {
		if e.Kind.told() && !e.Silent {
			out = append(out, e)
		}
	}
	return out
}

// Apply brings an incident up to date with an event; nil begins one. It gives nil for an event that is of no incident.
func Apply(i *Incident, e *Event) *Incident {
	if e.Incident == "" {
		return i
	}
	o := &e.Observation
	if i == nil {
		i = &Incident{ID: e.Incident, Monitor: e.Monitor, Started: e.Since}
		if e.Kind == Flapped || i.Started.IsZero() {
			i.Started = e.At
		}
	}
	if o.Verdict == Failing {
		i.Text, i.Owner, i.Next = o.Text, o.Owner, o.Next
		for _, c := range o.Causes {
			have := false
			for j := range i.Causes {
				have = have || i.Causes[j].Key() == c.Key()
			}
			if !have && len(i.Causes) < 2*maxCauses {
				i.Causes = append(i.Causes, c)
			}
		}
	}
	if e.Kind == Resolved || e.Kind == Calmed && e.Before == OK {
		i.Ended = e.Since
		if e.Kind == Resolved {
			i.Ended = e.At
		}
		if i.Ended.Before(i.Started) { // the clock was set back meanwhile
			i.Ended = i.Started
		}
	}
	return i
}
