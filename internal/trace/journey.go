package trace

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// Journey is all that is known about one message, or about one session that was refused before there was a message.
type Journey struct {
	QueueIDs   []string `json:"queue_ids,omitempty"`   // in order of appearance
	MessageIDs []string `json:"message_ids,omitempty"` // without angle brackets
	Sessions   []string `json:"sessions,omitempty"`    // of mailbox deliveries
	Hosts      []string `json:"hosts,omitempty"`       // machines that logged

	From    *string `json:"from,omitempty"` // "" is the null sender; nil: not logged
	Subject string  `json:"subject,omitempty"`
	Size    int64   `json:"size,omitempty"` // bytes
	Client  *Client `json:"client,omitempty"`

	State      State       `json:"state"`
	Direction  string      `json:"direction,omitempty"` // "in", "out" or ""
	Recipients []Recipient `json:"recipients,omitempty"`
	Rejects    []Reject    `json:"rejects,omitempty"`
	Notices    []Notice    `json:"notices,omitempty"` // bounces and delay warnings this message caused
	Held       string      `json:"held,omitempty"`    // why it is on hold

	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Removed bool      `json:"removed"` // it left the last queue
	Steps   []Step    `json:"steps"`

	dropped bool  // removed from the queue on purpose
	trouble *Step // the last answer of a next host that was no recipient's fate yet

	id string // of the whole journey, before lines were added or taken out
}

// Client is who handed the message in.
type Client struct {
	Name string `json:"name,omitempty"` // reverse name as logged
	IP   string `json:"ip,omitempty"`
	Helo string `json:"helo,omitempty"`
	User string `json:"user,omitempty"` // login name
	TLS  string `json:"tls,omitempty"`  // version and cipher
}

// State is the fate of a journey as a whole.
type State string

// The states.
const (
	Delivered State = "delivered" // every recipient
	Partly    State = "partly"    // some recipients
	Waiting   State = "deferred"  // will be tried again
	BouncedSt State = "bounced"   // given up
	RejectedS State = "rejected"  // refused at the door
	DiscardSt State = "discarded" // thrown away on purpose
	HeldState State = "held"      // on hold or in quarantine
	InQueue   State = "queued"    // accepted, no attempt logged
	NotKnown  State = "unknown"   // the lines do not tell
)

// Recipient is the fate of one recipient.
type Recipient struct {
	To       string        `json:"to"`
	OrigTo   string        `json:"orig_to,omitempty"`
	Status   string        `json:"status"`
	Attempts int           `json:"attempts"`
	At       time.Time     `json:"at,omitzero"` // of the last attempt
	Delay    time.Duration `json:"delay_ns,omitempty"`
	Relay    string        `json:"relay,omitempty"`
	RelayIP  string        `json:"relay_ip,omitempty"`
	Socket   string        `json:"relay_socket,omitempty"` // where the next host is a program of this machine: "private/dovecot-lmtp"
	Port     uint16        `json:"port,omitempty"`
	Code     int           `json:"code,omitempty"`
	DSN      string        `json:"dsn,omitempty"`
	Stage    string        `json:"stage,omitempty"`
	Text     string        `json:"text,omitempty"`
	Folder   string        `json:"folder,omitempty"` // where Sieve or the mailbox server put it
	Line     string        `json:"-"`

	status event.Status
}

// Reject is a refusal at the door.
type Reject struct {
	At    time.Time `json:"at,omitzero"`
	Stage string    `json:"stage,omitempty"`
	From  *string   `json:"from,omitempty"`
	To    string    `json:"to,omitempty"`
	Code  int       `json:"code,omitempty"`
	DSN   string    `json:"dsn,omitempty"`
	Text  string    `json:"text,omitempty"`
	Line  string    `json:"-"`
}

// Notice is a message about this message: a bounce, a delay warning, a success report.
type Notice struct {
	Kind    string `json:"kind"` // "bounce", "delay", "success"
	QueueID string `json:"queue_id"`
	To      string `json:"to,omitempty"`
	Status  string `json:"status,omitempty"`
	Text    string `json:"text,omitempty"`
}

// Step is one line of the journey.
type Step struct {
	At       time.Time     `json:"at,omitzero"`
	Host     string        `json:"host,omitempty"`
	Program  string        `json:"program,omitempty"`
	PID      int32         `json:"pid,omitempty"`
	Kind     string        `json:"kind"`
	QueueID  string        `json:"queue_id,omitempty"`
	Ref      string        `json:"ref,omitempty"`
	RefIs    string        `json:"ref_is,omitempty"`
	Session  string        `json:"session,omitempty"`
	From     *string       `json:"from,omitempty"`
	To       string        `json:"to,omitempty"`
	OrigTo   string        `json:"orig_to,omitempty"`
	Client   string        `json:"client,omitempty"`
	ClientIP string        `json:"client_ip,omitempty"`
	Helo     string        `json:"helo,omitempty"`
	User     string        `json:"user,omitempty"`
	Status   string        `json:"status,omitempty"`
	Relay    string        `json:"relay,omitempty"`
	RelayIP  string        `json:"relay_ip,omitempty"`
	Socket   string        `json:"relay_socket,omitempty"`
	Port     uint16        `json:"port,omitempty"`
	Code     int           `json:"code,omitempty"`
	DSN      string        `json:"dsn,omitempty"`
	Stage    string        `json:"stage,omitempty"`
	Text     string        `json:"text,omitempty"`
	Subject  string        `json:"subject,omitempty"`
	Size     int64         `json:"size,omitempty"`
	NRcpt    int32         `json:"recipients,omitempty"`
	Delay    time.Duration `json:"delay_ns,omitempty"`
	Delays   *Split        `json:"delays,omitempty"`
	TLS      string        `json:"tls,omitempty"`
	Filter   string        `json:"filter,omitempty"`
	Verdict  string        `json:"verdict,omitempty"`
	Score    float64       `json:"score,omitempty"`
	Folder   string        `json:"folder,omitempty"`
	Action   string        `json:"action,omitempty"`
	Message  string        `json:"message_id,omitempty"`
	Mention  string        `json:"mentions,omitempty"` // a message-id of the session
	File     string        `json:"file,omitempty"`
	Offset   int64         `json:"offset"`
	Line     string        `json:"line"`

	kind   event.Kind
	status event.Status
	refIs  event.RefKind
	src    int32
	rank   int64 // of the source among all, where src is only a part of it
	at     int64
	order  int
	match  bool
}

// Split is a delay by its parts, in nanoseconds.
type Split struct {
	Before   time.Duration `json:"before_ns"`
	Queue    time.Duration `json:"queue_ns"`
	Connect  time.Duration `json:"connect_ns"`
	Transfer time.Duration `json:"transfer_ns"`
}

// EventKind is what the step is.
func (s *Step) EventKind() event.Kind { return s.kind }

// Fate is the status of a delivery.
func (s *Step) Fate() event.Status { return s.status }

// Fate is the status of the last attempt.
func (r *Recipient) Fate() event.Status { return r.status }

func newStep(e *event.Event, file string, match bool) Step {
	s := Step{
		Host: string(e.Host), Program: string(e.Program), PID: e.PID, Kind: e.Kind.String(), QueueID: string(e.QueueID), Ref: string(e.Ref), RefIs: e.RefIs.String(),
		Session: string(base(e.Session)), To: string(e.To), OrigTo: string(e.OrigTo), Client: string(e.ClientName), ClientIP: string(e.ClientIP), Helo: string(e.Helo), User: string(e.User),
		Status: e.Status.String(), Relay: string(e.Relay), RelayIP: string(e.RelayIP), Port: e.RelayPort, Code: int(e.Code), DSN: string(e.DSN), Stage: string(e.Stage), Text: string(e.Text),
		Subject: string(e.Subject), Size: e.Size, NRcpt: e.NRcpt, Delay: e.Delay, Filter: string(e.Filter), Verdict: string(e.Verdict), Score: e.Score, Folder: string(e.Folder),
		Action: string(e.Action), Message: string(e.MessageID), Mention: string(e.Mention), File: file, Offset: e.Offset, Line: string(e.Line),
		kind: e.Kind, status: e.Status, refIs: e.RefIs, src: e.Source, at: e.At, match: match,
	}
	if strings.Contains(s.RelayIP, "/") {
		s.RelayIP, s.Socket = "", s.RelayIP
	}
	if e.TimeSet {
		s.At = e.Time()
	}
	if e.From != nil {
		from := string(e.From)
		s.From = &from
	}
	if e.Delays.Set {
		s.Delays = &Split{e.Delays.Before, e.Delays.Queue, e.Delays.Connect, e.Delays.Transfer}
	}
	if e.TLSVersion != nil {
		if s.TLS = string(e.TLSVersion); e.Cipher != nil {
			s.TLS += " " + string(e.Cipher)
		}
	}
	return s
}
