package store

import (
	"slices"
	"time"
)

// Hold keeps what is of a span of time whatever the retention says, until it is released. A zero time is an open end.
type Hold struct {
	ID           string
	Since, Until time.Time
	Reason, By   string
	At           time.Time
}

// Covers tells whether anything of a span is held.
func (h *Hold) Covers(since, until time.Time) bool {
	return (h.Until.IsZero() || since.Before(h.Until)) && (h.Since.IsZero() || !until.Before(h.Since))
}

// Deletion is a part of what is remembered that goes as a whole.
type Deletion struct {
	Part  string    `json:"part"` // "segment 12", "week 2026-03-02", "runs"
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	Rows  int64     `json:"rows,omitempty"`   // of what is no log
	Text  int64     `json:"text,omitempty"`   // bytes of logs
	Hash  string    `json:"sha256,omitempty"` // of the file that goes
}

// Retention says what is to be kept.
type Retention struct {
	Before time.Time // what is older as a whole goes
	Holds  []Hold    // but for what one of these covers
	DryRun bool      // only tell
	// Record is told of each part before it goes; where it fails, nothing more is deleted. nil: nobody is told.
	Record func(Deletion) error
}

// Split takes those that a hold covers out of the parts that are old enough.
func (r *Retention) Split(old []Deletion) (gone, held []Deletion) {
	for _, d := range old {
		if slices.ContainsFunc(r.Holds, func(h Hold) bool { return h.Covers(d.Since, d.Until) }) {
			held = append(held, d)
		} else {
			gone = append(gone, d)
		}
	}
	return gone, held
}

// Each records and deletes one part after the other, and gives those that went.
func (r *Retention) Each(parts []Deletion, remove func(Deletion) error) (gone []Deletion, err error) {
	for _, d := range parts {
		if r.DryRun {
			gone = append(gone, d)
			continue
		}
		if r.Record != nil {
			if err := r.Record(d); err != nil {
				return gone, err
			}
		}
		if err := remove(d); err != nil {
			return gone, err
		}
		gone = append(gone, d)
	}
	return gone, nil
}
