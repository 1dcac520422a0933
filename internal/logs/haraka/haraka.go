// Package haraka reads the lines of Haraka in its default and logfmt-like forms: "[NOTICE] [UUID.1] [core] …".
//
// Promise: level, connection id and plugin in brackets decide; the fields behind are read left to right. The id of a
// transaction ("UUID.1") serves as queue id. It judges nothing.
package haraka

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Haraka dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Haraka }

// Mine tells Haraka's program name.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "haraka" || string(program) == "Haraka"
}

// bracket takes "[word] " off.
func bracket(b []byte) (word, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != '[' {
		return nil, b, false
	}
	i := bytes.IndexByte(b, ']')
	if i < 0 {
		return nil, b, false
	}
	return b[1:i], bytes.TrimLeft(b[i+1:], " "), true
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	level, b, ok := bracket(e.Msg)
	id, b, ok2 := bracket(b)
	plugin, b, ok3 := bracket(b)
	if !ok || !ok2 || !ok3 {
		return logs.Unparsed
	}
	e.Level = logs.Level(level)
	if i := bytes.IndexByte(id, '.'); i > 0 {
		e.Session, e.QueueID = id[:i], id
		if j := bytes.IndexByte(id[i+1:], '.'); j > 0 { // a delivery of this message
			e.QueueID = id[:i+1+j]
		}
	} else if len(id) > 8 {
		e.Session = id
	}
	e.Text, e.Filter = b, plugin
	word(e, plugin, b)
	sink.Event(e)
	return logs.Known
}

func word(e *event.Event, plugin, b []byte) {
	if i := bytes.Index(b, []byte("retval=DENY")); i > 0 && logs.Has(b, "hook=") { // a plugin said no
		e.Kind = event.Reject
		e.Stage, _, _ = logs.Cut(b[len("hook="):], " ")
		if _, msg, ok := logs.Cut(b[i:], "msg=\""); ok {
			e.Text = bytes.TrimSuffix(msg, []byte("\""))
			e.Code, e.DSN = logs.Code(e.Text)
		}
		return
	}
	if r, ok := logs.After(b, "Attempting to deliver to: "); ok {
		e.Kind = event.Stats
		e.RelayIP, _, _ = logs.Cut(r, ":")
		return
	}
	if string(plugin) == "outbound" && outbound(e, b) {
		return
	}
	verb, rest, _ := logs.Cut(b, " ")
	switch string(verb) {
	case "connect":
		e.Kind = event.Connect
	case "disconnect":
		e.Kind = event.Disconnect
	case "message":
		e.Kind = event.Received
	case "queue":
		if e.Kind = event.Filter; bytes.Contains(rest, []byte("code=DENY")) {
			e.Kind = event.Reject
		}
	case "delivered":
		e.Kind, e.Status = event.Delivery, event.Sent
	case "bounced":
		e.Kind, e.Status = event.Delivery, event.Bounced
	case "temp", "deferred", "temp_fail":
		e.Kind, e.Status = event.Delivery, event.Deferred
	case "secured:", "tls":
		e.Kind = event.TLS
	case "deny", "denied":
		e.Kind = event.Reject
	case "recipient", "sender":
		e.Kind = event.Related
		if _, a, ok := logs.Cut(rest, "<"); ok {
			if addr, _, ok := logs.Angle(rest[len(rest)-len(a)-1:]); ok {
				if e.To = addr; verb[0] == 's' {
					e.To, e.From = nil, addr
				}
			}
		}
	default:
		if e.Kind = event.Stats; e.Level >= event.Warn {
			e.Kind = event.Warning
		}
	}
	if string(plugin) == "auth" || logs.Has(plugin, "auth/") {
		if bytes.Contains(b, []byte("pass:")) || logs.Has(b, "authed ") {
			e.Kind = event.Auth
		} else if bytes.Contains(b, []byte("fail")) {
			e.Kind = event.AuthFailed
		}
	}
	fields(e, rest)
}

// outbound reads what is said in words of a delivery: "recipient <a> rejected: 550 …", "Temp failing FILE for 1024 seconds:
// Tried all MXs", "Remote end 192.0.2.9:25 closed connection while we were processing mail. Trying next MX.".
func outbound(e *event.Event, b []byte) bool {
	if r, ok := logs.After(b, "recipient "); ok {
		to, r, ok := logs.Angle(r)
		e.Status = event.Bounced
		said, refused := logs.After(r, " rejected: ")
		if !refused {
			if said, refused = logs.After(r, " deferred: "); refused {
				e.Status = event.Deferred
			}
		}
		if !ok || !refused {
			e.Status = event.NoStatus
			return false
		}
		e.Kind, e.To, e.Text = event.Delivery, to, said
		e.Code, e.DSN = logs.Code(said)
		return true
	}
	if r, ok := logs.After(b, "Temp failing "); ok { // for whom the lines before tell
		if _, why, ok := logs.Cut(r, " seconds: "); ok {
			e.Kind, e.Status, e.Text = event.Delivery, event.Deferred, why
			return true
		}
	}
	if r, ok := logs.After(b, "Remote end "); ok {
		e.Kind = event.Reply
		e.RelayIP, _, _ = logs.Cut(r, ":")
		return true
	}
	return false
}

// fields reads `ip=192.0.2.1 rdns=h helo=x mid=<m> size=1 rcpts=1/0/0 response="…" …`.
func fields(e *event.Event, b []byte) {
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, " ")
		if !ok {
			_, r, more := logs.Cut(b, " ")
			if !more {
				return
			}
			b = r
			continue
		}
		out := e.Kind == event.Delivery
		switch string(key) {
		case "ip":
			if out {
				e.RelayIP = v
			} else {
				e.ClientIP = v
			}
		case "host":
			e.Relay = v
		case "port":
			if n, _ := logs.Number(v); out && n < 1<<16 {
				e.RelayPort = uint16(n)
			}
		case "rdns":
			e.ClientName = v
		case "helo":
			e.Helo = v
		case "mid":
			e.MessageID = logs.Bare(v)
		case "size":
			e.Size, _ = logs.Number(v)
		case "domain":
			if out {
				e.To = v
			}
		case "delay":
			e.Delay, _ = logs.Seconds(v)
		case "response", "reason", "err":
			e.Text = v
			e.Code, e.DSN = logs.Code(v)
			if e.Status == event.Sent {
				if e.Ref, _ = logs.NextID(v); e.Ref != nil {
					e.RefIs = event.Next
				}
			}
		case "user", "authuser":
			e.User = v
		}
		b = rest
	}
}
