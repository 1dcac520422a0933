package tls

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Inventory is everything one port can do, as data.
type Inventory struct {
	Target      Target          `json:"target"`
	Handshake   *wire.Handshake `json:"handshake"`        // as a mail server does it, with SNI
	NoSNI       *wire.Handshake `json:"no_sni,omitempty"` // the same without SNI, where a name is known
	Versions    []VersionSeen   `json:"versions"`         // newest first, supported or not
	Groups      []Group         `json:"groups,omitempty"` // of TLS 1.3, in the order the server picks them
	ServerOrder *bool           `json:"server_order,omitempty"`
	Connections int             `json:"connections"`
	Stopped     *wire.Fault     `json:"stopped,omitempty"` // why the inventory is not whole
}

// VersionSeen is what is known about one protocol version.
type VersionSeen struct {
	Version   Version     `json:"version"`
	Supported bool        `json:"supported"`
	Refusal   string      `json:"refusal,omitempty"` // the alert, or how the server hung up
	Suites    []SuiteSeen `json:"suites,omitempty"`  // in the order the server picks them
	Whole     bool        `json:"whole"`             // the list of suites is whole
	Fault     *wire.Fault `json:"fault,omitempty"`   // could not be tested
}

// SuiteSeen is a suite a server agreed to.
type SuiteSeen struct {
	Suite  Suite `json:"suite"`
	Group  Group `json:"group,omitempty"`
	DHBits int   `json:"dh_bits,omitempty"`
}

type counter struct {
	door   Door
	target Target
	slots  chan struct{}
	n      atomic.Int64
	most   int64
}

// Take makes the inventory of a port: a handshake with and without SNI, then per version hello after hello, each
// without what the server picked before, until it refuses.
func Take(ctx context.Context, d Door, t Target) (*Inventory, error) {
	inv := &Inventory{Target: t}
	var err error
	if inv.Handshake, err = Shake(ctx, d, t); err != nil {
		return nil, err
	}
	if f := inv.Handshake.Fault; f != nil && f.Op != "tls" {
		inv.Stopped, inv.Connections = f, 1
		return inv, nil // not even TLS began: hellos would meet the same
	}
	c := newCounter(d, t)
	var wg sync.WaitGroup
	inv.Versions = make([]VersionSeen, 5)
	for i, v := range []Version{TLS13, TLS12, TLS11, TLS10, SSL30} {
		wg.Go(func() { inv.Versions[i] = c.version(ctx, v) })
	}
	wg.Go(func() { inv.Groups = c.groups(ctx) })
	if t.Host != "" {
		wg.Go(func() { inv.NoSNI = c.noSNI(ctx) })
	}
	wg.Wait()
	inv.ServerOrder = c.order(ctx, inv.Versions)
	inv.Connections = int(c.n.Load()) + 1
	for _, v := range inv.Versions {
		if v.Fault != nil && inv.Stopped == nil {
			inv.Stopped = v.Fault
		}
	}
	return inv, nil
}

func newCounter(d Door, t Target) *counter {
	most, atOnce := d.Most, d.AtOnce
	if most <= 0 {
		most = 160
	}
	if atOnce <= 0 {
		atOnce = 4
	}
	return &counter{door: d, target: t, slots: make(chan struct{}, atOnce), most: int64(most)}
}

// ask sends one hello within the bounds of the inventory.
func (c *counter) ask(ctx context.Context, h Hello) *Answer {
	if c.n.Add(1) > c.most {
		return &Answer{Fault: &wire.Fault{Kind: wire.Limit, Op: "connect", Text: "the bound on connections of one inventory is reached"}}
	}
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	h.ServerName = c.target.Host
	a, err := Ask(ctx, c.door, c.target, h)
	if err != nil {
		return &Answer{Fault: wire.Classify("hello", err)}
	}
	return a
}

// version finds the suites of one version.
func (c *counter) version(ctx context.Context, v Version) VersionSeen {
	seen := VersionSeen{Version: v}
	left := Suites(v)
	for len(left) > 0 {
		a := c.ask(ctx, Hello{Version: v, Suites: left, Groups: GroupsOf(v)})
		if a.Hello == nil || a.Hello.Version != v || !slices.Contains(left, a.Hello.Suite) {
			seen.end(a)
			return seen
		}
		seen.Supported = true
		seen.Suites = append(seen.Suites, SuiteSeen{a.Hello.Suite, a.Group, a.DHBits})
		left = slices.DeleteFunc(slices.Clone(left), func(s Suite) bool { return s == a.Hello.Suite })
	}
	seen.Whole = true
	return seen
}

// end notes why a version has no more suites to give.
func (v *VersionSeen) end(a *Answer) {
	switch {
	case a.Hello != nil: // another version, or a suite we did not offer: a no in other words
		v.Whole = true
		if !v.Supported {
			v.Refusal = "answers " + a.Hello.Version.String()
		}
	case a.Refused():
		v.Whole = true
		if !v.Supported {
			if v.Refusal = a.Alert; a.Fault != nil {
				v.Refusal = string(a.Fault.Kind)
			}
		}
	default:
		v.Fault = a.Fault
	}
}

// GroupsOf lists the groups a hello of the version may name: the hybrids and ffdhe came with TLS 1.3 and 1.2.
func GroupsOf(v Version) []Group {
	if v == TLS13 {
		return Groups()
	}
	return slices.DeleteFunc(Groups(), func(g Group) bool { return g >= 0x0100 || g >= 0x001F && g <= 0x0021 })
}

// groups finds the key exchange groups of TLS 1.3.
func (c *counter) groups(ctx context.Context) []Group {
	var out []Group
	left := GroupsOf(TLS13)
	for len(left) > 0 {
		a := c.ask(ctx, Hello{Version: TLS13, Suites: Suites(TLS13), Groups: left})
		if a.Hello == nil || a.Hello.Version != TLS13 || !slices.Contains(left, a.Group) {
			break
		}
		out = append(out, a.Group)
		left = slices.DeleteFunc(slices.Clone(left), func(g Group) bool { return g == a.Group })
	}
	return out
}

func (c *counter) noSNI(ctx context.Context) *wire.Handshake {
	if c.n.Add(1) > c.most {
		return nil
	}
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	t := c.target
	t.Host = ""
	h, err := Shake(ctx, c.door, t)
	if err != nil {
		return nil
	}
	return h
}

// order asks whether the server has an order of its own: the suites it has, offered in reverse.
func (c *counter) order(ctx context.Context, versions []VersionSeen) *bool {
	for _, v := range versions {
		if v.Version == TLS13 || len(v.Suites) < 2 {
			continue
		}
		var back []Suite
		for _, s := range slices.Backward(v.Suites) {
			back = append(back, s.Suite)
		}
		a := c.ask(ctx, Hello{Version: v.Version, Suites: back, Groups: GroupsOf(v.Version)})
		if a.Hello == nil {
			return nil
		}
		own := a.Hello.Suite != back[0]
		return &own
	}
	return nil
}
