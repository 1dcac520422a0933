// Package qmail reads the lines of qmail-send, as splogger or multilog keep them.
//
// Promise: the first words decide. qmail names a message by a number that it uses again, its result lines by the number of
// a delivery alone, and a bounce by the process that wrote it: which message is meant only the lines around tell. The
// numbers are given as they are. It judges nothing.
package qmail

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the qmail dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Qmail }

// Mine tells qmail's program names.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "qmail" || logs.Has(program, "qmail-")
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	if sec, n := logs.Number(b); n >= 9 && n < len(b) && (b[n] == '.' || b[n] == ' ') { // splogger's own time
		if i := bytes.IndexByte(b, ' '); i > 0 {
			if !e.TimeSet {
				e.At, e.TimeSet, e.ZoneSet = sec*1e9, true, true
			}
			b = b[i+1:]
		}
	}
	if i := bytes.LastIndex(b, []byte(" queue")); i > 0 && i+7 <= len(b) && len(b)-i < 10 { // one of several queues
		if _, n := logs.Number(b[i+6:]); n == len(b)-i-6 {
			b = b[:i]
		}
	}
	e.Text = b
	if !read(e, b) {
		return logs.Unparsed
	}
	call := e.Ref
	sink.Event(e)
	if call != nil {
		e.Clear()
		e.Kind, e.QueueID, e.Software = event.Related, call, event.Qmail
		sink.Event(e)
	}
	return logs.Known
}

func read(e *event.Event, b []byte) bool {
	if r, ok := logs.After(b, "new msg "); ok {
		e.Kind, e.QueueID, e.Action = event.Related, r, actionNew
		return true
	}
	if r, ok := logs.After(b, "info msg "); ok { // "info msg 123: bytes 456 from <a> qp 789 uid 1000"
		var rest []byte
		e.Kind = event.Received
		e.QueueID, rest, _ = logs.Cut(r, ": bytes ")
		e.Size, _ = logs.Number(rest)
		if _, from, ok := logs.Cut(rest, " from "); ok {
			e.From, rest, _ = logs.Angle(from)
		}
		if e.From != nil && len(e.From) == 0 || string(e.From) == "#@[]" { // perhaps a bounce of our own
			e.Ref, e.RefIs = call(rest), event.Parent
		}
		return true
	}
	if r, ok := logs.After(b, "starting delivery "); ok { // "5: msg 123 to remote b@c"
		var to []byte
		e.Kind = event.Related
		e.Session = deliveryOf(b[len("starting "):])
		e.Method, r, _ = logs.Cut(r, ": msg ")
		e.QueueID, to, _ = logs.Cut(r, " to ")
		e.Relay, e.To, _ = logs.Cut(to, " ")
		if string(e.Relay) == "local" {
			e.To = unprefixed(e.To)
		}
		return true
	}
	if r, ok := logs.After(b, "delivery "); ok {
		e.Session = deliveryOf(b)
		return result(e, r)
	}
	if r, ok := logs.After(b, "end msg "); ok {
		e.Kind, e.QueueID = event.Removed, r
		return true
	}
	if r, ok := logs.After(b, "bounce msg "); ok {
		e.Kind, e.RefIs = event.Notification, event.Bounce
		e.QueueID, _, _ = logs.Cut(r, " ")
		e.Ref = call(r[len(e.QueueID):])
		return true
	}
	if logs.Has(b, "rblsmtpd: ") {
		e.Kind = event.Reject
		e.ClientIP, _, _ = logs.Cut(b[len("rblsmtpd: "):], " ")
		if _, why, ok := logs.Cut(b, ": 4"); ok {
			e.Text = b[len(b)-len(why)-1:]
		} else if _, why, ok := logs.Cut(b, ": 5"); ok {
			e.Text = b[len(b)-len(why)-1:]
		}
		e.Code, e.DSN = logs.Code(e.Text)
		return true
	}
	if r, ok := logs.After(b, "CHKUSER rejected "); ok { // "rcpt: from <a::> remote <h:unknown:192.0.2.1> rcpt <b> : not existing recipient"
		return checked(e, r)
	}
	if logs.Has(b, "triple bounce: ") || logs.Has(b, "double bounce: ") {
		e.Kind, e.Level = event.Warning, event.Warn
		return true
	}
	for _, w := range [...]string{"status: ", "status ", "number of deliveries", "running"} {
		if logs.Has(b, w) {
			e.Kind = event.Stats
			return true
		}
	}
	if logs.Has(b, "alert: ") || logs.Has(b, "warning: ") || bytes.Contains(b, []byte("unable to ")) {
		e.Kind, e.Level = event.Trouble, event.Error
		return true
	}
	e.Kind = event.Stats
	return logs.Has(b, "qmail-") || logs.Has(b, "local: ") || logs.Has(b, "remote: ") || logs.Has(b, "tcpserver: ") || logs.Has(b, "rblsmtpd: ") || logs.Has(b, "exiting") || logs.Has(b, "vdelivermail: ") || logs.Has(b, "CHKUSER ") || logs.Has(b, "policy_check: ") || logs.Has(b, "simscan:") || logs.Has(b, "got SIG")
}

var actionNew = []byte("new")

var stageRcpt, stageMail = []byte("RCPT"), []byte("MAIL")

// checked reads a refusal of vpopmail's CHKUSER.
func checked(e *event.Event, b []byte) bool {
	e.Kind, e.Stage = event.Reject, stageRcpt
	if logs.Has(b, "sender") {
		e.Stage = stageMail
	}
	if _, r, ok := logs.Cut(b, "from <"); ok {
		e.From, _, _ = logs.Cut(r, ":")
	}
	if _, r, ok := logs.Cut(b, " remote <"); ok {
		peer, _, _ := logs.Cut(r, ">")
		if i := bytes.LastIndexByte(peer, ':'); i >= 0 {
			e.ClientIP = peer[i+1:]
			e.Helo, e.ClientName, _ = logs.Cut(peer[:i], ":")
		}
	}
	if _, r, ok := logs.Cut(b, " rcpt <"); ok {
		e.To, _, _ = logs.Cut(r, ">")
	}
	if i := bytes.LastIndex(b, []byte(" : ")); i >= 0 {
		e.Text = b[i+3:]
	}
	return true
}

// call gives "qp 789" of " qp 789 uid 0": the process that put a message into the queue, which a bounce and the line that
// begins it both name.
func call(b []byte) []byte {
	r, ok := logs.After(b, " qp ")
	if !ok {
		return nil
	}
	if _, n := logs.Number(r); n > 0 {
		return b[1 : len(" qp ")+n]
	}
	return nil
}

// deliveryOf gives "delivery 5" of "delivery 5: …": the only id that the line with the outcome has.
func deliveryOf(b []byte) []byte {
	if i := bytes.IndexByte(b, ':'); i > 0 && i < 30 {
		return b[:i]
	}
	return nil
}

// result reads "5: success: 192.0.2.1_accepted_message./Remote_host_said:_250_ok/".
func result(e *event.Event, b []byte) bool {
	num, rest, ok := logs.Cut(b, ": ")
	if !ok {
		return false
	}
	e.Kind, e.Method = event.Delivery, num
	word, text, _ := logs.Cut(rest, ": ")
	switch string(word) {
	case "success":
		e.Status = event.Sent
	case "deferral":
		e.Status = event.Deferred
	case "failure":
		e.Status = event.Bounced
	default:
		return false
	}
	e.Text = text
	if _, said, ok := logs.Cut(text, "Remote_host_said:_"); ok && len(said) >= 3 {
		e.Code, _ = logs.Code(said[:3])
	}
	if _, dsn, ok := logs.Cut(text, "(#"); ok {
		if i := bytes.IndexByte(dsn, ')'); i > 0 && i < 12 {
			e.DSN = dsn[:i]
		}
	}
	e.RelayIP = host(text)
	return true
}

// host gives the address of the next host that qmail-remote names.
func host(text []byte) []byte {
	if r, ok := logs.After(text, "Connected_to_"); ok {
		ip, _, _ := logs.Cut(r, "_but_")
		return ip
	}
	if ip, r, ok := logs.Cut(text, "_"); ok && len(ip) >= len("1.2.3.4") && (ip[0]-'0' < 10 || bytes.IndexByte(ip, ':') > 0) {
		for _, w := range [...]string{"accepted_message", "does_not_like_recipient", "failed_after_I_sent_the_message", "does_not_accept"} {
			if logs.Has(r, w) {
				return ip
			}
		}
	}
	return nil
}

// unprefixed takes off what qmail puts in front of an address of a virtual domain: the domain itself, as a user.
func unprefixed(to []byte) []byte {
	at := bytes.LastIndexByte(to, '@')
	if domain := to[at+1:]; at > len(domain) && to[len(domain)] == '-' && bytes.EqualFold(to[:len(domain)], domain) {
		return to[len(domain)+1:]
	}
	return to
}
