// Package logs reads other people's log lines: it opens inputs (plain, compressed, rotated), cuts lines, reads the
// prefix of each (who, where, when) and hands the rest to the dialect of the program that wrote it. A dialect, a
// package below this one each, turns a line into events and does nothing else.
//
// Promise: nothing is lost silently. A line of a program that has nothing to do with mail is counted as foreign, a mail
// line no dialect understands is counted and can be shown, an input that cannot be read is named. No regular
// expressions and no allocation per line on the common path. What a client wrote (an address, a subject, a HELO name)
// never decides what kind of line it is: dialects read from the fixed words of the software, left to right.
//
// Prefixes: RFC 3164, RFC 5424, RFC 3339, journald export and JSON, docker JSON, the software's own.
package logs

import "github.com/mailwhy/mailwhy/internal/event"

// Outcome is what became of a line.
type Outcome uint8

// The outcomes.
const (
	Foreign   Outcome = iota // not a mail program's line
	Known                    // understood; there may be no event in it
	Unparsed                 // a mail program's line that nobody understood
	Continued                // the line goes on with the next one; nothing was emitted yet
)

// Dialect reads the lines of one software family.
//
// Parse gets an event whose Origin is filled (Program, Msg, Line, At, …) and everything else empty; it fills the rest
// and gives it to the sink, once for each thing the line tells; where that is more than one it calls e.Clear between.
// It never keeps a slice. A Dialect has no state that changes, so one value serves many goroutines.
type Dialect interface {
	Software() event.Software
	// Mine tells whether lines of this program are this dialect's. It is asked once per program name, not per line.
	Mine(program []byte) bool
	Parse(e *event.Event, sink event.Sink) Outcome
}
