// Package dovecot reads the lines of Dovecot 2.2 to 2.4: logins, mailbox deliveries by LMTP and LDA, Sieve outcomes,
// and trouble, from syslog and from Dovecot's own files.
//
// Promise: service, user and session are read from the front of the line, which Dovecot writes; a message-id or a login
// name, which others choose, only fills a field. It does not join lines.
package dovecot

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the Dovecot dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Dovecot }

// services are names of Dovecot processes, as they begin the lines of its own log files.
var services = [...]string{"lmtp", "lda", "imap", "pop3", "imap-login", "pop3-login", "managesieve", "managesieve-login", "submission", "submission-login", "submission-proxy", "auth", "auth-worker",
	"master", "config", "log", "anvil", "indexer", "indexer-worker", "stats", "doveadm", "director", "dict", "ssl-params", "quota-status", "replicator", "aggregator", "imap-urlauth",
	"imap-hibernate", "imap-urlauth-login", "lmtp-proxy", "dsync-local", "deliver", "script-login", "old-stats"}

// Mine tells "dovecot", and in its own files names such as "imap-login" and "lmtp(li)<12><session>".
func (Dialect) Mine(program []byte) bool {
	if string(program) == "dovecot" || logs.Has(program, "dovecot/") {
		return true
	}
	name, _, _ := cutName(program)
	for _, s := range services {
		if string(name) == s {
			return true
		}
	}
	return false
}

// cutName reads "lmtp(user)<pid><session>" into service, user and session. User is what stands in parentheses.
func cutName(b []byte) (service, user, session []byte) {
	i := 0
	for i < len(b) && b[i] != '(' && b[i] != '<' {
		i++
	}
	service, b = b[:i], b[i:]
	if len(b) > 0 && b[0] == '(' {
		j := bytes.IndexByte(b, ')')
		if k := bytes.LastIndex(b, []byte(")<")); k > j {
			j = k
		}
		if j < 0 {
			return service, nil, nil
		}
		user, b = b[1:j], b[j+1:]
	}
	if len(b) > 0 && b[0] == '<' {
		if j := bytes.IndexByte(b, '>'); j > 0 && j+1 < len(b) && b[j+1] == '<' && b[len(b)-1] == '>' {
			session = b[j+2 : len(b)-1]
		}
	}
	return service, user, session
}

// head splits "lmtp(user)<pid><session>: text".
func head(b []byte) (name, text []byte, ok bool) {
	i := 0
	for i < len(b) && b[i] != ':' && b[i] != '(' && b[i] != ' ' {
		i++
	}
	if i == 0 || i >= len(b) || b[i] == ' ' {
		return nil, b, false
	}
	if b[i] == '(' { // a user name may hold a colon: the parenthesis ends before "):" or ")<"
		for j := i; j < len(b); j++ {
			if b[j] != ')' || j+1 >= len(b) {
				continue
			}
			if b[j+1] == ':' {
				i = j + 1
				break
			}
			if b[j+1] == '<' {
				k := bytes.Index(b[j:], []byte(">: "))
				if k < 0 {
					return nil, b, false
				}
				i = j + k + 1
				break
			}
		}
		if b[i] != ':' {
			return nil, b, false
		}
	}
	return b[:i], bytes.TrimPrefix(b[i+1:], []byte(" ")), true
}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	name, b := e.Program, e.Msg
	var session []byte
	service, user, own := plesk(e)
	switch {
	case own != nil:
		b = own
	case string(name) == "dovecot" || logs.Has(name, "dovecot/"):
		var ok bool
		if name, b, ok = head(e.Msg); !ok {
			return logs.Unparsed
		}
		fallthrough
	default:
		service, user, session = cutName(name)
	}
	level(e, &b)
	if n, m := logs.Number(user); m > 0 { // "lmtp(123, user)" of 2.2, or a process id alone
		if r, ok := logs.After(user[m:], ", "); ok {
			e.PID, user = int32(min(n, 1<<30)), r
		} else if m == len(user) {
			e.PID, user = int32(min(n, 1<<30)), nil
		}
	}
	e.User, e.Session, e.Text = user, session, b
	if !readerOf(service)(e, b) {
		return logs.Unparsed
	}
	if e.Kind != event.None {
		sink.Event(e)
	}
	return logs.Known
}

// plesk reads the mail_log_prefix that Plesk sets, "service=imap, user=li@mine.example, ip=[192.0.2.1]. text"; text is nil
// for other lines.
func plesk(e *event.Event) (service, user, text []byte) {
	rest, ok := logs.After(e.Msg, "service=")
	if !ok {
		return nil, nil, nil
	}
	service, rest, ok = logs.Cut(rest, ", user=")
	if !ok || len(service) > 30 {
		return nil, nil, nil
	}
	user, rest, ok = logs.Cut(rest, ", ip=[")
	if !ok {
		return nil, nil, nil
	}
	ip, rest, ok := logs.Cut(rest, "]. ")
	if !ok || len(ip) > 45 {
		return nil, nil, nil
	}
	if len(ip) > 0 {
		e.ClientIP = ip
	}
	return service, user, rest
}

// level takes "Info: " and its kin off.
func level(e *event.Event, b *[]byte) {
	for _, w := range [...]struct {
		word  string
		level event.Level
	}{{"Info: ", event.Info}, {"Debug: ", event.Info}, {"Warning: ", event.Warn}, {"Error: ", event.Error}, {"Fatal: ", event.Fatal}, {"Panic: ", event.Panic}} {
		if r, ok := logs.After(*b, w.word); ok {
			e.Level, *b = w.level, r
			return
		}
	}
}

// readerOf gives the reader of a service's lines.
func readerOf(name []byte) func(*event.Event, []byte) bool {
	switch {
	case bytes.HasSuffix(name, []byte("-login")):
		return login
	case logs.Has(name, "lmtp"), string(name) == "lda", string(name) == "deliver":
		return delivery
	case logs.Has(name, "auth"):
		return auth
	case logs.Has(name, "imap"), logs.Has(name, "pop3"), logs.Has(name, "managesieve"), logs.Has(name, "submission"):
		return mailbox
	}
	return daemon
}

// delivery reads LMTP and LDA: "msgid=<x>: saved mail to INBOX", "sieve: msgid=<x>: stored mail into mailbox 'Junk'".
func delivery(e *event.Event, b []byte) bool {
	if i := bytes.IndexByte(b, ':'); i > 8 && i < 40 && logs.Has(b[i:], ": ") && bytes.IndexByte(b[:i], ' ') < 0 && bytes.IndexByte(b[:i], '=') < 0 { // 2.2: "SESSION: sieve: …"
		e.Session, b = b[:i], b[i+2:]
	}
	sieve := false
	if r, ok := logs.After(b, "sieve: "); ok {
		sieve, b = true, r
	}
	if r, ok := logs.After(b, "msgid="); ok {
		i := bytes.Index(r, []byte(": "))
		if len(r) > 0 && r[0] == '<' {
			if id, tail, ok := logs.Angle(r); ok {
				if logs.Has(tail, ": ") {
					e.MessageID, b, i = id, tail[2:], -1
				} else if j := described(e, tail); j >= 0 {
					e.MessageID, b, i = id, tail[j:], -1
				}
			}
		}
		if i >= 0 {
			if id := r[:i]; string(id) != "unspecified" {
				e.MessageID = logs.Bare(bytes.TrimSuffix(id, []byte(" (added by postmaster@localhost)")))
			}
			b = r[i+2:]
		}
		e.Text = b
		return outcome(e, b)
	}
	switch {
	case logs.Has(b, "Connect from "), logs.Has(b, "Disconnect from "):
		e.Kind = event.None
		return true
	case e.Level >= event.Error:
		return trouble(e, b)
	case sieve && (logs.Has(b, "info: ") || logs.Has(b, "Execution ")):
		e.Kind = event.Stats
		return true
	}
	if at, ok := oneID(e, b); ok {
		e.Text = b[at:]
		return outcome(e, b[at:])
	}
	if sieve {
		return outcome(e, b)
	}
	return trouble(e, b)
}

// oneID reads a deliver_log_format of one's own that does not begin with the message-id: "from=<a>, msgid=<x>, size=1:
// saved mail to INBOX". It gives where the outcome begins. Text with several message-ids is not trusted: a subject may hold
// one.
func oneID(e *event.Event, b []byte) (at int, ok bool) {
	for _, w := range [...]string{"msgid=<", "Message-ID: <", "message-id=<"} {
		i := bytes.Index(b, []byte(w))
		if i < 0 || bytes.Contains(b[i+len(w):], []byte(w)) {
			continue
		}
		id, rest, ok := logs.Angle(b[i+len(w)-1:])
		if !ok {
			continue
		}
		if at = described(e, rest); at >= 0 {
			e.MessageID = id
			if from, ok := logs.After(b, "from=<"); ok && e.From == nil {
				e.From, _, _ = logs.Cut(from, ">")
			}
			return len(b) - len(rest) + at, true
		}
	}
	return 0, false
}

// described finds where the outcome stands behind what a deliver_log_format of one's own adds: from=, subject=, size. The
// last one counts, because a subject may say anything. It gives -1 where there is none.
func described(e *event.Event, b []byte) int {
	for end := len(b); ; {
		i := bytes.LastIndex(b[:end], []byte(": "))
		if i < 0 {
			return -1
		}
		try := event.Event{}
		if outcome(&try, b[i+2:]); try.Action != nil {
			if from, ok := logs.After(bytes.TrimLeft(b[:i], ", "), "from=<"); ok && e.From == nil {
				e.From, _, _ = logs.Cut(from, ">")
			}
			return i + 2
		}
		end = i
	}
}

var (
	actSaved     = []byte("saved")
	actForwarded = []byte("forwarded")
	actDiscarded = []byte("discarded")
	actRejected  = []byte("rejected")
	actVacation  = []byte("vacation")
	actDuplicate = []byte("duplicate")
	actLookup    = []byte("lookup")
	actFailed    = []byte("failed")
)

// outcome reads what became of the message.
func outcome(e *event.Event, b []byte) bool {
	e.Kind = event.Sieve
	for { // 2.4 names the action in front: "fileinto action: …"
		i := bytes.Index(b[:min(len(b), 24)], []byte(" action: "))
		if i < 0 {
			break
		}
		b = b[i+len(" action: "):]
	}
	low := b
	switch {
	case hasFold(low, "saved mail to "):
		e.Action, e.Folder = actSaved, b[len("saved mail to "):]
	case hasFold(low, "stored mail into mailbox "), hasFold(low, "stored message into mailbox "), hasFold(low, "left message in mailbox "), hasFold(low, "stored mail into "):
		e.Action, e.Folder = actSaved, quoted(b)
	case hasFold(low, "forwarded to "):
		e.Action, e.To = actForwarded, logs.FirstAngle(b[len("forwarded to "):])
	case hasFold(low, "discarded vacation"), hasFold(low, "discarding vacation"), hasFold(low, "discarded duplicate vacation"), hasFold(low, "sent vacation response"),
		hasFold(low, "not sending vacation"), hasFold(low, "discarding vacation"): // an answer, not the message
		e.Action = actVacation
	case hasFold(low, "discarded duplicate "), hasFold(low, "discarding duplicate "), hasFold(low, "discarding reject"), hasFold(low, "discarding notification"):
		e.Action = actDuplicate // of a forward or an answer
	case hasFold(low, "discarded"), hasFold(low, "marked message to be discarded"):
		e.Action = actDiscarded
	case hasFold(low, "rejected "), hasFold(low, "rejected: "), hasFold(low, "sent reject"):
		e.Action = actRejected
	case hasFold(low, "save failed to "), hasFold(low, "failed to store"), hasFold(low, "delivery failed"), hasFold(low, "failed to "):
		e.Action = actFailed
		if e.Level < event.Error {
			e.Level = event.Warn
		}
	}
	return true
}

func hasFold(b []byte, word string) bool {
	return len(b) >= len(word) && (logs.Has(b, word) || b[0]|0x20 == word[0] && string(b[1:len(word)]) == word[1:])
}

// quoted gives what stands between the first and the last apostrophe.
func quoted(b []byte) []byte {
	i, j := bytes.IndexByte(b, '\''), bytes.LastIndexByte(b, '\'')
	if i < 0 || j <= i {
		return nil
	}
	return b[i+1 : j]
}

// login reads "Login: user=<u>, method=PLAIN, rip=…", "Disconnected (auth failed, 3 attempts in 12 secs): user=<u>, …".
func login(e *event.Event, b []byte) bool {
	e.User = nil
	at := bytes.Index(b, []byte(": user=<"))
	if at < 0 {
		return loginTalk(e, b)
	}
	word := b[:at]
	if _, n, ok := logs.Cut(word, "auth failed, "); ok {
		v, _ := logs.Number(n)
		e.Attempts = int32(min(v, 1000))
	}
	fields(e, b[at+2:])
	e.Text = word
	switch {
	case logs.Has(word, "proxy(") && bytes.Contains(word, []byte("): started proxying to ")):
		e.Kind = event.Login
		return true
	case logs.Has(word, "Login"), logs.Has(word, "Logged in"):
		if e.Kind = event.Login; !bytes.Contains(word, []byte("aborted")) && !bytes.Contains(word, []byte("failed")) {
			return true
		}
		if kind, ok := aborted(word); ok {
			e.Kind = kind
			return true
		}
		e.Kind = event.LoginFailed
	case bytes.Contains(word, []byte("auth failed")), bytes.Contains(word, []byte("auth_failed")), bytes.Contains(word, []byte("tried to use disallowed")), bytes.Contains(word, []byte("disallowed plaintext")):
		e.Kind = event.LoginFailed
	case e.Level >= event.Warn:
		return trouble(e, b)
	default:
		e.Kind = event.Disconnect
		if bytes.Contains(word, []byte("TLS handshak")) || bytes.Contains(word, []byte("SSL_accept")) {
			e.Kind = event.TLSFailed
		}
	}
	return true
}

// aborted tells logins that 2.4 says were aborted from those that were refused.
func aborted(word []byte) (event.Kind, bool) {
	for _, w := range [...]string{"auth failed", "(auth_failed)"} {
		if bytes.Contains(word, []byte(w)) {
			return event.None, false
		}
	}
	for _, w := range [...]string{"tls_handshake_not_finished", "during TLS handshake"} {
		if bytes.Contains(word, []byte(w)) {
			return event.TLSFailed, true
		}
	}
	for _, w := range [...]string{"no auth attempts", "(no_auth_attempts)", "(auth_waiting_client)", "(auth_aborted_by_client)", "(auth_process_not_ready)", "(auth_process_comm_fail)", "(process_full)", "(shutting_down)", "(internal_failure)"} {
		if bytes.Contains(word, []byte(w)) {
			return event.Disconnect, true
		}
	}
	return event.None, false
}

// loginTalk reads lines of login processes without a user field.
func loginTalk(e *event.Event, b []byte) bool {
	if i := bytes.Index(b, []byte(": rip=")); i >= 0 {
		fields(e, b[i+2:])
	} else if i := bytes.Index(b, []byte("(rip=")); i >= 0 {
		fields(e, bytes.TrimSuffix(b[i+1:], []byte(")")))
	}
	switch {
	case logs.Has(b, "Disconnected"), logs.Has(b, "Aborted login"), logs.Has(b, "Login aborted"), logs.Has(b, "Maximum number of connections"):
		e.Kind = event.Disconnect
		if bytes.Contains(b, []byte("auth failed")) || bytes.Contains(b, []byte("auth_failed")) {
			e.Kind = event.LoginFailed
		}
		return true
	}
	return trouble(e, b)
}

// fields reads "user=<u>, method=PLAIN, rip=192.0.2.1, lip=…, mpid=1, TLS, session=<s>".
func fields(e *event.Event, b []byte) {
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ", ")
		if !ok { // a word: "TLS", "secured", "TLS: Disconnected"
			word, r, more := logs.Cut(b, ", ")
			if logs.Has(word, "TLS") {
				e.TLSVersion = word[:3]
			}
			if !more {
				return
			}
			b = r
			continue
		}
		switch string(key) {
		case "user":
			e.User = v
		case "method":
			e.Method = v
		case "rip":
			e.ClientIP = v
		case "session":
			e.Session = v
		case "mpid":
			n, _ := logs.Number(v)
			e.PID = int32(min(n, 1<<30))
		}
		b = rest
	}
}

// mailbox reads the sessions of imap, pop3 and their kin.
func mailbox(e *event.Event, b []byte) bool {
	switch {
	case e.Level >= event.Warn:
		return trouble(e, b)
	case logs.Has(b, "Logged out"), logs.Has(b, "Disconnected"), logs.Has(b, "Connection closed"), logs.Has(b, "Server shutting down"), logs.Has(b, "Hibernat"):
		e.Kind = event.Logout
		return true
	case logs.Has(b, "copy from "), logs.Has(b, "delete: "), logs.Has(b, "expunge: "), logs.Has(b, "flag_change: "), logs.Has(b, "save: "), logs.Has(b, "Mailbox "), logs.Has(b, "undelete: "),
		logs.Has(b, "append: "), logs.Has(b, "Namespace "), logs.Has(b, "Effective uid"), logs.Has(b, "sieve: "):
		e.Kind = event.Stats
		return true
	}
	return trouble(e, b)
}

// auth reads the authentication processes: "passwd-file(u,192.0.2.1,<session>): Password mismatch".
func auth(e *event.Event, b []byte) bool {
	if i := bytes.Index(b, []byte(": ")); logs.Has(b, "conn unix:") && i > 0 { // 2.3: "conn unix:auth-worker (pid=1,uid=2): auth-worker<1>: pam(…)"
		b = b[i+2:]
		if j := bytes.Index(b, []byte(">: ")); j > 0 && logs.Has(b, "auth-worker<") {
			b = b[j+3:]
		}
	}
	if i := bytes.IndexByte(e.User, ','); i > 0 { // 2.4: "auth(u,192.0.2.1,sasl:plain)<12><session>: sql: Password mismatch"
		who, sess := e.User, e.Session
		if _, r, ok := logs.Cut(b, ": "); ok && failedLookup(r) || !failedLookup(b) {
			b = r
		}
		lookup(e, who, b)
		if e.Session = sess; e.Kind == event.Stats && e.Level >= event.Warn {
			return trouble(e, b)
		}
		return true
	}
	if i := bytes.IndexByte(b, '('); i > 0 && i < 24 {
		if j := bytes.Index(b[i:], []byte("): ")); j > 0 && lookup(e, b[i+1:i+j], b[i+j+3:]) {
			return true
		}
	}
	return trouble(e, b)
}

// lookup reads "u,192.0.2.1,<session>" and the result of a password look-up.
func lookup(e *event.Event, who, result []byte) bool {
	user, rest, named := logs.Cut(who, ",")
	if !named && e.Level >= event.Warn { // a database: "mysql(localhost): Connect failed …"
		return false
	}
	if i := bytes.Index(result, []byte("given password: ")); i > 0 { // auth_verbose_passwords: not kept
		if j := bytes.LastIndexByte(result[:i], '('); j > 0 {
			result = bytes.TrimRight(result[:j], " ")
		}
	}
	ip, sess, _ := logs.Cut(rest, ",")
	e.User, e.Text = user, result
	if len(ip) > 0 {
		e.ClientIP = ip
	}
	if len(sess) > 0 {
		e.Session = logs.Bare(sess)
	}
	if e.Kind = event.Stats; failedLookup(result) {
		e.Kind, e.Action = event.LoginFailed, actLookup
	}
	return true
}

// failedLookup tells the results that refuse a login.
func failedLookup(result []byte) bool {
	var low [120]byte
	n := copy(low[:], result)
	for i, c := range low[:n] {
		if c-'A' < 26 {
			low[i] = c | 0x20
		}
	}
	for _, w := range [...]string{"password mismatch", "password_mismatch", "user_unknown", "oauth2 failed", "token validation failed", "token expired", "unknown user", "pam_authenticate() failed", "authentication failure", "invalid credentials", "given password: ", "bind failed", "no password", "user disabled", "login not allowed", "auth failed", "client sent no password"} {
		if bytes.Contains(low[:n], []byte(w)) {
			return true
		}
	}
	return false
}

// daemon reads the other processes.
func daemon(e *event.Event, b []byte) bool {
	if logs.Has(b, "Dovecot v") || bytes.Contains(b, []byte("Killed with signal")) || logs.Has(b, "SIGHUP") {
		e.Kind = event.Started
		return true
	}
	return trouble(e, b)
}

// trouble tells a line by its level; a line without one is a note about the software.
func trouble(e *event.Event, b []byte) bool {
	switch {
	case e.Level >= event.Fatal, bytes.Contains(b, []byte("Out of disk space")), bytes.Contains(b, []byte("No space left")), bytes.Contains(b, []byte("Too many open files")), bytes.Contains(b, []byte("process_limit")),
		bytes.Contains(b, []byte("client_limit")), bytes.Contains(b, []byte("killed with signal")):
		e.Kind = event.Trouble
	case e.Level >= event.Warn:
		e.Kind = event.Warning
	default:
		e.Kind = event.Stats
	}
	return true
}
