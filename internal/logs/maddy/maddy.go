// Package maddy reads the lines of the Maddy mail server: a module, a text and an object of JSON with the fields.
//
// Promise: module and text, which Maddy writes, decide; the fields only fill. Nothing is unescaped, so nothing is copied.
// It judges nothing.
package maddy

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Maddy dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Maddy }

// Mine tells Maddy's program name.
func (Dialect) Mine(program []byte) bool { return string(program) == "maddy" }

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	if r, ok := logs.After(b, "[debug] "); ok {
		e.Kind, e.Text = event.Stats, r
		sink.Event(e)
		return logs.Known
	}
	module, rest, ok := logs.Cut(b, ": ")
	if !ok {
		module, rest = nil, b
	}
	text, object := rest, []byte(nil)
	if i := bytes.IndexByte(rest, '{'); i > 0 && rest[len(rest)-1] == '}' {
		text, object = bytes.TrimRight(rest[:i], " \t"), rest[i:]
	}
	e.Text = text
	f := fields(e, object)
	read(e, module, text, &f)
	sink.Event(e)
	return logs.Known
}

// found are fields that mean something else in every line.
type found struct {
	reason, dsn, said []byte
}

// fields reads the object.
func fields(e *event.Event, b []byte) (f found) {
	for it := logs.Members(b); it.Next(); {
		v := it.Value
		switch string(it.Key) {
		case "msg_id":
			e.QueueID = v
		case "sender":
			e.From = v
		case "rcpt":
			e.To = v
		case "src_ip":
			e.ClientIP, e.ClientPort = address(v)
		case "src_host":
			e.Helo = v
		case "username":
			e.User = v
		case "remote_server":
			e.Relay = v
		case "smtp_code":
			n, _ := logs.Number(v)
			e.Code = int16(min(n, 999))
		case "smtp_enchcode":
			e.DSN = v
		case "smtp_msg":
			f.said = v
		case "reason":
			f.reason = v
		case "dsn_id":
			f.dsn = v
		}
	}
	return f
}

// address reads "192.0.2.1:48258" and "[2001:db8::1]:39802".
func address(b []byte) (ip []byte, port uint16) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return b, 0
	}
	if p, n := logs.Number(b[i+1:]); n > 0 && p < 1<<16 {
		port = uint16(p)
	}
	return bytes.Trim(b[:i], "[]"), port
}

// read tells what happened.
func read(e *event.Event, module, text []byte, f *found) {
	why := f.said
	if why == nil {
		why = f.reason
	}
	if why != nil {
		e.Text = why
	}
	switch string(text) {
	case "incoming message":
		e.Kind = event.Received
	case "RCPT ok":
		e.Kind = event.Related
	case "RCPT error", "MAIL FROM error", "MAIL error", "DATA error", "DATA header error", "DATA body error":
		e.Kind, e.Stage = event.Reject, text[:4]
	case "aborted":
		e.Kind = event.Lost
	case "delivered":
		e.Kind, e.Status = event.Delivery, event.Sent
	case "delivery attempt failed":
		if e.Kind, e.Status = event.Delivery, event.Deferred; e.Code >= 500 {
			e.Status = event.Bounced
		}
	case "not delivered, permanent error":
		e.Kind, e.Status = event.Delivery, event.Bounced
	case "not delivered, too many errors":
		e.Kind, e.Status = event.Delivery, event.Expired
	case "generated failed DSN":
		e.Kind, e.RefIs, e.Ref = event.Notification, event.Bounce, f.dsn
	case "authentication failed":
		if e.Kind = event.AuthFailed; logs.Has(module, "imap") {
			e.Kind = event.LoginFailed
		}
	default:
		if e.Kind = event.Stats; f.reason != nil || bytes.HasSuffix(text, []byte(" error")) || bytes.HasSuffix(text, []byte(" failed")) {
			e.Kind, e.Level = event.Warning, event.Warn
		}
	}
	if e.To == nil && e.Kind == event.Delivery || e.QueueID == nil && e.Kind == event.Notification { // not one of those after all
		e.Kind, e.Status, e.RefIs, e.Ref = event.Warning, event.NoStatus, event.NoRef, nil
	}
}
