// Package wire is the parent of the instruments that touch the network: dns, smtp, imap, pop3, tls, http, icmp and so
// on. It holds what they share: the clock, the dialer, the transcript, and the words for what went wrong.
//
// Promise: instruments observe and report facts as plain data that can be recorded and judged again; they never judge.
// Every call is bounded in time, bytes and connections; whatever a peer sends is hostile.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Clock tells the time. Replays and tests give a fixed one.
type Clock func() time.Time

// Dialer opens connections; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// OfflineText begins the text of a fault of kind Offline.
const OfflineText = "the network is not to be asked"

// FaultKind tells how a conversation broke, as far as the two ends let one know.
type FaultKind string

// The kinds of fault.
const (
	Timeout     FaultKind = "timeout"     // nothing came back in time: a silent drop, or a dead host
	Refused     FaultKind = "refused"     // RST to our SYN: nothing listens, or a firewall rejects with reset
	Reset       FaultKind = "reset"       // RST in the middle of a conversation
	Unreachable FaultKind = "unreachable" // an ICMP answer: host, net or administratively prohibited
	NoRoute     FaultKind = "no-route"    // this machine has no way there (often: no IPv6 here)
	Closed      FaultKind = "closed"      // the peer closed in order where it should have gone on
	TLSFault    FaultKind = "tls"         // the handshake failed
	Protocol    FaultKind = "protocol"    // the peer's words are not of the protocol
	Limit       FaultKind = "limit"       // the peer sent more than we are willing to read
	Canceled    FaultKind = "canceled"    // we stopped: interrupt, or the run's own budget
	OffTape     FaultKind = "off-tape"    // a replay was asked for something that was never recorded
	Offline     FaultKind = "offline"     // the network is not to be asked
	NotAllowed  FaultKind = "not-allowed" // a Policy forbids to look there
	OtherFault  FaultKind = "other"

	NotPermitted FaultKind = "not-permitted" // the system does not let this user do it, or this kind of system cannot
)

// Fault is an error as data.
type Fault struct {
	Kind  FaultKind     `json:"kind"`
	Op    string        `json:"op,omitempty"`    // "connect", "greeting", "starttls", …
	Text  string        `json:"text"`            // the error's own words
	After time.Duration `json:"after,omitempty"` // from the start of Op
}

// Error makes a Fault an error.
func (f *Fault) Error() string {
	if f.Op != "" {
		return f.Op + ": " + f.Text
	}
	return f.Text
}

// Classify turns any error of a connection into a Fault; nil stays nil.
func Classify(op string, err error) *Fault {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Kind: kindOf(err), Op: op, Text: err.Error()}
}

func kindOf(err error) FaultKind {
	var netErr net.Error
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return Timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES):
		return Unreachable
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return NoRoute
	case errors.As(err, &alert), errors.As(err, &record), errors.As(err, &verify), errors.As(err, &authority), strings.HasPrefix(err.Error(), "tls: "):
		return TLSFault
	case errors.As(err, &netErr) && netErr.Timeout():
		return Timeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Closed
	}
	return OtherFault
}

// Direction marks a line of a transcript.
type Direction string

// The directions.
const (
	Sent     Direction = ">" // we said it
	Received Direction = "<" // the peer said it
	Happened Direction = "*" // neither: connected, TLS established, closed
)

// Line is one line of a transcript. Text is hostile where Dir is Received; secrets are masked before they get here.
type Line struct {
	Dir  Direction     `json:"dir"`
	At   time.Duration `json:"at"` // since the start of the conversation
	Text string        `json:"text"`
}

// Transcript is a conversation in order.
type Transcript []Line

// String writes a transcript a line each, as it is shown in reports.
func (t Transcript) String() string {
	var b strings.Builder
	for _, l := range t {
		b.WriteString(string(l.Dir))
		b.WriteByte(' ')
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Tape records what an instrument observes, or answers from a recording (wire/tape has the one implementation). res is
// a pointer that live fills, or that the recording fills instead. req and *res must survive JSON; req holds no secret
// and nothing that differs between runs (no times, no random ids).
type Tape interface {
	Do(door string, req, res any, live func() error) error
	Replaying() bool
}

// Observe runs an observation through the tape; a nil tape means live and unrecorded.
func Observe[Req, Res any](t Tape, door string, req Req, live func() (Res, error)) (Res, error) {
	if t == nil {
		return live()
	}
	var res Res
	err := t.Do(door, req, &res, func() (lerr error) { res, lerr = live(); return lerr })
	return res, err
}

// NoNetwork is the Dialer of a run that must not ask the network.
type NoNetwork struct{}

// DialContext refuses with a Fault of kind Offline.
func (NoNetwork) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	return nil, &Fault{Kind: Offline, Op: "connect", Text: OfflineText + ": " + address}
}
