package trace

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// prober looks at the places of a line where ids stand: it asks a set for them, or notes them for later.
type prober struct {
	set  *idTable
	into *sketch // when set, ids are noted in it, and none is known
}

func (p prober) has(h uint64, as place) bool {
	if p.into != nil {
		p.into.add(h ^ uint64(as))
		return false
	}
	return p.set.has(h)
}

func (t *idTable) probe(line []byte) bool { return prober{set: t}.probe(line) }

// probe tells without parsing whether a line can name an id of the set. It knows the places where Postfix and the
// milters beside it write ids, and says yes to every line it does not know. It must never say no to a line of which a
// dialect would give such an id; a test holds it against the parsers.
func (s prober) probe(line []byte) bool {
	if len(line) < 24 {
		return true
	}
	i := bytes.IndexByte(line[16:], ']')
	if i < 0 {
		return s.probeMailbox(line)
	}
	i += 17
	if i+3 > len(line) || line[i] != ':' || line[i+1] != ' ' {
		return true
	}
	msg := line[i+2:]
	n := bytes.IndexByte(msg[:min(24, len(msg))], ':')
	if n >= 5 && n+2 < len(msg) && msg[n+1] == ' ' && msg[0] != 'w' && string(msg[:n]) != "NOQUEUE" {
		if s.into != nil {
			s.into.front = true
		}
		return s.has(hash(msg[:n]), inFront) || s.probeRest(msg[n+2:], line[:i])
	}
	return !noID(msg)
}

// probeRest looks at what stands behind a queue id that is not in the set.
func (s prober) probeRest(b, front []byte) bool {
	switch b[0] {
	case 'r':
		return string(b) != "removed"
	case 'm':
		if mid, ok := bytes.CutPrefix(b, []byte("message-id=<")); ok && mid[len(mid)-1] == '>' {
			return s.has(hash(mid[:len(mid)-1]), inFront)
		}
	case 'f':
		return !bytes.HasSuffix(b, []byte(" (queue active)"))
	case 'c':
		if bytes.HasPrefix(b, []byte("client=")) {
			return bytes.Contains(b, []byte(", orig_"))
		}
	case 't':
		if bytes.HasPrefix(b, []byte("to=<")) {
			return s.probeReply(b)
		}
	case 's', 'p':
		if i := bytes.LastIndexByte(b, ' '); i > 14 && bytes.HasSuffix(b[:i], []byte(" notification:")) {
			return s.has(hash(b[i+1:]), named)
		}
	}
	return !fromMilter(front)
}

// probeMailbox looks at a line of Dovecot's deliveries: "dovecot: lmtp(li)<12><session>: msgid=<m>: saved mail to INBOX".
func (s prober) probeMailbox(line []byte) bool {
	b, ok := bytes.CutPrefix(line[programAt(line):], []byte("dovecot: lmtp("))
	if !ok {
		return true
	}
	i := bytes.IndexAny(b, "()<>:")
	if i < 0 || b[i] != ')' || i+2 > len(b) {
		return true
	}
	user, b := b[:i], b[i+1:]
	if rest, ok := bytes.CutPrefix(b, []byte(": ")); ok { // "lmtp(12): Connect from local"
		return len(user) > 9 || !bytes.HasPrefix(rest, []byte("Connect from ")) && !bytes.HasPrefix(rest, []byte("Disconnect from "))
	}
	i = bytes.Index(b, []byte("><"))
	j := bytes.Index(b, []byte(">: "))
	if b[0] != '<' || i < 0 || j < i+2 {
		return true
	}
	session, b := base(b[i+2:j]), bytes.TrimPrefix(b[j+3:], []byte("sieve: "))
	mid, ok := bytes.CutPrefix(b, []byte("msgid=<"))
	if !ok {
		return true
	}
	if i = bytes.IndexAny(mid, "<> \""); i < 0 || !bytes.HasPrefix(mid[i:], []byte(">: ")) {
		return true
	}
	if i > 4 { // a session id makes only lines belong that name nothing stronger
		return s.has(hash(mid[:i]), inFront)
	}
	return s.has(hash(session), inFront)
}

// programAt gives where the name of the program begins in a line of syslog, behind the time and the host; 0 where the time
// has another form.
func programAt(line []byte) int {
	at := 16
	if line[3] != ' ' || line[6] != ' ' || line[15] != ' ' {
		if at = bytes.IndexByte(line[:min(len(line), 40)], ' ') + 1; at < 20 || line[4] != '-' || line[10] != 'T' {
			return 0
		}
	}
	return at + bytes.IndexByte(line[at:], ' ') + 1
}

// probeReply looks at the end of a delivery line, where the next server's id stands.
func (s prober) probeReply(b []byte) bool {
	n := len(b)
	if b[n-1] != ')' {
		return true
	}
	b = b[:n-1]
	if bytes.HasSuffix(b, []byte(" Saved")) { // a session id: the queue id in front is stronger
		return false
	}
	i := len(b)
	for i > 0 && find.WordByte(b[i-1]) {
		i--
	}
	if i > 4 && string(b[i-4:i]) == " as " {
		if s.has(hash(b[i:]), named) {
			return true
		}
		return bytes.Count(b, []byte("queued as ")) != 1
	}
	tail := b[max(0, len(b)-300):]
	if bytes.HasSuffix(b, []byte(" command")) { // "(in reply to RCPT TO command)": a failure
		return false
	}
	if s.into != nil { // an id is where the reply is
		s.into.runs(b[max(0, bytes.Index(b, []byte(" status="))):])
		return false
	}
	return bytes.Contains(tail, []byte("ueued")) || bytes.Contains(tail, []byte(" id=")) || bytes.Contains(tail, []byte("accepted")) || bytes.Contains(tail, []byte("forwarded as"))
}

// fromMilter tells lines of milters that name nothing but the queue id in front.
func fromMilter(front []byte) bool {
	i := bytes.LastIndexByte(front, '[')
	return i > 9 && string(front[i-9:i]) == " opendkim"
}

// noID tells the frequent lines that name no id at all.
func noID(b []byte) bool {
	for _, w := range [...]string{"connect from ", "disconnect from ", "NOQUEUE: reject: ", "Anonymous TLS ", "Untrusted TLS ", "Trusted TLS ", "Verified TLS ", "warning: ", "lost connection after ",
		"statistics: ", "setting up TLS ", "connect to ", "SSL_accept error "} {
		if b[0] == w[0] && len(b) > len(w) && string(b[:len(w)]) == w {
			return true
		}
	}
	return false
}
