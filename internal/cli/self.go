package cli

import (
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// introduce gives the Env what it needs to talk to mail servers: a name for EHLO, a gate that keeps the run polite, and
// the memory of sessions.
func (a *app) introduce(e *check.Env) {
	if e.Probe.HELO == "" {
		// Through the tape, so that a replay on another machine asks for the sessions that were recorded.
		e.Probe.HELO, _ = wire.Observe(e.Tape, "self", struct{}{}, func() (string, error) { return ownName(), nil })
	}
	if e.Gate == nil {
		e.Gate = &wire.Gate{AtOnce: 2, Total: 6}
	}
	e.SMTP = &smtp.Prober{Door: e.SMTPDoor()}
}

// ownName is what this machine may say in EHLO (RFC 5321 section 4.1.4): its full name, or else an address literal.
func ownName() string {
	if h, err := os.Hostname(); err == nil && strings.Contains(strings.Trim(h, "."), ".") && !strings.HasSuffix(h, ".localdomain") {
		return strings.Trim(h, ".")
	}
	// No packet is sent: the kernel only looks for the way.
	c, err := net.Dial("udp", "192.0.2.1:25")
	if err != nil {
		return "[127.0.0.1]"
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return "[127.0.0.1]"
	}
	return "[" + host + "]"
}

// interfaceAddrs are the addresses of this machine, each with its network.
func interfaceAddrs() (out []netip.Prefix) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out
}
