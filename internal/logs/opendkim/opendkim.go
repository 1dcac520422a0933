// Package opendkim reads the lines of the OpenDKIM milter: signatures made and verified, under the queue id of the mail
// server it serves.
//
// Promise: the queue id in front and OpenDKIM's own words decide; it judges nothing.
package opendkim

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the OpenDKIM dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.OpenDKIM }

// Mine tells the milter's name.
func (Dialect) Mine(program []byte) bool { return logs.Has(program, "opendkim") }

var (
	name     = []byte("opendkim")
	signed   = []byte("signed")
	pass     = []byte("pass")
	fail     = []byte("fail")
	keyFault = []byte("key not found")
)

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Kind, e.Filter, e.Text = event.Filter, name, e.Msg
	id, rest, ok := logs.QueueIDWord(e.Msg)
	if !ok { // about the milter itself
		e.Kind = event.Started
		sink.Event(e)
		return logs.Known
	}
	e.QueueID, e.Text = id, rest
	switch {
	case logs.Has(rest, "DKIM-Signature field added"), logs.Has(rest, "DKIM-Signature header added"):
		e.Verdict = signed
	case logs.Has(rest, "DKIM verification successful"), bytes.Contains(rest, []byte("signature verified")):
		e.Verdict = pass
	case logs.Has(rest, "bad signature data"), bytes.Contains(rest, []byte("signature verification failed")), bytes.Contains(rest, []byte("bad signature")):
		e.Verdict = fail
	case bytes.Contains(rest, []byte("key retrieval failed")), logs.Has(rest, "key data is not secure"), bytes.Contains(rest, []byte("no key")):
		e.Verdict = keyFault
	}
	sink.Event(e)
	return logs.Known
}
