// Package proxmox reads the lines of Proxmox Mail Gateway's filter and policy server, which stand between the lines of two
// Postfix queues: the filter's own id is in the reply to the first queue, and its lines name the queue id of the second.
//
// Promise: the id in front and the filter's own words decide; addresses and subjects only fill fields. It judges nothing.
package proxmox

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Proxmox Mail Gateway dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Proxmox }

// Mine tells the gateway's program names.
func (Dialect) Mine(program []byte) bool {
	switch string(program) {
	case "pmg-smtp-filter", "pmgpolicy", "pmgdaemon", "pmgproxy", "pmgtunnel", "pmgmirror", "pmg-hourly", "pmg-daily", "pmgqm", "pmgspamreport":
		return true
	}
	return false
}

var (
	name        = []byte("pmg-smtp-filter")
	accepted    = []byte("accept")
	blocked     = []byte("block")
	quarantined = []byte("quarantine")
)

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Filter, e.Text, e.Kind = name, e.Msg, event.Stats
	if id, rest, ok := logs.QueueIDWord(e.Msg); ok && string(e.Program) == string(name) {
		e.QueueID, e.Text = id, rest
		ofMessage(e, rest)
	} else if logs.Has(e.Msg, "WARNING: ") || logs.Has(e.Msg, "ERROR: ") || bytes.Contains(e.Msg, []byte(" failed")) {
		e.Kind, e.Level = event.Warning, event.Warn
	} else if logs.Has(e.Msg, "starting ") || logs.Has(e.Msg, "reloading ") || logs.Has(e.Msg, "server ") {
		e.Kind = event.Started
	}
	sink.Event(e)
	return logs.Known
}

// ofMessage reads what is said about a message. Anything else is a note about it.
func ofMessage(e *event.Event, b []byte) {
	e.Kind = event.Filter
	if r, ok := logs.After(b, "new mail message-id="); ok {
		e.Kind, e.MessageID = event.MessageID, logs.Bare(bytes.TrimSpace(r))
		return
	}
	if r, ok := logs.After(b, "SA score="); ok { // "2/5 time=1.234 …"
		n := bytes.IndexByte(r, ' ')
		if n < 0 {
			n = len(r)
		}
		e.Verdict = b[len("SA ") : len("SA score=")+n]
		return
	}
	if r, ok := logs.After(b, "accept mail to "); ok { // "<b> (5ABCDEF12) (rule: x)"
		e.Verdict = accepted
		if e.To, r, ok = logs.Angle(r); ok {
			if r, ok = logs.After(r, " ("); ok {
				id, _, _ := logs.Cut(r, ")")
				e.Ref, e.RefIs = id, event.Next
			}
		}
		return
	}
	if r, ok := logs.After(b, "block mail to "); ok {
		e.Verdict = blocked
		e.To, _, _ = logs.Angle(r)
		e.Kind, e.Status = event.Delivery, event.Discarded
		e.Relay = name
		return
	}
	if r, ok := logs.After(b, "moved mail for "); ok { // "<b> to spam quarantine - ID (rule: x)"
		e.Verdict = quarantined
		e.To, r, _ = logs.Angle(r)
		if w, ok := logs.After(r, " to "); ok {
			e.Folder, _, _ = logs.Cut(w, " - ")
		}
		e.Kind, e.Status, e.Relay = event.Delivery, event.Quarantined, name
	}
}
