package wire

import (
	"context"
	"net/netip"
	"time"
)

// Knock is an attempt to open a TCP connection, as data.
type Knock struct {
	Addr  netip.Addr    `json:"addr"`
	Port  uint16        `json:"port"`
	Took  time.Duration `json:"took"`
	Fault *Fault        `json:"fault,omitempty"` // nil: it came up
}

// Answered tells that packets came back: a connection, or a refusal by the host itself.
func (k *Knock) Answered() bool { return k.Fault == nil || k.Fault.Kind == Refused }

// KnockDoor is what Knocks needs from the world.
type KnockDoor struct {
	Dial    Dialer
	Tape    Tape
	Gate    *Gate
	Timeout time.Duration // 0 means 10 s
}

// KnockAt opens a connection, says nothing, and hangs up. The error is only for a replay without it.
func KnockAt(ctx context.Context, d KnockDoor, addr netip.Addr, port uint16) (*Knock, error) {
	req := struct {
		Addr netip.Addr `json:"addr"`
		Port uint16     `json:"port"`
	}{addr, port}
	return Observe(d.Tape, "knock", req, func() (*Knock, error) {
		k := &Knock{Addr: addr, Port: port}
		leave, err := d.Gate.Enter(ctx, addr.String())
		if err != nil {
			k.Fault = Classify("connect", err)
			return k, nil
		}
		defer leave()
		timeout := d.Timeout
		if timeout <= 0 {
			timeout = 10 * time.Second
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		start := time.Now()
		conn, err := d.Dial.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
		k.Took = time.Since(start)
		if k.Fault = Classify("connect", err); k.Fault != nil {
			k.Fault.After = k.Took
			return k, nil
		}
		_ = conn.Close()
		return k, nil
	})
}
