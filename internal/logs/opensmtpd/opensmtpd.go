// Package opensmtpd reads the lines of OpenSMTPD 5.7 to 7: sessions, messages, envelopes, deliveries.
//
// Promise: session id and verb in front decide; quoted and bracketed values are read to their own ends. The message id
// (eight hexadecimal digits) serves as queue id: an envelope id begins with it. It judges nothing.
package opensmtpd

import (
	"bytes"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the OpenSMTPD dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.OpenSMTPD }

// Mine tells OpenSMTPD's program names. Postfix's smtpd always has a part in front of a slash.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "smtpd" || string(program) == "opensmtpd" || string(program) == "smtpctl"
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	e.Text = b
	if old(e, b) {
		sink.Event(e)
		return logs.Known
	}
	if id, rest, ok := logs.Cut(b, " "); ok && hexID(id) {
		e.Session, b = id, rest
	} else if !logs.Has(b, "smtp ") && !logs.Has(b, "mta ") && !logs.Has(b, "mda ") && !logs.Has(b, "smtp-in") && !logs.Has(b, "relay") && !logs.Has(b, "delivery") {
		if e.Kind = event.Stats; logs.Has(b, "warn: ") {
			e.Kind, e.Level = event.Warning, event.Warn
		} else if logs.Has(b, "fatal: ") {
			e.Kind, e.Level = event.Trouble, event.Fatal
		} else if logs.Has(b, "info: ") {
			e.Kind = event.Started
		}
		sink.Event(e)
		return logs.Known
	}
	part, b, _ := logs.Cut(b, " ")
	if r, ok := logs.After(b, "event="); ok { // 5.9 to 6.4: "smtp event=message …"
		b = r
	}
	verb, rest, _ := logs.Cut(b, " ")
	if !verbs(e, string(part), verb, rest) {
		return logs.Unparsed
	}
	sink.Event(e)
	return logs.Known
}

// hexID tells a session id: sixteen hexadecimal digits.
func hexID(b []byte) bool {
	if len(b) != 16 {
		return false
	}
	for _, c := range b {
		if c-'0' > 9 && c-'a' > 5 {
			return false
		}
	}
	return true
}

func verbs(e *event.Event, part string, verb, rest []byte) bool {
	out := part == "mta" || part == "mda"
	fields(e, rest, out)
	switch string(verb) {
	case "connected":
		if e.Kind = event.Connect; out {
			e.Kind = event.Stats
		}
	case "connecting", "auth", "bounce":
		e.Kind = event.Stats
	case "disconnected", "closed":
		if e.Kind = event.Disconnect; out {
			e.Kind = event.Stats
		}
	case "tls", "starttls", "cert-check":
		e.Kind, e.Outbound = event.TLS, part == "mta"
	case "authentication":
		if e.Kind = event.Auth; !bytes.Contains(rest, []byte("result=ok")) {
			e.Kind = event.AuthFailed
		}
	case "message":
		e.Kind = event.Received
	case "envelope":
		e.Kind = event.Related
	case "failed-command":
		e.Kind = event.Reject
		stage(e)
	case "delivery":
		e.Kind = event.Delivery
	case "error", "bad-input", "timeout", "filter":
		e.Kind, e.Text = event.Lost, rest
	default:
		e.Kind = event.Stats
	}
	if out {
		e.ClientIP, e.ClientName = nil, nil
		e.Session = nil // an outgoing session carries many messages
	}
	if e.Kind == event.Delivery && e.Status == event.NoStatus {
		return false
	}
	return true
}

// fields reads "address=192.0.2.1 host=h msgid=5f7c8a1b from=<a> to=<b> size=1 nrcpt=1 proto=ESMTP …".
func fields(e *event.Event, b []byte, out bool) {
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
		if string(key) == "stat" || string(key) == "reason" && len(rest) == 0 {
			e.Text = bytes.Trim(v, "\"")
			e.Code, e.DSN = logs.Code(e.Text)
		}
		field(e, key, v, out)
		b = rest
	}
	if e.Status == event.Sent && out {
		if e.Ref, _ = logs.NextID(e.Text); e.Ref != nil {
			e.RefIs = event.Next
		}
	}
}

func field(e *event.Event, key, v []byte, out bool) {
	switch string(key) {
	case "address":
		if v = bytes.Trim(bytes.TrimPrefix(v, []byte("IPv6:")), "[]"); string(v) != "local" { // the socket of this machine
			e.ClientIP = v
		}
	case "host":
		e.ClientName = v
	case "msgid":
		e.QueueID = v
	case "evpid":
		if e.QueueID = v; len(v) == 16 {
			e.QueueID = v[:8]
		}
	case "from":
		e.From = v
	case "to":
		e.To = v
	case "rcpt":
		if string(v) != "-" && len(v) > 0 {
			e.OrigTo = v
		}
	case "user":
		e.User = v
	case "size":
		e.Size, _ = logs.Number(v)
	case "nrcpt", "ndest":
		n, _ := logs.Number(v)
		e.NRcpt = int32(min(n, 1<<30))
	case "proto":
		e.Proto = v
	case "delay":
		e.Delay = duration(v)
	case "relay":
		if ip, name, ok := logs.Cut(v, " ("); ok { // "192.0.2.1 (mx.example)"
			e.RelayIP, e.Relay = ip, bytes.TrimSuffix(name, []byte(")"))
		} else if len(v) > 0 && (v[0]-'0' > 9 || bytes.ContainsAny(v, "ghijklmnopqrstuvwxyz")) && bytes.IndexByte(v, ':') < 0 { // no connection: the domain
			e.Relay = v
		} else {
			e.RelayIP = v
		}
	case "ciphers":
		if e.TLSVersion, e.Cipher, _ = logs.Cut(v, ":"); e.Cipher == nil {
			e.Cipher = v
		}
	case "command":
		e.Stage = v
	case "result":
		result(e, v, out)
	}
}

func result(e *event.Event, v []byte, out bool) {
	if !out {
		if e.Code, e.DSN = logs.Code(v); e.Code != 0 {
			e.Text = v
		}
		return
	}
	switch strings.ToLower(string(v)) {
	case "ok":
		e.Status = event.Sent
	case "tempfail":
		e.Status = event.Deferred
	case "permfail":
		e.Status = event.Bounced
	case "loop":
		e.Status = event.Bounced
	case "expired":
		e.Status = event.Expired
	}
	if e.Text = v; e.Relay == nil && e.RelayIP == nil {
		e.Relay = local
	}
}

// duration reads "1d2h3m4s".
func duration(b []byte) (d time.Duration) {
	for len(b) > 0 {
		v, n := logs.Number(b)
		if n == 0 || n >= len(b) || v > 1<<31 {
			return d
		}
		switch b[n] {
		case 'd':
			d += time.Duration(v) * 24 * time.Hour
		case 'h':
			d += time.Duration(v) * time.Hour
		case 'm':
			d += time.Duration(v) * time.Minute
		case 's':
			d += time.Duration(v) * time.Second
		}
		b = b[n+1:]
	}
	return d
}

// old reads the lines of the releases before 5.9: "smtp-in: Accepted message ID on session ID: from=<a>, to=<b>, …",
// "relay: Ok for EVPID: session=…, from=<a>, …" and "delivery: PermFail for EVPID: …".
func old(e *event.Event, b []byte) bool {
	if r, ok := logs.After(b, "smtp-in: New session "); ok {
		e.Kind = event.Connect
		var host []byte
		e.Session, host, _ = logs.Cut(r, " from host ")
		e.ClientName, host, _ = logs.Cut(host, " [")
		e.ClientIP = bytes.TrimPrefix(bytes.TrimSuffix(host, []byte("]")), []byte("IPv6:"))
		return true
	}
	if r, ok := logs.After(b, "smtp-in: Accepted message "); ok {
		e.Kind = event.Received
		e.QueueID, r, _ = logs.Cut(r, " on session ")
		e.Session, r, _ = logs.Cut(r, ": ")
		pairs(e, r, false)
		return true
	}
	if r, ok := logs.After(b, "smtp-in: Closing session "); ok {
		e.Kind = event.Disconnect
		e.Session, _, _ = logs.Cut(r, " ")
		return true
	}
	relay := logs.Has(b, "relay: ")
	if !relay && !logs.Has(b, "delivery: ") {
		return false
	}
	_, r, _ := logs.Cut(b, ": ")
	word, r, ok := logs.Cut(r, " for ")
	if !ok {
		return false
	}
	id, r, ok := logs.Cut(r, ": ")
	if !ok {
		return false
	}
	e.Kind = event.Delivery
	field(e, evpid, id, true)
	result(e, word, true)
	e.Relay = nil
	pairs(e, r, true)
	if e.Session = nil; e.Relay == nil && e.RelayIP == nil {
		e.Relay = local
	}
	if e.Status == event.Sent && relay {
		if e.Ref, _ = logs.NextID(e.Text); e.Ref != nil {
			e.RefIs = event.Next
		}
	}
	return e.Status != event.NoStatus
}

var evpid = []byte("evpid")

// pairs reads "from=<a>, to=<b>, …, stat=the rest".
func pairs(e *event.Event, b []byte, out bool) {
	for len(b) > 0 {
		if r, ok := logs.After(b, "stat="); ok {
			e.Text = r
			e.Code, e.DSN = logs.Code(r)
			return
		}
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok {
			return
		}
		field(e, key, v, out)
		b = rest
	}
}

var local = []byte("local")

// stage cuts "RCPT TO:<a@b>" into the stage and the address.
func stage(e *event.Event) {
	cmd := e.Stage
	word, arg, _ := logs.Cut(cmd, ":")
	e.Stage = word
	if i := bytes.IndexByte(word, ' '); i > 0 {
		e.Stage = word[:i]
	}
	if a, _, ok := logs.Angle(arg); ok {
		if string(e.Stage) == "RCPT" {
			e.To = a
		} else if string(e.Stage) == "MAIL" {
			e.From = a
		}
	}
}
