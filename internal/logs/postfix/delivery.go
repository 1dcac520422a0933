package postfix

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// delivery reads what smtp, lmtp, local, virtual, pipe, error, discard and verify write.
func delivery(e *event.Event, b []byte) bool {
	if rest, ok := logs.After(b, "to=<"); ok {
		return attempt(e, b[3:], rest)
	}
	if rest, ok := logs.After(b, "to="); ok && e.QueueID != nil { // addresses of very old releases have no brackets
		return bareAttempt(e, rest)
	}
	return outboundTalk(e, b)
}

func bareAttempt(e *event.Event, b []byte) bool {
	addr, rest, ok := logs.Cut(b, ", ")
	if !ok {
		return false
	}
	e.Kind, e.To = event.Delivery, addr
	return attemptFields(e, rest)
}

// attempt reads "to=<a>, orig_to=<b>, relay=…, conn_use=…, delay=…, delays=…, dsn=…, status=word (text)".
func attempt(e *event.Event, b, _ []byte) bool {
	addr, rest, ok := logs.Angle(b)
	if !ok || !logs.Has(rest, ", ") {
		return false
	}
	e.Kind, e.To = event.Delivery, addr
	rest = rest[2:]
	if r, ok := logs.After(rest, "orig_to="); ok {
		if e.OrigTo, r, ok = logs.Angle(r); !ok || !logs.Has(r, ", ") {
			return false
		}
		rest = r[2:]
	}
	return attemptFields(e, rest)
}

// attemptFields reads the fields after the addresses. Each has a value without comma and space, until status.
func attemptFields(e *event.Event, b []byte) bool {
	for {
		eq := bytes.IndexByte(b, '=')
		if eq < 0 || eq > 16 {
			return false
		}
		key := b[:eq]
		b = b[eq+1:]
		if eq == 6 && string(key) == "status" {
			return status(e, b)
		}
		end := bytes.IndexByte(b, ',')
		if end < 0 || end+1 >= len(b) || b[end+1] != ' ' {
			return false
		}
		field(e, key, b[:end])
		b = b[end+2:]
	}
}

func field(e *event.Event, key, v []byte) {
	switch string(key) {
	case "relay":
		relay(e, v)
	case "delay":
		e.Delay, _ = logs.Seconds(v)
	case "delays":
		delays(e, v)
	case "dsn":
		e.DSN = v
	case "conn_use":
		e.Retrans = true
	case "tls": // 3.11: the level asked for, and what came of it
		e.Trust = v
	}
}

// relay reads "host[1.2.3.4]:25", "host[private/dovecot-lmtp]", "none", "local".
func relay(e *event.Event, v []byte) {
	if name, ip, port, _, ok := logs.HostIP(v); ok {
		e.Relay, e.RelayIP, e.RelayPort = name, ip, port
		return
	}
	e.Relay = v
}

func delays(e *event.Event, v []byte) {
	e.Delays.Set = true
	var n int
	for i := range 4 {
		d, m := logs.Seconds(v)
		if m == 0 {
			return
		}
		switch i {
		case 0:
			e.Delays.Before = d
		case 1:
			e.Delays.Queue = d
		case 2:
			e.Delays.Connect = d
		case 3:
			e.Delays.Transfer = d
		}
		if n = m; n >= len(v) || v[n] != '/' {
			return
		}
		v = v[n+1:]
	}
}

// status reads "sent (250 2.0.0 Ok: queued as 153053D)".
func status(e *event.Event, b []byte) bool {
	word, text := b, []byte(nil)
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		word, text = b[:i], b[i+1:]
	}
	if n := len(text); n > 0 && text[0] == '(' {
		text = text[1:]
		if text = text[:n-1]; n > 1 && text[n-2] == ')' {
			text = text[:n-2]
		}
	}
	e.Status, e.Text = statusWord(word), text
	if e.Status == event.Sent {
		if e.Code, _ = logs.Code(text); e.Code == 0 { // local and pipe say "delivered to …"
			if id, ok := logs.After(text, "forwarded as "); ok {
				e.Ref, e.RefIs = id, event.Forward
			}
			return true
		}
		if e.Ref, e.Session = logs.NextID(text); e.Ref != nil {
			e.RefIs = event.Next
		}
		return true
	}
	answer(e, text)
	return e.Status != event.NoStatus
}

func statusWord(b []byte) event.Status {
	switch string(b) {
	case "sent":
		return event.Sent
	case "deferred", "SOFTBOUNCE":
		return event.Deferred
	case "bounced":
		return event.Bounced
	case "expired":
		return event.Expired
	case "deliverable":
		return event.Deliverable
	case "undeliverable":
		return event.Undeliverable
	case "filtered":
		return event.Filtered
	}
	return event.NoStatus
}

// answer finds the remote server's reply in the reason of a failure: "host X[ip] said: 550 5.1.1 … (in reply to RCPT
// TO command)", "host X[ip] refused to talk to me: 554 …". Code, Stage and, where the log line gives none, the relay
// are filled; Text stays whole.
func answer(e *event.Event, text []byte) {
	rest, ok := logs.After(text, "host ")
	if !ok {
		if rest, ok = logs.After(text, "delivery temporarily suspended: "); ok {
			if r, ok := logs.After(rest, "host "); ok {
				rest = r
			} else {
				e.Stage = brokenOff(rest)
				return
			}
		} else {
			e.Code, _ = logs.Code(text)
			e.Stage = brokenOff(text)
			return
		}
	}
	name, ip, port, rest, ok := logs.HostIP(rest)
	if !ok {
		return
	}
	if e.RelayIP == nil {
		e.Relay, e.RelayIP, e.RelayPort = name, ip, port
	}
	if r, ok := logs.After(rest, " said: "); ok {
		var dsn []byte
		if e.Code, dsn = logs.Code(r); e.DSN == nil {
			e.DSN = dsn
		}
		e.Stage = inReplyTo(r)
	} else if r, ok := logs.After(rest, " refused to talk to me: "); ok {
		var dsn []byte
		if e.Code, dsn = logs.Code(r); e.DSN == nil {
			e.DSN = dsn
		}
		e.Stage = stageConnect
	}
}

var stageConnect = []byte("connect")

// brokenOff reads the stage of "lost connection with X[ip] while sending RCPT TO" and "conversation with X[ip] timed out
// while receiving the initial server greeting".
func brokenOff(b []byte) []byte {
	if !logs.Has(b, "lost connection with ") && !logs.Has(b, "conversation with ") {
		return nil
	}
	return during(b)
}

// during gives what was being done: the words behind " while ".
func during(b []byte) []byte {
	_, s, ok := logs.Cut(b, " while ")
	if !ok {
		return nil
	}
	if i := bytes.Index(s, []byte(" -- ")); i >= 0 {
		s = s[:i]
	}
	return s
}

// inReplyTo reads the stage from the end: "(in reply to end of DATA command)".
func inReplyTo(b []byte) []byte {
	n := len(b)
	if n == 0 || b[n-1] != ')' {
		return nil
	}
	i := bytes.LastIndexByte(b, '(')
	if i < 0 {
		return nil
	}
	s, ok := logs.After(b[i+1:n-1], "in reply to ")
	if !ok {
		return nil
	}
	return bytes.TrimSuffix(s, []byte(" command"))
}

// outboundTalk reads what the SMTP and LMTP clients say besides the fate of recipients.
func outboundTalk(e *event.Event, b []byte) bool {
	switch {
	case logs.Has(b, "host "):
		e.Kind, e.Text = event.Reply, b
		answer(e, b)
		if e.RelayIP != nil && e.Stage != nil {
			return true
		}
		return hostSaid(e, b[5:])
	case logs.Has(b, "connect to "):
		name, ip, port, rest, ok := logs.HostIP(b[11:])
		e.Kind, e.Relay, e.RelayIP, e.RelayPort = event.ConnectError, name, ip, port
		e.Text, _ = logs.After(rest, ": ")
		if !ok { // "connect to private/x: reason"
			var why []byte
			e.Relay, why, ok = logs.Cut(b[11:], ": ")
			e.Text = why
		}
		return ok
	case tlsClient(e, b):
		return true
	}
	return outboundTrouble(e, b)
}

// hostSaid reads the rarer "host X offered …" forms: everything after the host is the text.
func hostSaid(e *event.Event, b []byte) bool {
	name, ip, port, rest, ok := logs.HostIP(b)
	if ok {
		e.Relay, e.RelayIP, e.RelayPort, e.Text = name, ip, port, bytes.TrimPrefix(rest, []byte(" "))
	}
	return ok
}

// Words of the clients before "HOST[IP]:PORT".
var clientWords = [...]struct {
	word string
	kind event.Kind
}{
	{"cache ", event.Stats},
	{"lost connection with ", event.Reply},
	{"conversation with ", event.Reply},
	{"SSL_connect error to ", event.TLSFailed},
	{"certificate verification failed for ", event.TLSFailed},
	{"certificate peer name verification failed for ", event.TLSFailed},
	{"server certificate verification failed for ", event.TLSFailed},
	{"Server certificate not verified: ", event.TLSFailed},
	{"Server certificate not trusted: ", event.TLSFailed},
	{"Cannot start TLS: ", event.TLSFailed},
	{"TLS is required, but ", event.TLSFailed},
	{"Host offered STARTTLS: ", event.TLSFailed},
	{"initializing the client-side TLS engine", event.Stats},
	{"setting up TLS connection to ", event.Stats},
	{"breaking line ", event.Reply},
	{"mail for ", event.Reply},
	{"Name service error for ", event.ConnectError},
	{"Host or domain name not found", event.ConnectError},
	{"no MX host for ", event.ConnectError},
	{"numeric domain name in resource data", event.ConnectError},
	{"SASL authentication failed; ", event.Reply},
	{"SASL authentication failure: ", event.Reply},
	{"SASL authentication rate limit", event.Reply},
	{"TLSRPT: ", event.Stats},
	{"TLS policy ", event.Stats},
	{"using TLS session ", event.Stats},
	{"smtputf8 ", event.Reply},
	{"SMTPUTF8 is required", event.Reply},
	{"message size ", event.Reply},
	{"sender address ", event.Reply},
	{"Queue report unavailable", event.Warning},
	{"cannot append to file ", event.Trouble},
	{"table ", event.Warning},
}

func outboundTrouble(e *event.Event, b []byte) bool {
	if rest, ok := logs.After(b, "enabling PIX workarounds: "); ok {
		e.Kind, e.Text = event.Reply, rest
		if _, host, ok := logs.Cut(rest, " for "); ok {
			e.Relay, e.RelayIP, e.RelayPort, _, _ = logs.HostIP(host)
		}
		return true
	}
	for i := range clientWords {
		w := &clientWords[i]
		rest, ok := logs.After(b, w.word)
		if !ok {
			continue
		}
		e.Kind, e.Text, e.Outbound = w.kind, b, true
		if r, ok := logs.After(rest, "server "); ok {
			rest = r
		}
		if name, ip, port, r, ok := logs.HostIP(rest); ok && len(name) > 0 {
			e.Relay, e.RelayIP, e.RelayPort = name, ip, port
			if s, ok := logs.After(r, " said: "); ok {
				e.Code, e.DSN = logs.Code(s)
				e.Stage = stageAuth
			} else if s := during(r); s != nil {
				e.Stage = s
			} else if s, ok := logs.After(r, ": "); ok && w.kind == event.TLSFailed {
				e.Text = s
			}
		}
		return true
	}
	return false
}

var stageAuth = []byte("AUTH")

// tlsClient reads "Untrusted TLS connection established to mx[ip]:25: TLSv1.3 with cipher X (256/256 bits) …".
func tlsClient(e *event.Event, b []byte) bool {
	i := bytes.IndexByte(b, ' ')
	if i < 0 || !logs.Has(b[i:], " TLS connection ") {
		return false
	}
	rest := b[i+len(" TLS connection "):]
	r, ok := logs.After(rest, "established to ")
	if !ok {
		if r, ok = logs.After(rest, "reused to "); !ok {
			return false
		}
		e.Retrans = true
	}
	name, ip, port, r, ok := logs.HostIP(r)
	if !ok {
		return false
	}
	e.Kind, e.Outbound, e.Trust = event.TLS, true, b[:i]
	e.Relay, e.RelayIP, e.RelayPort = name, ip, port
	return cipher(e, r)
}

// cipher reads ": TLSv1.3 with cipher X (128/128 bits) key-exchange …".
func cipher(e *event.Event, b []byte) bool {
	for len(b) > 0 && b[0] == ' ' { // 3.4 and later: " (domain)" or " to <nexthop>"
		j := bytes.Index(b, []byte(": "))
		if j < 0 {
			return false
		}
		b = b[j:]
	}
	b, ok := logs.After(b, ": ")
	if !ok {
		return false
	}
	e.Text = b
	i := bytes.Index(b, []byte(" with cipher "))
	if i < 0 {
		return true
	}
	e.TLSVersion = b[:i]
	c := b[i+len(" with cipher "):]
	if j := bytes.IndexByte(c, ' '); j >= 0 {
		c = c[:j]
	}
	e.Cipher = c
	return true
}
