// Package opendmarc reads the lines of the OpenDMARC milter: "QUEUEID: example.com pass".
//
// Promise: the queue id in front and OpenDMARC's own words decide; it judges nothing.
package opendmarc

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the OpenDMARC dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.OpenDMARC }

// Mine tells the milter's name.
func (Dialect) Mine(program []byte) bool { return logs.Has(program, "opendmarc") }

var name, nameSPF = []byte("opendmarc"), []byte("opendmarc SPF")

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Kind, e.Filter, e.Text = event.Filter, name, e.Msg
	id, rest, ok := logs.QueueIDWord(e.Msg)
	if !ok {
		if w, r, cut := logs.Cut(e.Msg, " "); cut && logs.Has(r, "ignoring ") { // "QUEUEID ignoring Authentication-Results …"
			e.QueueID, e.Text = w, r
		} else {
			e.Kind = event.Started
		}
		sink.Event(e)
		return logs.Known
	}
	e.QueueID, e.Text = id, rest
	if i := bytes.LastIndexByte(rest, ' '); i > 0 && bytes.IndexByte(rest[:i], ' ') < 0 { // "example.com pass"
		switch v := rest[i+1:]; string(v) {
		case "pass", "fail", "none", "temperror", "permerror":
			e.Verdict = v
		}
	} else if logs.Has(rest, "SPF(") { // beside its own verdict
		e.Filter = nameSPF
		if i >= 0 {
			e.Verdict, e.Method = rest[i+1:], rest[:i]
		}
	}
	sink.Event(e)
	return logs.Known
}
