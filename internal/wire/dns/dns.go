// Package dns is the one door for all DNS questions of a run: a stub client over many resolvers with one bounded
// memory, questions straight to authoritative servers, and DNSSEC validation of its own.
//
// Promise: observes, never judges. A fault of a resolver is an error that wraps mail.ErrTemporary, never an absent
// record. RFCs: 1034, 1035, 2308, 2181, 5452, 6891, 7766, 7858 (DoT), 8484 (DoH), 8914 (extended errors), 4033–4035,
// 5155, 6840 (DNSSEC).
package dns

import (
	"context"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options are what a client needs to know. The zero value asks the system's resolvers.
type Options struct {
	Servers     []string      // "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53", "tls://192.0.2.1", "https://host/dns-query"; empty: the system's
	Timeout     time.Duration // per try; 0 means 3 s
	Tries       int           // per question over all servers; 0 means 3
	Concurrency int           // questions under way at once; 0 means 100
	Memory      int           // answers remembered; 0 means 10,000
	NoIPv6      bool          // never talk to a server over IPv6
	Dial        wire.Dialer   // nil: the net package's
	Now         wire.Clock    // nil: time.Now
	Tape        wire.Tape     // nil: neither recorded nor replayed
}

// Client answers questions; it is safe for concurrent use and a mail.Resolver.
type Client struct{ opt Options }

// New makes a client. It opens nothing.
func New(opt Options) *Client { return &Client{opt: opt} }

// Resolve implements mail.Resolver.
func (c *Client) Resolve(ctx context.Context, name string, t mail.Type) (*mail.Answer, error) {
	return nil, &wire.Fault{Kind: wire.OtherFault, Op: "dns", Text: "no resolver"}
}

var _ mail.Resolver = (*Client)(nil)
