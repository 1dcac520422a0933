package monitor

import (
	"context"
	"errors"
	"strings"
)

// automatic is who approves what the configuration lets happen by itself.
const automatic = "(configuration)"

// proposes makes the proposal of an open incident once it is due, and the event that tells it.
func (r *Runner) proposes(def *Definition, c *Commit, o Observation) *Proposal {
	w := def.Propose
	if w == nil || !def.IsArmed() || c.State.Proposed || c.State.Incident == "" || o.Verdict != Failing || c.State.Streak < max(w.After, def.FailAfter) {
		return nil
	}
	p := def.propose(&c.State, &o)
	c.State.Proposed = true
	c.Events = append(c.Events, Event{
		ID: p.ID, Kind: Proposes, At: o.At, Monitor: def.ID, Incident: c.State.Incident, Since: c.State.Since, Before: Failing, Observation: o,
	})
	return p
}

// ErrMoved says that a proposal is not the one that was looked at.
var ErrMoved = errors.New("the proposal is not the one that was looked at")

// Decide approves or refuses a proposal. hash is that of the proposal as it was shown. What is approved is carried out
// where there is somebody to do it; where that fails the proposal is open again.
func (r *Runner) Decide(ctx context.Context, id string, approve bool, by, note, hash string) error {
	p, err := r.o.Store.Proposal(ctx, id)
	if err != nil {
		return err
	}
	now := r.o.Now()
	if !approve {
		return r.o.Store.DecideProposal(ctx, id, ProposalOpen, ProposalRefused, by, now, note)
	}
	if hash != p.Hash {
		return ErrMoved
	}
	if !now.Before(p.Expires) {
		return ErrClosed
	}
	if err := r.o.Store.DecideProposal(ctx, id, ProposalOpen, ProposalApproved, by, now, note); err != nil {
		return err
	}
	if r.o.Applier == nil {
		return nil
	}
	if p, err = r.o.Store.Proposal(ctx, id); err != nil {
		return err
	}
	if err := r.o.Applier.Apply(ctx, p); err != nil {
		return errors.Join(err, r.o.Store.DecideProposal(ctx, id, ProposalApproved, ProposalOpen, by, now, err.Error()))
	}
	return nil
}

// Housekeep ends what is over and forgets what is old.
func (r *Runner) Housekeep(ctx context.Context) error {
	now := r.o.Now()
	open, err := r.o.Store.Proposals(ctx, true, 1000)
	if err != nil {
		return err
	}
	var errs []error
	for i := range open {
		p := &open[i]
		switch {
		case p.State == ProposalOpen && !now.Before(p.Expires):
			errs = append(errs, r.o.Store.DecideProposal(ctx, p.ID, ProposalOpen, ProposalExpired, "", now, ""))
		case p.State == ProposalApproved && !now.Before(p.Until):
			note := p.Note
			if r.o.Applier != nil {
				err := r.o.Applier.Undo(ctx, p)
				if err != nil && !errors.Is(err, ErrOverwritten) {
					errs = append(errs, err)
					continue
				}
				if err != nil {
					note = strings.TrimSpace(note + " " + err.Error())
				}
			}
			errs = append(errs, r.o.Store.DecideProposal(ctx, p.ID, ProposalApproved, ProposalEnded, p.By, now, note))
		}
	}
	r.mu.Lock()
	def := r.o.Config.Defaults
	prune := now.Sub(r.kept) >= hour || r.kept.After(now)
	if prune {
		r.kept = now
	}
	r.mu.Unlock()
	if !prune {
		return errors.Join(errs...)
	}
	samples, incidents := def.KeepSamples.D(), def.KeepIncidents.D()
	if samples == 0 {
		samples = 90 * 24 * hour
	}
	if incidents == 0 {
		incidents = 400 * 24 * hour
	}
	_, err = r.o.Store.Prune(ctx, now.Add(-samples), now.Add(-incidents))
	return errors.Join(append(errs, err)...)
}
