// Package sendmail reads the lines of Sendmail: from= and to= lines, rejects by rulesets and milters, TLS, logins.
//
// Promise: the queue id and the first key decide what a line is; stat=, which quotes the remote server, is always read
// to the end of the line. It judges nothing.
package sendmail

import (
	"bytes"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Sendmail dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Sendmail }

// Mine tells Sendmail's program names.
func (Dialect) Mine(program []byte) bool {
	switch string(program) {
	case "sendmail", "sm-mta", "sm-msp-queue", "sm-msp", "sm-queue", "sm-client", "newaliases", "sm-acceptingconnections", "mail.local":
		return true
	}
	return logs.Has(program, "sm-mta") || logs.Has(program, "sendmail")
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	if id, rest, ok := logs.QueueIDWord(b); ok && len(id) >= 8 {
		e.QueueID, b = id, rest
	} else if r, ok := logs.After(b, "NOQUEUE: "); ok {
		b = r
	}
	e.Text = b
	switch {
	case logs.Has(b, "from="):
		received(e, b)
	case logs.Has(b, "to="):
		recipients(e, delivery(e, b), sink)
		return logs.Known
	case logs.Has(b, "ruleset="):
		ruleset(e, b)
	case logs.Has(b, "AUTH=server"), logs.Has(b, "AUTH=client"):
		e.Kind, e.Outbound = event.Auth, b[5] == 'c'
		session(e, b)
		if e.Outbound {
			e.Kind = event.Stats
		}
	case logs.Has(b, "STARTTLS=server"), logs.Has(b, "STARTTLS=client"):
		e.Kind, e.Outbound = event.TLS, b[9] == 'c'
		session(e, b)
		if e.TLSVersion == nil {
			e.Kind = event.TLSFailed
		}
	default:
		other(e, b)
	}
	sink.Event(e)
	return logs.Known
}

// received reads "from=<a>, size=1, class=0, nrcpts=1, msgid=<m>, proto=ESMTP, daemon=MTA, relay=h [192.0.2.1]".
func received(e *event.Event, b []byte) {
	e.Kind, e.Text = event.Received, nil
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok {
			return
		}
		switch string(key) {
		case "from":
			e.From = logs.Bare(v)
		case "size":
			e.Size, _ = logs.Number(v)
		case "nrcpts":
			n, _ := logs.Number(v)
			e.NRcpt = int32(min(n, 1<<30))
		case "msgid":
			e.MessageID = logs.Bare(v)
		case "proto":
			e.Proto = v
		case "relay":
			e.ClientName, e.ClientIP = relay(v)
		}
		b = rest
	}
}

// relay reads "host [192.0.2.1]", "[192.0.2.1]", "li@localhost", "host [192.0.2.1] (may be forged)".
func relay(v []byte) (name, ip []byte) {
	i := bytes.IndexByte(v, '[')
	if i < 0 {
		return v, nil
	}
	name = bytes.TrimRight(v[:i], " .")
	if j := bytes.IndexByte(v[i:], ']'); j > 0 {
		ip = bytes.TrimPrefix(v[i+1:i+j], []byte("IPv6:"))
	}
	return name, ip
}

// delivery reads "to=<b>, ctladdr=<a>, delay=00:00:01, xdelay=…, mailer=esmtp, relay=…, dsn=2.0.0, stat=Sent (…)".
// It gives the recipients as they stand.
func delivery(e *event.Event, b []byte) (to []byte) {
	e.Kind = event.Delivery
	var mailer, reply, owner []byte
	for len(b) > 0 {
		if stat, ok := logs.After(b, "stat="); ok {
			status(e, stat)
			break
		}
		if r, ok := logs.After(b, "reply="); ok { // the server's words, which may hold anything
			i := bytes.LastIndex(r, []byte(", stat="))
			if i < 0 {
				i = len(r)
			}
			reply, b = r[:i], bytes.TrimPrefix(r[i:], []byte(", "))
			continue
		}
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok {
			break
		}
		switch string(key) {
		case "to":
			to = v
		case "ctladdr":
			owner, _, _ = logs.Cut(v, " (")
		case "delay":
			e.Delay = clock(v)
		case "xdelay":
			e.Delays.Set, e.Delays.Transfer = true, clock(v)
		case "mailer":
			mailer = v
		case "relay":
			e.Relay, e.RelayIP = relay(bytes.TrimSuffix(v, []byte(".")))
		case "dsn":
			e.DSN = v
		}
		b = rest
	}
	if e.Relay == nil || string(mailer) == "local" || string(mailer) == "prog" || string(mailer) == "*file*" {
		e.Relay, e.RelayIP = mailer, nil
	}
	if code, _ := logs.Code(reply); code >= 200 && e.Status != event.Sent {
		e.Text, e.Code = reply, code
	}
	if len(to) > 0 && (to[0] == '|' || to[0] == '/') && len(owner) > 0 { // a program or a file of a user's
		e.User, to = to, owner
	}
	return to
}

// recipients gives an event for each of "<a@b>,<c@d>" or "a@b,c@d": one attempt may be for several.
func recipients(e *event.Event, to []byte, sink event.Sink) {
	keep := *e
	for first := true; first || len(to) > 0; first = false {
		one := to
		to = nil
		if !first {
			*e = keep
		}
		for i, depth, quoted := 0, 0, false; i < len(one); i++ {
			switch one[i] {
			case '"':
				quoted = !quoted
			case '<':
				depth++
			case '>':
				depth--
			case ',':
				if !quoted && depth <= 0 {
					one, to = one[:i], one[i+1:]
				}
			}
		}
		if e.To = logs.Bare(one); len(one) > 0 && one[0] == '"' {
			e.To = logs.FirstAngle(one)
		}
		sink.Event(e)
	}
}

// clock reads "00:01:02" and "1+02:03:04".
func clock(b []byte) time.Duration {
	var days int64
	if i := bytes.IndexByte(b, '+'); i > 0 {
		days, _ = logs.Number(b[:i])
		b = b[i+1:]
	}
	var hms [3]int64
	for i := range hms {
		v, n := logs.Number(b)
		hms[i] = min(v, 1<<20)
		if b = b[n:]; len(b) > 0 && b[0] == ':' {
			b = b[1:]
		}
	}
	return time.Duration(((min(days, 10000)*24+hms[0])*60+hms[1])*60+hms[2]) * time.Second
}

// status reads "Sent (OK id=1a)", "Deferred: Connection refused by h", "User unknown", "Service unavailable".
func status(e *event.Event, b []byte) {
	e.Text = b
	switch {
	case logs.Has(b, "Sent"), logs.Has(b, "Deliver"):
		e.Status = event.Sent
		if i := bytes.IndexByte(b, '('); i > 0 && b[len(b)-1] == ')' {
			e.Text = b[i+1 : len(b)-1]
			e.Code, _ = logs.Code(e.Text)
			if e.Ref, e.Session = logs.NextID(e.Text); e.Ref == nil {
				if id, _, ok := logs.Cut(e.Text, " Message accepted for delivery"); ok && bytes.IndexByte(id, ' ') < 0 && len(id) > 5 {
					e.Ref = id
				}
			}
			if e.Ref != nil {
				e.RefIs = event.Next
			}
		}
	case logs.Has(b, "Deferred"), logs.Has(b, "queued"):
		e.Status = event.Deferred
		if why, ok := logs.After(b, "Deferred: "); ok {
			if e.Code, _ = logs.Code(why); e.Code != 0 {
				e.Text = why
			}
		}
	case logs.Has(b, "quarantined"):
		e.Status = event.Quarantined
	default:
		e.Status = event.Bounced
		if len(e.DSN) > 0 && e.DSN[0] == '4' {
			e.Status = event.Deferred
		} else if len(e.DSN) > 0 && e.DSN[0] == '2' {
			e.Status = event.Sent
		}
	}
	if bytes.Contains(b, []byte("Message could not be delivered for")) || bytes.Contains(b, []byte("timed out")) && e.Status == event.Bounced {
		e.Status = event.Expired
	}
}

// ruleset reads "ruleset=check_rcpt, arg1=<b>, relay=h [192.0.2.1], reject=550 5.7.1 …". What follows reject= is ours.
func ruleset(e *event.Event, b []byte) {
	e.Kind = event.Policy
	if _, r, ok := logs.Cut(b, ", reject="); ok {
		e.Kind, e.Text = event.Reject, r
		e.Code, e.DSN = logs.Code(r)
	} else if _, r, ok := logs.Cut(b, ", discard"); ok {
		e.Kind, e.Text = event.Reject, r
	} else if _, r, ok := logs.Cut(b, ", quarantine="); ok {
		e.Kind, e.Text = event.Hold, r
	}
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok || string(key) == "reject" {
			return
		}
		switch string(key) {
		case "ruleset":
			e.Stage = stage(v)
		case "arg1":
			if string(e.Stage) == "MAIL" {
				e.From = logs.Bare(v)
			} else if string(e.Stage) == "RCPT" {
				e.To = logs.Bare(v)
			}
		case "relay":
			e.ClientName, e.ClientIP = relay(v)
		}
		b = rest
	}
}

var stages = [...]struct{ rule, stage []byte }{{[]byte("check_rcpt"), []byte("RCPT")}, {[]byte("check_mail"), []byte("MAIL")}, {[]byte("check_relay"), []byte("CONNECT")}, {[]byte("check_data"), []byte("DATA")}, {[]byte("check_eom"), []byte("END-OF-MESSAGE")}}

func stage(rule []byte) []byte {
	for i := range stages {
		if bytes.Equal(stages[i].rule, rule) {
			return stages[i].stage
		}
	}
	return rule
}

// session reads the fields of AUTH= and STARTTLS= lines.
func session(e *event.Event, b []byte) {
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok {
			return
		}
		switch string(key) {
		case "relay":
			if e.Outbound {
				e.Relay, e.RelayIP = relay(v)
			} else {
				e.ClientName, e.ClientIP = relay(v)
			}
		case "mech":
			e.Method = v
		case "authid":
			e.User = v
		case "version":
			e.TLSVersion = v
		case "cipher":
			e.Cipher = v
		case "verify":
			e.Trust = v
		}
		b = rest
	}
}

// authFailed reads "AUTH failure (LOGIN): authentication failure (-13) …, user=li, relay=h [192.0.2.1]".
func authFailed(e *event.Event, b []byte) {
	e.Kind = event.AuthFailed
	if i, j := bytes.IndexByte(b, '('), bytes.IndexByte(b, ')'); i > 0 && j > i {
		e.Method = b[i+1 : j]
	}
	if _, r, ok := logs.Cut(b, ", user="); ok {
		e.User, _, _ = logs.Cut(r, ",")
	}
	if i := bytes.LastIndex(b, []byte(", relay=")); i >= 0 {
		e.ClientName, e.ClientIP = relay(b[i+len(", relay="):])
	}
}

var (
	stageRcpt    = []byte("RCPT")
	stageMail    = []byte("MAIL")
	stageConnect = []byte("CONNECT")
)

// other reads the remaining lines: bounces, milters, lost connections, the daemon itself.
func other(e *event.Event, b []byte) {
	switch {
	case logs.Has(b, "Milter: "), logs.Has(b, "Milter ("):
		if e.Kind = event.Filter; bytes.Contains(b, []byte("reject=")) {
			e.Kind = event.Reject
			_, r, _ := logs.Cut(b, "reject=")
			e.Code, e.DSN = logs.Code(r)
			e.Text = r
		}
		if r, ok := logs.After(b, "Milter: "); ok {
			key, v, _, ok := logs.Pair(r, ", ")
			switch {
			case ok && string(key) == "to":
				e.To, e.Stage = logs.Bare(v), stageRcpt
			case ok && string(key) == "from":
				e.From, e.Stage = logs.Bare(v), stageMail
			case e.Kind == event.Reject:
				e.Stage, _, _ = logs.Cut(r, ",")
			}
		}
	case bytes.Contains(b, []byte("... User unknown")) && b[0] == '<': // refused at our door
		e.Kind, e.Stage = event.Reject, stageRcpt
		e.To, b, _ = logs.Angle(b)
		e.Text = bytes.TrimPrefix(b, []byte("... "))
	case logs.Has(b, "rejecting commands from "):
		e.Kind = event.Reject
		from, why, _ := logs.Cut(b[len("rejecting commands from "):], " due to ")
		e.ClientName, e.ClientIP = relay(from)
		e.Text = why
	case logs.Has(b, "tcpwrappers ("):
		e.Kind, e.Stage = event.Reject, stageConnect
		who, _, _ := logs.Cut(b[len("tcpwrappers ("):], ")")
		e.ClientName, e.ClientIP, _ = logs.Cut(who, ", ")
	case logs.Has(b, "milter=") && bytes.Contains(b, []byte(", quarantine=")):
		e.Kind = event.Hold
		_, e.Text, _ = logs.Cut(b, ", quarantine=")
	case logs.Has(b, "lost input channel from "), logs.Has(b, "timeout waiting for input from "), logs.Has(b, "collect: "):
		e.Kind = event.Lost
		if _, r, ok := logs.Cut(b, " from "); ok {
			r, _, _ = logs.Cut(r, " during ")
			r, after, _ := logs.Cut(r, " to ")
			if _, stage, ok := logs.Cut(after, " after "); ok {
				e.Stage = stage
			}
			e.ClientName, e.ClientIP = relay(r)
		}
	case logs.Has(b, "AUTH failure ("), logs.Has(b, "AUTH warning"):
		authFailed(e, b)
	case logs.Has(b, "connect from "):
		e.Kind = event.Connect
		e.ClientName, e.ClientIP = relay(b[len("connect from "):])
	case bytes.Contains(b, []byte(" did not issue MAIL/EXPN/VRFY/ETRN")):
		e.Kind = event.Lost
		e.ClientName, e.ClientIP = relay(b[:bytes.Index(b, []byte(" did not issue"))])
	case logs.Has(b, "milter="), logs.Has(b, "Milter add: "), logs.Has(b, "Milter insert "), logs.Has(b, "Milter change"), logs.Has(b, "Milter delete"):
		e.Kind = event.Stats
	case logs.Has(b, "done; "), logs.Has(b, "discarded"):
		e.Kind = event.Removed
	case logs.Has(b, "starting daemon"), logs.Has(b, "alias database "), logs.Has(b, "restarting "), logs.Has(b, "stopping "):
		e.Kind = event.Started
	case logs.Has(b, "rejecting connections"), logs.Has(b, "runqueue: Skipping"), logs.Has(b, "SYSERR"), bytes.Contains(b, []byte("No space left")), bytes.Contains(b, []byte("low on space")):
		e.Kind, e.Level = event.Trouble, event.Error
	default:
		if id, rest, ok := logs.QueueIDWord(b); ok && e.QueueID != nil { // "OLD: NEW: DSN: User unknown"
			e.Kind, e.Ref, e.RefIs, e.Text = event.Notification, id, event.Bounce, rest
			switch {
			case logs.Has(rest, "return to sender"):
				e.Text = bytes.TrimPrefix(rest, []byte("return to sender: "))
			case logs.Has(rest, "sender notify: Cannot send"), logs.Has(rest, "sender notify: Message could not be delivered"): // it waited too long
			case logs.Has(rest, "sender notify: "), logs.Has(rest, "DSN: Warning"):
				e.RefIs = event.Delay
			case logs.Has(rest, "clone "), logs.Has(rest, "owner"):
				e.Kind, e.RefIs = event.Related, event.Parent
			}
			return
		}
		if id, ok := logs.After(b, "clone "); ok {
			e.Kind, e.RefIs = event.Related, event.Parent
			e.Ref, _, _ = logs.Cut(id, ",")
			return
		}
		e.Kind = event.Warning
	}
}
