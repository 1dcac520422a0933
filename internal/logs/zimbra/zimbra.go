// Package zimbra reads mailbox.log and audit.log of Zimbra's mailbox server: what LMTP took in and put into which folder,
// what users send, filters, and logins. Zimbra's Postfix logs are Postfix's own.
//
// Promise: level, thread, context and category decide, in this order; a client chooses the name of its program, which
// stands in the context, so a line in which the end of the context is not certain tells nothing. It judges nothing.
package zimbra

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Zimbra dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Zimbra }

// Mine tells Zimbra's program names.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "mailboxd" || string(program) == "zimbra"
}

// line is a line by its parts: "INFO  [LmtpServer-1] [name=li@mine.example;ip=192.0.2.1;] lmtp - text".
type line struct {
	level, thread, context, category, text []byte
}

// split reads the parts; sure is false where the context may end at another place than it seems to.
func split(b []byte) (l line, sure, ok bool) {
	l.level, b, ok = logs.Cut(b, " ")
	if b = bytes.TrimLeft(b, " "); !ok || len(b) == 0 || b[0] != '[' {
		return l, false, false
	}
	i := bytes.Index(b, []byte("] ["))
	if i < 0 {
		return l, false, false
	}
	l.thread, b = b[1:i], b[i+3:]
	if end := bytes.Index(b, []byte("] ")); end >= 0 {
		l.context = b[:end]
		l.category, l.text, ok = logs.Cut(b[end+2:], " - ")
		next := bytes.Index(b[end+2:], []byte(";] "))
		return l, next < 0 || !bytes.Contains(l.context, []byte("ua=")), ok && len(l.category) > 0 && len(l.category) < 40 && bytes.IndexByte(l.category, ' ') < 0
	}
	return l, false, false
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	l, sure, ok := split(e.Msg)
	if !ok {
		return logs.Unparsed
	}
	e.Text = l.text
	e.Level = logs.Level(l.level)
	user := context(e, l.context)
	if !sure || !read(e, &l, user) {
		switch e.Kind = event.Stats; {
		case e.Level >= event.Fatal:
			e.Kind = event.Trouble
		case e.Level >= event.Warn:
			e.Kind = event.Warning
		}
	}
	sink.Event(e)
	return logs.Known
}

// context reads "name=…;oip=…;ip=…;ua=…;" and gives whose mailbox the line is about. Behind a proxy oip is the client.
func context(e *event.Event, b []byte) (user []byte) {
	for len(b) > 0 {
		pair, rest, _ := logs.Cut(b, ";")
		b = rest
		key, v, _ := logs.Cut(pair, "=")
		switch string(key) {
		case "name":
			user = v
		case "oip":
			e.ClientIP, _, _ = logs.Cut(v, ",")
		case "ip":
			if e.ClientIP == nil {
				e.ClientIP = v
			}
		case "ua":
			return user // whatever follows a client may have written
		}
	}
	return user
}

// read reads what the category says.
func read(e *event.Event, l *line, user []byte) bool {
	switch string(l.category) {
	case "lmtp":
		return lmtp(e, l.text)
	case "mailop":
		return stored(e, l, user)
	case "smtp":
		return submitted(e, l.text, user)
	case "filter":
		return filtered(e, l.text, user)
	case "security":
		return login(e, l.text)
	case "SoapEngine":
		return soap(e, l.text)
	}
	return false
}

// lmtp reads "Delivering message: size=840 bytes, nrcpts=1, sender=a@b.example, msgid=<m>".
func lmtp(e *event.Event, b []byte) bool {
	if r, ok := logs.After(b, "Delivering message: size="); ok {
		e.Kind = event.Received
		e.Size, _ = logs.Number(r)
		if _, n, ok := logs.Cut(r, ", nrcpts="); ok {
			v, _ := logs.Number(n)
			e.NRcpt = int32(min(v, 1<<30))
		}
		if _, from, ok := logs.Cut(r, ", sender="); ok {
			if i := bytes.LastIndex(from, []byte(", msgid=")); i >= 0 {
				from, r = from[:i], from[i+len(", msgid="):]
				if id, _, ok := logs.Angle(r); ok {
					e.MessageID = id
				}
			}
			if e.From = logs.Bare(from); string(from) == "null" {
				e.From = from[:0]
			}
		}
		return true
	}
	if r, ok := logs.After(b, "lmtp over http delivery for "); ok {
		to, answer, ok := logs.Cut(r, ": ")
		if e.Code, e.DSN = logs.Code(answer); ok && e.Code != 0 {
			e.Kind, e.To, e.Text, e.Status = event.Delivery, logs.Bare(to), answer, event.Sent
			if e.Code >= 500 {
				e.Status = event.Bounced
			} else if e.Code >= 400 {
				e.Status = event.Deferred
			}
			return true
		}
	}
	for _, w := range [...]struct {
		word   string
		status event.Status
	}{{"rejecting message ", event.Bounced}, {"try again message ", event.Deferred}} {
		if r, ok := logs.After(b, w.word); ok {
			e.Kind, e.Status = event.Delivery, w.status
			e.To, e.Text, _ = logs.Cut(r, ": ")
			return true
		}
	}
	return false
}

var (
	actSaved     = []byte("saved")
	actDiscarded = []byte("discarded")
	actLookup    = []byte("lookup")
)

// stored reads "Adding Message: id=257, Message-ID=<m>, parentId=-1, folderId=2, folderName=Inbox.". Only what LMTP adds is
// a delivery: users store drafts and copies of what they sent, too.
func stored(e *event.Event, l *line, user []byte) bool {
	r, ok := logs.After(l.text, "Adding Message: id=")
	if !ok || !logs.Has(l.thread, "Lmtp") {
		return false
	}
	if _, id, ok := logs.Cut(r, ", Message-ID="); ok {
		e.MessageID, _, _ = logs.Angle(id)
	}
	if i := bytes.LastIndex(r, []byte(", folderName=")); i >= 0 {
		folder := r[i+len(", folderName="):]
		if j := bytes.Index(folder, []byte(" acct=")); j >= 0 {
			folder = folder[:j]
		}
		e.Folder = bytes.TrimSuffix(folder, []byte("."))
	}
	e.Kind, e.Action, e.User = event.Sieve, actSaved, user
	return true
}

// submitted reads "Sending message to MTA at localhost: Message-ID=<m>, replyType=null".
func submitted(e *event.Event, b, user []byte) bool {
	r, ok := logs.After(b, "Sending message to MTA at ")
	if !ok {
		return false
	}
	if _, id, ok := logs.Cut(r, "Message-ID="); ok {
		e.MessageID, _, _ = logs.Angle(id)
	}
	e.Kind, e.User = event.Received, user
	return true
}

// filtered reads "Discarding message with Message-ID <m> from a@b.example".
func filtered(e *event.Event, b, user []byte) bool {
	r, ok := logs.After(b, "Discarding message with Message-ID ")
	if !ok {
		return false
	}
	id, rest, ok := logs.Angle(r)
	if !ok {
		return false
	}
	e.Kind, e.Action, e.User, e.MessageID = event.Sieve, actDiscarded, user, id
	e.From, _ = logs.After(rest, " from ")
	return true
}

// login reads "cmd=Auth; account=li@mine.example; protocol=imap; error=authentication failed for [li], invalid password;".
func login(e *event.Event, b []byte) bool {
	if !logs.Has(b, "cmd=Auth;") && !logs.Has(b, "cmd=AdminAuth;") {
		return false
	}
	e.Kind = event.Login
	for len(b) > 0 {
		pair, rest, _ := logs.Cut(b, "; ")
		key, v, _ := logs.Cut(pair, "=")
		switch string(key) {
		case "account":
			e.User = v
		case "protocol":
			e.Method = bytes.TrimSuffix(v, []byte(";"))
		case "error":
			if why, ok := logs.After(b, "error="); ok {
				e.Text = bytes.TrimSuffix(why, []byte(";"))
			}
			e.Kind = event.LoginFailed
			return true
		}
		b = rest
	}
	return true
}

// soap reads "handler exception: authentication failed for [li], account not found", which audit.log tells as well.
func soap(e *event.Event, b []byte) bool {
	r, ok := logs.After(b, "handler exception: authentication failed for [")
	if !ok {
		return false
	}
	e.Kind, e.Action = event.LoginFailed, actLookup
	e.User, e.Text, _ = logs.Cut(r, "], ")
	return true
}
