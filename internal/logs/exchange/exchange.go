// Package exchange reads the message tracking logs of Exchange Server 2010 to 2019 and the message trace exports of
// Exchange Online, which are tables.
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

// Columns finds "#Fields: date-time,client-ip,…" of a tracking log, or the head of a message trace export.
func (Dialect) Columns(head []byte) *logs.Layout {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for line := range bytes.Lines(head[:min(len(head), 16<<10)]) {
		line = bytes.TrimRight(line, "\r\n")
		if r, ok := logs.After(line, "#Fields: "); ok && bytes.Contains(r, []byte("event-id")) {
			return layout(r)
		}
		if len(line) > 0 && line[0] == '#' {
			continue
		}
		l := layout(line)
		if has(l, "senderaddress", "recipientaddress", "status") || has(l, "sender_address", "recipient_status") || has(l, "sender-address", "recipient-address", "event-id") || has(l, "sender", "recipients", "eventid") {
			return l
		}
		return nil
	}
	return nil
}

func layout(line []byte) *logs.Layout {
	l := &logs.Layout{Software: event.Exchange}
	for len(line) > 0 {
		var c []byte
		c, line = cell(line)
		l.Columns = append(l.Columns, strings.ToLower(strings.TrimSpace(string(c))))
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

// cell takes one value off a row. Doubled quotes inside a quoted value are left doubled: nothing is copied.
func cell(b []byte) (v, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		for i := 1; i < len(b); i++ {
			if b[i] != '"' {
				continue
			}
			if i+1 < len(b) && b[i+1] == '"' {
				i++
				continue
			}
			rest = b[i+1:]
			if j := bytes.IndexByte(rest, ','); j >= 0 {
				return b[1:i], rest[j+1:]
			}
			return b[1:i], nil
		}
		return b[1:], nil
	}
	if i := bytes.IndexByte(b, ','); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// row is what the columns of one row hold.
type row struct {
	eventID, source, status, recipients, related, reference []byte
}

// ParseRow reads one row.
func (Dialect) ParseRow(c *logs.Clock, l *logs.Layout, e *event.Event, sink event.Sink) logs.Outcome {
	b := bytes.TrimPrefix(e.Msg, []byte("\xef\xbb\xbf"))
	if len(b) == 0 || b[0] == '#' {
		return logs.Known
	}
	var r row
	first := true
	for i := 0; len(b) > 0 && i < len(l.Columns); i++ {
		var v []byte
		v, b = cell(b)
		if first && strings.EqualFold(string(v), l.Columns[0]) {
			return logs.Known // the head
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
	case "date-time", "timestamp", "received", "origin_timestamp_utc", "date_time_utc":
		c.When(v, &e.Origin)
	case "client-ip", "original-client-ip", "fromip", "original_client_ip", "clientip":
		if e.ClientIP == nil || name == "original-client-ip" && len(v) > 0 {
			e.ClientIP = v
		}
	case "client-hostname", "clienthostname":
		e.ClientName = v
	case "server-ip", "toip":
		e.RelayIP = v
	case "server-hostname", "serverhostname":
		e.Host = v
	case "connector-id", "connectorid":
		e.Relay = v
	case "source":
		r.source = v
	case "event-id", "eventid":
		r.eventID = v
	case "message-id", "messageid", "message_id":
		e.MessageID = logs.Bare(v)
	case "network-message-id", "messagetraceid", "network_message_id", "networkmessageid":
		e.Session = v
	case "recipient-address", "recipientaddress", "recipients":
		r.recipients = v
	case "recipient-status", "status", "recipient_status", "recipientstatus":
		r.status = v
	case "related-recipient-address":
		r.related = v
	case "reference":
		r.reference = v
	case "total-bytes", "size", "total_bytes", "totalbytes":
		e.Size, _ = logs.Number(v)
	case "message-subject", "subject", "message_subject", "messagesubject":
		e.Subject = v
	case "sender-address", "senderaddress", "sender_address", "sender":
		if e.From = v; string(v) == "<>" {
			e.From = v[:0]
		}
	case "directionality":
		e.Method = v
	}
}

// emit gives one event for each recipient.
func (r *row) emit(e *event.Event, sink event.Sink) logs.Outcome {
	if r.eventID == nil && r.status != nil {
		return r.trace(e, sink)
	}
	kind, status, ok := meaning(r.eventID, r.source)
	if !ok {
		return logs.Unparsed
	}
	keep := *e
	rcpts, states := r.recipients, r.status
	for first := true; first || len(rcpts) > 0; first = false {
		var to, state []byte
		to, rcpts = semicolon(rcpts)
		state, states = semicolon(states)
		*e = keep
		e.Kind, e.Status, e.To, e.Action = kind, status, to, r.eventID
		if state = bytes.Trim(state, "'\" "); len(state) > 0 {
			e.Text = state
		}
		state = after(state, "[{LED=")
		e.Code, e.DSN = logs.Code(state)
		if status == event.Deferred && e.Code >= 500 {
			e.Status = event.Failed
		}
		if string(r.eventID) == "DSN" && len(r.reference) > 0 {
			e.RefIs = event.Parent
			e.Ref = logs.Bare(bytes.Trim(r.reference, "{}"))
		}
		if len(r.related) > 0 && e.OrigTo == nil && (string(r.eventID) == "REDIRECT" || string(r.eventID) == "EXPAND" || string(r.eventID) == "RESOLVE") {
			e.OrigTo = r.related
		}
		if kind == event.Delivery {
			e.Delays.Set = false
		}
		sink.Event(e)
		if kind == event.Received && len(rcpts) > 0 { // the others, so that a search by recipient finds the message
			kind = event.Related
		}
	}
	return logs.Known
}

func after(b []byte, word string) []byte {
	if _, r, ok := logs.Cut(b, word); ok {
		return r
	}
	return b
}

// semicolon takes the first of "a;b;c".
func semicolon(b []byte) (v, rest []byte) {
	if i := bytes.IndexByte(b, ';'); i >= 0 {
		return b[:i], b[i+1:]
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

// trace reads a row of a message trace: one fate for each recipient.
func (r *row) trace(e *event.Event, sink event.Sink) logs.Outcome {
	keep := *e
	if r.recipients == nil { // "a@b##Receive, Deliver;c@d##Receive, Fail"
		for list := r.status; len(list) > 0; {
			var one []byte
			one, list = semicolon(list)
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
