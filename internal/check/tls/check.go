package tls

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// Checks look at the TLS of every mail server of a domain: with the shared SMTP session and three hellos per address.
var Checks = []check.Check[check.Servers]{{Name: "tls", Rules: Rules, Run: run}}

func run(ctx context.Context, env *check.Env, t check.Servers) ([]finding.Finding, error) {
	th, err := env.Know.Thresholds()
	if err != nil {
		return nil, err
	}
	addrs := t.Addresses()
	results := make([][]finding.Finding, len(addrs))
	var wg sync.WaitGroup
	for i, a := range addrs {
		wg.Go(func() { results[i] = address(ctx, env, a, th) })
	}
	wg.Wait()
	var fs []finding.Finding
	for _, r := range results {
		fs = append(fs, r...)
	}
	return fs, nil
}

// address looks at one server. One that cannot be reached or offers no STARTTLS has nothing to judge here: the smtp
// pack says so, as it does of a handshake that breaks.
func address(ctx context.Context, env *check.Env, a check.ServerAddr, th *knowledge.Thresholds) []finding.Finding {
	s, err := env.Session(ctx, env.ProbePlan(a.Host, a.Addr))
	if err != nil || s.TLS == nil || s.TLS.Fault != nil {
		return nil
	}
	f := Facts{
		Subject: finding.Host(a.Host), Place: Place(a.Host, a.Addr, 25), Handshake: s.TLS,
		Verify: finding.Cmd("tls", net.JoinHostPort(a.Host, "25")),
	}
	f.Ask(ctx, Door(env), wiretls.Target{Host: a.Host, Addr: a.Addr, Port: 25, Start: "smtp"})
	return Judge(f, th)
}

// Ask sends the hellos a check allows itself: old versions, SSL 3.0, broken suites. The error of a replay without them
// leaves the facts unknown.
func (f *Facts) Ask(ctx context.Context, d wiretls.Door, t wiretls.Target) {
	one := func(v wiretls.Version, suites []wiretls.Suite) *wiretls.Answer {
		a, err := wiretls.Ask(ctx, d, t, wiretls.Hello{Version: v, ServerName: t.Host, Suites: suites, Groups: wiretls.GroupsOf(v)})
		if err != nil {
			return nil
		}
		return a
	}
	f.Old = one(wiretls.TLS11, wiretls.Suites(wiretls.TLS11))
	f.SSL3 = one(wiretls.SSL30, wiretls.Suites(wiretls.SSL30))
	f.Weak = one(wiretls.TLS12, Broken(wiretls.TLS12))
}

// Place names a port of one address of a host for evidence.
func Place(host string, addr netip.Addr, port uint16) string {
	return fmt.Sprintf("%s %s", host, netip.AddrPortFrom(addr, port))
}

// Door is what the TLS instrument needs, out of the Env; STARTTLS of the mail protocols is built in.
func Door(env *check.Env) wiretls.Door {
	return wiretls.Door{
		Dial: env.Dial, Now: env.Now, Tape: env.Tape, Roots: env.Roots, Gate: env.Gate, Timeout: env.Probe.Timeout,
		Upgrade: func(conn net.Conn, start string) error {
			if start == "smtp" {
				return smtp.Upgrade(conn, env.Probe.HELO)
			}
			if ok, err := wiretls.StartLines(conn, start); ok {
				return err
			}
			return &wire.Fault{Kind: wire.Protocol, Op: "starttls", Text: "no way known to start TLS in " + start}
		},
	}
}
