// Package cyrus reads the lines of Cyrus IMAP: logins, mailbox deliveries by LMTP, and trouble.
//
// Promise: Cyrus's own words in front decide; names and message-ids only fill fields. It judges nothing.
package cyrus

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Cyrus dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Cyrus }

// Mine tells "cyrus/imaps" and "cyrus-imapd", and the authentication daemon that Cyrus SASL brings.
func (Dialect) Mine(program []byte) bool {
	return logs.Has(program, "cyrus") || string(program) == "lmtpunix" || string(program) == "saslauthd"
}

var saved = []byte("saved")

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	e.Text, e.Kind = e.Msg, event.Stats
	b := e.Msg
	switch {
	case logs.Has(b, "Delivered: "): // "<m> to mailbox: user.li"
		id, rest, ok := logs.Angle(b[len("Delivered: "):])
		if !ok {
			break
		}
		e.Kind, e.Action, e.MessageID = event.Sieve, saved, id
		if box, ok := logs.After(rest, " to mailbox: "); ok {
			e.User, e.Folder = mailbox(box)
		}
	case logs.Has(b, "login: "), logs.Has(b, "badlogin: "):
		login(e, b)
	case bytes.Contains(b, []byte(": auth failure: [user=")):
		e.Kind = event.LoginFailed
		_, user, _ := logs.Cut(b, "[user=")
		e.User, _, _ = logs.Cut(user, "] [service=")
		_, e.Text, _ = logs.Cut(b, " [reason=")
		e.Text = bytes.TrimSuffix(e.Text, []byte("]"))
	case logs.Has(b, "sieve runtime error for "), logs.Has(b, "IOERROR: "), logs.Has(b, "DBERROR: "), logs.Has(b, "DBERROR "), logs.Has(b, "Fatal error: "), bytes.Contains(b, []byte("signaled to death by")):
		e.Kind, e.Level = event.Warning, event.Error
		if !logs.Has(b, "sieve ") {
			e.Kind = event.Trouble
		}
	case logs.Has(b, "accepted connection"), logs.Has(b, "executed"), logs.Has(b, "ready for work"):
		e.Kind = event.Stats
	case logs.Has(b, "starttls: "):
		e.Kind = event.TLS
		e.TLSVersion, _, _ = logs.Cut(b[len("starttls: "):], " ")
	}
	sink.Event(e)
	return logs.Known
}

// login reads "login: host [192.0.2.1] li PLAIN+TLS User logged in" and "badlogin: host [192.0.2.9] PLAIN [SASL(-13): …]".
func login(e *event.Event, b []byte) {
	e.Kind = event.Login
	if b[0] == 'b' {
		e.Kind = event.LoginFailed
	}
	_, rest, _ := logs.Cut(b, ": ")
	name, rest, ok := logs.Cut(rest, "[")
	if !ok {
		return
	}
	e.ClientName = bytes.TrimSpace(name)
	if e.ClientIP, rest, ok = logs.Cut(rest, "] "); !ok {
		return
	}
	word, rest, _ := logs.Cut(rest, " ")
	if e.Kind == event.Login {
		e.User = word
		word, rest, _ = logs.Cut(rest, " ")
	} else if user, why, ok := logs.Cut(rest, " ["); ok && len(user) > 0 && user[0] != '[' {
		e.User, rest = user, why
	}
	e.Method, e.Text = word, rest
	if _, s, ok := logs.Cut(rest, "SESSIONID=<"); ok {
		e.Session, _, _ = logs.Cut(s, ">")
	}
}

// mailbox splits "user.li.Junk" and "user/li@mine.example/Junk" into the user and the folder.
func mailbox(b []byte) (user, folder []byte) {
	sep := "."
	r, ok := logs.After(b, "user.")
	if !ok {
		if r, ok = logs.After(b, "user/"); !ok {
			return nil, b
		}
		sep = "/"
	}
	user, folder, ok = logs.Cut(r, sep)
	if !ok {
		folder = inbox
	}
	return user, folder
}

var inbox = []byte("INBOX")
