package postfix

import (
	"bytes"
	"slices"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// smtpServer reads what smtpd writes.
func smtpServer(e *event.Event, b []byte) bool {
	switch {
	case logs.Has(b, "connect from "):
		return client(e, event.Connect, b[13:]) != nil
	case logs.Has(b, "disconnect from "):
		rest := client(e, event.Disconnect, b[16:])
		e.Text = bytes.TrimPrefix(rest, []byte(" "))
		return rest != nil
	case logs.Has(b, "client="):
		return received(e, b[7:])
	}
	return action(e, b) || lost(e, b) || tlsServer(e, b) || serverTalk(e, b)
}

// client reads "name[ip]" and "name[ip]:port" into the client fields and gives the rest, nil for another shape.
func client(e *event.Event, k event.Kind, b []byte) []byte {
	name, ip, port, rest, ok := logs.HostIP(b)
	if !ok {
		return nil
	}
	e.Kind, e.ClientName, e.ClientIP, e.ClientPort = k, name, ip, port
	if len(ip) == 7 && string(ip) == "unknown" {
		e.ClientIP = nil
	}
	return rest[:len(rest):len(rest)]
}

// received reads "client=name[ip], sasl_method=PLAIN, sasl_username=u, sasl_sender=s, orig_queue_id=…, orig_client=…".
func received(e *event.Event, b []byte) bool {
	rest := client(e, event.Received, b)
	if rest == nil {
		return false
	}
	for {
		r, ok := logs.After(rest, ", ")
		if !ok {
			return true
		}
		eq := bytes.IndexByte(r, '=')
		if eq < 0 {
			return true
		}
		key, v := r[:eq], r[eq+1:]
		end := bytes.Index(v, []byte(", "))
		if string(key) == "sasl_username" { // a login name may hold ", ": only the words Postfix puts behind it end it
			end = userEnd(v)
		}
		if end < 0 {
			end = len(v)
		}
		v, rest = v[:end], v[end:]
		switch string(key) {
		case "sasl_method":
			e.Method = v
		case "sasl_username":
			e.User = v
		case "orig_queue_id":
			e.Ref, e.RefIs = v, event.Parent
		case "orig_client":
			e.Text = v
		}
	}
}

func userEnd(v []byte) int {
	for _, w := range [...]string{", sasl_sender=", ", orig_queue_id=", ", orig_client="} {
		if i := bytes.Index(v, []byte(w)); i >= 0 {
			return i
		}
	}
	return -1
}

// Words of actions: what smtpd, cleanup and postscreen do with a command or a message.
var actions = [...]struct {
	word string
	kind event.Kind
}{
	{"reject: ", event.Reject},
	{"reject_warning: ", event.Policy},
	{"milter-reject: ", event.Reject},
	{"milter-discard: ", event.Reject},
	{"milter-hold: ", event.Hold},
	{"milter-header-add: ", event.Filter},
	{"discard: ", event.Reject},
	{"hold: ", event.Hold},
	{"warn: ", event.Policy},
	{"warning: ", event.Policy},
	{"info: ", event.Policy},
	{"filter: ", event.Policy},
	{"redirect: ", event.Policy},
	{"prepend: ", event.Policy},
	{"replace: ", event.Policy},
	{"strip: ", event.Policy},
	{"bcc: ", event.Policy},
	{"permit: ", event.Policy},
	{"allow: ", event.Policy},
	{"delay: ", event.Policy},
	{"dunno: ", event.Policy},
	{"trace: ", event.Policy},
	{"save: ", event.Policy},
	{"proxy-accept: ", event.Policy},
	{"proxy-reject: ", event.Reject},
	{"quarantine: ", event.Hold},
}

// action reads "reject: RCPT from name[ip]: 550 5.1.1 <x>: Recipient address rejected: …; from=<> to=<> proto=SMTP
// helo=<h>". It wants the whole shape, so that "warning: …" of another kind is left alone.
func action(e *event.Event, b []byte) bool {
	for i := range actions {
		rest, ok := logs.After(b, actions[i].word)
		if !ok {
			continue
		}
		word := b[:len(actions[i].word)-2]
		if word[0] == 'p' && len(word) == 12 && logs.Has(word, "proxy-") {
			return proxied(e, word, rest)
		}
		stage, rest, ok := stageOf(rest)
		if !ok {
			return false
		}
		if rest = client(e, actions[i].kind, rest); rest == nil {
			e.Kind = event.None
			return false
		}
		e.Stage, e.Action = stage, word
		rest, _ = logs.After(rest, ": ")
		body, tail := trailer(rest)
		e.Code, e.DSN = logs.Code(body)
		if e.Code == 0 {
			e.DSN = logs.DSN(body) // milter-reject names the enhanced status alone
		}
		e.Text = body
		envelope(e, tail)
		return true
	}
	return false
}

// stageOf reads "RCPT from ", "END-OF-MESSAGE from ", "CONNECT from ".
func stageOf(b []byte) (stage, rest []byte, ok bool) {
	i := 0
	for i < len(b) && (b[i]-'A' < 26 || b[i] == '-') {
		i++
	}
	if i == 0 {
		return nil, b, false
	}
	rest, ok = logs.After(b[i:], " from ")
	return b[:i], rest, ok
}

// proxied reads "END-OF-MESSAGE: 250 2.0.0 …: queued as X; from=<…> to=<…> …" of a before-queue filter.
func proxied(e *event.Event, word, b []byte) bool {
	i := bytes.IndexByte(b, ':')
	if i <= 0 {
		return false
	}
	e.Stage, e.Action, e.Kind = b[:i], word, event.Policy
	body, tail := trailer(bytes.TrimPrefix(b[i+1:], []byte(" ")))
	e.Text = body
	e.Code, e.DSN = logs.Code(body)
	if string(word) == "proxy-reject" {
		e.Kind = event.Reject
	} else if e.Ref, _ = logs.NextID(body); e.Ref != nil {
		e.RefIs = event.Next
	}
	envelope(e, tail)
	return true
}

var trailerWords = [...]string{"; from=<", "; to=<", "; proto=", "; helo=<", "; client="}

// trailer splits the reply text from the envelope behind it. The reply may quote what the client sent in angle
// brackets right after the codes; that part is stepped over first, so that it cannot bring an envelope of its own. Nor can
// what another server said, which may stand further behind: an envelope is what reaches to the end of the line.
func trailer(b []byte) (body, tail []byte) {
	from := quotedObject(b)
	for _, w := range trailerWords { // they stand in this order
		first := bytes.Index(b[from:], []byte(w))
		if first < 0 {
			continue
		}
		for at := from + first; ; {
			if whole(b[at+2:]) {
				return b[:at], b[at+2:]
			}
			next := bytes.Index(b[at+2:], []byte(w))
			if next < 0 {
				break
			}
			at += 2 + next
		}
		return b[:from+first], b[from+first+2:]
	}
	return bytes.TrimSuffix(b, []byte(";")), nil
}

// whole tells whether the fields of an envelope, each at most once, are all there is. A HELO name may hold anything.
func whole(b []byte) bool {
	seen := 0
	for len(b) > 0 {
		i := bytes.IndexByte(b, '=')
		if i < 0 {
			return false
		}
		field := slices.Index(envelopeWords[:], string(b[:i]))
		if field < 0 || seen&(1<<field) != 0 {
			return false
		}
		if seen |= 1 << field; string(b[:i]) == "helo" {
			return true
		}
		if b = b[i+1:]; len(b) > 0 && b[0] == '<' {
			var ok bool
			if _, b, ok = logs.Angle(b); !ok {
				return false
			}
		} else if i = bytes.IndexAny(b, " ,"); i >= 0 {
			b = b[i:]
		} else {
			b = nil
		}
		b = bytes.TrimLeft(b, ", ")
	}
	return true
}

var envelopeWords = [...]string{"from", "to", "proto", "helo", "sasl_username", "sasl_method", "sasl_sender", "client"}

// quotedObject gives the offset behind "<…>: " after the codes: the object the reply is about. Where it is the HELO
// name, which a client may fill with anything, the same text ends the line, and its length is known from there.
func quotedObject(b []byte) int {
	i := 0
	if code, dsn := logs.Code(b); code != 0 {
		if i = 4; dsn != nil {
			i += len(dsn) + 1
		}
	}
	if i >= len(b) || b[i] != '<' {
		return 0
	}
	if end := bytes.Index(b[i:], []byte(">: Helo command rejected: ")); end > 0 {
		for h := bytes.Index(b, []byte(" helo=<")); h >= 0; {
			helo := b[h+6:]
			if len(helo) < len(b)-i && bytes.HasPrefix(b[i:], helo) {
				return i + len(helo)
			}
			n := bytes.Index(b[h+1:], []byte(" helo=<"))
			if n < 0 {
				break
			}
			h += 1 + n
		}
	}
	if _, rest, ok := logs.Angle(b[i:]); ok {
		return len(b) - len(rest)
	}
	return 0
}

// envelope reads "from=<a> to=<b> proto=ESMTP helo=<h>", with or without commas, and what cleanup puts behind it.
func envelope(e *event.Event, b []byte) {
	for len(b) > 0 {
		eq := bytes.IndexByte(b, '=')
		if eq < 0 || eq > 16 {
			return
		}
		key := b[:eq]
		b = b[eq+1:]
		var v []byte
		if len(b) > 0 && b[0] == '<' {
			var ok bool
			if v, b, ok = logs.Angle(b); !ok {
				return
			}
		} else {
			i := 0
			for i < len(b) && b[i] != ' ' && b[i] != ',' && b[i] != ':' {
				i++
			}
			v, b = b[:i], b[i:]
		}
		switch string(key) {
		case "from":
			e.From = v
		case "to":
			e.To = v
		case "proto":
			e.Proto = v
		case "helo":
			e.Helo = v
		case "sasl_username":
			e.User = v
		case "sasl_method":
			e.Method = v
		}
		b = bytes.TrimLeft(b, ", ")
		if len(b) > 0 && b[0] == ':' {
			return
		}
	}
}

// lost reads "lost connection after RCPT from name[ip]" and "timeout after DATA (123 bytes) from name[ip]".
func lost(e *event.Event, b []byte) bool {
	for _, w := range [...]string{"lost connection after ", "timeout after ", "too many errors after ", "improper command pipelining after ",
		"bare <LF> received after ", "concurrency limit exceeded after "} {
		rest, ok := logs.After(b, w)
		if !ok {
			continue
		}
		i := bytes.Index(rest, []byte(" from "))
		if i < 0 {
			return false
		}
		stage := rest[:i]
		if j := bytes.IndexByte(stage, '('); j > 0 {
			stage = bytes.TrimRight(stage[:j], " ")
		}
		if client(e, event.Lost, rest[i+6:]) == nil {
			return false
		}
		e.Stage, e.Text = stage, b
		return true
	}
	return false
}

// tlsServer reads "Anonymous TLS connection established from name[ip]: TLSv1.3 with cipher …" and failures.
func tlsServer(e *event.Event, b []byte) bool {
	if rest, ok := logs.After(b, "SSL_accept error from "); ok {
		r := client(e, event.TLSFailed, rest)
		if r == nil {
			return false
		}
		e.Text, _ = logs.After(r, ": ")
		return true
	}
	i := bytes.IndexByte(b, ' ')
	if i < 0 {
		return false
	}
	rest, ok := logs.After(b[i:], " TLS connection established from ")
	if !ok {
		if rest, ok = logs.After(b[i:], " TLS connection reused from "); !ok {
			return false
		}
	}
	r := client(e, event.TLS, rest)
	if r == nil {
		e.Kind = event.None
		return false
	}
	e.Trust = b[:i]
	return cipher(e, r)
}

// Words smtpd says about the session itself.
var serverWords = [...]string{"setting up TLS connection from ", "initializing the server-side TLS engine", "Untrusted: ", "certificate verification failed for ",
	"client certificate verification failed for ", "using backwards-compatible default setting", "TLS SNI ", "SASL ", "too many errors",
	"certificate peer name verification failed for ", "subject_CN=", "fingerprint=", "sending trace event", "replacing command", "Reusing old session"}

func serverTalk(e *event.Event, b []byte) bool {
	if rest, ok := logs.After(b, "warning: "); ok {
		return serverWarning(e, rest)
	}
	for _, w := range serverWords {
		if logs.Has(b, w) {
			e.Kind, e.Text = event.Stats, b
			return true
		}
	}
	if rest := client(e, event.Stats, b); len(rest) > 0 { // "name[ip]: Trusted: subject_CN=…"
		e.Text = bytes.TrimPrefix(rest, []byte(": "))
		return true
	}
	e.Kind = event.None
	return false
}

// serverWarning reads the warnings that tell about a client.
func serverWarning(e *event.Event, b []byte) bool {
	e.Level, e.Text = event.Warn, b
	if name, ip, port, rest, ok := logs.HostIP(b); ok {
		if r, ok := logs.After(rest, ": SASL "); ok {
			return saslFailed(e, name, ip, port, r)
		}
	}
	if rest, ok := logs.After(b, "non-SMTP command from "); ok {
		r := client(e, event.Warning, rest)
		e.Text = b
		return r != nil
	}
	if logs.Has(b, "hostname ") { // "hostname X does not resolve to address Y[: reason]"
		if _, rest, ok := logs.Cut(b, " does not resolve to address "); ok {
			e.Kind = event.Warning
			if e.ClientIP = rest; bytes.IndexByte(rest, ' ') > 0 {
				e.ClientIP = bytes.TrimSuffix(rest[:bytes.IndexByte(rest, ' ')], []byte(":"))
			}
			return true
		}
	}
	for _, w := range [...]string{"Illegal address syntax from ", "Connection concurrency limit exceeded: ", "Connection rate limit exceeded: "} {
		if rest, ok := logs.After(b, w); ok {
			if i := bytes.Index(rest, []byte(" from ")); i >= 0 && w[0] == 'C' {
				rest = rest[i+6:]
			}
			if client(e, event.Warning, rest) != nil {
				e.Text = b
				return true
			}
		}
	}
	e.Kind = levelKind(b)
	return true
}

// saslFailed reads "SASL LOGIN authentication failed: reason, sasl_username=u".
func saslFailed(e *event.Event, name, ip []byte, port uint16, b []byte) bool {
	i := bytes.IndexByte(b, ' ')
	if i < 0 || !logs.Has(b[i:], " authentication ") {
		e.Kind = event.Warning
		return true
	}
	e.Kind, e.ClientName, e.ClientIP, e.ClientPort, e.Method = event.AuthFailed, name, ip, port, b[:i]
	rest := b[i+len(" authentication "):]
	if j := bytes.Index(rest, []byte(": ")); j >= 0 { // "failed: " or "aborted: "
		rest = rest[j+2:]
	}
	e.Text = rest
	if text, user, ok := logs.Cut(rest, ", sasl_username="); ok {
		if e.Text = text; string(user) != "(unavailable)" {
			e.User = user
		}
	}
	return true
}
