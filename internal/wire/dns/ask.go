package dns

import (
	"context"
	"errors"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Reply is everything one server said to one question.
type Reply struct {
	Server     string        `json:"server"` // as asked: address:port or URL
	Proto      string        `json:"proto"`  // how the answer came: udp, tcp, tls, https
	RTT        time.Duration `json:"rtt"`
	Size       int           `json:"size"`  // bytes
	Rcode      int           `json:"rcode"` // 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED
	AA         bool          `json:"aa,omitempty"`
	TC         bool          `json:"tc,omitempty"`
	RD         bool          `json:"rd,omitempty"`
	RA         bool          `json:"ra,omitempty"`
	AD         bool          `json:"ad,omitempty"`
	CD         bool          `json:"cd,omitempty"`
	EDNS       int           `json:"edns,omitempty"`    // the size the server offers; 0: it knows no EDNS
	NoEDNS     bool          `json:"no_edns,omitempty"` // it answered only after EDNS was left out
	Cut        bool          `json:"cut,omitempty"`     // its UDP answer was truncated; this one came over TCP
	EDE        []EDE         `json:"ede,omitempty"`
	Answer     []mail.Record `json:"answer,omitempty"`
	Authority  []mail.Record `json:"authority,omitempty"`
	Additional []mail.Record `json:"additional,omitempty"`

	msg *miekg.Msg
}

// Of gives the records of the answer section that have the type, whatever their owner.
func (r *Reply) Of(t mail.Type) []mail.Record { return ofType(r.Answer, t) }

// Referral gives the NS records of the authority section where the reply sends us on instead of answering, and the
// zone they are for.
func (r *Reply) Referral() (zone string, ns []mail.Record) {
	if r.AA || r.Rcode != 0 || len(r.Answer) > 0 {
		return "", nil
	}
	for _, rr := range r.Authority {
		switch {
		case rr.Type == mail.TypeSOA:
			return "", nil
		case rr.Type == mail.TypeNS && (len(ns) == 0 || rr.Name == zone):
			zone = rr.Name
			ns = append(ns, rr)
		}
	}
	return zone, ns
}

func ofType(rrs []mail.Record, t mail.Type) []mail.Record {
	var out []mail.Record
	for _, r := range rrs {
		if r.Type == t {
			out = append(out, r)
		}
	}
	return out
}

// straight is the key of a direct question on a tape.
type straight struct {
	Server string   `json:"server"`
	Q      Question `json:"q"`
}

// directTries is how often a server is asked directly before it counts as silent.
const directTries = 2

// Ask puts one question to one server ("192.0.2.1", "192.0.2.1:53", "tls://…", "https://…") and gives back all it
// said, whatever the response code. Nothing is remembered. The error is a *wire.Fault where no readable answer came: a
// server that kept silent several times in a row is not asked again for half a minute. A *NameError tells a name that
// cannot be asked.
func (c *Client) Ask(ctx context.Context, srv string, q Question) (*Reply, error) {
	spec, err := ParseServer(srv)
	if err != nil {
		return nil, err
	}
	q.Name = normal(q.Name)
	p, err := wire.Observe(c.opt.Tape, "dns.ask", straight{spec, q}, func() (packet, error) { return c.askLive(ctx, spec, q) })
	if err != nil {
		return nil, err
	}
	m, err := p.decoded()
	if err != nil {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "dns", Text: err.Error()}
	}
	return reply(m, &p), nil
}

func (c *Client) askLive(ctx context.Context, spec string, q Question) (p packet, err error) {
	s, err := c.directly(spec)
	if err != nil {
		return p, err
	}
	if c.opt.NoIPv6 && s.ipv6() {
		return p, &wire.Fault{Kind: wire.NoRoute, Op: "dns", Text: "IPv6 is switched off"}
	}
	if s.dead(c.now()) {
		return p, &wire.Fault{Kind: wire.Timeout, Op: "dns", Text: "no answer to the questions before this one"}
	}
	for n := range directTries {
		p, err = c.exchange(ctx, s, q, c.patience(s, n, directTries)*2/3)
		var f *wire.Fault
		if err == nil || ctx.Err() != nil || !errors.As(err, &f) || f.Kind == wire.NoRoute {
			break
		}
	}
	var f *wire.Fault
	if errors.As(err, &f) && f.Kind != wire.Canceled {
		err = &wire.Fault{Kind: f.Kind, Op: "dns", Text: spec + ": " + words(f), After: p.RTT}
	}
	return p, err
}

func reply(m *miekg.Msg, p *packet) *Reply {
	r := &Reply{Server: p.Server, Proto: p.Proto, RTT: p.RTT, Size: len(p.Msg), Rcode: m.Rcode,
		AA: m.Authoritative, TC: m.Truncated, RD: m.RecursionDesired, RA: m.RecursionAvailable, AD: m.AuthenticatedData, CD: m.CheckingDisabled,
		NoEDNS: p.PlainOK, Cut: p.Cut, EDE: edeOf(m),
		Answer: records(m.Answer), Authority: records(m.Ns), Additional: records(m.Extra), msg: m}
	if opt := m.IsEdns0(); opt != nil {
		r.EDNS = int(opt.UDPSize())
	}
	return r
}

// maxDirect bounds the servers remembered for direct questions; the one unused longest is forgotten.
const maxDirect = 512

func (c *Client) directly(spec string) (*server, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.direct[spec]
	if s == nil {
		var err error
		if s, err = newServer(spec); err != nil {
			return nil, err
		}
		if len(c.direct) >= maxDirect {
			c.evict()
		}
		c.direct[spec] = s
	}
	s.used.Store(c.now().UnixNano())
	return s, nil
}

func (c *Client) evict() {
	var oldest string
	for spec, s := range c.direct {
		if oldest == "" || s.used.Load() < c.direct[oldest].used.Load() {
			oldest = spec
		}
	}
	// Its sockets close themselves when they have been idle for a while.
	delete(c.direct, oldest)
}
