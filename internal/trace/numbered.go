package trace

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// numberedBy begins the session of software that tells an outcome by the number of the delivery alone (qmail: "delivery 5:
// success: …"); the line that begins it names message and recipient.
const numberedBy = "delivery "

// calledBy begins the number of a process that put a message into the queue (qmail: "qp 42"), which is the only thing that
// a bounce and the message that tells of it have in common.
const calledBy = "qp "

// callTime is how far apart the two may be: the numbers of processes are used again.
const callTime = int64(10 * time.Minute)

// numbered puts the ids of messages in the place of numbers that stand for them only for a while.
func numbered(steps []Step) []Step { return addressed(called(outcomes(steps))) }

// addressed gives outcomes of software that names a domain, or nobody (Haraka: "delivered … domain=partner.example"), the
// recipients of the message that are meant: those of the domain whose fate is not known yet.
func addressed(steps []Step) []Step {
	rcpts, done := map[string][]string{}, map[string]bool{}
	var out []Step
	for i, s := range steps {
		haraka := strings.EqualFold(s.Program, "haraka")
		if haraka && s.kind == event.Related {
			rcpts[s.QueueID] = addOnce(rcpts[s.QueueID], s.To)
		}
		if !haraka || s.kind != event.Delivery || strings.Contains(s.To, "@") {
			if out != nil {
				out = append(out, s)
			}
			if haraka && s.kind == event.Delivery {
				done[s.QueueID+s.To] = true
			}
			continue
		}
		if out == nil {
			out = append(make([]Step, 0, len(steps)+8), steps[:i]...)
		}
		had := len(out)
		for _, to := range rcpts[s.QueueID] {
			if key := s.QueueID + to; !done[key] && (s.To == "" || sameAddress(to[strings.LastIndexByte(to, '@')+1:], s.To)) {
				told := s
				told.To = to
				done[key] = s.status != event.Deferred
				out = append(out, told)
			}
		}
		if len(out) == had {
			out = append(out, s)
		}
	}
	if out == nil {
		return steps
	}
	return out
}

// outcomes gives those of deliveries the message and the recipient of the latest beginning with their number. Numbers begin
// anew when the software does: an outcome without a beginning is of another message and is left out.
func outcomes(steps []Step) []Step {
	begun := map[string]*Step{}
	kept := steps[:0]
	for _, s := range steps {
		if !strings.HasPrefix(s.Session, numberedBy) {
			kept = append(kept, s)
			continue
		}
		key := s.Host + "\x00" + s.Session
		if s.kind == event.Related {
			begin := s
			begun[key] = &begin
		} else if b := begun[key]; b != nil {
			delete(begun, key)
			s.QueueID, s.To, s.match = b.QueueID, b.To, b.match
			if s.RelayIP == "" {
				s.Relay = b.Relay
			}
			s.Text = plainWords(s.Text)
		} else {
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// called joins bounces with the messages that tell of them, by the process that wrote these.
func called(steps []Step) []Step {
	kept := steps[:0]
	bounced := map[string]int{} // by host and process: place in kept
	for _, s := range steps {
		if strings.HasPrefix(s.QueueID, calledBy) { // there for the search alone
			continue
		}
		if strings.HasPrefix(s.Ref, calledBy) {
			key := s.Host + "\x00" + s.Ref
			s.Ref = ""
			if s.kind == event.Notification {
				bounced[key] = len(kept)
			} else if i, ok := bounced[key]; ok && s.at-kept[i].at <= callTime {
				s.Ref, kept[i].Ref = kept[i].QueueID, s.QueueID
			} else {
				s.refIs, s.RefIs = event.NoRef, ""
			}
		}
		kept = append(kept, s)
	}
	return kept
}

// plainWords undoes what qmail does to spaces and ends of lines.
func plainWords(s string) string {
	s = strings.TrimRight(s, "/")
	if scheme := strings.Contains(s, "://"); !scheme {
		s = strings.ReplaceAll(s, "/", " ")
	}
	return strings.ReplaceAll(s, "_", " ")
}
