package intake

import (
	"context"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
)

// Mark is a place in an IMAP folder: everything up to UID was read. Another validity means that the server began to
// number anew (RFC 9051 section 2.3.1.1): everything is read again, and reports that came before are known by their ids.
type Mark struct {
	Validity uint32
	UID      uint32
}

// Report is one message of a mailbox for reports, summed up. A message that holds none gives an empty Sum.
type Report struct {
	Mailbox string // URL without the password: the name of the source
	From    Mark   // the mark that must be the stored one
	To      Mark   // the mark behind this message
	Sum     *feedback.Sum
	Read    time.Time
}

// ReportSink is what polling mailboxes needs of a store. Both methods are safe for concurrent use.
type ReportSink interface {
	// Mark gives where the mailbox was left, the zero Mark for one never seen.
	Mark(ctx context.Context, mailbox string) (Mark, error)
	// Keep stores the reports and the new mark, both or neither. A message at or before the stored mark of the same
	// validity was stored already: nothing is stored and that is no error. From that is neither gives ErrMoved.
	Keep(ctx context.Context, r *Report) error
}
