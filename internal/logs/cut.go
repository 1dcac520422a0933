package logs

import (
	"bytes"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// Angle reads an address in angle brackets at the start of b and gives it without them, and what follows. A '>' inside
// a quoted local part does not end the address. ok is false where b does not begin with '<' or the bracket never ends.
//
// Where quotes do not balance, which software that logs addresses unquoted can produce, the first '>' that is followed
// by the end, a space, a comma, a colon, a semicolon or a closing parenthesis ends it.
func Angle(b []byte) (addr, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != '<' {
		return nil, b, false
	}
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		return nil, b, false
	}
	if bytes.IndexByte(b[1:end], '"') < 0 {
		return b[1:end], b[end+1:], true
	}
	quoted := false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return b[1:i], b[i+1:], true
		}
	}
	for i := end; i < len(b); i++ {
		if b[i] == '>' && (i+1 == len(b) || bytes.IndexByte([]byte(" ,:;)"), b[i+1]) >= 0) {
			return b[1:i], b[i+1:], true
		}
	}
	return nil, b, false
}

// Bare takes the angle brackets off an address or a message-id that fills b, if it has them.
func Bare(b []byte) []byte {
	if n := len(b); n >= 2 && b[0] == '<' && b[n-1] == '>' {
		return b[1 : n-1]
	}
	return b
}

// HostIP reads "name[ip]" or "name[ip]:port" at the start of b, and gives what follows. ok is false for other shapes.
func HostIP(b []byte) (name, ip []byte, port uint16, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '[')
	if i < 0 || i > 300 {
		return nil, nil, 0, b, false
	}
	j := bytes.IndexByte(b[i:], ']')
	if j < 0 || bytes.IndexByte(b[:i], ' ') >= 0 {
		return nil, nil, 0, b, false
	}
	name, ip, rest = b[:i], b[i+1:i+j], b[i+j+1:]
	if len(rest) > 1 && rest[0] == ':' && digit(rest[1]) {
		p, n := pid(rest[1:])
		if p < 1<<16 {
			port, rest = uint16(p), rest[1+n:]
		}
	}
	return name, ip, port, rest, true
}

// Number reads decimal digits at the start of b and gives the number (bounded) and how many digits there were.
func Number(b []byte) (v int64, n int) {
	for n < len(b) && n < 18 && digit(b[n]) {
		v = v*10 + int64(b[n]-'0')
		n++
	}
	return v, n
}

// Seconds reads "0.02", "12" or "1.1e+03" seconds and gives the duration and the bytes read.
func Seconds(b []byte) (time.Duration, int) {
	v, n := Number(b)
	if n == 0 {
		return 0, 0
	}
	if v > 1<<33 {
		v = 1 << 33
	}
	d := time.Duration(v) * time.Second
	if n < len(b) && b[n] == '.' {
		ns, m := fraction(b[n:])
		d, n = d+time.Duration(ns), n+m
	}
	if n+1 < len(b) && b[n] == 'e' && b[n+1] == '+' { // Postfix writes two digits of large numbers
		e, m := Number(b[n+2:])
		if m == 0 || e > 9 {
			return d, n
		}
		for range e {
			d *= 10
		}
		n += 2 + m
	}
	return d, n
}

// Code reads an SMTP reply code and the enhanced status after it ("550 5.1.1 …", "550-5.1.1 …"). Zero and nil where
// the text does not begin with one.
func Code(b []byte) (code int16, dsn []byte) {
	if len(b) < 3 || b[0] < '2' || b[0] > '5' || !digit(b[1]) || !digit(b[2]) || len(b) > 3 && b[3] != ' ' && b[3] != '-' {
		return 0, nil
	}
	code = int16(b[0]-'0')*100 + int16(b[1]-'0')*10 + int16(b[2]-'0')
	if len(b) > 4 {
		dsn = DSN(b[4:])
	}
	return code, dsn
}

// DSN reads an enhanced status code ("5.1.1") at the start of b, nil where there is none.
func DSN(b []byte) []byte {
	if len(b) < 5 || b[0] != '2' && b[0] != '4' && b[0] != '5' || b[1] != '.' {
		return nil
	}
	i := 2
	_, n := pid(b[i:])
	if n == 0 || n > 3 || i+n >= len(b) || b[i+n] != '.' {
		return nil
	}
	i += n + 1
	_, m := pid(b[i:])
	if m == 0 || m > 3 {
		return nil
	}
	if i += m; i < len(b) && b[i] != ' ' && b[i] != ':' && b[i] != ';' && b[i] != ',' && b[i] != ')' && b[i] != '-' {
		return nil
	}
	return b[:i]
}

// Words that stand before the id the next queue gave a message, in the replies of the known servers.
var (
	queuedAs      = []byte("ueued as ")
	okID          = []byte(" id=")
	messageAccept = []byte(" Message accepted for delivery")
	saved         = []byte(" Saved")
)

// NextID finds in the reply of an accepting server the id under which it queued the message (Postfix, Amavis, Exim,
// Sendmail, OpenSMTPD, Haraka), and the session id where it put the message into a mailbox (Dovecot LMTP).
func NextID(reply []byte) (id, session []byte) {
	if i := bytes.Index(reply, queuedAs); i >= 0 {
		rest := reply[i+len(queuedAs):]
		for { // a filter in front quotes the reply of the server behind it: the last one counts
			j := bytes.Index(rest, queuedAs)
			if j < 0 {
				break
			}
			rest = rest[j+len(queuedAs):]
		}
		return idWord(rest), nil
	}
	if n := len(reply); n > 7 && bytes.HasSuffix(reply, saved) {
		b := reply[:n-len(saved)]
		if i := bytes.LastIndexByte(b, ' '); i >= 0 && len(b)-i > 10 && bytes.IndexByte(b[i:], '@') < 0 && b[len(b)-1] != '>' { // not the address
			return nil, b[i+1:]
		}
		return nil, nil
	}
	if i := bytes.Index(reply, messageAccept); i > 0 {
		b := reply[:i]
		if j := bytes.LastIndexByte(b, ' '); j >= 0 && DSN(b[j+1:]) == nil && len(b)-j > 6 && len(idWord(b[j+1:])) == len(b)-j-1 {
			return b[j+1:], nil
		}
		return nil, nil
	}
	if i := bytes.Index(reply, okID); i >= 0 {
		return idWord(reply[i+len(okID):]), nil
	}
	if i := bytes.Index(reply, []byte(" OK (")); i >= 0 && reply[len(reply)-1] == ')' && upperHex(reply[i+5:len(reply)-1]) { // a filter's own id
		return idWord(reply[i+5:]), nil
	}
	if i := bytes.Index(reply, []byte("ueued (")); i >= 0 { // Haraka: "Message Queued (UUID)"
		return idWord(reply[i+7:]), nil
	}
	return nil, nil
}

// idWord takes letters, digits, '-', '.' and '_' at the start of b.
func idWord(b []byte) []byte {
	i := 0
	for i < len(b) && (digit(b[i]) || lower(b[i]|0x20) || b[i] == '-' || b[i] == '.' || b[i] == '_') {
		i++
	}
	for i > 0 && b[i-1] == '.' {
		i--
	}
	if i < 5 || i > 64 {
		return nil
	}
	return b[:i]
}

// Cut is bytes.Cut for a fixed word, named for reading.
func Cut(b []byte, sep string) (before, after []byte, found bool) {
	if i := bytes.Index(b, []byte(sep)); i >= 0 {
		return b[:i], b[i+len(sep):], true
	}
	return b, nil, false
}

// Has tells whether b begins with the word. It does not allocate.
func Has(b []byte, word string) bool { return len(b) >= len(word) && string(b[:len(word)]) == word }

// After gives what follows the word b begins with; ok is false where it does not begin with it.
func After(b []byte, word string) (rest []byte, ok bool) {
	if Has(b, word) {
		return b[len(word):], true
	}
	return b, false
}

// QueueIDWord takes the queue id off the front of a milter's line ("4ABC: text"): a word of 6 to 24 letters, digits and
// '-' with a digit in it, ended by a colon.
func QueueIDWord(b []byte) (id, rest []byte, ok bool) {
	n, digits := 0, false
	for n < len(b) && n < 25 && (digit(b[n]) || lower(b[n]|0x20) || b[n] == '-') {
		digits = digits || digit(b[n])
		n++
	}
	if n < 6 || n > 24 || !digits && !upperHex(b[:n]) || n+1 >= len(b) || b[n] != ':' || b[n+1] != ' ' {
		return nil, b, false
	}
	return b[:n], b[n+2:], true
}

// upperHex tells a short Postfix id that happens to have no digit.
func upperHex(b []byte) bool {
	for _, c := range b {
		if !digit(c) && c-'A' > 5 {
			return false
		}
	}
	return true
}

// Level reads the word by which Haraka, Stalwart and Zimbra say how loudly they speak; what is no trouble is event.Info.
func Level(word []byte) event.Level {
	switch string(word) {
	case "WARN":
		return event.Warn
	case "ERROR":
		return event.Error
	case "FATAL", "CRIT", "ALERT", "EMERG":
		return event.Fatal
	}
	return event.Info
}
