package exim

import (
	"bytes"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// duration reads "1m2s", "0.123s", "3d4h".
func duration(b []byte) time.Duration {
	var sum time.Duration
	for len(b) > 0 {
		d, n := logs.Seconds(b)
		if n == 0 || n >= len(b) {
			return sum + d
		}
		switch b[n] {
		case 'w':
			d *= 7 * 24 * 3600
		case 'd':
			d *= 24 * 3600
		case 'h':
			d *= 3600
		case 'm':
			d *= 60
		}
		sum, b = sum+d, b[n+1:]
	}
	return sum
}

// recipients reads "final (parent) <original>" at the start of a delivery line.
func recipients(e *event.Event, b []byte) []byte {
	to, b := address(b)
	colon := bytes.HasSuffix(to, []byte(":")) // "** a@b.example: Unrouteable address"
	to = bytes.TrimSuffix(to, []byte(":"))
	e.To = logs.Bare(to)
	for !colon && len(b) > 0 && b[0] == '(' {
		i := bytes.Index(b, []byte(") "))
		if i < 0 {
			break
		}
		b = b[i+2:]
	}
	if !colon && len(b) > 0 && b[0] == '<' {
		if orig, rest, ok := logs.Angle(b); ok {
			if bytes.IndexByte(e.To, '@') < 0 { // a mailbox, a pipe or a file
				e.User, e.To = e.To, orig
			} else {
				e.OrigTo = orig
			}
			b = bytes.TrimLeft(rest, " ")
		}
	}
	return bytes.TrimPrefix(b, []byte(": "))
}

// delivered reads "=> to R=… T=… H=… C="…" QT=… DT=…" and its kin.
func delivered(e *event.Event, b []byte, sink event.Sink) bool {
	e.Kind, e.Status = event.Delivery, event.Sent
	if r, ok := logs.After(b, ":blackhole: "); ok {
		e.Status, b = event.Discarded, r
		if addr, tail, ok := logs.Angle(r); ok {
			e.To, b = addr, tail
		}
	} else if logs.Has(b, "discarded (") {
		e.Status, e.Text = event.Discarded, b
		sink.Event(e)
		return true
	} else {
		b = recipients(e, b)
	}
	b = fields(e, b, false)
	if e.Relay == nil && e.RelayIP == nil {
		e.Relay = e.Method
	}
	e.Method = nil
	if len(e.To) > 1 && e.To[0] == '>' { // an answer of the recipient's own, not the message itself
		e.Kind, e.Status, e.Action, e.User, e.To, e.OrigTo = event.Sieve, event.NoStatus, vacation, e.OrigTo, nil, nil
		sink.Event(e)
		return true
	}
	if e.Text != nil {
		e.Code, e.DSN = logs.Code(e.Text)
		if e.Ref, e.Session = logs.NextID(e.Text); e.Ref != nil {
			e.RefIs = event.Next
		}
	} else if len(b) > 0 {
		e.Text = b
	}
	switch string(e.To) {
	case "blackhole": // "=> blackhole (DATA ACL discarded recipients)"
		if bytes.Contains(e.Text, []byte("discarded recipients")) {
			e.Status, e.To = event.Discarded, nil
		}
	case ":blackhole:", "/dev/null":
		e.Status = event.Discarded
	}
	if e.User != nil && (string(e.User) == ":blackhole:" || string(e.User) == "/dev/null") {
		e.Status = event.Discarded
	}
	sink.Event(e)
	return true
}

var vacation = []byte("vacation")

// failed reads "** to R=… T=… H=…: reason DT=…".
func failed(e *event.Event, b []byte, sink event.Sink) bool {
	e.Kind, e.Status = event.Delivery, event.Bounced
	reason(e, fields(e, recipients(e, b), false))
	if bytes.Contains(e.Text, []byte("retry timeout exceeded")) || bytes.Contains(e.Text, []byte("have been failing for a long time")) {
		e.Status = event.Expired
	}
	sink.Event(e)
	return true
}

// deferred reads "== to R=… T=… defer (-44) H=… DT=…: reason".
func deferred(e *event.Event, b []byte, sink event.Sink) bool {
	e.Kind, e.Status = event.Delivery, event.Deferred
	b = fields(e, recipients(e, b), false)
	b = bytes.TrimPrefix(b, []byte("routing "))
	if r, ok := logs.After(b, "defer ("); ok {
		if i := bytes.IndexByte(r, ')'); i >= 0 {
			b = r[i+1:]
			if s, ok := logs.After(b, ": "); ok { // the system's error text, then more fields
				if j := bytes.Index(s, []byte(" H=")); j >= 0 {
					e.Text, b = s[:j], s[j:]
				}
			}
			if logs.Has(b, " ") {
				b = fields(e, b, false)
			}
		}
	}
	text := e.Text
	if reason(e, b); len(e.Text) == 0 {
		e.Text = text
	}
	sink.Event(e)
	return true
}

// reason reads the text after the fields and what it tells about a remote reply.
func reason(e *event.Event, b []byte) {
	b = bytes.TrimPrefix(b, []byte(": "))
	if i := bytes.LastIndex(b, []byte(" DT=")); i >= 0 && bytes.IndexByte(b[i+1:], ' ') < 0 {
		e.Delays.Set, e.Delays.Transfer = true, duration(b[i+4:])
		b = b[:i]
	}
	e.Text = b
	if e.Relay == nil && e.RelayIP == nil && e.Method != nil {
		e.Relay = e.Method
	}
	e.Method = nil
	remoteError(e, b)
}

// remoteError reads "SMTP error from remote mail server after RCPT TO:<x>: 550 5.1.1 …"; older releases name the host
// before the reply: "…: host mx.example [192.0.2.1]: 550 …".
func remoteError(e *event.Event, b []byte) {
	rest := b
	if _, r, ok := logs.Cut(b, "from remote mail server after "); ok {
		i := 0
		if j := bytes.Index(r, []byte(":<")); j >= 0 && j < 24 { // "RCPT TO:<a>: "
			e.Stage = r[:j]
			if _, tail, ok := logs.Angle(r[j+1:]); ok {
				i = len(r) - len(tail)
				if k := bytes.Index(tail, []byte(": ")); k >= 0 { // "SIZE=…" may follow
					i += k
				}
			}
		} else if i = bytes.Index(r, []byte(": ")); i >= 0 {
			e.Stage = r[:i]
		} else {
			return
		}
		rest = bytes.TrimPrefix(r[i:], []byte(": "))
	} else if _, r, ok := logs.Cut(b, "timeout after "); ok {
		e.Stage, _, _ = logs.Cut(r, ":")
		e.Stage, _, _ = logs.Cut(e.Stage, " (")
		return
	}
	if r, ok := logs.After(rest, "host "); ok {
		if i := bytes.Index(r, []byte("]: ")); i >= 0 {
			if e.RelayIP == nil {
				e.Relay, _, e.RelayIP, e.RelayPort = host(r[:i+1])
			}
			rest = r[i+3:]
		}
	}
	if e.Code, e.DSN = logs.Code(rest); e.Code == 0 {
		e.DSN = nil
	}
}
