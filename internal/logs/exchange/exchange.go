// Package exchange reads the message tracking logs and the SMTP protocol logs of Exchange Server 2010 to 2019 and the
// message trace exports of Exchange Online, which are tables.
//
// Promise: columns are found by the names in the table's head, in any order; a cell is read by the rules of CSV. It
// judges nothing.
package exchange

import (
	"bytes"
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Exchange dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Exchange }

// Mine is never true: Exchange's lines are rows of tables.
func (Dialect) Mine([]byte) bool { return false }

// Parse is never asked.
func (Dialect) Parse(*event.Event, event.Sink) logs.Outcome { return logs.Foreign }

// Columns finds "#Fields: date-time,client-ip,…" of a tracking log, or the head of a message trace export or of what a
// cmdlet wrote with Export-Csv.
func (Dialect) Columns(head []byte) *logs.Layout {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for line := range bytes.Lines(head[:min(len(head), 16<<10)]) {
		line = bytes.TrimRight(line, "\r\n")
		if r, ok := logs.After(line, "#Fields: "); ok {
			if l := layout(r, ','); has(l, "eventid") || l.Form != "" {
				return l
			}
			return nil
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		for _, sep := range [...]byte{',', ';', '\t'} {
			l := layout(line, sep)
			if has(l, "senderaddress", "recipientaddress", "status") || has(l, "senderaddress", "recipientstatus") || has(l, "senderaddress", "recipientaddress", "eventid") ||
				has(l, "sender", "recipients", "eventid") || l.Form != "" || has(l, "sender", "recipient", "status", "messageid") {
				return l
			}
		}
		return nil
	}
	return nil
}

// layout reads a head.
func layout(line []byte, sep byte) *logs.Layout {
	l := &logs.Layout{Software: event.Exchange, Sep: sep, Columns: logs.Columns(line, sep)}
	if has(l, "sessionid", "remoteendpoint", "event", "data") {
		l.Form = protocol
	}
	return l
}

func has(l *logs.Layout, names ...string) bool {
	for _, n := range names {
		found := false
		for _, c := range l.Columns {
			found = found || c == n
		}
		if !found {
			return false
		}
	}
	return true
}

// row is what the columns of one row hold.
type row struct {
	eventID, source, status, recipients, related, reference, context, client, server, path []byte
}

// ParseRow reads one row.
func (Dialect) ParseRow(c *logs.Clock, l *logs.Layout, e *event.Event, sink event.Sink) logs.Outcome {
	b := bytes.TrimPrefix(e.Msg, []byte("\xef\xbb\xbf"))
	if len(b) == 0 || b[0] == '#' {
		return logs.Known
	}
	if l.Form == protocol {
		return parseProtocol(c, l, e, b, sink)
	}
	var r row
	first := true
	for i := 0; len(b) > 0 && i < len(l.Columns); i++ {
		var v []byte
		v, b = logs.Cell(b, l.Sep)
		if first && logs.IsHead(v, l.Columns[0]) {
			return logs.Known
		}
		if first = false; len(v) > 0 {
			column(c, e, &r, l.Columns[i], v)
		}
	}
	if e.MessageID == nil && e.From == nil && r.recipients == nil {
		return logs.Unparsed
	}
	return r.emit(e, sink)
}

// column keeps one value.
func column(c *logs.Clock, e *event.Event, r *row, name string, v []byte) {
	switch name {
	case "datetime", "timestamp", "received", "origintimestamputc", "origintimestamp", "datetimeutc", "date":
		c.When(v, &e.Origin)
	case "clientip", "fromip":
		if e.ClientIP == nil {
			e.ClientIP = v
		}
	case "originalclientip":
		e.ClientIP = v
	case "clienthostname":
		r.client = v
	case "serverip", "toip":
		e.RelayIP = v
	case "serverhostname":
		r.server = v
	case "sourcecontext":
		r.context = v
	case "connectorid":
		e.Relay = v
	case "source":
		r.source = v
	case "eventid":
		r.eventID = v
	case "messageid":
		e.MessageID = logs.Bare(v)
	case "networkmessageid", "messagetraceid":
		e.Session = v
	case "recipientaddress", "recipients", "recipient":
		r.recipients = v
	case "recipientstatus", "status":
		r.status = v
	case "relatedrecipientaddress":
		r.related = v
	case "reference":
		r.reference = v
	case "totalbytes", "size":
		e.Size, _ = logs.Number(v)
	case "messagesubject", "subject":
		e.Subject = unquoted(v)
	case "senderaddress", "sender":
		e.From = address(v)
	case "returnpath":
		r.path = v
	case "directionality":
		e.Method = v
	}
}

// unquoted makes doubled quotes single: a copy, only where there are any.
func unquoted(v []byte) []byte {
	if !bytes.Contains(v, []byte(`""`)) {
		return v
	}
	return bytes.ReplaceAll(v, []byte(`""`), []byte(`"`))
}

func address(v []byte) []byte {
	if string(v) == "<>" {
		return v[:0]
	}
	return v
}

// emit gives one event for each recipient.
func (r *row) emit(e *event.Event, sink event.Sink) logs.Outcome {
	if e.Host, e.ClientName = r.server, r.client; r.eventID == nil && r.status != nil {
		return r.trace(e, sink)
	}
	kind, status, ok := meaning(r.eventID, r.source)
	if !ok {
		return logs.Unparsed
	}
	r.ends(e, kind, status)
	keep := *e
	rcpts, states := r.recipients, r.status
	single := bytes.IndexByte(rcpts, ';') < 0
	for first := true; first || len(rcpts) > 0; first = false {
		var to []byte
		to, rcpts = semicolon(rcpts)
		state := states
		if !single {
			state, states = semicolon(states)
		}
		*e = keep
		e.Kind, e.Status, e.To, e.Action = kind, status, to, r.eventID
		r.reply(e, state)
		if string(r.eventID) == "DSN" {
			if len(r.path) > 0 {
				e.From = address(r.path)
			}
			if len(r.reference) > 0 {
				e.RefIs, e.Ref = event.Parent, logs.Bare(bytes.Trim(r.reference, "{}"))
			}
		}
		if len(r.related) > 0 && e.OrigTo == nil && (string(r.eventID) == "REDIRECT" || string(r.eventID) == "EXPAND" || string(r.eventID) == "RESOLVE") {
			e.OrigTo = r.related
		}
		sink.Event(e)
		if kind == event.Received && len(rcpts) > 0 { // the others, so that a search by recipient finds the message
			kind = event.Related
		}
	}
	return logs.Known
}

// ends puts the two hosts of a row in their places: where a message goes out over SMTP, the client is the machine that
// logs and the server the next host.
func (r *row) ends(e *event.Event, kind event.Kind, status event.Status) {
	if kind != event.Delivery || string(r.source) != "SMTP" || len(r.client) == 0 || status == event.Failed && string(e.Method) != "Originating" {
		return
	}
	e.Host, e.ClientName = r.client, nil
	if len(r.server) > 0 {
		e.Relay = r.server
	}
}

// reply reads what was answered for one recipient; where the row does not say it there, its context does.
func (r *row) reply(e *event.Event, state []byte) {
	if state = bytes.Trim(state, "'\" "); len(state) == 0 && e.Kind == event.Delivery {
		state = r.context
		if _, _, ok := logs.Cut(state, "{LED="); !ok {
			if state = answer(state); state == nil {
				return
			}
		}
	}
	if len(state) == 0 {
		return
	}
	e.Text = state
	if _, led, ok := logs.Cut(state, "{LED="); ok {
		e.Text = upTo(led, '}')
		if _, fqdn, ok := logs.Cut(led, "{FQDN="); ok && upTo(fqdn, '}') != nil {
			e.Relay = upTo(fqdn, '}')
		}
		if _, ip, ok := logs.Cut(led, "{IP="); ok && upTo(ip, '}') != nil {
			e.RelayIP = upTo(ip, '}')
		}
	}
	e.Code, e.DSN = logs.Code(e.Text)
	if e.Status == event.Deferred && e.Code >= 500 {
		e.Status = event.Failed
	}
}

// upTo gives what stands before c, nil for nothing.
func upTo(b []byte, c byte) []byte {
	if i := bytes.IndexByte(b, c); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return nil
	}
	return b
}

// answer finds the reply of a server in a context such as "08D9…;250 2.6.0 … Queued mail for delivery;ClientSubmitTime:".
func answer(b []byte) []byte {
	for len(b) > 0 {
		var part []byte
		part, b = semicolon(b)
		if code, _ := logs.Code(part); code >= 200 && code < 600 {
			return part
		}
	}
	return nil
}

// semicolon takes the first of "a;b;c". Those in brackets, braces and quotes do not part.
func semicolon(b []byte) (v, rest []byte) {
	depth, quoted := 0, len(b) > 0 && b[0] == '\''
	for i, c := range b {
		switch {
		case quoted && i > 0 && c == '\'':
			quoted = false
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth = max(0, depth-1)
		case c == ';' && depth == 0 && !quoted:
			return b[:i], b[i+1:]
		}
	}
	if depth > 0 || quoted { // never closed: it parts after all
		if i := bytes.IndexByte(b, ';'); i >= 0 {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// meaning tells what an event of the tracking log is.
func meaning(id, source []byte) (event.Kind, event.Status, bool) {
	switch string(id) {
	case "RECEIVE", "HARECEIVE", "SUBMIT", "SUBMITDEFER":
		return event.Received, event.NoStatus, true
	case "SEND", "SENDEXTERNAL":
		return event.Delivery, event.Sent, true
	case "DELIVER", "DUPLICATEDELIVER", "PROCESSMEETINGMESSAGE":
		return event.Delivery, event.Sent, true
	case "FAIL", "BADMAIL", "POISONMESSAGE", "MODERATORREJECT", "MODERATORSALLNDR", "SUBMITFAIL":
		return event.Delivery, event.Failed, true
	case "DEFER", "MODERATIONEXPIRE":
		return event.Delivery, event.Deferred, true
	case "DROP", "DUPLICATEEXPAND", "SUPPRESSED", "DISCARD":
		return event.Delivery, event.Discarded, true
	case "HADISCARD", "HAREDIRECT", "HAREDIRECTFAIL", "AGENTINFO", "NOTIFYMAPI", "THROTTLE", "MAPISUBMIT", "LOADBALANCEFAIL", "PROCESS", "INITMESSAGECREATED", "DUPLICATEREDIRECT", "MODERATORAPPROVE", "CREATED", "DELIVERFAIL", "MESSAGE":
		return event.Stats, event.NoStatus, true
	case "EXPAND":
		return event.Delivery, event.Expanded, true
	case "REDIRECT", "RESOLVE", "TRANSFER", "ROUTE", "THREADINDEX", "HANDOVER":
		return event.Related, event.NoStatus, true
	case "DSN":
		return event.Received, event.NoStatus, true
	case "QUARANTINE":
		return event.Delivery, event.Quarantined, true
	}
	return event.Stats, event.NoStatus, len(id) > 0 && len(source) > 0
}

// ParseRecord reads an object of JSON with the members of a message trace or of a tracking log, as ConvertTo-Json writes it.
func (Dialect) ParseRecord(c *logs.Clock, object []byte, e *event.Event, sink event.Sink) logs.Outcome {
	if !bytes.Contains(object, []byte(`"SenderAddress"`)) && !bytes.Contains(object, []byte(`"Sender"`)) {
		return logs.Foreign
	}
	var r row
	for m := logs.Members(object); m.Next(); {
		v := m.Value
		if m.Quoted {
			v = logs.Unescaped(v)
		} else if len(v) > 0 && v[0] == '[' { // recipients
			v, _, _ = logs.Item(v)
		} else if len(v) > 0 && v[0]-'0' > 9 {
			continue
		}
		if len(v) > 0 {
			column(c, e, &r, logs.ColumnName(m.Key), v)
		}
	}
	if e.Software = event.Exchange; e.MessageID == nil || e.From == nil || r.status == nil && r.eventID == nil {
		return logs.Foreign
	}
	return r.emit(e, sink)
}

// trace reads a row of a message trace: one fate for each recipient.
func (r *row) trace(e *event.Event, sink event.Sink) logs.Outcome {
	keep := *e
	if r.recipients == nil { // "a@b##Receive, Deliver;c@d##Receive, Fail"
		for list := r.status; len(list) > 0; {
			var one []byte
			one, list = semicolon(list)
			for len(list) > 0 && !bytes.Contains(upTo(list, ';'), []byte("##")) { // "a@b##Receive; Send"
				_, rest := semicolon(list)
				one, list = r.status[len(r.status)-len(list)-len(one)-1:len(r.status)-len(rest)], rest
			}
			to, state, _ := logs.Cut(one, "##")
			*e = keep
			e.Kind, e.Status, e.To, e.Text = event.Delivery, fate(state), bytes.TrimSpace(to), state
			sink.Event(e)
		}
		return logs.Known
	}
	e.Kind, e.Status, e.To, e.Text = event.Delivery, fate(r.status), r.recipients, r.status
	sink.Event(e)
	return logs.Known
}

// fate reads Exchange Online's words.
func fate(b []byte) event.Status {
	low := strings.ToLower(string(b[:min(len(b), 400)]))
	for _, w := range [...]struct {
		word   string
		status event.Status
	}{{"fail", event.Failed}, {"quarantin", event.Quarantined}, {"filteredasspam", event.Quarantined}, {"deliver", event.Sent}, {"send", event.Sent}, {"expanded", event.Expanded}, {"expand", event.Expanded},
		{"pending", event.Deferred}, {"defer", event.Deferred}, {"gettingstatus", event.Deferred}, {"drop", event.Discarded}} {
		if strings.Contains(low, w.word) {
			return w.status
		}
	}
	return event.NoStatus
}
