// Package exim reads the lines of Exim's main, reject and panic logs, with message ids of both lengths and any
// log_selector.
//
// Promise: a line is read left to right: id, flag, fields. Quoted values (the subject, a remote reply, a certificate's
// name) are read with their escapes, so that text of a sender cannot become a field. It does not join lines and does
// not judge replies.
package exim

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Exim dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Exim }

// Mine tells Exim's program names.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "exim" || string(program) == "exim4" || logs.Has(program, "exim-") || logs.Has(program, "exim_")
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	if part, rest, ok := syslogPart(b); ok {
		if b = rest; part > 1 { // the rest of a line that was too long for syslog
			e.Kind, e.Text = event.Stats, b
			sink.Event(e)
			return logs.Known
		}
	}
	if len(b) > 20 && b[4] == '-' && b[13] == ':' && b[10] == ' ' { // syslog with log_timestamp left on
		b = bytes.TrimLeft(b[19:], " ")
	}
	b = pidField(e, b)
	id, b := messageID(b)
	b = pidField(e, b)
	e.QueueID = id
	if id != nil && len(b) >= 2 {
		if f := flagOf(b); f != nil {
			if !f(e, b[3:], sink) {
				return logs.Unparsed
			}
			return logs.Known
		}
	}
	if !words(e, b) {
		return logs.Unparsed
	}
	if e.Kind != event.None {
		sink.Event(e)
	}
	return logs.Known
}

// syslogPart reads "[1/3] " and "[2\\3] ", which Exim puts before the parts of a line it splits for syslog.
func syslogPart(b []byte) (part int64, rest []byte, ok bool) {
	if len(b) < 6 || b[0] != '[' {
		return 0, b, false
	}
	part, n := logs.Number(b[1:])
	if n == 0 || n > 3 || b[1+n] != '/' && b[1+n] != '\\' {
		return 0, b, false
	}
	_, m := logs.Number(b[2+n:])
	if m == 0 || !logs.Has(b[2+n+m:], "] ") {
		return 0, b, false
	}
	return part, b[2+n+m+2:], true
}

// pidField takes "[1234] " off, which log_selector +pid adds.
func pidField(e *event.Event, b []byte) []byte {
	if len(b) < 4 || b[0] != '[' {
		return b
	}
	p, n := logs.Number(b[1:])
	if n == 0 || n > 8 || !logs.Has(b[1+n:], "] ") {
		return b
	}
	e.PID = int32(p)
	return b[n+3:]
}

// messageID takes "1xUwjM-0006c1-0L " or the longer form of 4.97 and later off the front.
func messageID(b []byte) (id, rest []byte) {
	for _, n := range [...]int{16, 23} {
		if len(b) < n || b[6] != '-' || b[n-3] != '-' && n == 16 || n == 23 && b[18] != '-' {
			continue
		}
		if len(b) > n && b[n] != ' ' || !base62(b[:6]) {
			continue
		}
		return b[:n], bytes.TrimPrefix(b[n:], []byte(" "))
	}
	return nil, b
}

func base62(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 && c|0x20-'a' > 25 {
			return false
		}
	}
	return true
}

// flagOf gives the reader of a line with a flag, nil for a line without one.
func flagOf(b []byte) func(*event.Event, []byte, event.Sink) bool {
	if len(b) < 4 || b[2] != ' ' {
		return nil
	}
	switch string(b[:2]) {
	case "<=", "(=":
		return arrival
	case "=>", "->", ">>", "*>":
		return delivered
	case "**":
		return failed
	case "==":
		return deferred
	}
	return nil
}

// address reads an address that ends at a space outside quotes.
func address(b []byte) (addr, rest []byte) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			return b[:i], b[i+1:]
		}
	}
	if quoted { // a lone quote: the first space ends it
		if i := bytes.IndexByte(b, ' '); i >= 0 {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// arrival reads "<= sender H=… P=… S=… id=… T="…" from <…> for a b c".
func arrival(e *event.Event, b []byte, sink event.Sink) bool {
	var from []byte
	from, b = address(b)
	e.Kind, e.From = event.Received, logs.Bare(from)
	b = fields(e, b, true)
	if r, ok := logs.After(b, "from <"); ok {
		if i := bytes.Index(r, []byte("> for ")); i >= 0 {
			b = r[i+2:]
		} else {
			b = nil
		}
	}
	rcpts, _ := logs.After(b, "for ")
	e.To = nil
	for n := rcpts; len(n) > 0; e.NRcpt++ {
		_, n = address(n)
	}
	if e.NRcpt == 1 {
		e.To = rcpts
	}
	sink.Event(e)
	if e.NRcpt < 2 {
		return true
	}
	id, from, mid := e.QueueID, e.From, e.MessageID
	for len(rcpts) > 0 { // who else it is for: an event each, so that a search by recipient finds the message
		var to []byte
		to, rcpts = address(rcpts)
		e.Clear()
		e.Software, e.Kind, e.QueueID, e.From, e.MessageID, e.To = event.Exim, event.Related, id, from, mid, to
		sink.Event(e)
	}
	return true
}

// fields reads "K=value" fields until one it does not know, and gives the rest.
func fields(e *event.Event, b []byte, in bool) []byte {
	for {
		b = bytes.TrimLeft(b, " ")
		eq := 0
		for eq < len(b) && eq < 8 && (b[eq]-'A' < 26 || b[eq]-'a' < 26 || b[eq]-'0' < 10 || b[eq] == '*') {
			eq++
		}
		if eq == 0 || eq >= len(b) || b[eq] != '=' {
			if eq == 1 && eq < len(b) && b[eq] == ' ' && (b[0] == 'K' || b[0] == 'L') || eq == 2 && logs.Has(b, "L* ") { // CHUNKING, PIPELINING
				b = b[eq:]
				continue
			}
			if word := flagWord(b); word > 0 {
				b = b[word:]
				continue
			}
			return b
		}
		key := b[:eq]
		v, rest := value(key, b[eq+1:])
		if !field(e, key, v, in) {
			return b
		}
		b = rest
	}
}

// flagWord is the length of a word without value that may stand among the fields.
func flagWord(b []byte) int {
	for _, w := range [...]string{"PRDR", "TFO*", "TFO", "NOTIFY", "M8S"} {
		if logs.Has(b, w) && (len(b) == len(w) || b[len(w)] == ' ') {
			return len(w)
		}
	}
	return 0
}

// value reads the value of a field.
func value(key, b []byte) (v, rest []byte) {
	switch {
	case len(key) == 1 && key[0] == 'H':
		return hostValue(b)
	case len(b) > 0 && b[0] == '"':
		for i := 1; i < len(b); i++ {
			if b[i] == '\\' {
				i++
			} else if b[i] == '"' {
				return b[1:i], b[i+1:]
			}
		}
		return b[1:], nil
	case len(b) > 0 && b[0] == '<':
		if a, r, ok := logs.Angle(b); ok {
			return a, r
		}
	}
	i := 0
	for i < len(b) && b[i] != ' ' {
		i++
	}
	if i > 0 && b[i-1] == ':' && i < len(b) { // "T=remote_smtp: SMTP error …": the colon ends the fields
		return b[:i-1], b[i-1:]
	}
	return b[:i], b[i:]
}

// hostValue reads `name (helo) [ip]:port`, with any of them left out.
func hostValue(b []byte) (v, rest []byte) {
	i := 0
	if len(b) == 0 || b[0] != '(' && b[0] != '[' {
		for i < len(b) && b[i] != ' ' {
			i++
		}
	}
	j := i
	if logs.Has(b[j:], " (") || j == 0 && logs.Has(b, "(") {
		k := bytes.Index(b[j:], []byte(") ["))
		if k < 0 {
			return b[:i], b[i:]
		}
		j += k + 1
	}
	if logs.Has(b[j:], " [") || j == 0 && logs.Has(b, "[") {
		k := bytes.IndexByte(b[j:], ']')
		if k < 0 {
			return b[:i], b[i:]
		}
		j += k + 1
		if j < len(b) && b[j] == ':' {
			if _, n := logs.Number(b[j+1:]); n > 0 {
				j += 1 + n
			}
		}
		if j < len(b) && b[j] == '*' { // the connection was used again
			j++
		}
		return b[:j], b[j:]
	}
	return b[:i], b[i:]
}

// host splits what hostValue gave.
func host(v []byte) (name, helo, ip []byte, port uint16) {
	v = bytes.TrimSuffix(v, []byte("*"))
	if i := bytes.IndexByte(v, '['); i >= 0 && (i == 0 || v[i-1] == ' ') {
		name = bytes.TrimRight(v[:i], " ")
		v = v[i+1:]
		if j := bytes.IndexByte(v, ']'); j >= 0 {
			ip = v[:j]
			if p, n := logs.Number(bytes.TrimPrefix(v[j+1:], []byte(":"))); n > 0 && p < 1<<16 {
				port = uint16(p)
			}
		}
	} else {
		name = v
	}
	if i := bytes.IndexByte(name, '('); i >= 0 {
		helo = bytes.TrimSuffix(name[i+1:], []byte(")"))
		name = bytes.TrimRight(name[:i], " ")
	}
	if len(name) == 0 {
		name = nil
	}
	return name, helo, ip, port
}

// field keeps a field's value; false for a key Exim does not have.
func field(e *event.Event, key, v []byte, in bool) bool {
	switch string(key) {
	case "H":
		name, helo, ip, port := splitHost(v)
		if in {
			e.ClientName, e.Helo, e.ClientIP, e.ClientPort = name, helo, ip, port
		} else {
			e.Relay, e.RelayIP, e.RelayPort = name, ip, port
			e.Retrans = bytes.HasSuffix(v, []byte("*"))
		}
	case "P":
		if in {
			e.Proto = v
		} else if e.From == nil { // the return path on delivery; F= is the sender
			e.From = v
		}
	case "F":
		e.From = v
	case "S":
		e.Size, _ = logs.Number(v)
	case "id":
		e.MessageID = v
	case "T":
		if in {
			e.Subject = v
		} else {
			e.Method = v
		}
	case "R":
		if in {
			if id, _ := messageID(v); id != nil {
				e.Ref, e.RefIs = id, event.Parent
			}
		}
	case "A":
		e.Method, e.User = v, nil
		if i := bytes.IndexByte(v, ':'); i >= 0 {
			e.Method, e.User = v[:i], v[i+1:]
		}
	case "U":
		if in && e.User == nil {
			e.User = v
		}
	case "X":
		tlsField(e, v)
	case "C":
		e.Text = v
	case "QT":
		e.Delay = duration(v)
	case "DT":
		e.Delays.Set, e.Delays.Transfer = true, duration(v)
	case "RT", "D", "CV", "DN", "DS", "I", "K", "L", "M8S", "PRX", "Q", "SNI", "ST", "TFO", "DKIM", "PRDR", "ACL", "L*", "RCPT", "LT", "CDT":
	default:
		return false
	}
	return true
}

// splitHost is host for values whose HELO may itself hold brackets: "([192.0.2.1]) [198.51.100.7]:25".
func splitHost(v []byte) (name, helo, ip []byte, port uint16) {
	if i := bytes.Index(v, []byte(") [")); i >= 0 {
		_, _, ip, port = host(v[i+2:])
		v = v[:i]
		j := bytes.IndexByte(v, '(')
		if j < 0 {
			return nil, nil, ip, port
		}
		if helo = v[j+1:]; j > 1 {
			name = v[:j-1]
		}
		return name, helo, ip, port
	}
	return host(v)
}

// tlsField reads "TLS1.3:ECDHE_X25519__RSA_…:128" and "TLSv1.2:ECDHE-RSA-…:256".
func tlsField(e *event.Event, v []byte) {
	e.TLSVersion = v
	if i := bytes.IndexByte(v, ':'); i >= 0 {
		e.TLSVersion, e.Cipher = v[:i], v[i+1:]
	}
}
