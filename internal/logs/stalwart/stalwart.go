// Package stalwart reads the log of the Stalwart mail server: "INFO Message delivered (delivery.delivered) queueId = 1, …".
//
// Promise: the name of the event, which stands before everything that others wrote, decides the kind; the fields behind it
// only fill. What a remote server said ends the fields. No allocation. It judges nothing.
package stalwart

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Stalwart dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Stalwart }

// Mine tells Stalwart's program names.
func (Dialect) Mine(program []byte) bool { return logs.Has(program, "stalwart") }

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	if len(b) > 20 && b[4] == '-' && b[10] == 'T' { // its own time, behind that of syslog
		if i := bytes.IndexByte(b, ' '); i > 0 {
			b = b[i+1:]
		}
	}
	level, b, ok := logs.Cut(b, " ")
	title, b, ok2 := logs.Cut(b, " (")
	name, b, ok3 := logs.Cut(b, ")")
	if !ok || !ok2 || !ok3 || bytes.IndexByte(name, '.') <= 0 || bytes.IndexByte(name, ' ') >= 0 {
		return logs.Unparsed
	}
	e.Level = logs.Level(level)
	f := fields{title: title}
	f.read(e, b)
	if e.Text = f.details; e.Text == nil {
		e.Text = title
	}
	area, what, _ := logs.Cut(name, ".")
	f.event(e, area, what, sink)
	return logs.Known
}

// fields are those that are not kept as they are.
type fields struct {
	title             []byte
	list, to          []byte // all recipients of the message, and the one that the event is about
	hostname, domain  []byte
	details, listener []byte
	second            []byte // another queue id: of a notice
	version, code     []byte
	account           []byte
	message           []byte
	remotePort        uint16
}

// read reads "key = value, key = value". Strings are not escaped: a value ends where a next field begins.
func (f *fields) read(e *event.Event, b []byte) {
	for {
		b = bytes.TrimLeft(b, " ,")
		key, rest, ok := logs.Cut(b, " = ")
		if !ok || len(key) > 24 || bytes.IndexByte(key, ' ') >= 0 {
			return
		}
		if k := string(key); k == "details" || k == "reason" || k == "causedBy" { // others wrote this: it ends what is believed
			if f.details == nil {
				f.details = said(rest)
			}
			return
		}
		var v []byte
		v, b = value(rest)
		f.keep(e, key, v)
	}
}

// said takes off what Stalwart writes around a text: quotes, and the time it took at the end.
func said(b []byte) []byte {
	for _, w := range [...]string{", elapsed = ", ", total = "} {
		if i := bytes.LastIndex(b, []byte(w)); i >= 0 && bytes.IndexByte(b[i+len(w):], ' ') < 0 {
			b = b[:i]
		}
	}
	if _, why, ok := logs.Cut(b, "reason = \""); ok { // "SMTP error occurred (smtp.error) { details = I/O Error, reason = "…" }"
		return bytes.TrimSuffix(bytes.TrimRight(why, " }"), []byte("\""))
	}
	return bytes.Trim(b, "\" ")
}

// value reads a string, a list or a word.
func value(b []byte) (v, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		for at := 1; ; {
			i := bytes.Index(b[at:], []byte("\", "))
			if i < 0 {
				return bytes.TrimSuffix(b[1:], []byte("\"")), nil
			}
			if next, _, ok := logs.Cut(b[at+i+3:], " = "); ok && len(next) < 24 && bytes.IndexByte(next, ' ') < 0 {
				return b[1 : at+i], b[at+i+3:]
			}
			at += i + 1
		}
	}
	if len(b) > 0 && b[0] == '[' {
		if i := bytes.IndexByte(b, ']'); i >= 0 {
			return b[1:i], b[i+1:]
		}
	}
	if v, rest, ok := logs.Cut(b, ", "); ok {
		return v, rest
	}
	return bytes.TrimSpace(b), nil
}

func (f *fields) keep(e *event.Event, key, v []byte) {
	switch string(key) {
	case "queueId":
		if e.QueueID == nil {
			e.QueueID = v
		} else {
			f.second = v
		}
	case "from":
		if e.From = v; string(v) == "<>" {
			e.From = v[:0]
		}
	case "to":
		if len(v) > 0 && v[0] == '"' {
			f.list = v
		} else {
			f.to = v
		}
	case "size":
		e.Size, _ = logs.Number(v)
	case "total":
		n, _ := logs.Number(v)
		e.NRcpt = int32(min(n, 1<<30))
	case "hostname":
		f.hostname = v
	case "domain":
		f.domain = v
	case "code":
		f.code = v
	case "remoteIp":
		e.ClientIP = v
	case "remotePort":
		if n, _ := logs.Number(v); n < 1<<16 {
			f.remotePort = uint16(n)
		}
	case "listenerId":
		f.listener = v
	case "accountName", "accountId", "login":
		if f.account == nil || string(key) == "accountName" {
			f.account = v
		}
	case "version":
		f.version = v
	case "messageId":
		f.message = v
	}
}

// event tells what happened.
func (f *fields) event(e *event.Event, area, what []byte, sink event.Sink) {
	switch e.Kind = event.Stats; string(area) {
	case "queue":
		if f.queue(e, what, sink) {
			return
		}
	case "delivery":
		f.delivery(e, what)
	case "smtp":
		f.smtp(e, what)
	case "message-ingest":
		f.ingested(e, what)
	case "auth":
		f.auth(e, what)
	case "tls":
		f.tls(e, what)
	case "security":
		if bytes.HasSuffix(what, []byte("-ban")) {
			e.Kind, e.Verdict = event.Ban, ban
		}
	}
	if e.Kind == event.Stats && e.Level >= event.Warn {
		e.Kind = event.Warning
	}
	if e.Kind == event.Related || e.Kind == event.Received || e.Kind == event.Active {
		f.everyone(e, sink)
		return
	}
	sink.Event(e)
}

var (
	ban       = []byte("ban")
	saved     = []byte("saved")
	inbox     = []byte("Inbox")
	junk      = []byte("Junk Mail")
	stageRcpt = []byte("RCPT")
	stageMail = []byte("MAIL")
	stageData = []byte("DATA")
	stageEhlo = []byte("EHLO")
	passWord  = []byte("pass")
	failWord  = []byte("fail")
)

// everyone gives the event, and one for each further recipient, so that a search by recipient finds the message.
func (f *fields) everyone(e *event.Event, sink event.Sink) {
	rest := f.list
	if e.To = f.to; e.To == nil {
		e.To, rest, _ = logs.Item(rest)
	}
	kind, id, from := e.Kind, e.QueueID, e.From
	sink.Event(e)
	for kind == event.Received {
		to, more, ok := logs.Item(rest)
		if !ok {
			return
		}
		rest = more
		e.Clear()
		e.Software, e.Kind, e.QueueID, e.From, e.To = event.Stalwart, event.Related, id, from, to
		sink.Event(e)
	}
}

// queue reads what became of a message in the queue; true where the events were given.
func (f *fields) queue(e *event.Event, what []byte, sink event.Sink) bool {
	switch string(what) {
	case "queue-message", "queue-message-authenticated", "queue-report", "queue-autogenerated":
		e.Kind = event.Received
	case "queue-dsn": // the notice is the second message
		if f.second == nil {
			return false
		}
		id, to := f.second, f.list
		parent := e.QueueID
		text := e.Text
		e.Clear()
		e.Software, e.Kind, e.QueueID, e.Ref, e.RefIs, e.Text = event.Stalwart, event.Notification, parent, id, event.Bounce, text
		sink.Event(e)
		e.Clear()
		e.Software, e.Kind, e.QueueID, e.From, e.Ref, e.RefIs = event.Stalwart, event.Received, id, id[:0], parent, event.Parent
		e.To, _, _ = logs.Item(to)
		sink.Event(e)
		return true
	case "rescheduled": // whom that is about other lines tell
		from, id := e.From, e.QueueID
		rest := f.list
		for {
			to, more, ok := logs.Item(rest)
			if !ok {
				return true
			}
			rest = more
			e.Clear()
			e.Software, e.Kind, e.Status, e.QueueID, e.From, e.To = event.Stalwart, event.Delivery, event.Deferred, id, from, to
			sink.Event(e)
		}
	}
	return false
}

// delivery reads attempts. Of a success two lines tell; the one about the recipient counts, because only it stands for
// mailboxes of this machine, too.
func (f *fields) delivery(e *event.Event, what []byte) {
	n, _ := logs.Number(f.code)
	e.Code, e.Relay, e.To = int16(min(n, 999)), f.hostname, f.to
	if e.Relay == nil {
		e.Relay = f.domain
	}
	e.RelayIP, e.RelayPort, e.ClientIP = e.ClientIP, f.remotePort, nil
	switch string(what) {
	case "attempt-start":
		e.Kind = event.Active
	case "dsn-success":
		e.Kind, e.Status = event.Delivery, event.Sent
	case "dsn-temp-fail":
		e.Kind, e.Status = event.Delivery, event.Deferred
	case "dsn-perm-fail":
		e.Kind, e.Status = event.Delivery, event.Bounced
	case "double-bounce":
		e.Kind, e.Status = event.Delivery, event.Discarded
	case "completed":
		e.Kind = event.Removed
	case "connect-error":
		e.Kind = event.ConnectError
	case "delivered":
		e.Kind = event.Reply
		if e.Ref, _ = logs.NextID(e.Text); e.Ref != nil {
			e.RefIs = event.Next
		}
	case "start-tls-error", "implicit-tls-error", "start-tls-disabled", "start-tls-unavailable":
		e.Kind, e.Outbound = event.TLSFailed, true
	default:
		if bytes.HasSuffix(what, []byte("-rejected")) || bytes.HasSuffix(what, []byte("-failed")) || bytes.HasSuffix(what, []byte("-exceeded")) || string(what) == "null-mx" {
			e.Kind = event.Reply
		}
	}
	if e.Kind == event.Delivery && e.To == nil {
		e.Kind, e.Status = event.Reply, event.NoStatus
	}
}

// smtp reads a client's session.
func (f *fields) smtp(e *event.Event, what []byte) {
	e.ClientPort = f.remotePort
	switch string(what) {
	case "connection-start":
		e.Kind = event.Connect
		return
	case "connection-end":
		e.Kind = event.Disconnect
		return
	case "ehlo", "lhlo", "helo":
		e.Helo, e.Stage = f.domain, stageEhlo
		return
	case "mail-from":
		e.Kind, e.Stage = event.Related, stageMail
		return
	case "rcpt-to":
		e.Kind, e.Stage = event.Related, stageRcpt
		return
	}
	for _, w := range [...]string{"spf", "dkim", "dmarc", "arc", "iprev"} {
		if logs.Has(what, w+"-") {
			e.Kind, e.Filter, e.Verdict = event.Filter, what[:len(w)], failWord
			if bytes.HasSuffix(what, []byte("-pass")) {
				e.Verdict = passWord
			}
			return
		}
	}
	if refusal(what) {
		e.Kind, e.Stage, e.To = event.Reject, stageData, f.to
		switch {
		case logs.Has(what, "mail-from"):
			e.Stage = stageMail
		case logs.Has(what, "rcpt-to"), logs.Has(what, "mailbox"), logs.Has(what, "relay"), logs.Has(what, "too-many-recipients"):
			e.Stage = stageRcpt
		case logs.Has(what, "ehlo"), logs.Has(what, "invalid-ehlo"):
			e.Stage = stageEhlo
		}
		if f.details == nil {
			e.Text = f.title
		}
	}
}

// refusal tells the events of a session in which something was refused.
func refusal(what []byte) bool {
	for _, w := range [...]string{"rejected", "does-not-exist", "not-allowed", "exceeded", "too-many-", "unauthorized", "milter-reject", "invalid-ehlo", "too-big", "loop-detected", "missing"} {
		if bytes.Contains(what, []byte(w)) {
			return true
		}
	}
	return false
}

// ingested reads what a mailbox took in.
func (f *fields) ingested(e *event.Event, what []byte) {
	switch string(what) {
	case "ham":
		e.Folder = inbox
	case "spam":
		e.Folder = junk
	default:
		return
	}
	e.Kind, e.Action, e.MessageID = event.Sieve, saved, f.message
	if e.User, _, _ = logs.Item(f.list); e.User == nil {
		e.User = f.account
	}
}

// auth reads logins; which service was logged in to its listener tells.
func (f *fields) auth(e *event.Event, what []byte) {
	mailbox := f.listener != nil && !bytes.Contains(f.listener, []byte("smtp")) && !bytes.Contains(f.listener, []byte("submission"))
	e.User = f.account
	switch string(what) {
	case "success":
		if e.Kind = event.Auth; mailbox {
			e.Kind = event.Login
		}
	case "failed", "too-many-attempts":
		if e.Kind = event.AuthFailed; mailbox {
			e.Kind = event.LoginFailed
		}
	}
}

var tls12, tls13 = []byte("TLSv1.2"), []byte("TLSv1.3")

func (f *fields) tls(e *event.Event, what []byte) {
	switch string(what) {
	case "handshake":
		e.Kind, e.Cipher = event.TLS, f.details
		switch string(f.version) {
		case "TLSv1_2":
			e.TLSVersion = tls12
		case "TLSv1_3":
			e.TLSVersion = tls13
		default:
			e.TLSVersion = f.version
		}
	case "handshake-error":
		e.Kind = event.TLSFailed
	}
}
