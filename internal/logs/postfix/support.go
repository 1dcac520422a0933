package postfix

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// screen reads postscreen and dnsblog.
func screen(e *event.Event, b []byte) bool {
	e.Filter = postscreenName
	if bytes.HasSuffix(e.Program, []byte("dnsblog")) {
		return dnsblog(e, b)
	}
	if logs.Has(b, "CONNECT from ") {
		return screened(e, event.Connect, b[13:])
	}
	if logs.Has(b, "DISCONNECT ") {
		return screened(e, event.Disconnect, b[11:])
	}
	if rest, ok := logs.After(b, "HANGUP after "); ok { // "HANGUP after 0.1 from [ip]:port in tests after SMTP handshake"
		return screenedAfter(e, event.Lost, rest, " from ", b)
	}
	if logs.Has(b, "reject: ") || logs.Has(b, "NOQUEUE: ") {
		return action(e, b)
	}
	for _, w := range [...]string{"PASS NEW ", "PASS OLD ", "WHITELISTED ", "ALLOWLISTED ", "BLACKLISTED ", "DENYLISTED ", "WHITELIST VETO ", "ALLOWLIST VETO "} {
		if rest, ok := logs.After(b, w); ok {
			e.Verdict = b[:len(w)-1]
			return screened(e, event.Screen, rest)
		}
	}
	if rest, ok := logs.After(b, "DNSBL rank "); ok {
		v, n := logs.Number(rest)
		e.Verdict, e.Score = b[:11+n], float64(v)
		if n > 0 {
			return screenedAfter(e, event.Screen, rest, " for ", b)
		}
	}
	return screenTests(e, b)
}

var postscreenName = []byte("postscreen")

// Words of postscreen's tests, before " from [ip]:port".
var testWords = [...]string{"PREGREET ", "BARE NEWLINE ", "COMMAND PIPELINING ", "COMMAND TIME LIMIT ", "COMMAND COUNT LIMIT ", "COMMAND LENGTH LIMIT ",
	"NON-SMTP COMMAND ", "COMMAND ", "DATA without ", "TLS "}

func screenTests(e *event.Event, b []byte) bool {
	for _, w := range testWords {
		rest, ok := logs.After(b, w)
		if !ok {
			continue
		}
		e.Verdict = b[:len(w)-1]
		if logs.Has(rest, "from ") {
			if !screened(e, event.Screen, rest[5:]) {
				return false
			}
			if _, after, ok := logs.Cut(rest, " after "); ok {
				e.Stage = after
				if i := bytes.IndexByte(after, ':'); i >= 0 {
					e.Stage = after[:i]
				}
			}
			e.Text = b
			return true
		}
		return screenedAfter(e, event.Screen, rest, " from ", b) // "PREGREET 14 after 0.1 from …"
	}
	if logs.Has(b, "cache ") || logs.Has(b, "entering STRESS mode") || logs.Has(b, "leaving STRESS mode") {
		e.Kind, e.Text = event.Stats, b
		return true
	}
	return false
}

func screenedAfter(e *event.Event, k event.Kind, b []byte, word string, whole []byte) bool {
	_, rest, ok := logs.Cut(b, word)
	if !ok || !screened(e, k, rest) {
		return false
	}
	e.Text = whole
	return true
}

// screened reads "[ip]:port".
func screened(e *event.Event, k event.Kind, b []byte) bool {
	return client(e, k, b) != nil
}

// dnsblog reads "addr 1.2.3.4 listed by domain zen.example as 127.0.0.4".
func dnsblog(e *event.Event, b []byte) bool {
	rest, ok := logs.After(b, "addr ")
	if !ok {
		return false
	}
	ip, rest, ok := logs.Cut(rest, " ")
	word, _, named := logs.Cut(rest, " by domain ")
	if !ok || !named || string(word) != "listed" && string(word) != "blocked" {
		return false
	}
	e.Kind, e.ClientIP, e.Text, e.Verdict = event.Screen, ip, rest, word
	return true
}

// Words of the daemons that serve others.
var supportWords = [...]string{"statistics: ", "cache ", "open smtp TLS cache", "open smtpd TLS cache", "open lmtp TLS cache", "tlsmgr_cache_run_event", "delete smtp session ",
	"delete smtpd session ", "delete lmtp session ", "entering STRESS mode", "leaving STRESS mode", "CONNECT ", "DISCONNECT ", "using backwards-compatible default setting",
	"pass ", "close database ", "SSL_accept error from ", "SSL_connect error to ", "lookup ", "put smtp session ", "table ", "Refreshing"}

// supporting reads anvil, scache, tlsmgr, tlsproxy, trivial-rewrite, proxymap.
func supporting(e *event.Event, b []byte) bool {
	if tlsServer(e, b) || tlsClient(e, b) {
		return true
	}
	for _, w := range supportWords {
		if !logs.Has(b, w) {
			continue
		}
		e.Kind, e.Text = event.Stats, b
		if rest, ok := logs.After(b, "statistics: max "); ok { // "max connection rate 1/60s for (smtpd:1.2.3.4) at …"
			e.Action = rest
			if i := bytes.Index(rest, []byte(" for (")); i >= 0 {
				e.Action, rest = rest[:i], rest[i+6:]
				if j := bytes.IndexByte(rest, ')'); j >= 0 {
					e.Method, e.ClientIP = serviceClient(rest[:j])
				}
			}
		}
		return true
	}
	return false
}

// serviceClient splits "smtpd:192.0.2.1", "127.0.0.1:2525:192.0.2.1" and "[::1]:25:2001:db8::1".
func serviceClient(b []byte) (service, ip []byte) {
	i := bytes.IndexByte(b, ':')
	if len(b) > 0 && b[0] == '[' {
		if j := bytes.Index(b, []byte("]:")); j > 0 {
			i = j + 1
		}
	}
	if i > 0 && (b[0] == '[' || bytes.IndexByte(b[:i], '.') >= 0) { // an address with its port
		j := bytes.IndexByte(b[i+1:], ':')
		if j < 0 {
			return b, nil
		}
		i += 1 + j
	}
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// Words of the programs that start, stop and configure Postfix.
var masterWords = [...]string{"daemon started", "starting the Postfix mail system", "stopping the Postfix mail system", "refreshing the Postfix mail system", "reload ",
	"reload -- ", "terminating on signal ", "the Postfix mail system is ", "waiting for the Postfix mail system to terminate", "daemon ", "Postfix is ",
	"mail system is ", "not owned by ", "Postfix is using backwards-compatible", "See http", "To disable backwards", "restarting the Postfix mail system", "aborting the Postfix mail system",
	"flushing the Postfix mail queues"}

func mastering(e *event.Event, b []byte) bool {
	for _, w := range masterWords {
		if logs.Has(b, w) {
			e.Kind, e.Text = event.Started, b
			return true
		}
	}
	if e.QueueID != nil || logs.Has(b, "name_mask: ") {
		return false
	}
	if i := bytes.Index(b, []byte(": ")); i < 0 && len(b) > 0 && bytes.HasSuffix(e.Program, []byte("script")) {
		e.Kind, e.Text = event.Started, b
		return true
	}
	return false
}

// Words any daemon says, besides levels.
var anyWords = [...]struct {
	word string
	kind event.Kind
}{
	{"table ", event.Started}, // "table hash:/etc/x has changed -- restarting"
	{"using backwards-compatible default setting", event.Started},
	{"rebuilding ", event.Started},
	{"connection closed", event.Stats},
	{"connect to transport ", event.Trouble},
	{"premature end-of-input on ", event.Trouble},
	{"problem talking to ", event.Trouble},
	{"mail_queue_enter: ", event.Trouble},
	{"idle timeout -- exiting", event.Stats},
	{"idle time limit", event.Stats},
	{"fingerprint=", event.Stats},
	{"subject_CN=", event.Stats},
	{"Unverified: ", event.Stats},
	{"Verified: ", event.Stats},
	{"Trusted: ", event.Stats},
	{"Untrusted: ", event.Stats},
	{"certificate verification depth=", event.Stats},
	{"certificate verification failed", event.TLSFailed},
	{"re-using session with ", event.Stats},
	{"Reusing old session", event.Stats},
	{"TLS cipher list ", event.Stats},
	{"SSL_accept:", event.Stats},
	{"SSL_connect:", event.Stats},
	{"SSL3 alert ", event.Stats},
	{"Issuing session ticket ", event.Stats},
	{"Decrypting session ticket ", event.Stats},
	{"connection established", event.Stats},
	{"TLS handshake failed", event.TLSFailed},
	{"Matched ", event.Stats},
	{"depth=", event.Stats},
	{"trust-anchor ", event.Stats},
	{"connect to subsystem ", event.Stats},
	{"close database ", event.Warning},
	{"reload ", event.Started},
	{"milter inet:", event.Warning},
	{"milter unix:", event.Warning},
}

// anyDaemon reads what every daemon may say: levels, configuration, resource trouble.
func anyDaemon(e *event.Event, b []byte) bool {
	e.Kind = event.None
	for l, w := range [...]string{event.Warn: "warning: ", event.Error: "error: ", event.Fatal: "fatal: ", event.Panic: "panic: "} {
		if w == "" {
			continue
		}
		if rest, ok := logs.After(b, w); ok {
			e.Level, e.Text = event.Level(l), rest
			if id, about := queueID(rest); id != nil && e.QueueID == nil { // "warning: 4ABC: queue file size limit exceeded"
				e.QueueID, e.Text = id, about
			}
			if e.Kind = levelKind(rest); e.Level >= event.Fatal {
				e.Kind = event.Trouble
			}
			return true
		}
	}
	for i := range anyWords {
		if logs.Has(b, anyWords[i].word) {
			e.Kind, e.Text = anyWords[i].kind, b
			return true
		}
	}
	if e.QueueID != nil && logs.Has(b, "to=<") { // cleanup and others give up on a recipient themselves
		return delivery(e, b)
	}
	if debugging(b) {
		e.Kind, e.Text = event.Stats, b
		return true
	}
	if action(e, b) || outboundTalk(e, b) {
		return true
	}
	return ofPeer(e, b)
}

// ofPeer reads what is said about the TLS of one peer: "host[ip]:25: certificate verification depth=1 …".
func ofPeer(e *event.Event, b []byte) bool {
	name, ip, port, rest, ok := logs.HostIP(b)
	if !ok || !logs.Has(rest, ": ") || len(name) == 0 {
		return false
	}
	for i := range anyWords {
		if w := &anyWords[i]; logs.Has(rest[2:], w.word) {
			e.Kind, e.Text = w.kind, rest[2:]
			e.Relay, e.RelayIP, e.RelayPort = name, ip, port
			return true
		}
	}
	return false
}

// levelKind tells trouble with the machine or with a daemon from other warnings.
func levelKind(b []byte) event.Kind {
	for _, w := range [...]string{"No space left on device", "Too many open files", "Cannot allocate memory", "out of memory", "Resource temporarily unavailable",
		"insufficient system storage", "not enough free space", "Disk quota exceeded", "Read-only file system", "Input/output error", "process limit",
		"bad command startup", "killed by signal", "exit status", "premature end-of-input", "problem talking to", "connect to transport", "throttling",
		"all server ports busy", "has reached its process limit", "new connection rate", "Out of memory"} {
		if bytes.Contains(b, []byte(w)) {
			return event.Trouble
		}
	}
	return event.Warning
}

// debugging tells the lines of -v and debug_peer_list: "> host[ip]: 250 …", "< host[ip]: EHLO …", "name: value".
func debugging(b []byte) bool {
	return logs.Has(b, "> ") || logs.Has(b, "< ") || logs.Has(b, ">>> ") || logs.Has(b, "<<< ") || logs.Has(b, "match_") || logs.Has(b, "dict_") ||
		logs.Has(b, "send attr ") || logs.Has(b, "input attribute ") || logs.Has(b, "private/") || logs.Has(b, "process generation: ") || logs.Has(b, "public/") || logs.Has(b, "event_") || logs.Has(b, "vstream_") ||
		tlsDump(b) || logs.Has(b, "auto_clnt_") || logs.Has(b, "rewrite_clnt") || logs.Has(b, "resolve_clnt") || logs.Has(b, "smtp_") || logs.Has(b, "smtpd_") || logs.Has(b, "milter8_") || logs.Has(b, "maps_") || logs.Has(b, "watchdog_") || parameter(b)
}

// tlsDump tells what tls_loglevel 3 and 4 write of the bytes of a session: "read from 55D0 [55D1] (5 bytes => -1 …" and
// "0000 16 03 01 …".
func tlsDump(b []byte) bool {
	if logs.Has(b, "read from ") || logs.Has(b, "write to ") {
		return bytes.Contains(b, []byte(" bytes => "))
	}
	for i := range min(len(b), 4) {
		if b[i]-'0' > 9 && b[i]-'a' > 5 {
			return false
		}
	}
	return len(b) > 7 && b[4] == ' ' && (b[7] == ' ' || b[7] == '-' || b[5] == '-' || b[5] == '<')
}

// parameter tells "mynetworks: 127.0.0.0/8" and "name_mask: resource": the name of a function or a setting, which only -v
// writes.
func parameter(b []byte) bool {
	n := 0
	for n < len(b) && n < 48 && (b[n]-'a' < 26 || b[n]-'0' < 10 || b[n] == '_') {
		n++
	}
	if n < 4 || n+1 >= len(b) || b[n] != ':' || b[n+1] != ' ' {
		return false
	}
	return bytes.IndexByte(b[:n], '_') > 0 || string(b[:n]) == "mynetworks"
}
