// Package postgrey reads the lines of the Postgrey greylisting policy server.
//
// Promise: "action=" in front decides; the rest fills fields. It judges nothing.
package postgrey

import (
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Postgrey dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Postgrey }

// Mine tells Postgrey's program names.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "postgrey" || string(program) == "postfix/postgrey"
}

var name = []byte("postgrey")

// Parse reads "action=greylist, reason=new, client_name=h, client_address=192.0.2.1, sender=a, recipient=b".
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Filter, e.Text = name, e.Msg
	b := e.Msg
	if id, rest, ok := logs.QueueIDWord(b); ok { // newer releases name the queue id
		e.QueueID, b = id, rest
	}
	if !logs.Has(b, "action=") {
		e.Kind = event.Stats
		if logs.Has(b, "warning: ") || logs.Has(b, "fatal: ") || logs.Has(b, "WARNING") {
			e.Kind, e.Level = event.Warning, event.Warn
		}
		sink.Event(e)
		return logs.Known
	}
	e.Kind = event.Policy
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok {
			break
		}
		switch string(key) {
		case "action":
			e.Verdict = v
		case "reason":
			e.Text = v
		case "delay":
			e.Delay, _ = logs.Seconds(v)
		case "client_name":
			e.ClientName = v
		case "client_address":
			e.ClientIP, _, _ = logs.Cut(v, "/")
		case "sender":
			e.From = v
		case "recipient":
			e.To = v
		case "queue_id":
			e.QueueID = v
		}
		b = rest
	}
	sink.Event(e)
	return logs.Known
}
