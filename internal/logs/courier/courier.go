// Package courier reads the login lines of Courier's IMAP and POP3 servers and the queue lines of its mail server.
//
// Promise: the word in front decides; names only fill fields. It judges nothing.
package courier

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Courier dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Courier }

// Mine tells Courier's program names.
func (Dialect) Mine(program []byte) bool {
	switch string(program) {
	case "imapd", "imapd-ssl", "pop3d", "pop3d-ssl", "authdaemond", "courierd", "courieresmtp", "courieresmtpd", "courierlocal", "esmtpd":
		return true
	}
	return logs.Has(program, "courier")
}

// Parse reads "LOGIN, user=li, ip=[::ffff:192.0.2.1], port=[4711], protocol=IMAP" and its kin.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Text, e.Kind = e.Msg, event.Stats
	word, rest, _ := logs.Cut(e.Msg, ", ")
	switch string(word) {
	case "LOGIN":
		e.Kind = event.Login
	case "LOGIN FAILED":
		e.Kind = event.LoginFailed
	case "LOGOUT", "DISCONNECTED", "TIMEOUT":
		e.Kind = event.Logout
	case "Connection":
		e.Kind = event.Connect
	}
	e.Text = word
	if e.Kind == event.Stats {
		e.Text, rest = e.Msg, nil
		if id, what, ok := logs.Cut(e.Msg, ",from="); ok && logs.Has(id, "id=") {
			delivery(e, id[3:], what)
		}
	}
	for len(rest) > 0 {
		key, v, r, ok := logs.Pair(rest, ", ")
		if !ok {
			break
		}
		switch string(key) {
		case "user":
			e.User = v
		case "ip":
			e.ClientIP = bytes.TrimPrefix(bytes.Trim(v, "[]"), []byte("::ffff:"))
		case "method":
			e.Method = v
		case "stls":
			e.TLSVersion = tls
		}
		rest = r
	}
	sink.Event(e)
	return logs.Known
}

var tls = []byte("TLS")

// delivery reads "<a>,addr=<b>,size=1,status: deferred" behind "id=X,from=".
func delivery(e *event.Event, id, b []byte) {
	from, rest, ok := logs.Angle(b)
	if !ok {
		return
	}
	rest, ok = logs.After(rest, ",addr=")
	if !ok {
		return
	}
	to, rest, ok := logs.Angle(rest)
	if !ok {
		return
	}
	status := event.NoStatus
	switch {
	case bytes.Contains(rest, []byte("status: deferred")):
		status = event.Deferred
	case bytes.Contains(rest, []byte("success: ")), bytes.HasSuffix(rest, []byte(",success")):
		status = event.Sent
	case bytes.Contains(rest, []byte("status: failure")):
		status = event.Bounced
	default:
		e.Kind = event.Reply
	}
	e.QueueID, e.From, e.To, e.Text = id, from, to, bytes.TrimPrefix(rest, []byte(","))
	if status != event.NoStatus {
		e.Kind, e.Status = event.Delivery, status
	}
}
