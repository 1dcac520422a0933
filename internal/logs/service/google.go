package service

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

var progGoogle = []byte("google-workspace")

// Columns finds the head of an export of Google Workspace's Email Log Search.
func (Dialect) Columns(head []byte) *logs.Layout {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n"))
	l := &logs.Layout{Software: event.Service, Sep: ',', Columns: logs.Columns(bytes.TrimRight(line, "\r"), ',')}
	found := 0
	for _, c := range l.Columns {
		switch c {
		case "messageid", "sender", "eventtarget", "eventstatus":
			found++
		}
	}
	if found < 4 {
		return nil
	}
	return l
}

// elsRow is what the columns of a row hold, beside what the event keeps.
type elsRow struct {
	when, start, target, status, reply, description, ip []byte
}

// ParseRow reads one row: what happened to a message at one place.
func (Dialect) ParseRow(c *logs.Clock, l *logs.Layout, e *event.Event, sink event.Sink) logs.Outcome {
	var r elsRow
	b := bytes.TrimPrefix(e.Msg, []byte("\xef\xbb\xbf"))
	if len(b) == 0 {
		return logs.Known
	}
	for i := 0; len(b) > 0 && i < len(l.Columns); i++ {
		var v []byte
		v, b = logs.Cell(b, l.Sep)
		if i == 0 && logs.IsHead(v, l.Columns[0]) {
			return logs.Known
		}
		if len(v) > 0 && string(v) != "N/A" {
			r.column(e, l.Columns[i], v)
		}
	}
	if r.target == nil && r.status == nil {
		return logs.Unparsed
	}
	when := r.when
	if when == nil {
		when = r.start
	}
	if c.When(when, &e.Origin); !e.TimeSet { // "2026/11/22 10:00:00 UTC"
		if i := bytes.LastIndexByte(when, ' '); i > 0 {
			c.When(when[:i], &e.Origin)
		}
	}
	e.Program = progGoogle
	r.read(e)
	sink.Event(e)
	return logs.Known
}

func (r *elsRow) column(e *event.Event, name string, v []byte) {
	switch name {
	case "messageid":
		if !logs.Has(v, "SMTPIN_ADDED_") { // none could be read
			e.MessageID = logs.Bare(v)
		}
	case "startdate":
		r.start = v
	case "eventdate":
		r.when = v
	case "sender":
		e.From = v
	case "messagesize":
		e.Size, _ = logs.Number(v)
	case "subject":
		e.Subject = v
	case "recipientaddress", "recipient":
		e.To = v
	case "eventtarget":
		r.target = v
	case "eventstatus":
		r.status = v
	case "eventtargetipaddress", "eventtargetip":
		r.ip = v
	case "eventsmtpreply", "eventsmtpreplycode":
		r.reply = v
	case "eventdescription":
		r.description = v
	}
}

var (
	folderInbox = []byte("Inbox")
	folderSpam  = []byte("Spam")
)

// read tells what happened: the reply decides where there is one, then the status, then the place.
func (r *elsRow) read(e *event.Event) {
	if e.Text = r.description; e.Text == nil {
		e.Text = r.status
	}
	if e.Code, e.DSN = logs.Code(r.reply); e.Code == 0 {
		n, digits := logs.Number(r.reply)
		if e.Code = int16(min(n, 999)); digits != 3 {
			e.Code = 0
		}
	} else {
		e.Text = r.reply
	}
	in := string(r.target) == "SMTP_IN"
	switch e.Kind, e.Status = event.Delivery, r.fate(); {
	case in && (e.Code >= 400 || e.Status == event.Bounced || e.Status == event.Deferred):
		e.Kind, e.Status, e.ClientIP = event.Reject, event.NoStatus, r.ip
	case in:
		e.Kind, e.Status, e.ClientIP = event.Received, event.NoStatus, r.ip
	case e.Code >= 500:
		e.Status = event.Bounced
	case e.Code >= 400:
		e.Status = event.Deferred
	case e.Status == event.NoStatus && string(r.target) == "LIST_SERVER":
		e.Status = event.Expanded
	case e.Status == event.NoStatus:
		e.Kind = event.Stats
	}
	if e.Kind != event.Delivery {
		return
	}
	switch e.RelayIP, e.Relay = r.ip, r.target; string(r.target) {
	case "GMAIL_INBOX":
		e.Folder = folderInbox
	case "GMAIL_SPAM", "INTERNAL_SERVER":
		e.Folder = folderSpam
	}
}

// fate reads the words of a status, whatever their case.
func (r *elsRow) fate() event.Status {
	var low [64]byte
	s := low[:copy(low[:], r.status)]
	for i, c := range s {
		if c-'A' < 26 {
			s[i] = c | 0x20
		}
	}
	for _, w := range [...]struct {
		word   string
		status event.Status
	}{{"bounce", event.Bounced}, {"reject", event.Bounced}, {"fail", event.Bounced}, {"quarantin", event.Quarantined}, {"drop", event.Discarded}, {"discard", event.Discarded}, {"defer", event.Deferred},
		{"retry", event.Deferred}, {"transient", event.Deferred}, {"pending", event.Deferred}, {"spam", event.Sent}, {"deliver", event.Sent}, {"insert", event.Sent}, {"sent", event.Sent}} {
		if bytes.Contains(s, []byte(w.word)) {
			return w.status
		}
	}
	return event.NoStatus
}
