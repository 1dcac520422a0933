// Package service reads what delivery services tell of messages: records of JSON of Amazon SES (also wrapped by SNS),
// SendGrid, Postmark and KumoMTA, one a line or in a list, and Google Workspace's export of its Email Log Search.
//
// Promise: which service a record is of, and what kind of event, the names of its members decide; values only fill. It
// judges nothing.
package service

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the dialect of delivery services.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Service }

// Mine is never true: the records carry no program name.
func (Dialect) Mine([]byte) bool { return false }

// Parse is never asked.
func (Dialect) Parse(*event.Event, event.Sink) logs.Outcome { return logs.Foreign }

// Programs by which the services are told apart.
var (
	progSES      = []byte("amazon-ses")
	progSendGrid = []byte("sendgrid")
	progPostmark = []byte("postmark")
	progKumo     = []byte("kumomta")
)

// top are the members that tell services apart, and those of flat records.
type top struct {
	kind, mail, inner                                    []byte // Amazon SES: eventType, and the object of that event
	message                                              []byte // SNS
	recordType                                           []byte // Postmark
	kumoType, sender, recipient, response, peer, headers []byte // KumoMTA
	email, sgEvent, sgID                                 []byte // SendGrid
	id, subject, reason, status, details, description    []byte
	smtpID, from, text, time                             []byte
	size                                                 int64
}

// ParseRecord reads one object.
func (Dialect) ParseRecord(c *logs.Clock, object []byte, e *event.Event, sink event.Sink) logs.Outcome {
	var t top
	for m := logs.Members(object); m.Next(); {
		t.keep(m.Key, m.Value, m.Quoted)
	}
	e.Software = event.Service
	switch {
	case t.kind != nil && t.mail != nil:
		t.ses(c, e, sink)
	case t.message != nil && (bytes.Contains(t.message, []byte(`"eventType`)) || bytes.Contains(t.message, []byte(`eventType\"`)) || bytes.Contains(t.message, []byte(`notificationType\"`))):
		inner := logs.Unescaped(t.message)
		if bytes.Contains(inner, []byte(`"Message"`)) { // SNS wraps once
			return logs.Foreign
		}
		return Dialect{}.ParseRecord(c, inner, e, sink)
	case t.recordType != nil && t.id != nil:
		t.postmark(c, e)
		sink.Event(e)
	case t.sgEvent != nil && t.email != nil && t.sgID != nil:
		t.sendgrid(c, e)
		sink.Event(e)
	case t.kumoType != nil && t.sender != nil && t.recipient != nil && t.response != nil:
		t.kumo(c, e)
		sink.Event(e)
	default:
		return logs.Foreign
	}
	return logs.Known
}

func (t *top) keep(key, v []byte, quoted bool) {
	switch string(key) {
	case "eventType", "notificationType":
		t.kind = v
	case "mail":
		t.mail = v
	case "delivery", "bounce", "deliveryDelay", "reject", "complaint":
		t.inner = v
	case "Message":
		t.message = v
	case "RecordType":
		t.recordType = v
	case "type":
		if t.kumoType = v; t.status == nil {
			t.text = v
		}
	case "sender":
		t.sender = v
	case "recipient", "Recipient":
		t.recipient = v
	case "response":
		if t.response = v; quoted {
			t.details = v
		}
	case "peer_address":
		t.peer = v
	case "headers":
		t.headers = v
	case "email", "Email":
		t.email = v
	case "event":
		t.sgEvent = v
	case "sg_message_id":
		t.sgID = v
	case "smtp-id":
		t.smtpID = v
	case "id", "MessageID":
		t.id = v
	case "Subject":
		t.subject = v
	case "From":
		t.from = v
	case "reason":
		t.reason = v
	case "status":
		t.status = v
	case "Details":
		t.details = v
	case "Description":
		t.description = v
	case "timestamp", "DeliveredAt", "BouncedAt":
		t.time = v
	case "size":
		t.size, _ = logs.Number(v)
	}
}

// postmark reads {"RecordType":"Delivery","MessageID":…,"Recipient":…,"DeliveredAt":…,"Details":…} and bounces.
func (t *top) postmark(c *logs.Clock, e *event.Event) {
	c.When(t.time, &e.Origin)
	e.Program, e.QueueID, e.Subject, e.From, e.Text = progPostmark, t.id, logs.Unescaped(t.subject), mailbox(t.from), logs.Unescaped(t.details)
	switch string(t.recordType) {
	case "Delivery":
		e.Kind, e.Status, e.To = event.Delivery, event.Sent, t.recipient
	case "Bounce":
		e.Kind, e.Status, e.To = event.Delivery, event.Bounced, t.email
	default:
		e.Kind, e.To = event.Stats, t.email
		return
	}
	if len(e.Text) == 0 {
		e.Text = logs.Unescaped(t.description)
	}
	answered(e)
}

// sendgrid reads {"email":…,"timestamp":1513299569,"smtp-id":"<…>","event":"delivered","sg_message_id":…,"response":"250 OK"}.
func (t *top) sendgrid(c *logs.Clock, e *event.Event) {
	c.Epoch(t.time, &e.Origin)
	e.Program, e.To, e.Session, e.MessageID = progSendGrid, t.email, t.sgID, logs.Bare(t.smtpID)
	if e.Text = logs.Unescaped(t.reason); e.Text == nil {
		e.Text = logs.Unescaped(t.details)
	}
	switch string(t.sgEvent) {
	case "processed":
		e.Kind = event.Received
	case "delivered":
		e.Kind, e.Status = event.Delivery, event.Sent
	case "deferred":
		e.Kind, e.Status = event.Delivery, event.Deferred
	case "bounce", "blocked":
		e.Kind, e.Status = event.Delivery, event.Bounced
	case "dropped":
		e.Kind, e.Status = event.Delivery, event.Failed
	default:
		e.Kind = event.Stats
		return
	}
	answered(e)
	if e.DSN == nil {
		e.DSN = logs.DSN(t.status)
	}
}

// kumo reads a log record of KumoMTA.
func (t *top) kumo(c *logs.Clock, e *event.Event) {
	c.Epoch(t.time, &e.Origin)
	e.Program, e.QueueID, e.From, e.To, e.Size = progKumo, t.id, t.sender, t.recipient, t.size
	for m := logs.Members(t.response); m.Next(); {
		switch string(m.Key) {
		case "code":
			n, _ := logs.Number(m.Value)
			e.Code = int16(min(n, 999))
		case "content":
			e.Text = logs.Unescaped(m.Value)
		case "command":
			if m.Quoted {
				e.Stage = m.Value
			}
		}
	}
	var name, ip []byte
	for m := logs.Members(t.peer); m.Next(); {
		switch string(m.Key) {
		case "name":
			name = m.Value
		case "addr":
			if ip = m.Value; bytes.Count(ip, []byte(":")) == 1 {
				ip, _, _ = logs.Cut(ip, ":")
			}
		}
	}
	e.Kind = event.Delivery
	switch string(t.kumoType) {
	case "Reception":
		e.Kind, e.ClientName, e.ClientIP = event.Received, name, ip
		for m := logs.Members(t.headers); m.Next(); {
			switch {
			case bytes.EqualFold(m.Key, []byte("message-id")):
				e.MessageID = logs.Bare(m.Value)
			case bytes.EqualFold(m.Key, []byte("subject")):
				e.Subject = logs.Unescaped(m.Value)
			}
		}
		return
	case "Delivery":
		if e.Status = event.Sent; e.Text != nil {
			if e.Ref, _ = logs.NextID(e.Text); e.Ref != nil {
				e.RefIs = event.Next
			}
		}
	case "TransientFailure":
		e.Status = event.Deferred
	case "Bounce", "AdminBounce", "OOB":
		e.Status = event.Bounced
	case "Expiration":
		e.Status = event.Expired
	default:
		e.Kind = event.Stats
		return
	}
	e.Relay, e.RelayIP = name, ip
}

// answered reads the code of a reply.
func answered(e *event.Event) {
	e.Text = bytes.TrimPrefix(e.Text, []byte("smtp;"))
	e.Text = bytes.TrimLeft(e.Text, " ")
	e.Code, e.DSN = logs.Code(e.Text)
}

// mailbox takes the address out of "Name <a@b.example>".
func mailbox(b []byte) []byte {
	if i := bytes.LastIndexByte(b, '<'); i >= 0 {
		if a, _, ok := logs.Angle(b[i:]); ok {
			return a
		}
	}
	return b
}
