package postfix

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// queueManager reads "from=<a>, size=1, nrcpt=1 (queue active)", "from=<a>, status=expired, …" and "removed".
func queueManager(e *event.Event, b []byte) bool {
	if e.QueueID == nil {
		return false
	}
	switch {
	case string(b) == "removed":
		e.Kind = event.Removed
		return true
	case logs.Has(b, "from=<"):
		return active(e, b[5:])
	case logs.Has(b, "to=<"):
		return delivery(e, b)
	case logs.Has(b, "skipped, still being delivered"), logs.Has(b, "skipped"), logs.Has(b, "force-expired"):
		e.Kind, e.Text = event.Stats, b
		return true
	}
	return false
}

func active(e *event.Event, b []byte) bool {
	addr, rest, ok := logs.Angle(b)
	if !ok {
		return false
	}
	e.From = addr
	if r, ok := logs.After(rest, ", size="); ok {
		n := 0
		e.Kind = event.Active
		e.Size, n = logs.Number(r)
		if r, ok = logs.After(r[n:], ", nrcpt="); ok {
			v, _ := logs.Number(r)
			e.NRcpt = int32(min(v, 1<<30))
		}
		return true
	}
	if r, ok := logs.After(rest, ", status="); ok {
		e.Kind, e.Status, e.Text = event.Delivery, event.Expired, r
		if i := bytes.Index(r, []byte(", ")); i >= 0 {
			e.Text = r[i+2:]
		}
		return true
	}
	return false
}

// clean reads what cleanup writes.
func clean(e *event.Event, b []byte) bool {
	if rest, ok := logs.After(b, "message-id="); ok {
		e.Kind, e.MessageID = event.MessageID, logs.Bare(rest)
		return true
	}
	if rest, ok := logs.After(b, "resent-message-id="); ok {
		e.Kind, e.MessageID, e.Action = event.MessageID, logs.Bare(rest), resent
		return true
	}
	return headerCheck(e, b) || action(e, b)
}

var resent = []byte("resent")

// headerCheck reads "reject: header Subject: … from name[ip]; from=<a> to=<b> proto=ESMTP helo=<h>: text". The header
// is the sender's text, so the words behind it are searched from its end.
func headerCheck(e *event.Event, b []byte) bool {
	i := bytes.Index(b[:min(len(b), 24)], []byte(": "))
	if i <= 0 {
		return false
	}
	word, rest := b[:i], b[i+2:]
	where := 0
	for _, w := range [...]string{"header ", "body ", "mime-header ", "mime header ", "nested-header ", "nested header ", "mime-error "} {
		if logs.Has(rest, w) {
			where = len(w)
			break
		}
	}
	if where == 0 {
		return false
	}
	kind, ok := headerAction(word)
	if !ok {
		return false
	}
	e.Kind, e.Action, e.Stage = kind, word, bytes.TrimSpace(rest[:where])
	text := rest[where:]
	if at := bytes.LastIndex(text, []byte("; from=<")); at >= 0 {
		envelopeText(e, text[at+2:])
		text = text[:at]
	}
	if at := bytes.LastIndex(text, []byte(" from ")); at >= 0 {
		name, ip, port, _, ok := logs.HostIP(text[at+6:])
		if ok {
			e.ClientName, e.ClientIP, e.ClientPort = name, ip, port
		}
		if ok || string(text[at+6:]) == "local" {
			text = text[:at]
		}
	}
	if subj, ok := logs.After(text, "Subject: "); ok {
		e.Subject = subj
	}
	if e.Text == nil || kind != event.Reject {
		e.Text = text
	}
	return true
}

// headerAction tells the kind for the words of header_checks and body_checks.
func headerAction(word []byte) (event.Kind, bool) {
	switch string(word) {
	case "reject":
		return event.Reject, true
	case "discard":
		return event.Reject, true
	case "hold":
		return event.Hold, true
	case "milter-reject", "milter-discard":
		return event.Reject, true
	case "milter-hold", "quarantine":
		return event.Hold, true
	case "warning", "warn", "info", "ignore", "replace", "prepend", "redirect", "filter", "strip", "bcc", "pass":
		return event.Subject, true
	}
	if logs.Has(word, "milter-") { // milter_header_checks
		return event.Subject, true
	}
	return event.None, false
}

// envelopeText reads the envelope behind a header check and the admin's text after ": ".
func envelopeText(e *event.Event, b []byte) {
	envelope(e, b)
	if i := bytes.LastIndex(b, []byte(">: ")); i >= 0 {
		e.Text = b[i+3:]
		e.Code, e.DSN = logs.Code(e.Text)
		if e.Code == 0 {
			e.DSN = logs.DSN(e.Text)
		}
	}
}

// notification reads "sender non-delivery notification: 9BAC3986096".
func notification(e *event.Event, b []byte) bool {
	if e.QueueID == nil {
		return false
	}
	if logs.Has(b, "not sending ") {
		e.Kind, e.Text = event.Stats, b
		return true
	}
	_, id, ok := logs.Cut(b, " notification: ")
	if !ok {
		return false
	}
	e.Kind, e.Ref, e.Text = event.Notification, id, b
	switch {
	case logs.Has(b, "sender non-delivery"), logs.Has(b, "postmaster non-delivery"):
		e.RefIs = event.Bounce
	case logs.Has(b, "sender delay"), logs.Has(b, "postmaster delay"):
		e.RefIs = event.Delay
	case logs.Has(b, "sender delivery status"), logs.Has(b, "sender success"):
		e.RefIs = event.Success
	default:
		e.RefIs = event.Bounce
	}
	return true
}

// picked reads "uid=0 from=<root>".
func picked(e *event.Event, b []byte) bool {
	_, rest, ok := logs.Cut(b, " from=")
	if !ok || !logs.Has(b, "uid=") {
		return false
	}
	uid, _, _ := logs.Cut(b[4:], " ")
	e.Kind, e.From, e.User, e.Proto = event.Received, logs.Bare(rest), uid, local
	if addr, tail, ok := logs.Angle(rest); ok {
		e.From = addr
		if id, ok := logs.After(tail, " orig_id="); ok { // postsuper -r
			e.Ref, e.RefIs = id, event.Parent
		}
	}
	return true
}

var local = []byte("local")

// superUser reads postsuper: "removed", "requeued", "placed on hold", "released from hold", "Deleted: 3 messages".
func superUser(e *event.Event, b []byte) bool {
	e.Kind, e.Action, e.Text = event.Operator, b, b
	if e.QueueID != nil {
		if string(b) == "removed" {
			e.Kind = event.Removed
		}
		return true
	}
	for _, w := range [...]string{"Deleted: ", "Requeued: ", "Placed on hold: ", "Released from hold: ", "Placed", "Removed", "Forced", "Force-expired", "Renamed to match inode number: ", "Expired", "fixing "} {
		if logs.Has(b, w) {
			return true
		}
	}
	e.Kind = event.None
	return false
}
