// Package policydspf reads the lines of the SPF policy servers for Postfix: pyspf-milter and policyd-spf (Python) and
// postfix-policyd-spf-perl.
//
// Promise: the result word in front decides; the rest fills fields. It judges nothing.
package policydspf

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the SPF policy dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.PolicydSPF }

// Mine tells the policy servers' names.
func (Dialect) Mine(program []byte) bool {
	if i := bytes.LastIndexByte(program, '/'); i >= 0 {
		program = program[i+1:]
	}
	return logs.Has(program, "policyd-spf") || logs.Has(program, "policy-spf") || logs.Has(program, "pyspf-milter") || logs.Has(program, "python-policyd-spf")
}

var name = []byte("policyd-spf")

// Parse reads "prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=…", "550 5.7.23 Message rejected due
// to: SPF fail …", "Pass; identity=mailfrom; client-ip=…" and the Perl server's "Policy action=…".
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	e.Kind, e.Filter, e.Text = event.Policy, name, b
	if id, rest, ok := logs.QueueIDWord(b); ok {
		e.QueueID, b = id, rest
	}
	b = bytes.TrimPrefix(b, []byte(": ")) // no queue id yet
	if e.Code, e.DSN = logs.Code(b); e.Code != 0 {
		e.Action = reject
		if i := bytes.Index(b, []byte("SPF ")); i >= 0 {
			e.Verdict = word(b[i+4:])
		}
		if _, why, ok := logs.Cut(b, "?s="); ok { // the page that explains a refusal is told whom it is about
			e.ClientIP = after(why, "ip=")
			if logs.Has(why, "mfrom") {
				e.From = after(why, "id=")
			}
		}
	}
	for _, w := range [...]string{"Policy action=", "PREPEND ", "prepend ", "Received-SPF: ", ": SPF "} {
		if r, ok := logs.After(b, w); ok {
			b = r
		}
	}
	switch string(word(b)) {
	case "Pass", "pass", "Fail", "fail", "Softfail", "SoftFail", "softfail", "Neutral", "neutral", "None", "none", "Temperror", "temperror", "TempError", "Permerror", "permerror", "PermError":
		e.Verdict = word(b)
	case "Authentication":
		if _, v, ok := logs.Cut(b, " spf="); ok {
			e.Verdict = word(v)
		}
	case "action":
		e.Verdict = b
	}
	if e.ClientIP == nil {
		e.ClientIP, e.From, e.Helo = after(b, "client-ip="), bytes.Trim(after(b, "envelope-from="), "\"<>"), after(b, "helo=")
	}
	if len(e.From) == 0 {
		e.From = nil
	}
	if e.Verdict == nil && e.ClientIP == nil && e.Code == 0 {
		e.Kind = event.Stats
	}
	sink.Event(e)
	return logs.Known
}

var reject = []byte("reject")

// word takes letters.
func word(b []byte) []byte {
	i := 0
	for i < len(b) && b[i]|0x20-'a' < 26 {
		i++
	}
	return b[:i]
}

// after gives the value behind a key, up to a semicolon or a space.
func after(b []byte, key string) []byte {
	_, v, ok := logs.Cut(b, key)
	if !ok {
		return nil
	}
	if i := bytes.IndexAny(v, "; )"); i >= 0 {
		v = v[:i]
	}
	return v
}
