// Package route asks the routers on the way to a host: probes whose hop limit runs out on the way (ICMP echo, UDP, TCP
// SYN), probes that reach the host (ping), and probes too big for a link (path MTU).
//
// Promise: an Asker sends what it is told, one packet per probe, spaced, and reports who answered what after how long;
// it never judges. A TCP probe is a connection that is given up at its first answer, so it needs no privileges; UDP
// needs none either; ICMP echo needs CAP_NET_RAW or a kernel that lets this user ping. Every round is bounded by
// MaxProbes and the wait. What comes back is matched to what was sent; anything else on the socket is ignored.
// RFCs: 792 and 4443 (ICMP), 1191 and 8201 (path MTU), 1812 section 4.3 (what routers answer, and how often), 4884.
//
// It must not decide what a missing answer means.
package route

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Method is a kind of probe.
type Method string

// The methods.
const (
	ICMP Method = "icmp" // echo request
	UDP  Method = "udp"  // to a high port nobody listens on
	TCP  Method = "tcp"  // SYN to the port of the target
)

// Kind says what came back.
type Kind string

// The kinds of answer. Silence is an answer too: nothing came in time.
const (
	Silence     Kind = ""
	Reply       Kind = "reply"       // the end was reached: echo reply, port unreachable, SYN/ACK
	Refused     Kind = "refused"     // RST to our SYN
	Expired     Kind = "expired"     // a router says the hop limit ran out
	Unreachable Kind = "unreachable" // a router or firewall says no; Code says why
	TooBig      Kind = "too-big"     // a router, or this machine, says the packet is too large; MTU says what fits
)

// Codes of Unreachable.
const (
	CodeNet        = "net"
	CodeHost       = "host"
	CodeProhibited = "prohibited" // administratively: a filter that owns up to it
	CodeProtocol   = "protocol"
	CodePort       = "port"
	CodeOther      = "other"
)

// Bounds of one round.
const (
	MaxProbes = 64
	MaxSize   = 9216 // bytes of an IP packet
)

// Probe is one packet to send.
type Probe struct {
	TTL  int `json:"ttl"`            // hop limit, 1 to 255
	Size int `json:"size,omitempty"` // bytes of the whole IP packet, which must not be fragmented; 0: as small as can be
}

// Answer is what came back for the probe of the same place.
type Answer struct {
	Kind Kind          `json:"kind,omitempty"`
	From netip.Addr    `json:"from,omitzero"`
	Code string        `json:"code,omitempty"` // of Unreachable
	Took time.Duration `json:"took,omitempty"`
	Left int           `json:"left,omitempty"` // hop limit the answer arrived with; 0: not told
	MTU  int           `json:"mtu,omitempty"`  // of TooBig
}

// Target is where to.
type Target struct {
	Addr netip.Addr `json:"addr"`
	Port uint16     `json:"port,omitempty"` // of TCP; of UDP the first of the ports tried, 0 for 33434
}

// Round is a set of probes sent by one method. N tells rounds apart in a recording.
type Round struct {
	Method Method  `json:"method"`
	Target Target  `json:"target"`
	Probes []Probe `json:"probes"`
	N      int     `json:"n"`
}

// Asker sends probes.
type Asker struct {
	Tape    wire.Tape
	Source  netip.Addr    // to send from; zero: the system's choice
	Wait    time.Duration // for the answer to a probe; 0 means 1 s
	Spacing time.Duration // between two probes of a round; 0 means 5 ms
}

func (a *Asker) wait() time.Duration {
	if a.Wait <= 0 {
		return time.Second
	}
	return a.Wait
}

func (a *Asker) spacing() time.Duration {
	if a.Spacing <= 0 {
		return 5 * time.Millisecond
	}
	return a.Spacing
}

// Ask sends the probes of a round and waits for their answers, which stand in the same order. The error is a
// *wire.Fault: of kind not-permitted where the system does not let this user send such packets, no-route where there is
// no way at all. Once the context ends, what is still missing counts as silence and the context's error is returned.
func (a *Asker) Ask(ctx context.Context, r Round) ([]Answer, error) {
	if len(r.Probes) > MaxProbes {
		r.Probes = r.Probes[:MaxProbes]
	}
	return wire.Observe(a.Tape, "route", r, func() ([]Answer, error) {
		answers, err := a.send(ctx, r)
		if err != nil {
			return answers, wire.Classify("probe", err)
		}
		return answers, nil
	})
}

// Local tells from which address this machine would send to a target; zero where it has no way there.
func (a *Asker) Local(ctx context.Context, to netip.Addr) netip.Addr {
	if a.Source.IsValid() {
		return a.Source
	}
	addr, err := wire.Observe(a.Tape, "route-local", to, func() (netip.Addr, error) {
		d := net.Dialer{}
		c, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(to, 33434).String()) // sends nothing
		if err != nil {
			return netip.Addr{}, err
		}
		defer func() { _ = c.Close() }()
		local, err := netip.ParseAddrPort(c.LocalAddr().String())
		return local.Addr(), err
	})
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
