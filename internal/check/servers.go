package check

import (
	"context"
	"net/netip"

	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Servers are the mail servers of a domain: the target of every check that talks to them (smtp, tls, dane, mtasts).
type Servers struct {
	Domain string       // the domain they serve; "" for a server on its own
	Hosts  []MailServer // in the order a mail server would try them
	Null   bool         // the domain declares that it takes no mail (RFC 7505)
}

// MailServer is one MX host, or the domain itself where it has no MX.
type MailServer struct {
	Name  string       // host name without the trailing dot
	Pref  uint16       //
	Addrs []netip.Addr // IPv4 and IPv6; empty where it has none
}

// Addresses lists each address once, with the first host that bears it.
func (s *Servers) Addresses() []ServerAddr {
	var out []ServerAddr
	seen := map[netip.Addr]bool{}
	for _, h := range s.Hosts {
		for _, a := range h.Addrs {
			if !seen[a] {
				seen[a] = true
				out = append(out, ServerAddr{h.Name, a})
			}
		}
	}
	return out
}

// ServerAddr is one address of one host.
type ServerAddr struct {
	Host string
	Addr netip.Addr
}

// Session runs an SMTP session through the run's shared memory, so that two checks that want the same one cost one
// connection. The name in EHLO and the time limits come from Probe where the plan names none.
func (e *Env) Session(ctx context.Context, p smtp.Plan) (*smtp.Session, error) {
	if p.HELO == "" {
		p.HELO = e.Probe.HELO
	}
	if e.SMTP != nil {
		return e.SMTP.Session(ctx, p)
	}
	return smtp.Run(ctx, e.SMTPDoor(), p)
}

// SMTPDoor is what an SMTP session needs, out of the Env.
func (e *Env) SMTPDoor() smtp.Door {
	d := smtp.Door{Dial: e.Dial, Now: e.Now, Tape: e.Tape, Roots: e.Roots, Gate: e.Gate}
	if t := e.Probe.Timeout; t > 0 {
		d.Limits = smtp.Limits{Connect: t, Greeting: 6 * t, Reply: 3 * t, Session: 20 * t}
	}
	return d
}

// ProbePlan is the one session that the checks of a domain share, per address: what is offered, STARTTLS, VRFY, and
// whether a stranger may relay. It names no domain, so that the servers of many domains are asked once.
func (e *Env) ProbePlan(host string, addr netip.Addr) smtp.Plan {
	return smtp.Plan{
		Host: host, Addr: addr, HELO: e.Probe.HELO,
		Verify:   []string{"postmaster", "no-such-user-7f3a9c"}, // a server that answers both alike tells nothing
		Envelope: []smtp.Mail{{From: e.Probe.From, To: []string{RelayProbe}}},
	}
}

// RelayProbe is the stranger's address that no server but its own may accept: example.com takes no mail at all
// (RFC 2606, RFC 7505), and DATA is never said.
const RelayProbe = "relay-probe@example.com"
