package knowledge

import "strings"

// CommandIn finds the SMTP command that a report or log line says was refused, or "".
func (r *Reports) CommandIn(text string) string {
	for _, l := range strings.Split(text, "\n") {
		switch l = strings.TrimSpace(l); l {
		case "RCPT", "DATA", "MAIL", "EHLO", "HELO", "CONN":
			return l
		}
	}
	low := strings.ToLower(strings.Join(strings.Fields(text), " "))
	best, at := "", len(low)
	for _, c := range r.Command {
		for _, w := range c.Words {
			if i := strings.Index(low, w); i >= 0 && i < at {
				best, at = c.Command, i
			}
		}
	}
	return best
}

// HostIn finds the server that spoke: "host mx.example.org[192.0.2.1] said", "while talking to mx.example.org.:".
func HostIn(text string) string {
	flat := strings.Join(strings.Fields(text), " ")
	low := strings.ToLower(flat)
	for _, w := range []string{"host ", "while talking to ", "connect to ", "connected to ", "by the server ", "server for the recipient domain ", "smtp server <", "remote host ", "from ", "generating server: ", "by "} {
		for at := 0; ; {
			i := strings.Index(low[at:], w)
			if i < 0 {
				break
			}
			at += i + len(w)
			end := at
			for end < len(low) && hostByte(low[end]) {
				end++
			}
			if h := strings.Trim(flat[at:end], ".-[]"); strings.Count(h, ".") >= 1 && len(h) > 3 && !strings.Contains(h, "@") {
				return h
			}
		}
	}
	return ""
}

func hostByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

// SaidIn takes the words of the server that refused out of a reason as logs and queues hold it: "host X[ip] said: 450 …
// (in reply to RCPT TO command)", "host X[ip] refused to talk to me: 554 …", "Deferred: …". A reason of another form is
// given back as it is.
func SaidIn(reason string) string {
	if i := strings.Index(reason, " said: "); i >= 0 && strings.HasPrefix(strings.TrimPrefix(reason, "delivery temporarily suspended: "), "host ") {
		reason = reason[i+len(" said: "):]
	} else if i := strings.Index(reason, " refused to talk to me: "); i >= 0 {
		reason = reason[i+len(" refused to talk to me: "):]
	}
	if i := strings.LastIndex(reason, " (in reply to "); i > 0 {
		reason = reason[:i]
	}
	return strings.TrimPrefix(reason, "Deferred: ")
}
