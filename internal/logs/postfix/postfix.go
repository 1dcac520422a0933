// Package postfix reads the lines of every Postfix daemon, from 2.x to 3.x, with short and long queue ids and any
// syslog_name ("postfix-out/smtpd", "postfix/submission/smtpd").
//
// Promise: a line is read left to right from Postfix's own fixed words; what clients and remote servers wrote
// (addresses, HELO names, header text, replies) only fills fields and never decides the kind. No allocation. It does
// not join lines and does not judge replies.
package postfix

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Postfix dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Postfix }

// Mine tells Postfix programs: the last part of the name is a Postfix daemon and another part stands before it, or the
// name begins with "postfix".
func (Dialect) Mine(program []byte) bool {
	i := bytes.LastIndexByte(program, '/')
	if i >= 0 && daemonOf(program) != otherDaemon {
		return true
	}
	return logs.Has(program, "postfix")
}

type daemon uint8

const (
	otherDaemon daemon = iota
	smtpd
	agent // smtp, lmtp, local, virtual, pipe, error, retry, discard: they report deliveries
	qmgr
	cleanup
	bounce
	pickup
	postscreen
	support // anvil, scache, tlsmgr, …: no messages of their own
	master
	postsuper
)

func daemonOf(program []byte) daemon {
	if i := bytes.LastIndexByte(program, '/'); i >= 0 {
		program = program[i+1:]
	}
	switch string(program) {
	case "smtpd", "qmqpd":
		return smtpd
	case "smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard", "verify", "relay", "spawn":
		return agent
	case "qmgr", "nqmgr", "oqmgr":
		return qmgr
	case "cleanup":
		return cleanup
	case "bounce", "trace", "defer":
		return bounce
	case "pickup":
		return pickup
	case "postscreen", "dnsblog":
		return postscreen
	case "anvil", "scache", "tlsmgr", "tlsproxy", "trivial-rewrite", "proxymap", "flush", "showq", "postlogd", "rewrite",
		"proxywrite", "smtp-sink", "smtp-source", "nbdb_reindexd":
		return support
	case "master", "postfix", "postfix-script", "postlog", "postmulti", "postconf", "postalias", "postmap", "postcat", "postqueue",
		"sendmail", "postdrop", "post-install", "set-permissions", "posttls-finger", "postkick", "postlock", "postfix-tls-script",
		"postmulti-script", "postfix-wrapper", "non-bdb-migration":
		return master
	case "postsuper":
		return postsuper
	}
	return otherDaemon
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	msg := e.Msg
	id, rest := queueID(msg)
	e.QueueID = id
	d := daemonOf(e.Program)
	switch {
	case d == otherDaemon || d == master && string(e.Program) == "postfix":
		if !unnamed(e, rest) && !anyDaemon(e, rest) {
			return logs.Unparsed
		}
	case !known(d, e, rest) && !anyDaemon(e, rest):
		if d != master || !unnamed(e, rest) {
			return logs.Unparsed
		}
	}
	if e.Kind != event.None {
		sink.Event(e)
	}
	return logs.Known
}

// unnamed reads lines whose prefix does not tell which daemon wrote them, only that it was Postfix.
func unnamed(e *event.Event, rest []byte) bool {
	clean := event.Event{Origin: e.Origin, Software: e.Software, QueueID: e.QueueID}
	for d := smtpd; d <= postsuper; d++ {
		if *e = clean; d != support && known(d, e, rest) {
			return true
		}
	}
	return false
}

// known reads what the daemon's own words are; false where it does not know the line.
func known(d daemon, e *event.Event, rest []byte) bool {
	switch d {
	case agent:
		return delivery(e, rest)
	case smtpd:
		return smtpServer(e, rest)
	case qmgr:
		return queueManager(e, rest)
	case cleanup:
		return clean(e, rest)
	case bounce:
		return notification(e, rest)
	case pickup:
		return picked(e, rest)
	case postscreen:
		return screen(e, rest)
	case support:
		return supporting(e, rest)
	case master:
		return mastering(e, rest)
	case postsuper:
		return superUser(e, rest)
	}
	return false
}

// queueID takes "4jXBw64bG5z1SGLw: " or "287CB9860B2: " off the front. "NOQUEUE: " is taken off without an id.
func queueID(b []byte) (id, rest []byte) {
	i := 0
	for i < len(b) && i < 24 && alnum(b[i]) {
		i++
	}
	if i < 5 || i+1 >= len(b) || b[i] != ':' || b[i+1] != ' ' {
		return nil, b
	}
	id, rest = b[:i], b[i+2:]
	if b[0] == 'N' && string(id) == "NOQUEUE" {
		return nil, rest
	}
	if !isQueueID(id) {
		return nil, b
	}
	return id, rest
}

// isQueueID tells a short id (upper-case hexadecimal, at least 5) or a long one (at least 10 signs, one of them 'z' as
// divider) from words such as "warning" and "fatal". Postfix writes long ones without vowels; logs whose ids somebody
// replaced do not keep to that, so that any 8 signs with a digit among them are an id, as no word of Postfix has one.
func isQueueID(b []byte) bool {
	hex, number := true, false
	for _, c := range b {
		number = number || c-'0' <= 9
		hex = hex && (c-'0' <= 9 || c-'A' <= 5)
	}
	if hex {
		return len(b) >= 5
	}
	return number && len(b) >= 8 || len(b) >= 10 && bytes.IndexByte(b, 'z') > 0 && !bytes.ContainsAny(b, "aeiouAEIOU")
}

func alnum(c byte) bool { return c-'0' <= 9 || c|0x20-'a' < 26 }
