// Package received takes Received fields apart: RFC 5321 section 4.4, RFC 3848 and RFC 6531 (protocol words), RFC 8314
// section 4.3 (the tls clause), and what Postfix, Exim, Sendmail, qmail, Exchange, Google, Courier, Coremail, Domino,
// CommuniGate and many more write instead.
//
// Promise: a line is cut into tokens and clauses first (token.go, clause.go) and each part is read for what it says
// (client.go, comment.go); which of two names is the client's greeting and which the reverse name is then decided by
// the family of the software (family.go). A field that no part of the line states stays empty: nothing is guessed from
// another line. A field of any length and content is read in time linear to MaxField, without panic.
//
// It must not look anything up, and it has no opinion on whether a line is true.
package received

import (
	"mime"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/date"
)

// MaxField is the number of bytes of a field that are read; the rest is not looked at and Hop.Cut tells so. Longer
// fields are not written by any known software.
const MaxField = 8192

// Kind says what a line records.
type Kind string

// The kinds of line.
const (
	Relay    Kind = "relay"    // a host took the message from another, whose address it noted
	Handover Kind = "handover" // passed on inside one system, or the address was not noted: nothing to trace
	Local    Kind = "local"    // written by a program on the same machine
	Web      Kind = "web"      // written in a web page or over HTTP
	Fetch    Kind = "fetch"    // fetched from a mailbox by POP3 or IMAP
	Filter   Kind = "filter"   // a content filter or list manager noted that it had the message
	Unread   Kind = "unread"   // nothing of it was understood
)

// Hop is one Received field. Host names are as written, without a trailing dot in RDNS; addresses are unmapped from
// ::ffff:0:0/96. All strings are hostile.
type Hop struct {
	Kind         Kind       `json:"kind"`
	Relay        bool       `json:"relay"` // a client's address is on record
	Family       string     `json:"family,omitempty"`
	From         string     `json:"from,omitempty"` // the word behind "from", brackets of a literal taken off
	IP           netip.Addr `json:"ip,omitzero"`
	Port         int        `json:"port,omitempty"`
	RDNS         string     `json:"rdns,omitempty"` // the reverse name the receiving host found
	HELO         string     `json:"helo,omitempty"` // what the client called itself
	By           string     `json:"by,omitempty"`
	ByIP         netip.Addr `json:"by_ip,omitzero"`
	Software     string     `json:"software,omitempty"`  // "Postfix", "Exim 4.96"
	With         string     `json:"with,omitempty"`      // protocol, upper case: "ESMTPS"; else as written
	WithText     string     `json:"with_text,omitempty"` // as written, where it differs
	Via          string     `json:"via,omitempty"`
	ID           string     `json:"id,omitempty"`
	For          string     `json:"for,omitempty"`
	EnvelopeFrom string     `json:"envelope_from,omitempty"`
	TLS          bool       `json:"tls,omitempty"` // the line says the connection was encrypted
	TLSVersion   string     `json:"tls_version,omitempty"`
	TLSCipher    string     `json:"tls_cipher,omitempty"`
	TLSBits      int        `json:"tls_bits,omitempty"`
	Auth         string     `json:"auth,omitempty"` // how the client logged in, as far as noted; "yes" where only that is known
	AuthUser     string     `json:"auth_user,omitempty"`
	Ident        string     `json:"ident,omitempty"`
	MayBeForged  bool       `json:"may_be_forged,omitempty"` // the receiving host doubted the reverse name
	Time         time.Time  `json:"time,omitzero"`
	DateText     string     `json:"date_text,omitempty"`
	DateFaults   []string   `json:"date_faults,omitempty"`
	Cut          bool       `json:"cut,omitempty"`
	Raw          string     `json:"raw"`

	noRDNS  bool // the line says there is no reverse name
	unixed  bool // through a local socket
	mute    bool // the greeting was noted as empty
	fromIP  netip.Addr
	byWords string
}

// Parse reads the body of a Received field, folded or not, with or without the field name.
func Parse(s string) *Hop {
	s = strings.TrimSpace(s)
	if len(s) > 9 && strings.EqualFold(s[:9], "received:") {
		s = strings.TrimSpace(s[9:])
	}
	h := &Hop{}
	if len(s) > MaxField {
		s, h.Cut = s[:MaxField], true
	}
	if strings.Contains(s, "=?") {
		if t, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
			s = t
		}
	}
	h.Raw = unfold(s)
	c := clauses{hop: h, toks: tokenize(h.Raw), text: h.Raw}
	c.run()
	h.settle()
	return h
}

// unfold makes one line of a folded field and keeps NUL and other controls out.
func unfold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.NewReplacer("\r\n", "\n", "\n\t", " ", "\n ", " ").Replace(s))
}

func (h *Hop) setDate(text string, d date.Date) {
	h.Time, h.DateText = d.Time, strings.TrimSpace(text)
	h.DateFaults = nil
	for _, f := range d.Faults {
		h.DateFaults = append(h.DateFaults, string(f))
	}
}
