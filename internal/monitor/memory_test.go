package monitor

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// memory is a Store for the tests of this room; the contract is held by store/storetest for the real ones.
type memory struct {
	mu        sync.Mutex
	defs      map[string]Definition
	states    map[string]State
	samples   []Sample
	events    []Event
	waiting   map[string]bool
	incidents map[string]*Incident
	mutes     map[string]*Mute
	proposals map[string]*Proposal
	windows   map[string]Planned
}

func newMemory() *memory {
	return &memory{defs: map[string]Definition{}, states: map[string]State{}, waiting: map[string]bool{}, incidents: map[string]*Incident{}, mutes: map[string]*Mute{}, proposals: map[string]*Proposal{}, windows: map[string]Planned{}}
}

func (m *memory) lock() func() { m.mu.Lock(); return m.mu.Unlock }

func (m *memory) Monitors(context.Context) (out []Definition, err error) {
	defer m.lock()()
	for _, d := range m.defs {
		out = append(out, d)
	}
	return out, nil
}
func (m *memory) PutMonitor(_ context.Context, d *Definition) error {
	defer m.lock()()
	m.defs[d.ID] = *d
	return nil
}
func (m *memory) DropMonitor(_ context.Context, id string) error {
	defer m.lock()()
	delete(m.defs, id)
	return nil
}
func (m *memory) State(_ context.Context, id string) (State, error) {
	defer m.lock()()
	return m.states[id], nil
}
func (m *memory) Commit(_ context.Context, c *Commit) error {
	defer m.lock()()
	m.states[c.Monitor] = c.State
	if c.Sample != nil {
		m.samples = append(m.samples, *c.Sample)
	}
	for _, e := range c.Told() {
		m.waiting[e.ID] = true
	}
	for i := range c.Events {
		e := c.Events[i]
		m.events = append(m.events, e)
		if next := Apply(m.incidents[e.Incident], &e); next != nil {
			m.incidents[e.Incident] = next
		}
	}
	return nil
}
func (m *memory) Unannounced(context.Context, int) (out []Event, err error) {
	defer m.lock()()
	for _, e := range m.events {
		if m.waiting[e.ID] {
			out = append(out, e)
		}
	}
	return out, nil
}
func (m *memory) Announced(_ context.Context, id string) error {
	defer m.lock()()
	delete(m.waiting, id)
	return nil
}
func (m *memory) Samples(_ context.Context, id string, since, _ time.Time, each func(*Sample) bool) error {
	for i := range m.samples {
		if s := &m.samples[i]; s.Monitor == id && !s.At.Before(since) && !each(s) {
			break
		}
	}
	return nil
}
func (m *memory) Incidents(_ context.Context, q IncidentQuery) (out []Incident, err error) {
	defer m.lock()()
	for _, i := range m.incidents {
		if !q.Open || i.Ended.IsZero() {
			out = append(out, *i)
		}
	}
	slices.SortFunc(out, func(a, b Incident) int { return a.Started.Compare(b.Started) })
	return out, nil
}
func (m *memory) Incident(_ context.Context, id string) (*Incident, error) {
	defer m.lock()()
	i, ok := m.incidents[id]
	if !ok {
		return nil, ErrNone
	}
	c := *i
	return &c, nil
}
func (m *memory) Acknowledge(_ context.Context, id string, ack Ack) error {
	defer m.lock()()
	i, ok := m.incidents[id]
	if !ok {
		return ErrNone
	}
	i.Ack = &ack
	return nil
}
func (m *memory) Mute(_ context.Context, id string, at time.Time) (*Mute, error) {
	defer m.lock()()
	if x := m.mutes[id]; x != nil && at.Before(x.Until) {
		return x, nil
	}
	return nil, nil
}
func (m *memory) PutMute(_ context.Context, id string, x *Mute) error {
	defer m.lock()()
	m.mutes[id] = x
	return nil
}
func (m *memory) Windows(context.Context) ([]Planned, error) {
	defer m.lock()()
	return slices.Collect(maps.Values(m.windows)), nil
}
func (m *memory) PutWindow(_ context.Context, p *Planned) error {
	defer m.lock()()
	m.windows[p.ID] = *p
	return nil
}
func (m *memory) DropWindow(_ context.Context, id string) error {
	defer m.lock()()
	delete(m.windows, id)
	return nil
}
func (m *memory) PutProposal(_ context.Context, p *Proposal) error {
	defer m.lock()()
	c := *p
	m.proposals[p.ID] = &c
	return nil
}
func (m *memory) DecideProposal(_ context.Context, id string, from, to ProposalState, by string, at time.Time, note string) error {
	defer m.lock()()
	p, ok := m.proposals[id]
	switch {
	case !ok:
		return ErrNone
	case p.State != from:
		return ErrClosed
	}
	p.State, p.By, p.Note, p.Decided = to, by, note, at
	if to == ProposalApproved {
		p.Until = at.Add(p.For.D())
	}
	return nil
}
func (m *memory) Proposal(_ context.Context, id string) (*Proposal, error) {
	defer m.lock()()
	p, ok := m.proposals[id]
	if !ok {
		return nil, ErrNone
	}
	c := *p
	return &c, nil
}
func (m *memory) Proposals(_ context.Context, open bool, _ int) (out []Proposal, err error) {
	defer m.lock()()
	for _, p := range m.proposals {
		if !open || p.State == ProposalOpen || p.State == ProposalApproved {
			out = append(out, *p)
		}
	}
	return out, nil
}
func (m *memory) Prune(context.Context, time.Time, time.Time) (int64, error) { return 0, nil }
