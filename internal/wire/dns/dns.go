// Package dns is the one door for all DNS questions of a run: a stub client over many resolvers with one bounded
// memory, questions straight to authoritative servers, the walk from the root, and DNSSEC validation of its own.
//
// Promise: observes, never judges. A fault of a resolver is an error that wraps mail.ErrTemporary, never an absent
// record. Every question is bounded in time, every answer in bytes; what servers send is hostile. Everything seen goes
// through the tape as raw messages, so that a replay decodes and validates again.
//
// RFCs: 1034, 1035, 2181, 2308 (negative answers), 5452 (forgery), 6891 (EDNS), 7766 (TCP), 7858 (DoT), 8484 (DoH),
// 8020 (NXDOMAIN), 8914 (extended errors), 9156 (the walk), 4033–4035, 5155, 6840 (DNSSEC).
//
// It must not decide whether an answer is good for mail, print, or read the environment.
package dns

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options are what a client needs to know. The zero value asks the system's resolvers.
type Options struct {
	Servers     []string       // "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53", "tls://192.0.2.1#name", "https://host/dns-query"; empty: the system's
	Timeout     time.Duration  // of the last try; earlier tries wait a part of it; 0 means 3 s
	Tries       int            // per question over all servers; 0 means 3
	Concurrency int            // questions under way at once; 0 means 1,000
	Memory      int            // answers remembered; 0 means 10,000
	NoIPv6      bool           // never talk to a server over IPv6
	Roots       []string       // addresses of root servers for walks; empty: the real ones
	Anchors     []string       // trust anchors as DS or DNSKEY lines of a zone file; empty: the root's
	TrustAD     bool           // believe the AD flag of a loopback, DoT or DoH resolver instead of validating
	Roots509    *x509.CertPool // for DoT and DoH; nil: the system's
	Dial        wire.Dialer    // nil: the net package's
	Now         wire.Clock     // nil: time.Now
	Tape        wire.Tape      // nil: neither recorded nor replayed
}

// Client answers questions; it is safe for concurrent use and a mail.Resolver. Close frees its sockets.
type Client struct {
	opt     Options
	dial    wire.Dialer
	now     wire.Clock
	gate    chan struct{} // a slot per question under way
	memory  *memory
	setup   sync.Once
	servers []*server
	broken  error // why there is no resolver to ask
	mu      sync.Mutex
	direct  map[string]*server // servers asked by Ask, bounded by maxDirect
	zones   *zoneMemory        // validated zone keys
	anchors func() ([]anchor, error)
}

// New makes a client. It opens nothing and reads nothing before the first question.
func New(opt Options) *Client {
	if opt.Timeout <= 0 {
		opt.Timeout = 3 * time.Second
	}
	if opt.Tries <= 0 {
		opt.Tries = 3
	}
	if opt.Concurrency <= 0 {
		opt.Concurrency = 1000
	}
	if opt.Memory <= 0 {
		opt.Memory = 10_000
	}
	c := &Client{opt: opt, dial: opt.Dial, now: opt.Now, direct: map[string]*server{}}
	if c.dial == nil {
		c.dial = &net.Dialer{}
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.gate = make(chan struct{}, opt.Concurrency)
	c.memory = newMemory(opt.Memory)
	c.zones = newZoneMemory(opt.Memory / 4)
	c.anchors = sync.OnceValues(func() ([]anchor, error) { return readAnchors(opt.Anchors) })
	return c
}

// resolvers gives the servers of the stub, parsed at first use.
func (c *Client) resolvers() ([]*server, error) {
	c.setup.Do(func() {
		specs := c.opt.Servers
		if len(specs) == 0 {
			if specs, c.broken = SystemServers(); c.broken != nil {
				return
			}
		}
		for _, spec := range specs {
			s, err := newServer(spec)
			if err != nil {
				c.broken = err
				return
			}
			if !c.opt.NoIPv6 || !s.ipv6() {
				c.servers = append(c.servers, s)
			}
		}
		if len(c.servers) == 0 {
			c.broken = errors.New("no resolver left to ask: all are IPv6 and IPv6 is switched off")
		}
	})
	return c.servers, c.broken
}

// Servers names the resolvers in use, normalised, in the order they are asked.
func (c *Client) Servers() ([]string, error) {
	servers, err := c.resolvers()
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.spec
	}
	return out, err
}

// Resolve implements mail.Resolver: the answer of the first resolver that has one, CNAMEs followed, remembered for the
// run. Answers are shared between callers: do not change them. Errors: *NameError for what is no name, *Failure (which
// wraps mail.ErrTemporary) where no resolver could say, the context's error where the caller gave up.
func (c *Client) Resolve(ctx context.Context, name string, t mail.Type) (*mail.Answer, error) {
	e, err := c.lookup(ctx, key{normal(name), t, false})
	if err != nil {
		return nil, err
	}
	if e.open {
		return c.chase(ctx, e.answer)
	}
	return e.answer, nil
}

// maxChain bounds the CNAMEs followed for one question.
const maxChain = 12

// chase goes on where a resolver's answer ends in a CNAME without its target, as an authoritative server's does whose
// zone the target is not in.
func (c *Client) chase(ctx context.Context, first *mail.Answer) (*mail.Answer, error) {
	whole := *first
	whole.Chain = slices.Clone(first.Chain)
	for len(whole.Chain) < maxChain {
		e, err := c.lookup(ctx, key{normal(whole.Final), whole.Type, false})
		if err != nil {
			return nil, err
		}
		a := e.answer
		whole.Final, whole.Records, whole.NXDomain = a.Final, a.Records, a.NXDomain
		whole.Chain = append(whole.Chain, a.Chain...)
		whole.Secure = whole.Secure && a.Secure
		whole.TTL = min(whole.TTL, a.TTL)
		if !e.open {
			return &whole, nil
		}
	}
	return nil, &Failure{Name: first.Name, Type: first.Type, cause: &wire.Fault{Kind: wire.Limit, Op: "dns", Text: "a chain of more than 12 CNAMEs, or a loop"}}
}

// Stats tells what was learned of each server during the run: the resolvers first, then the servers asked directly.
func (c *Client) Stats() []Stat {
	var out []Stat
	if c.opt.Tape == nil || !c.opt.Tape.Replaying() {
		servers, _ := c.resolvers()
		for _, s := range servers {
			out = append(out, s.stat())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.direct {
		out = append(out, s.stat())
	}
	return out
}

// Close closes all sockets. Questions under way fail.
func (c *Client) Close() error {
	for _, s := range c.servers {
		s.close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.direct {
		s.close()
	}
	return nil
}

// Try is one attempt to have a question answered.
type Try struct {
	Server string        `json:"server"`
	Took   time.Duration `json:"took"`
	Rcode  int           `json:"rcode,omitempty"` // of an answer that was no help: 2 SERVFAIL, 5 REFUSED
	EDE    []EDE         `json:"ede,omitempty"`   // what the server added to its refusal (RFC 8914)
	Fault  *wire.Fault   `json:"fault,omitempty"` // why no answer came
}

// Failure is a question nobody could answer. It wraps mail.ErrTemporary and the *wire.Fault of the last try, where
// there was one.
type Failure struct {
	Name  string
	Type  mail.Type
	Tries []Try
	cause error
}

// Error tells the last thing each server said: "mx of a.example: 192.0.2.1:53 SERVFAIL (DNSSEC Bogus)".
func (f *Failure) Error() string {
	s := fmt.Sprintf("%s of %s: ", TypeName(f.Type), shown(f.Name))
	if len(f.Tries) == 0 {
		return s + f.cause.Error()
	}
	seen := map[string]bool{}
	sep := ""
	for i := len(f.Tries) - 1; i >= 0; i-- {
		t := f.Tries[i]
		if !seen[t.Server] {
			seen[t.Server] = true
			s += sep + t.String()
			sep = "; "
		}
	}
	return s
}

// String tells one try: "192.0.2.1:53 SERVFAIL".
func (t Try) String() string {
	if t.Fault != nil {
		return t.Server + " " + words(t.Fault)
	}
	s := t.Server + " " + RcodeName(t.Rcode)
	for _, e := range t.EDE {
		s += " (" + e.String() + ")"
	}
	return s
}

// words says a fault without the addresses of our own sockets.
func words(f *wire.Fault) string {
	switch f.Kind {
	case wire.Timeout:
		return "no answer"
	case wire.Refused:
		return "connection refused"
	case wire.Reset:
		return "connection reset"
	case wire.Unreachable:
		return "unreachable"
	case wire.NoRoute:
		return "no route"
	}
	return f.Text
}

// Unwrap lets errors.Is and errors.As see mail.ErrTemporary and the fault.
func (f *Failure) Unwrap() []error {
	if f.cause == nil {
		return []error{mail.ErrTemporary}
	}
	return []error{mail.ErrTemporary, f.cause}
}

// Rcode is the response code of the last answer that came, or -1 where none came.
func (f *Failure) Rcode() int {
	for i := len(f.Tries) - 1; i >= 0; i-- {
		if f.Tries[i].Fault == nil {
			return f.Tries[i].Rcode
		}
	}
	return -1
}

func shown(name string) string {
	if name == "" {
		return "."
	}
	return name
}

var _ mail.Resolver = (*Client)(nil)
