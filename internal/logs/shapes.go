package logs

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
)

// ownFile tells the softwares that write "2026-11-22 01:45:23 …" into files of their own.
func ownFile(b []byte, comma bool, o *event.Origin) bool {
	if len(b) > 6 && (b[0] == '+' || b[0] == '-') && digit(b[1]) { // Exim's log_timezone
		if z, n := zone(b); n == 5 && b[5] == ' ' {
			o.At += int64(o.Zone-z) * 1e9
			o.Zone, o.ZoneSet, b = z, true, b[6:]
		}
	}
	b = bytes.TrimLeft(b, " ") // tai64nlocal leaves two
	switch {
	case len(b) == 0:
		return false
	case len(b) > 2 && b[0] == '[' && b[1]-'A' < 26 && bracketPrefix(b, o):
	case qmailShape(b):
		o.Program, o.Msg = progQmail, b
	case b[0] == '#' && len(b) > 1 && digit(b[1]):
		o.PID, _ = pid(b[1:])
		o.Program, o.Msg = progRspamd, b
	case bytes.HasPrefix(b, []byte("fail2ban.")):
		o.Program, o.Msg = progFail2ban, b
	case comma && zimbraShape(b):
		o.Program, o.Msg = progZimbra, b
	case comma: // others who write times as Python and Java do
		return false
	case dovecotShape(b):
		o.Program, o.Msg = progDovecot, b
	case syslogShape(b):
		return hostAndTag(b, o)
	default:
		o.Program, o.Msg = progExim, b
	}
	return true
}

// qmailShape tells qmail-send's own words, which name no program in the files of multilog.
func qmailShape(b []byte) bool {
	for _, w := range [...]string{"new msg ", "info msg ", "end msg ", "bounce msg ", "starting delivery ", "status: local ", "delivery "} {
		if len(b) > len(w) && string(b[:len(w)]) == w {
			return w != "delivery " || digit(b[len(w)])
		}
	}
	return false
}

// dovecotShape tells "imap-login: Info: " and "lmtp(29137): Info: ".
func dovecotShape(b []byte) bool {
	i := bytes.Index(b[:min(len(b), 160)], []byte(": "))
	if i <= 0 || !lower(b[0]) {
		return false
	}
	rest := b[i+2:]
	for _, w := range [...]string{"Info: ", "Error: ", "Warning: ", "Fatal: ", "Panic: ", "Debug: "} {
		if len(rest) > len(w) && string(rest[:len(w)]) == w {
			return true
		}
	}
	return false
}

func lower(c byte) bool { return c-'a' < 26 }

// syslogShape tells "host prog[123]: " after a date with a space, which some syslogds write.
func syslogShape(b []byte) bool {
	i := bytes.IndexByte(b, ' ')
	if i <= 0 || eximID(b[:i]) || b[i-1] == '=' {
		return false
	}
	rest := b[i+1:]
	j := bytes.IndexByte(rest, ' ')
	return j > 3 && rest[j-1] == ':' && rest[j-2] == ']' && digit(rest[j-3]) && lower(rest[0])
}

// zimbraShape tells "INFO  [LmtpServer-1] [ip=192.0.2.12;] lmtp - ", which other programs in Java write without a context.
func zimbraShape(b []byte) bool {
	i := bytes.IndexByte(b[:min(len(b), 8)], ' ')
	if i < 4 || !level(b[:i]) {
		return false
	}
	b = bytes.TrimLeft(b[i:], " ")
	if len(b) == 0 || b[0] != '[' {
		return false
	}
	_, b, ok := Cut(b, "] [")
	_, b, ok2 := Cut(b, "] ")
	category, _, ok3 := Cut(b, " - ")
	return ok && ok2 && ok3 && len(category) < 24 && bytes.IndexByte(category, '.') < 0 && bytes.IndexByte(category, ' ') < 0
}

// level tells the levels of logging libraries.
func level(b []byte) bool {
	switch string(b) {
	case "INFO", "WARN", "ERROR", "FATAL", "DEBUG", "TRACE":
		return true
	}
	return false
}

// stalwartShape tells "INFO Message delivered (delivery.delivered) queueId = …".
func stalwartShape(b []byte) bool {
	i := bytes.IndexByte(b[:min(len(b), 8)], ' ')
	if i < 4 || !level(b[:i]) {
		return false
	}
	j := bytes.Index(b[:min(len(b), 120)], []byte(" ("))
	if j < i {
		return false
	}
	id := b[j+2:]
	dot := 0
	for k, c := range id {
		switch {
		case c == '.' && k > 0 && dot == 0:
			dot = k
		case c == ')':
			return dot > 0 && k > dot+1
		case !lower(c) && c != '-' && !digit(c):
			return false
		}
	}
	return false
}

// maddyShape tells "queue: delivered	{"msg_id":…}", with tabs or, behind syslog, spaces before the object.
func maddyShape(b []byte) bool {
	if n := len(b); n < 20 || b[n-1] != '}' || !lower(b[0]) {
		return false
	}
	i := bytes.IndexByte(b, '{')
	if i < 8 || i > 120 || b[i-1] != '\t' && b[i-1] != ' ' || b[i+1] != '"' {
		return false
	}
	module := bytes.Index(b[:i], []byte(": "))
	return module > 0 && bytes.IndexByte(b[:module], ' ') < 0 && bytes.Contains(b[i:], []byte(`"msg_id":"`))
}

// postfixShape tells what Postfix writes where not even its name stands in front, as journalctl -o cat prints it.
func postfixShape(b []byte) bool {
	if id, rest, ok := QueueIDWord(b); ok && len(id) > 4 {
		for _, w := range [...]string{"to=<", "from=<", "client=", "message-id=<", "removed", "uid=", "sender ", "reject: ", "milter-reject: ", "hold: ", "warning: header ", "host ", "replace: header ", "skipped"} {
			if Has(rest, w) {
				return true
			}
		}
		return false
	}
	for _, w := range [...]string{"connect from ", "disconnect from ", "lost connection after ", "timeout after ", "NOQUEUE: ", "Anonymous TLS connection ", "Untrusted TLS connection ", "Trusted TLS connection ",
		"Verified TLS connection ", "CONNECT from [", "DISCONNECT [", "PASS OLD [", "PASS NEW [", "statistics: max ", "warning: unknown[", "SSL_accept error from "} {
		if Has(b, w) {
			return true
		}
	}
	if r, ok := After(b, "warning: "); ok {
		_, _, _, r, ok = HostIP(r)
		return ok && Has(r, ": SASL ")
	}
	return false
}

// eximID tells whether the word is an Exim message id, of either length.
func eximID(b []byte) bool {
	return len(b) == 16 && b[6] == '-' && b[13] == '-' || len(b) == 23 && b[6] == '-' && b[18] == '-'
}
