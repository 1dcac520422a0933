package find

import (
	"context"
	"net/netip"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/imap"
	"github.com/mailwhy/mailwhy/internal/wire/managesieve"
	"github.com/mailwhy/mailwhy/internal/wire/pop3"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// maxAddrs is how many addresses of a candidate are tried.
const maxAddrs = 4

// tryOne holds a session with every address of a candidate. It works where one of them does; those that fail are named.
func (l *looker) tryOne(ctx context.Context, c *Candidate) {
	if c.Security == "plain" {
		return // nothing that is worth typing in
	}
	var addrs []netip.Addr
	var failed error
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		if t == mail.TypeAAAA && l.env.Probe.NoIPv6 {
			continue
		}
		ans, err := l.env.DNS.Resolve(ctx, c.Host, t)
		if err != nil {
			failed = err
			continue
		}
		for _, r := range ans.Records {
			addrs = append(addrs, r.IP)
		}
	}
	switch {
	case len(addrs) == 0 && failed != nil:
		c.Text = failed.Error()
		return
	case len(addrs) == 0:
		c.State = Absent
		return
	}
	first := true
	for _, a := range addrs[:min(len(addrs), maxAddrs)] {
		t := *c
		l.session(ctx, &t, a)
		switch {
		case t.State == NotTried && a.Is6() && !first:
			continue // this machine may have no IPv6: that says nothing of the server
		case t.State == Works && c.State != Works || first:
			if !first {
				t.Dead = append(c.Dead, addrs[0].String())
			}
			*c, first = t, false
		case t.State == Silent && c.State == Works:
			c.Dead = append(c.Dead, a.String())
		}
	}
}

// session talks to one address up to the login, and says what came of it.
func (l *looker) session(ctx context.Context, c *Candidate, a netip.Addr) {
	h, auth, fault, err := l.talk(ctx, c, a)
	switch {
	case err != nil:
		c.Text = err.Error()
		return
	case fault != nil && (h == nil || h.Fault != nil || fault.Kind == wire.Protocol):
		c.State, c.Text = Silent, fault.Error()
		if fault.Kind == wire.NoRoute || fault.Kind == wire.Canceled || fault.Kind == wire.OffTape {
			c.State = NotTried
		}
		return
	case h == nil:
		c.State, c.Text = Silent, "no STARTTLS"
		return
	}
	c.Version, c.TLS, c.Auth = h.Version, h, auth
	switch {
	case h.Trusted():
		c.State = Works
	case h.Trust == wire.NoRoots:
		c.State, c.Text = NotTried, h.TrustText
	default:
		c.State, c.Trust, c.Text = Distrust, string(h.Trust), h.TrustText
		if h.Trust == wire.TrustOK {
			c.Trust = "name-mismatch"
		}
	}
}

func (l *looker) talk(ctx context.Context, c *Candidate, a netip.Addr) (*wire.Handshake, []string, *wire.Fault, error) {
	if c.Type == "smtp" {
		p := smtp.Plan{Host: c.Host, Addr: a, Port: c.Port, HELO: l.env.Probe.HELO, Security: smtp.Require, StopAfter: smtp.Ehlo2}
		if c.Security == "tls" {
			p.Security, p.StopAfter = smtp.Implicit, smtp.Ehlo
		}
		s, err := smtp.Run(ctx, l.env.SMTPDoor(), p)
		if err != nil {
			return nil, nil, nil, err
		}
		return s.TLS, s.Offered().Auth(), s.Fault, nil
	}
	p := wire.VisitPlan{Host: c.Host, Addr: a, Port: c.Port}
	if c.Security == "tls" {
		p.Security = wire.Implicit
	}
	run := map[string]func(context.Context, wire.VisitDoor, wire.VisitPlan) (*wire.Visit, error){"imap": imap.Run, "pop3": pop3.Run, "sieve": managesieve.Run}[c.Type]
	if run == nil {
		return nil, nil, &wire.Fault{Kind: wire.Protocol, Text: "no such service: " + c.Type}, nil
	}
	v, err := run(ctx, wire.VisitDoor{Dial: l.env.Dial, Now: l.env.Now, Tape: l.env.Tape, Roots: l.env.Roots, Gate: l.env.Gate, Timeout: l.env.Probe.Timeout}, p)
	if err != nil {
		return nil, nil, nil, err
	}
	return v.TLS, v.Auth, v.Fault, nil
}
