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

// eximID tells whether the word is an Exim message id, of either length.
func eximID(b []byte) bool {
	return len(b) == 16 && b[6] == '-' && b[13] == '-' || len(b) == 23 && b[6] == '-' && b[18] == '-'
}
