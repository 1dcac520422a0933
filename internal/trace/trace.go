// Package trace joins log events into journeys: all that happened to one message, from the first connection to the
// mailbox or the bounce, over several queues, filters, hosts and files.
//
// Promise: closure is complete. Every id a line of a journey names (queue id, message-id, session id, the id of the
// next queue, of a bounce) is followed in both directions, over all inputs, whatever their order, until nothing new is
// found. There is no index and no state: plain files are read in blocks at any place by all cores, packed ones are
// unpacked once. Memory is bounded, whatever is read and found: ids and lines beyond a bound are put aside in temporary
// files. The package joins and does not judge: whose job a failure is, is said by check/logs.
package trace

import (
	"context"
	"iter"
)

// Store is what trace needs of a room that remembers journeys: those that match the query, the oldest first. It is
// declared here by its caller; a direct scan of files (Scan) answers the same question without one.
type Store interface {
	Journeys(ctx context.Context, q Query) iter.Seq2[*Journey, error]
}

// JourneyByID gives the journey of an id, with the lines of its SMTP session, for people limited to the domains (none: no
// limit). The error is ErrNoJourney where there is none that they may see.
func JourneyByID(ctx context.Context, s Store, id string, domains []string) (*Journey, error) {
	q, err := ByID(id)
	if err != nil {
		return nil, err
	}
	q.Domains, q.Sessions = domains, 1000
	for j, err := range s.Journeys(ctx, q) {
		if err != nil {
			return nil, err
		}
		if j.ID() == id {
			return j, nil
		}
	}
	return nil, ErrNoJourney
}
