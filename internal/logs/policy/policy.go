// Package policy reads the lines of small programs beside a mail server: policy servers (iRedAPD, postfwd, PolicyD,
// policyd-weight, Proxmox-like ones), milter-greylist, PostSRSd, dkimpy-milter, MailScanner, and the handlers of Plesk.
//
// Promise: each program's own words decide what became of a request; addresses only fill fields. A line that says nothing
// about a client or a message is kept as a note. It judges nothing.
package policy

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the dialect of policy servers.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.PolicyServer }

// Programs that are read.
var programs = [...]string{"iredapd", "milter-greylist", "greylist", "greylistd", "sqlgrey", "gps", "postfwd", "postfwd2", "postfwd3", "cbpolicyd", "policyd", "policyd-weight", "policyd-rate-limit", "ratelimit-policyd",
	"postsrsd", "pfix-srsd", "dkimpy-filter", "dkimpy-milter", "dkim-filter", "dkimproxy.in", "dkimproxy.out", "MailScanner", "mimedefang", "mimedefang.pl", "spf-milter", "spfmilter", "sid-filter", "smf-spf",
	"psa-pc-remote", "dk_check", "dk_sign", "dmarc", "spf", "check-quota", "limit-out", "qmail-queue-handlers", "postfix-local", "plesk_saslauthd", "plesk-sendmail", "pc-remote", "before-queue", "before-remote", "domainkeys",
	"grey", "milter-regex", "milter-limit", "rmilter", "openarc", "mlmmj", "mailman", "vacation", "procmail", "maildrop", "fetchmail", "getmail", "spampd", "kopano-dagent", "zarafa-dagent", "kopano-spooler", "zarafa-spooler"}

// Mine tells them by name.
func (Dialect) Mine(program []byte) bool {
	for _, p := range programs {
		if string(program) == p {
			return true
		}
	}
	return false
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Filter, e.Text, e.Kind = e.Program, e.Msg, event.Stats
	b := e.Msg
	if id, rest, ok := logs.QueueIDWord(b); ok {
		e.QueueID, b = id, rest
		e.Kind, e.Text = event.Filter, rest
	}
	switch {
	case logs.Has(b, "[") && string(e.Program) == "iredapd":
		request(e, b)
	case logs.Has(b, "addr ") && string(e.Program) == "milter-greylist":
		greylisted(e, b)
	case logs.Has(b, "from=<"):
		envelope(e, b)
	case logs.Has(b, "rule="), logs.Has(b, "module="), logs.Has(b, "[RULES] "), logs.Has(b, "grey: "):
		pairs(e, b)
	case logs.Has(b, "failed mail authentication attempt for user "), logs.Has(b, "failed mail authentication attempt "):
		e.Kind = event.LoginFailed
		_, user, _ := logs.Cut(b, "for user '")
		e.User, _, _ = logs.Cut(user, "'")
	case logs.Has(b, "Delivered message to '"):
		e.Kind, e.Action = event.Sieve, saved
		e.User, b, _ = logs.Cut(b[len("Delivered message to '"):], "'")
		if _, id, ok := logs.Cut(b, "essage-Id: <"); ok {
			e.MessageID, _, _ = logs.Cut(id, ">")
		}
	case logs.Has(b, "warning"), logs.Has(b, "WARN"), logs.Has(b, "ERROR"), logs.Has(b, "error"), logs.Has(b, "Unable to "), logs.Has(b, "fatal"):
		e.Kind, e.Level = event.Warning, event.Warn
	}
	sink.Event(e)
	return logs.Known
}

var (
	saved  = []byte("saved")
	defers = []byte("greylist")
)

// request reads iRedAPD's "[192.0.2.1] RCPT, a -> b, DUNNO [sasl_username=…, …]".
func request(e *event.Event, b []byte) {
	ip, rest, ok := logs.Cut(b[1:], "] ")
	stage, rest, ok2 := logs.Cut(rest, ", ")
	from, rest, ok3 := logs.Cut(rest, " -> ")
	to, rest, ok4 := logs.Cut(rest, ", ")
	if !ok || !ok2 || !ok3 || !ok4 {
		return
	}
	e.Kind, e.ClientIP, e.Stage, e.From, e.To = event.Policy, ip, stage, from, to
	if i := bytes.LastIndex(from, []byte(" => ")); i >= 0 { // "user => sender"
		e.User, e.From = from[:i], from[i+4:]
	}
	verdict := rest
	if i := bytes.LastIndex(rest, []byte(" [")); i >= 0 {
		verdict = rest[:i]
		if _, v, ok := logs.Cut(rest[i:], "client_name="); ok {
			e.ClientName, _, _ = logs.Cut(v, ",")
		}
		if _, v, ok := logs.Cut(rest[i:], " helo="); ok {
			e.Helo, _, _ = logs.Cut(v, ",")
		}
	}
	e.Verdict, e.Text = verdict, verdict
	if e.Code, e.DSN = logs.Code(verdict); e.Code != 0 {
		e.Verdict = verdict[:3]
	}
}

// greylisted reads milter-greylist's "addr h[192.0.2.1] from <a> to <b> delayed for 00:05:00 (ACL 1)".
func greylisted(e *event.Event, b []byte) {
	name, ip, _, rest, ok := logs.HostIP(b[len("addr "):])
	if !ok {
		return
	}
	e.Kind, e.ClientName, e.ClientIP = event.Policy, name, ip
	if r, ok := logs.After(rest, " from "); ok {
		e.From, rest, _ = logs.Angle(r)
	}
	if r, ok := logs.After(rest, " to "); ok {
		e.To, rest, _ = logs.Angle(r)
	}
	e.Text = bytes.TrimSpace(rest)
	if logs.Has(e.Text, "delayed") {
		e.Verdict = defers
	}
}

// envelope reads "from=<a> to=<b>" of Plesk's handlers.
func envelope(e *event.Event, b []byte) {
	addr, rest, ok := logs.Angle(b[len("from="):])
	if !ok {
		return
	}
	e.From = addr
	if _, r, ok := logs.Cut(rest, "to=<"); ok {
		e.To, _, _ = logs.Angle(rest[len(rest)-len(r)-1:])
	}
	if e.QueueID != nil {
		e.Kind = event.Related
	}
}

// pairs reads "client=h[192.0.2.1], sender=<a>, recipient=<b>, action=DUNNO" and "action=defer, host=192.0.2.1, from=a, to=b".
func pairs(e *event.Event, b []byte) {
	e.Kind = event.Policy
	b = bytes.TrimPrefix(b, []byte("[RULES] "))
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok {
			return
		}
		switch string(key) {
		case "client":
			e.ClientName, e.ClientIP, _, _, _ = logs.HostIP(v)
		case "host":
			e.ClientIP = v
		case "helo":
			e.Helo = v
		case "sender", "from":
			e.From = v
		case "recipient", "to":
			e.To = v
		case "queue_id":
			if len(v) > 5 {
				e.QueueID = v
			}
		case "state":
			e.Stage = v
		case "action":
			e.Verdict = v
		case "reason":
			e.Text = v
		}
		b = rest
	}
}
