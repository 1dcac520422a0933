package service

import (
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// ses reads {"eventType":"Delivery","mail":{…},"delivery":{…}}, an event for each recipient.
func (t *top) ses(c *logs.Clock, e *event.Event, sink event.Sink) {
	e.Program = progSES
	all := sesMail(c, e, t.mail)
	keep := *e
	rcpts, status := all, event.NoStatus
	for m := logs.Members(t.inner); m.Next(); {
		switch string(m.Key) {
		case "timestamp":
			c.When(m.Value, &keep.Origin)
		case "smtpResponse":
			keep.Text = logs.Unescaped(m.Value)
		case "remoteMtaIp":
			keep.RelayIP = m.Value
		case "recipients", "bouncedRecipients", "delayedRecipients":
			rcpts = m.Value
		case "reason", "delayType":
			keep.Text = logs.Unescaped(m.Value)
		}
	}
	switch string(t.kind) {
	case "Send":
		keep.Kind = event.Received
	case "Delivery":
		keep.Kind, status = event.Delivery, event.Sent
	case "Bounce", "Reject":
		keep.Kind, status = event.Delivery, event.Bounced
	case "DeliveryDelay":
		keep.Kind, status = event.Delivery, event.Deferred
	default: // complaints, openings, clicks
		*e = keep
		e.Kind, e.Text = event.Stats, t.kind
		sink.Event(e)
		return
	}
	for first := true; ; first = false {
		one, rest, ok := logs.Item(rcpts)
		if !ok && !first {
			return
		}
		rcpts = rest
		*e = keep
		e.Status, e.To = status, sesRecipient(e, one)
		if e.Kind == event.Delivery {
			answered(e)
		}
		sink.Event(e)
		if keep.Kind == event.Received {
			keep.Kind = event.Related
		}
	}
}

// sesMail reads what a record tells of the message; it gives the list of its recipients.
func sesMail(c *logs.Clock, e *event.Event, b []byte) (to []byte) {
	for m := logs.Members(b); m.Next(); {
		switch string(m.Key) {
		case "timestamp":
			c.When(m.Value, &e.Origin)
		case "messageId":
			e.QueueID = m.Value
		case "source":
			e.From = mailbox(m.Value)
		case "sourceIp":
			e.ClientIP = m.Value
		case "destination":
			to = m.Value
		case "commonHeaders":
			for h := logs.Members(m.Value); h.Next(); {
				switch string(h.Key) {
				case "messageId":
					e.MessageID = logs.Bare(h.Value)
				case "subject":
					e.Subject = logs.Unescaped(h.Value)
				}
			}
		}
	}
	if string(e.MessageID) == string(e.QueueID) { // SES names its own where the message had none
		e.MessageID = nil
	}
	return to
}

// sesRecipient reads "a@b.example" or {"emailAddress":"a@b.example","status":"5.1.1","diagnosticCode":"smtp; 550 …"}.
func sesRecipient(e *event.Event, b []byte) []byte {
	if len(b) == 0 || b[0] != '{' {
		return b
	}
	var to, dsn []byte
	for m := logs.Members(b); m.Next(); {
		switch string(m.Key) {
		case "emailAddress":
			to = m.Value
		case "status":
			dsn = m.Value
		case "diagnosticCode":
			e.Text = logs.Unescaped(m.Value)
		}
	}
	if answered(e); e.DSN == nil && e.Code == 0 {
		e.DSN = logs.DSN(dsn)
	}
	return to
}
