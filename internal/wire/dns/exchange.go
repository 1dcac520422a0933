package dns

import (
	"context"
	"errors"
	"slices"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// packet is a raw answer and how it came; it is what a tape holds.
type packet struct {
	Server  string        `json:"server,omitempty"`
	Proto   string        `json:"proto,omitempty"`
	RTT     time.Duration `json:"rtt,omitempty"`
	Cut     bool          `json:"cut,omitempty"`     // the UDP answer was truncated and TCP was used
	PlainOK bool          `json:"no_edns,omitempty"` // the server answered only without EDNS
	Msg     []byte        `json:"msg,omitempty"`
	Tries   []Try         `json:"tries,omitempty"` // those before

	m *miekg.Msg // Msg decoded, where that was done already
}

// decoded gives the message in parts.
func (p *packet) decoded() (*miekg.Msg, error) {
	if p.m != nil {
		return p.m, nil
	}
	m, err := decode(p.Msg)
	p.m = m
	return m, err
}

// exchange asks one server once, over TCP as well where the UDP answer was cut, and without EDNS where the server
// knows none. It holds a slot of the gate while it waits.
func (c *Client) exchange(ctx context.Context, s *server, q Question, wait time.Duration) (packet, error) {
	p := packet{Server: s.spec, Proto: s.proto}
	select {
	case c.gate <- struct{}{}:
		defer func() { <-c.gate }()
	case <-ctx.Done():
		return p, ctx.Err()
	}
	if err := s.window.enter(ctx); err != nil {
		return p, err
	}
	lost := false
	defer func() { s.window.leave(lost, c.now()) }()
	start := c.now()
	msg, err := c.transport(ctx, s, &q, wait, &p)
	if err == nil && len(msg) >= headerLen && !q.NoEDNS && (msg[3]&0x0f == 1 || msg[3]&0x0f == 4) {
		q.NoEDNS = true // FORMERR or NOTIMP: an old server (RFC 6891 section 7)
		if again, aerr := c.transport(ctx, s, &q, wait, &p); aerr == nil {
			msg, p.PlainOK = again, true
		}
	}
	p.RTT = c.now().Sub(start)
	if ctx.Err() != nil && err != nil {
		return p, ctx.Err() // the caller gave up; that says nothing of the server
	}
	lost = s.note(p.RTT, err, c.now())
	p.Msg = msg
	return p, err
}

func (c *Client) transport(parent context.Context, s *server, q *Question, wait time.Duration, p *packet) ([]byte, error) {
	ctx, cancel := context.WithTimeout(parent, wait)
	defer cancel()
	msg, err := q.pack()
	if err != nil {
		return nil, err
	}
	switch s.proto {
	case protoTLS:
		return c.dot(ctx, s, msg)
	case protoHTTPS:
		return c.doh(ctx, s, msg)
	}
	if q.TCP {
		p.Proto = protoTCP
		return c.tcp(ctx, s, msg)
	}
	got, err := c.udp(ctx, s, msg)
	if err != nil || len(got) < headerLen || got[2]&0x02 == 0 && len(got) < udpBuffer {
		return got, err
	}
	p.Cut, p.Proto = true, protoTCP
	tctx, tcancel := context.WithTimeout(parent, wait)
	defer tcancel()
	full, err := c.tcp(tctx, s, msg)
	if err != nil {
		return nil, wire.Classify("dns over tcp", err)
	}
	return full, nil
}

// patience is how long try n of several waits: a lost packet should not cost the whole time-out. Where the server is
// known to be quick, the first try is repeated early.
func (c *Client) patience(s *server, n, tries int) time.Duration {
	wait := c.opt.Timeout * time.Duration(min(n+1, tries)) / time.Duration(tries)
	if usual := s.usual(); n == 0 && tries > 1 && usual > 0 {
		wait = min(wait, max(impatient, 10*usual))
	}
	return wait
}

// impatient is the least time a try waits: most recursions are done by then.
const impatient = 400 * time.Millisecond

// stub asks the resolvers in turn until one says something of use.
func (c *Client) stub(ctx context.Context, q Question) (packet, error) {
	servers, err := c.resolvers()
	if err != nil {
		return packet{}, &wire.Fault{Kind: wire.OtherFault, Op: "dns", Text: err.Error()}
	}
	var tries []Try
	var last packet
	order := c.order(servers)
	tried := make([]int, len(order))
	for n := 0; n < c.opt.Tries; n++ {
		i := next(order, tried)
		if i < 0 {
			break
		}
		s := order[i]
		tried[i]++
		p, err := c.exchange(ctx, s, q, c.patience(s, n, c.opt.Tries))
		if ctx.Err() != nil && err != nil {
			return packet{Tries: tries}, ctx.Err()
		}
		var bad *NameError
		if errors.As(err, &bad) {
			return packet{}, err
		}
		t := Try{Server: s.spec, Took: p.RTT, Fault: wire.Classify("dns", err)}
		if err == nil {
			m, derr := p.decoded()
			if derr == nil && useful(m.Rcode) {
				p.Tries = tries
				return p, nil
			}
			if derr != nil {
				t.Fault = &wire.Fault{Kind: wire.Protocol, Op: "dns", Text: derr.Error()}
			} else {
				t.Rcode, t.EDE = m.Rcode, edeOf(m)
				last = p
				tried[i] = c.opt.Tries // it has spoken: asking again gives the same
			}
		}
		tries = append(tries, t)
	}
	last.Tries = tries
	return last, nil
}

// next picks the server tried least; -1 where all have spoken.
func next(order []*server, tried []int) int {
	best := -1
	for i := range order {
		if tried[i] < 1<<8 && (best < 0 || tried[i] < tried[best]) {
			best = i
		}
	}
	return best
}

// useful tells a response code that is an answer: NOERROR and NXDOMAIN.
func useful(rcode int) bool { return rcode == miekg.RcodeSuccess || rcode == miekg.RcodeNameError }

// order puts servers that keep silent last.
func (c *Client) order(servers []*server) []*server {
	now := c.now()
	out := slices.Clone(servers)
	if len(out) > 1 {
		slices.SortStableFunc(out, func(a, b *server) int {
			x, y := a.dead(now), b.dead(now)
			switch {
			case x == y:
				return 0
			case x:
				return 1
			}
			return -1
		})
	}
	return out
}

// asked is the key of a stub question on a tape.
type asked struct {
	Name string `json:"name"`
	Type string `json:"type"`
	CD   bool   `json:"cd,omitempty"`
}

// ask has one question answered by the resolvers, as far as their answer goes.
func (c *Client) ask(ctx context.Context, k key, e *entry) error {
	q := Question{Name: k.name, Type: k.t, Recursion: true, DNSSEC: true, Unchecked: k.cd}
	p, err := wire.Observe(c.opt.Tape, "dns", asked{k.name, TypeName(k.t), k.cd}, func() (packet, error) {
		return c.stub(ctx, q)
	})
	var bad *NameError
	switch {
	case errors.As(err, &bad):
		return err
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &Failure{Name: k.name, Type: k.t, Tries: p.Tries, cause: err}
	case p.Msg == nil:
		return failure(k, p.Tries)
	}
	m, err := p.decoded()
	if err != nil || !useful(m.Rcode) {
		return failure(k, p.Tries)
	}
	e.answer, e.open = answer(m, k.name, k.t)
	e.answer.Server = p.Server
	if !k.cd {
		c.secure(ctx, e.answer, m)
	} else {
		e.msg = m
	}
	return nil
}

// failure makes the error of a question whose tries all failed.
func failure(k key, tries []Try) error {
	f := &Failure{Name: k.name, Type: k.t, Tries: tries}
	for i := len(tries) - 1; i >= 0; i-- {
		if tries[i].Fault != nil {
			f.cause = &wire.Fault{Kind: tries[i].Fault.Kind, Op: "dns", Text: f.Error()}
			break
		}
	}
	return f
}
