// Package fail2ban reads what fail2ban did: found, banned and let go addresses, and for which jail.
//
// Promise: it reads fail2ban's own words; whether the jail guards mail is for others to say. It judges nothing.
package fail2ban

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the fail2ban dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Fail2ban }

// Mine tells fail2ban's program names.
func (Dialect) Mine(program []byte) bool { return logs.Has(program, "fail2ban") }

var (
	ban   = []byte("ban")
	unban = []byte("unban")
	found = []byte("found")
)

// Parse reads "fail2ban.actions [99]: NOTICE [postfix] Ban 192.0.2.1" and "… INFO [postfix] Found 192.0.2.1 - 2026-…".
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	e.Text = b
	if i := bytes.Index(b, []byte("]: ")); logs.Has(b, "fail2ban.") && i > 0 {
		b = b[i+3:]
	} else if logs.Has(b, "fail2ban.") { // before 0.9: no process id
		_, b, _ = logs.Cut(b, ": ")
	}
	e.Kind = event.Stats
	for l, w := range [...]string{"INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "DEBUG"} {
		if r, ok := logs.After(b, w); ok {
			if b = bytes.TrimLeft(r, " "); l >= 3 && l < 5 {
				e.Kind, e.Level = event.Warning, event.Error
			}
			break
		}
	}
	if len(b) == 0 || b[0] != '[' {
		sink.Event(e)
		return logs.Known
	}
	i := bytes.IndexByte(b, ']')
	if i < 0 {
		sink.Event(e)
		return logs.Known
	}
	e.Action, b = b[1:i], bytes.TrimLeft(b[i+1:], " ")
	for _, w := range [...]struct {
		word    string
		verdict []byte
	}{{"Ban ", ban}, {"Unban ", unban}, {"Found ", found}, {"Restore Ban ", ban}, {"Increase Ban ", ban}} {
		if r, ok := logs.After(b, w.word); ok {
			e.Kind, e.Verdict = event.Ban, w.verdict
			e.ClientIP, _, _ = logs.Cut(r, " ")
			break
		}
	}
	sink.Event(e)
	return logs.Known
}
