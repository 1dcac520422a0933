// Package clamav reads the lines of clamav-milter and clamd about messages: clean or infected, and with what.
//
// Promise: "infected by" is read from the end of the line, behind the subject a sender may fill with anything, and the
// queue id from the front. It judges nothing.
package clamav

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the ClamAV dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.ClamavMilter }

// Mine tells ClamAV's program names.
func (Dialect) Mine(program []byte) bool {
	return logs.Has(program, "clamav-milter") || string(program) == "clamd" || logs.Has(program, "clamsmtp")
}

var (
	name     = []byte("clamav")
	infected = []byte("infected")
	clean    = []byte("clean")
)

// Parse reads "Message QID from <a> to <b> with subject 's' message-id '<m>' date 'd' infected by V" and "Clean message
// from <a> to <b>".
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	e.Filter, e.Text = name, b
	rest, bad := logs.After(b, "Message ")
	switch {
	case bad && bytes.Contains(b, []byte(" infected by ")):
		id, tail, _ := logs.Cut(rest, " from ")
		if e.Kind, e.Verdict = event.Filter, infected; bytes.IndexByte(id, ' ') < 0 {
			e.QueueID = id
		} else {
			_, tail, _ = logs.Cut(rest, "from ")
		}
		addresses(e, tail)
		e.Text = b[bytes.LastIndex(b, []byte(" infected by "))+len(" infected by "):]
		if i := bytes.LastIndex(b, []byte(" message-id '")); i >= 0 {
			if j := bytes.IndexByte(b[i+13:], '\''); j >= 0 {
				e.MessageID = logs.Bare(b[i+13 : i+13+j])
			}
		}
	case logs.Has(b, "Clean message "):
		e.Kind, e.Verdict = event.Filter, clean
		if r, ok := logs.After(b, "Clean message from "); ok {
			addresses(e, r)
		} else if id, tail, ok := logs.Cut(b[len("Clean message "):], " from "); ok {
			e.QueueID = id
			addresses(e, tail)
		}
	default:
		e.Kind = event.Stats
		if logs.Has(b, "ERROR") || logs.Has(b, "WARNING") || logs.Has(b, "^") || logs.Has(b, "!") {
			e.Kind, e.Level = event.Warning, event.Warn
		}
	}
	sink.Event(e)
	return logs.Known
}

func addresses(e *event.Event, b []byte) {
	a, rest, ok := logs.Angle(b)
	if !ok {
		return
	}
	e.From = a
	if r, ok := logs.After(rest, " to "); ok {
		e.To = logs.FirstAngle(r)
	}
}
