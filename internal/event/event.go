// Package event holds the one noun of the log rooms: something that happened to one message, or to one connection, as
// one log line tells it.
//
// Promise: plain data, standard library only. Parsers fill an Event that the caller owns and reuse it; the byte slices
// point into the line and are valid only until the sink returns, so a keeper copies what it keeps. A field the line
// does not tell is nil or zero; a value that is empty in the log (the null sender "<>") is an empty slice that is not
// nil. Nothing here judges: whether a reply is bad, and whose job it is, is said elsewhere.
package event

import "time"

// Kind says what happened.
type Kind uint8

// The kinds of event.
const (
	None Kind = iota

	// A client at our door.
	Connect     // a client connected: ClientName, ClientIP
	Disconnect  // it left; Text holds the command counters where the software writes them
	Lost        // the connection broke off: Stage, Text
	TLS         // TLS was established: TLSVersion, Cipher, Trust; Outbound where we are the client
	TLSFailed   // a handshake or a verification failed: Text
	Auth        // SMTP login worked: User, Method
	AuthFailed  // SMTP login failed: User where known, Method, Text
	Login       // a mailbox login worked (IMAP, POP3, ManageSieve): User, Method, Session
	LoginFailed // a mailbox login failed; Action "lookup" where the password daemon says so, which serves the program that was logged in to
	Logout      // a mailbox session ended; Text
	Screen      // postscreen looked at a client: Verdict ("PASS NEW", "DNSBL rank 3"), Text
	Policy      // a policy service spoke (greylisting, SPF, rate): Filter, Verdict, Text
	Ban         // an address was banned or let go: ClientIP, Verdict "ban", "unban", "found"

	// A message in our queue.
	Received     // the queue took it in: QueueID, client fields, User; Exim and Sendmail also tell From, Size, MessageID
	MessageID    // MessageID of QueueID
	Subject      // a header was shown: Subject where it is that header, else Text; Verdict of a header check
	Active       // qmgr: From, Size, NRcpt
	Delivery     // one recipient, one attempt: To, OrigTo, Status, relay fields, delays, Code, DSN, Text
	Reply        // an interim answer or failure of a next host, not yet the fate of a recipient: relay fields, Code, Text
	ConnectError // we could not connect to a next host: relay fields, Text
	Reject       // refused at our door, before or in the queue: Stage, client fields, From, To, Code, DSN, Text
	Hold         // put on hold, Text says why
	Filter       // a content filter or authenticator spoke: Filter, Verdict, Score, Text
	Notification // Ref is the queue id of a bounce, delay warning or success report; RefIs says which
	Related      // QueueID and Ref belong together (requeued, resubmitted, split); RefIs says how
	Removed      // it left the queue
	Sieve        // final delivery by an LDA/LMTP server: User, Folder, Action ("saved", "discarded", "forwarded", …)

	// The software itself.
	Started  // a daemon started or stopped; Text
	Warning  // Text, Level
	Trouble  // disk, memory, process or file-descriptor limits, a dying daemon: Text, Level
	Stats    // numbers about connections, caches, queues: Text
	Operator // a person or a tool acted on the queue (postsuper, exim -M…): Action
)

var kindNames = [...]string{"none", "connect", "disconnect", "lost", "tls", "tls-failed", "auth", "auth-failed", "login",
	"login-failed", "logout", "screen", "policy", "ban", "received", "message-id", "subject", "active", "delivery", "reply",
	"connect-error", "reject", "hold", "filter", "notification", "related", "removed", "sieve", "started", "warning",
	"trouble", "stats", "operator"}

// String gives the word used in JSON.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// Status is the fate of one recipient in one attempt.
type Status uint8

// The fates.
const (
	NoStatus      Status = iota
	Sent                 // accepted by the next host or put into the mailbox
	Deferred             // will be tried again
	Bounced              // given up, the sender is told
	Expired              // given up because it waited too long
	Filtered             // handed to a content filter that re-injects it: not yet the end
	Discarded            // thrown away on purpose, nobody is told
	Deliverable          // an address probe says yes
	Undeliverable        // an address probe says no
	Relayed              // like Sent, said by software that tells the two apart (Sendmail "Sent", DSN "relayed")
	Failed               // Exchange FAIL: refused for this recipient
	Quarantined          // kept back by a filter
	Expanded             // an alias or list became other recipients
)

var statusNames = [...]string{"", "sent", "deferred", "bounced", "expired", "filtered", "discarded", "deliverable",
	"undeliverable", "relayed", "failed", "quarantined", "expanded"}

// String gives the word used in JSON and by --status.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "invalid"
}

// ParseStatus is the reverse of String; ok is false for a word that is no status.
func ParseStatus(w string) (Status, bool) {
	for i, n := range statusNames {
		if n == w && w != "" {
			return Status(i), true
		}
	}
	return NoStatus, false
}

// Level is how loudly the software spoke.
type Level uint8

// The levels.
const (
	Info Level = iota
	Warn
	Error
	Fatal
	Panic
)

var levelNames = [...]string{"info", "warning", "error", "fatal", "panic"}

// String gives the word used in JSON.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "invalid"
}

// RefKind says what Event.Ref is to Event.QueueID.
type RefKind uint8

// The relations between two queue ids.
const (
	NoRef   RefKind = iota
	Next            // the id the next queue gave it ("queued as")
	Bounce          // the message that tells the sender of the failure
	Delay           // the message that tells the sender of a delay
	Success         // the message that tells the sender of a delivery
	Parent          // this message was made because of Ref (Exim R=)
	Forward         // re-injected by a local delivery agent (alias, .forward, Sieve redirect)
)

var refNames = [...]string{"", "next", "bounce", "delay", "success", "parent", "forward"}

// String gives the word used in JSON.
func (r RefKind) String() string {
	if int(r) < len(refNames) {
		return refNames[r]
	}
	return "invalid"
}

// Software is the program family whose words a line speaks.
type Software uint8

// The families.
const (
	Unknown Software = iota
	Postfix
	Exim
	Sendmail
	Dovecot
	Exchange
	OpenSMTPD
	Haraka
	Qmail
	Rspamd
	SpamAssassin
	Amavis
	OpenDKIM
	OpenDMARC
	Postgrey
	PolicydSPF
	ClamavMilter
	Fail2ban
	Proxmox
	PolicyServer // one of many small ones
	Cyrus
	Courier
	System // the machine itself: kernel and service manager
	Zimbra
	Stalwart
	Maddy
	Service // delivery services that write a record of JSON for each event
)

var softwareNames = [...]string{"", "postfix", "exim", "sendmail", "dovecot", "exchange", "opensmtpd", "haraka", "qmail",
	"rspamd", "spamassassin", "amavis", "opendkim", "opendmarc", "postgrey", "policyd-spf", "clamav-milter", "fail2ban",
	"proxmox", "policy", "cyrus", "courier", "system", "zimbra",
	"stalwart", "maddy", "service"}

// String gives the word used in JSON and by --format-of.
func (s Software) String() string {
	if int(s) < len(softwareNames) {
		return softwareNames[s]
	}
	return "invalid"
}

// Origin is where a line comes from and what its prefix tells: filled by the prefix reader, not by the parser.
type Origin struct {
	Source  int32  // index of the input in the run's list of inputs
	Zone    int32  // seconds east of UTC; meaningful where ZoneSet
	ZoneSet bool   // the line names its zone; otherwise the reader's local zone was assumed
	TimeSet bool   // the line has a time
	PID     int32  // process id, 0 where not told
	Offset  int64  // byte offset of the line in the (decompressed) input
	At      int64  // nanoseconds since 1970 UTC
	Line    []byte // the whole line without its end
	Host    []byte // name of the logging machine, nil where not told
	Program []byte // program as logged, without the pid: "postfix/submission/smtpd"
	Msg     []byte // what follows the prefix
}

// Time is the moment with the zone of the line, UTC where the line names none.
func (o *Origin) Time() time.Time {
	t := time.Unix(0, o.At)
	if o.Zone == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", int(o.Zone)))
}

// Delays is Postfix's split of a delay. Other software fills what it tells.
type Delays struct {
	Set      bool
	Before   time.Duration // a: before the queue manager, including the transfer in
	Queue    time.Duration // b: in the queue manager
	Connect  time.Duration // c: connection set-up, DNS, EHLO, TLS
	Transfer time.Duration // d: the transfer of the message (Exim DT= is c and d together and stands here)
}

// Event is one thing that happened. Slices are valid only until the sink returns.
type Event struct {
	Origin

	Kind     Kind
	Status   Status
	Level    Level
	RefIs    RefKind
	Software Software
	Outbound bool // TLS, TLSFailed: we are the client
	Retrans  bool // Delivery: an existing connection was used again

	Code       int16  // SMTP reply code, 0 where not told
	RelayPort  uint16 //
	ClientPort uint16
	NRcpt      int32
	Attempts   int32 // LoginFailed: failures that the line tells together, 0 for one
	Size       int64 // bytes, 0 where not told

	QueueID   []byte // nil before the queue ("NOQUEUE")
	Ref       []byte // another queue id
	Session   []byte // id of a Dovecot, LMTP, OpenSMTPD or Haraka session
	MessageID []byte // without angle brackets
	Mention   []byte // a message-id that the line names without belonging to it alone: its session may carry several messages
	Subject   []byte

	From   []byte // envelope sender; empty, not nil, for the null sender
	To     []byte
	OrigTo []byte // as it was before alias expansion

	ClientName []byte // reverse name, nil where not told, "unknown" as logged
	ClientIP   []byte
	Helo       []byte
	Proto      []byte // "ESMTP", "esmtps", "SMTP", "LMTP"
	User       []byte // login name, or mailbox user for Sieve
	Method     []byte // SASL mechanism

	Relay   []byte // name of the next host, or of the transport where there is none ("local", "virtual")
	RelayIP []byte // or the socket path
	Delay   time.Duration
	Delays  Delays
	DSN     []byte // "5.1.1"
	Text    []byte // reply text or the reason, verbatim
	Stage   []byte // SMTP stage: "RCPT", "end of DATA"

	TLSVersion []byte // "TLSv1.3"
	Cipher     []byte
	Trust      []byte // "Anonymous", "Untrusted", "Trusted", "Verified"

	Filter  []byte // name of the filter or policy: "opendkim", "rspamd", "amavis", "postgrey"
	Verdict []byte
	Folder  []byte
	Action  []byte
	Score   float64
}

// Clear empties everything but the origin, for a parser that emits several events from one line.
func (e *Event) Clear() {
	o := e.Origin
	*e = Event{Origin: o}
}

// Sink takes events. The pointer and every slice in it are valid only until Event returns.
type Sink interface {
	Event(e *Event)
}

// SinkFunc makes a function a Sink.
type SinkFunc func(e *Event)

// Event calls the function.
func (f SinkFunc) Event(e *Event) { f(e) }
