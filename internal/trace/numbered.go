package trace

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
)

// numberedBy begins the session of software that tells an outcome by the number of the delivery alone (qmail: "delivery 5:
// success: …"); the line that begins it names message and recipient.
const numberedBy = "delivery "

// numbered gives such outcomes the message and the recipient of the latest beginning with their number. Numbers begin anew
// when the software does: an outcome without a beginning is of another message and is left out.
func numbered(steps []Step) []Step {
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
			s.QueueID, s.To, s.Relay, s.match = b.QueueID, b.To, b.Relay, b.match
			s.Text = plainWords(s.Text)
		} else {
			continue
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
