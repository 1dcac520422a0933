package exim

import (
	"bytes"
	"strconv"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// words reads every line that has no flag.
func words(e *event.Event, b []byte) bool {
	e.Text = b
	switch {
	case logs.Has(b, "Completed"):
		e.Kind = event.Removed
		return true
	case logs.Has(b, "H="), logs.Has(b, "U="), logs.Has(b, "F=<"):
		return clientLine(e, b)
	case logs.Has(b, "rejected "), logs.Has(b, "temporarily rejected "):
		return rejected(e, b)
	case e.QueueID != nil && (logs.Has(b, "SMTP error from remote ") || logs.Has(b, "SMTP timeout ")):
		return ofMessage(e, b)
	case logs.Has(b, "SMTP "), logs.Has(b, "unexpected "), logs.Has(b, "TLS "), logs.Has(b, "refused connection from "), logs.Has(b, "no MAIL in "), logs.Has(b, "Connection from "):
		return session(e, b)
	}
	if i := bytes.Index(b, []byte(" authenticator failed for ")); i >= 0 && i < 64 {
		return authFailed(e, b[:i], b[i+len(" authenticator failed for "):])
	}
	if e.QueueID != nil {
		return ofMessage(e, b)
	}
	return ofDaemon(e, b)
}

// clientLine reads `H=name (helo) [ip]:port X=… CV=… F=<sender> rejected RCPT <x>: reason` and other lines about a
// client; with an id and no rejection, H= is the host we deliver to.
func clientLine(e *event.Event, b []byte) bool {
	rest := bytes.TrimLeft(fields(e, b, true), " ")
	if logs.Has(rest, "rejected ") || logs.Has(rest, "temporarily rejected ") {
		return rejected(e, rest)
	}
	e.Text = bytes.TrimPrefix(rest, []byte(": "))
	switch {
	case logs.Has(rest, "Warning: ") && scanned(e, rest[len("Warning: "):]):
	case logs.Has(rest, "sender verify "), logs.Has(rest, "Warning: "), logs.Has(rest, "Warning"):
		e.Kind = event.Policy
	case logs.Has(rest, "incomplete transaction "):
		e.Kind = event.Lost
		if _, from, ok := logs.Cut(rest, " from <"); ok {
			e.From, _, _ = logs.Cut(from, ">")
		}
	case logs.Has(rest, "TLS error ") && farewell(rest):
		e.Kind = event.Stats
	case logs.Has(rest, "TLS error "), logs.Has(rest, "TLS session"):
		e.Kind = event.TLSFailed
	case logs.Has(rest, "discarded"), logs.Has(rest, "recipients refused"):
		if e.Kind = event.Reject; rest[0] == 'd' {
			e.Action = discardWord
		}
	case e.QueueID != nil:
		e.Kind = event.Reply
		if bytes.HasPrefix(e.Text, []byte("Connection refused")) || bytes.HasPrefix(e.Text, []byte("Connection timed out")) || bytes.HasPrefix(e.Text, []byte("No route")) || bytes.HasPrefix(e.Text, []byte("Network is unreachable")) {
			e.Kind = event.ConnectError
		}
		e.Relay, e.RelayIP, e.RelayPort = e.ClientName, e.ClientIP, e.ClientPort
		e.ClientName, e.ClientIP, e.ClientPort = nil, nil, 0
		remoteError(e, e.Text)
	default:
		e.Kind = event.Policy
	}
	if e.Kind == event.TLSFailed && e.QueueID != nil {
		e.Outbound = true
		e.Relay, e.RelayIP, e.ClientName, e.ClientIP = e.ClientName, e.ClientIP, nil, nil
	}
	return true
}

// rejected reads "rejected RCPT <x>: reason", "temporarily rejected MAIL …", "rejected after DATA: reason", "rejected
// EHLO or HELO x: reason", "rejected connection in "connect" ACL".
func rejected(e *event.Event, b []byte) bool {
	e.Kind, e.Action = event.Reject, rejectWord
	rest, temporary := logs.After(b, "temporarily ")
	if temporary {
		e.Action = temporaryWord
	}
	rest, _ = logs.After(rest, "rejected ")
	switch {
	case logs.Has(rest, "RCPT "), logs.Has(rest, "MAIL "), logs.Has(rest, "VRFY "), logs.Has(rest, "EXPN "), logs.Has(rest, "ETRN "):
		e.Stage = rest[:4]
		rest = rest[5:]
		if addr, tail, ok := logs.Angle(rest); ok {
			if rest = tail; e.Stage[0] == 'M' {
				e.From = addr
			} else {
				e.To = addr
			}
		} else if e.Stage[0] == 'M' && logs.Has(rest, "from ") {
			rest = hostPhrase(e, rest[5:])
		} else if i := bytes.Index(rest, []byte(": ")); i >= 0 {
			if e.Stage[0] == 'R' {
				e.To = rest[:i]
			}
			rest = rest[i:]
		}
	case logs.Has(rest, "after "), logs.Has(rest, "during "):
		i := bytes.Index(rest, []byte(": "))
		if i < 0 {
			i = len(rest)
		}
		_, e.Stage, _ = logs.Cut(rest[:i], " ")
		rest = rest[i:]
	case logs.Has(rest, "AUTH "), logs.Has(rest, "AUTH:"), logs.Has(rest, "DATA:"), logs.Has(rest, "DATA "), logs.Has(rest, "PRDR "):
		e.Stage = rest[:4]
		if _, why, ok := logs.Cut(rest, ": "); ok {
			rest = why
		}
	case logs.Has(rest, "connection "):
		e.Stage = rest[:10]
		rest = rest[10:]
		if r, ok := logs.After(rest, " from "); ok {
			hostPhrase(e, r)
		}
		if i := bytes.Index(rest, []byte(": ")); i >= 0 {
			rest = rest[i:]
		}
	case logs.Has(rest, "EHLO or HELO "):
		e.Stage = rest[:4]
		rest = rest[13:]
		e.Helo, rest = address(rest)
		e.Helo = bytes.TrimSuffix(e.Helo, []byte(":"))
	case logs.Has(rest, "EHLO from "), logs.Has(rest, "HELO from "):
		e.Stage = rest[:4]
		rest = hostPhrase(e, rest[10:])
	case logs.Has(rest, "from "):
		rest = hostPhrase(e, rest[5:])
	}
	if e.Text = bytes.TrimPrefix(rest, []byte(": ")); e.Text != nil {
		e.Text = bytes.TrimLeft(e.Text, " ")
		e.Code, e.DSN = logs.Code(e.Text)
	}
	return true
}

// farewell tells complaints about how a peer ended a session that had been established: no mail is lost to them.
func farewell(b []byte) bool {
	for _, w := range [...]string{"non-properly terminated", "(recv)", "(send)", "(SSL_read)", "(SSL_write)", "unexpected eof while reading"} {
		if bytes.Contains(b, []byte(w)) {
			return true
		}
	}
	return false
}

// scanned reads what hosting panels have their ACL write about SpamAssassin's verdict: "SpamAssassin as li detected message
// as NOT spam (-1.2)".
func scanned(e *event.Event, b []byte) bool {
	b = bytes.Trim(b, "\"")
	if !logs.Has(b, "SpamAssassin as ") {
		return false
	}
	_, verdict, ok := logs.Cut(b, " detected message as ")
	if !ok {
		return false
	}
	e.Kind, e.Filter, e.Text = event.Filter, spamName, b
	score := []byte(nil)
	e.Verdict, score, _ = logs.Cut(verdict, " (")
	score, _, _ = logs.Cut(score, ")")
	e.Score, _ = strconv.ParseFloat(string(score[:min(len(score), 24)]), 64)
	return true
}

var (
	discardWord   = []byte("discard")
	rejectWord    = []byte("reject")
	temporaryWord = []byte("tempreject")
)

// hostPhrase reads "name (helo) [ip]:port" in running text and gives what follows.
func hostPhrase(e *event.Event, b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("H="))
	v, rest := hostValue(b)
	e.ClientName, e.Helo, e.ClientIP, e.ClientPort = splitHost(v)
	return rest
}

// session reads what is said about a client's session.
func session(e *event.Event, b []byte) bool {
	e.Kind = event.Stats
	switch {
	case logs.Has(b, "SMTP connection lost"), logs.Has(b, "unexpected disconnection"), logs.Has(b, "SMTP command timeout"), logs.Has(b, "SMTP data timeout"), logs.Has(b, "unexpected "):
		e.Kind = event.Lost
	case logs.Has(b, "SMTP connection from "):
		if e.Kind = event.Connect; bytes.Contains(b, []byte(" lost")) {
			e.Kind = event.Lost
		} else if bytes.Contains(b, []byte(" closed by ")) || bytes.Contains(b, []byte("D=")) {
			e.Kind = event.Disconnect
		}
	case logs.Has(b, "refused connection from "), logs.Has(b, "Connection from ") && bytes.Contains(b, []byte(" refused")):
		e.Kind, e.Action, e.Stage = event.Reject, rejectWord, stageConnection
	case logs.Has(b, "SMTP protocol"), logs.Has(b, "SMTP syntax error"), logs.Has(b, "SMTP call from "), logs.Has(b, "SMTP call dropped"):
		e.Kind, e.Action = event.Reject, rejectWord
	case logs.Has(b, "TLS error ") && farewell(b):
	case logs.Has(b, "TLS error "), logs.Has(b, "TLS session: ") && e.QueueID != nil:
		e.Kind = event.TLSFailed
	}
	if _, to, ok := logs.Cut(b, " connection to "); ok && e.Kind == event.TLSFailed {
		return outward(e, to)
	} else if _, to, ok := logs.Cut(b, " delivering unencrypted to H="); ok {
		e.Kind = event.TLSFailed
		return outward(e, to)
	}
	if i := bytes.Index(b, []byte(" from ")); i >= 0 {
		hostPhrase(e, b[i+6:])
	} else if i := bytes.Index(b, []byte(" H=")); i >= 0 {
		hostPhrase(e, b[i+3:])
	}
	if logs.Has(b, "SMTP protocol error in \"AUTH") { // what follows are the client's credentials: not kept
		e.Stage = stageAuth
		if i := bytes.Index(b, []byte("\" H=")); i >= 0 {
			hostPhrase(e, b[i+4:])
			if j := bytes.IndexByte(b[i:], ']'); j >= 0 {
				e.Text = bytes.TrimLeft(b[i+j+1:], ": ")
			}
		}
		if j := bytes.LastIndex(b, []byte("] ")); j >= 0 {
			e.Text = b[j+2:]
		}
	}
	return true
}

// outward reads the host of a TLS session in which we are the client.
func outward(e *event.Event, b []byte) bool {
	e.Outbound = true
	v, _ := hostValue(b)
	e.Relay, _, e.RelayIP, e.RelayPort = splitHost(v)
	return true
}

var (
	stageAuth       = []byte("AUTH")
	stageConnection = []byte("connection")
)

// authFailed reads "plain_login authenticator failed for (helo) [ip]: 535 Incorrect authentication data (set_id=u)".
func authFailed(e *event.Event, method, b []byte) bool {
	e.Kind, e.Method = event.AuthFailed, method
	b, _ = logs.After(b, "H=")
	rest := hostPhrase(e, b)
	for logs.Has(rest, " ") { // I=, U=
		i := bytes.Index(rest, []byte(": "))
		if i < 0 {
			break
		}
		rest = rest[i:]
	}
	e.Text = bytes.TrimPrefix(rest, []byte(": "))
	e.Code, e.DSN = logs.Code(e.Text)
	if _, u, ok := logs.Cut(e.Text, "(set_id="); ok {
		e.User = bytes.TrimSuffix(u, []byte(")"))
		if i := bytes.Index(u, []byte("): ")); i >= 0 {
			e.User = u[:i]
		} else if i := bytes.Index(u, []byte(") ")); i >= 0 {
			e.User = u[:i]
		}
	}
	return true
}

// ofMessage reads the lines with an id and without flag or host. Any other text is what the administrator's own
// configuration or filter wrote: it is kept as a note about the message.
func ofMessage(e *event.Event, b []byte) bool {
	switch {
	case logs.Has(b, "Frozen"), logs.Has(b, "frozen"), logs.Has(b, "Message has been frozen"), logs.Has(b, "Message is frozen"), logs.Has(b, "*** Frozen"):
		e.Kind = event.Hold
	case logs.Has(b, "Unfrozen"), logs.Has(b, "removed by"), logs.Has(b, "cancelled by"), logs.Has(b, "marked"), logs.Has(b, "sender address changed"):
		e.Kind, e.Action = event.Operator, b
	case logs.Has(b, "DKIM: "):
		e.Kind, e.Filter = event.Filter, dkimName
		if i := bytes.LastIndexByte(b, '['); i >= 0 {
			e.Verdict = bytes.TrimSuffix(b[i+1:], []byte("]"))
		}
	case logs.Has(b, "SA: Action: "):
		spamVerdict(e, b[len("SA: Action: "):])
	case logs.Has(b, "Message abandoned"), logs.Has(b, "cancelled"):
		e.Kind = event.Removed
	case logs.Has(b, "Remote host ") && bytes.Contains(b, []byte("] closed connection in response to ")), logs.Has(b, "remote host ") && bytes.Contains(b, []byte("] closed connection in response to ")):
		e.Kind = event.Reply
		v, rest := hostValue(b[len("Remote host "):])
		e.Relay, _, e.RelayIP, e.RelayPort = splitHost(v)
		_, e.Stage, _ = logs.Cut(rest, " in response to ")
	case logs.Has(b, "SMTP timeout ") || logs.Has(b, "SMTP error"):
		e.Kind = event.Reply
		if i := bytes.LastIndex(b, []byte(" H=")); i >= 0 {
			v, _ := hostValue(b[i+3:])
			e.Relay, _, e.RelayIP, e.RelayPort = splitHost(v)
			b = b[:i]
		}
		remoteError(e, b)
	case logs.Has(b, "Remote host "), logs.Has(b, "Spool file is locked"), logs.Has(b, "remote host "):
		e.Kind = event.Reply
		remoteError(e, b)
	case connectFailed(e, b):
	case logs.Has(b, "no immediate delivery"), logs.Has(b, "SA: Debug: "), logs.Has(b, "Sender identification "):
		e.Kind = event.Stats
	default:
		e.Kind = event.Warning
	}
	return true
}

// connectFailed reads "mx.example [192.0.2.9] Connection timed out", as releases before 4.90 write it.
func connectFailed(e *event.Event, b []byte) bool {
	v, rest := hostValue(b)
	if len(rest) == 0 || !bytes.HasSuffix(bytes.TrimRight(v, "0123456789"), []byte("]")) && !bytes.HasSuffix(bytes.TrimRight(v, "0123456789"), []byte("]:")) {
		return false
	}
	rest = bytes.TrimLeft(rest, ": ")
	for _, w := range [...]string{"Connection timed out", "Connection refused", "No route to host", "Network is unreachable", "Network Error", "Host is unreachable", "Connection reset"} {
		if logs.Has(rest, w) {
			e.Kind, e.Text = event.ConnectError, rest
			e.Relay, _, e.RelayIP, e.RelayPort = splitHost(v)
			return true
		}
	}
	return false
}

// spamVerdict reads sa-exim's "scanned but message isn't spam: score=-1.9 required=5.0 (…". What follows names addresses and
// may say anything.
func spamVerdict(e *event.Event, b []byte) {
	e.Kind, e.Filter = event.Filter, spamName
	i := bytes.IndexByte(b, ':')
	if i < 0 {
		i = len(b)
	}
	if e.Verdict = b[:i]; i < len(b) {
		if score, ok := logs.After(b[i:], ": score="); ok {
			num, _, _ := logs.Cut(score, " ")
			e.Score, _ = strconv.ParseFloat(string(num[:min(len(num), 24)]), 64)
		}
	}
}

var (
	dkimName = []byte("dkim")
	spamName = []byte("spamassassin")
)

// Words of lines about no message and no client.
var daemonWords = [...]struct {
	word string
	kind event.Kind
}{
	{"daemon: ", event.Trouble}, {"SIGTERM", event.Started}, {"lowest numbered MX ", event.Warning}, {"dnslists ", event.Warning}, {"Reverse DNS ", event.Warning},
	{"fork ", event.Trouble}, {"Exim ", event.Started}, {"queue run: ", event.Stats}, {"Unfrozen", event.Operator}, {"process ", event.Warning},
	{"alias file ", event.Warning}, {"conversion ", event.Warning}, {"no such ", event.Warning}, {"router ", event.Warning}, {"transport ", event.Warning},
	{"SPAM", event.Filter}, {"[SPF] ", event.Policy}, {"GreyList", event.Policy}, {"greylist", event.Policy}, {"dkim", event.Filter}, {"auth", event.Warning},
	{"Start ", event.Stats}, {"End ", event.Stats}, {"remote host ", event.Warning}, {"ACL ", event.Warning}, {"SIGSEGV", event.Trouble}, {"[", event.Warning},
	{"exim: ", event.Trouble},
	{"exim ", event.Started}, {"daemon ", event.Started}, {"pid ", event.Started}, {"SIGHUP", event.Started},
	{"no host name found for IP address ", event.Warning}, {"no IP address found for host ", event.Warning},
	{"Warning: ", event.Warning}, {"retry ", event.Stats}, {"cwd=", event.Stats}, {"ident ", event.Stats},
	{"DKIM: ", event.Filter}, {"PDKIM: ", event.Warning}, {"DMARC ", event.Filter}, {"SPF ", event.Filter},
	{"Failed ", event.Warning}, {"failed ", event.Warning}, {"failing ", event.Warning}, {"spam ", event.Filter}, {"malware ", event.Filter},
	{"Cannot ", event.Trouble}, {"unable to ", event.Trouble}, {"open ", event.Trouble}, {"socket ", event.Trouble}, {"Spool ", event.Trouble},
	{"host ", event.Warning}, {"dropped connection from ", event.Reject}, {"Connection ", event.Warning}, {"LOG: ", event.Trouble},
	{"lookup of host ", event.Warning}, {"bad ", event.Warning}, {"syntax error in ", event.Reject}, {"too many ", event.Reject},
	{"string_sprintf", event.Trouble}, {"Exim configuration error", event.Trouble}, {"error ", event.Warning}, {"Memory", event.Trouble},
	{"gnutls", event.Warning}, {"DNS ", event.Warning}, {"list ", event.Warning}, {"DANE ", event.Warning}, {"DSN ", event.Stats},
	{"previous ", event.Warning}, {"removed ", event.Operator}, {"authenticator ", event.Warning}, {"Tainted ", event.Warning}, {"hintsdb", event.Warning},
}

func ofDaemon(e *event.Event, b []byte) bool {
	for i := range daemonWords {
		if rest, ok := logs.After(b, daemonWords[i].word); ok {
			if e.Kind = daemonWords[i].kind; logs.Has(b, "no host name found for IP address ") {
				e.ClientIP, _, _ = logs.Cut(rest, " ")
			}
			if bytes.Contains(b, []byte("No space left")) || bytes.Contains(b, []byte("spool space")) {
				e.Kind = event.Trouble
			}
			return true
		}
	}
	if bytes.Contains(b, []byte("space check failed")) || bytes.Contains(b, []byte("Too many open files")) {
		e.Kind = event.Trouble
		return true
	}
	e.Kind = event.None
	return false
}
