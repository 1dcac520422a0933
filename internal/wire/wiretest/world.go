package wiretest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// World maps invented addresses (198.51.100.7:25) to listeners on loopback. It is a wire.Dialer for TCP and UDP; what
// is not on the map behaves as Else says. Close ends all its listeners.
type World struct {
	// Self is what our end of a connection seems to be; invalid leaves the loopback address.
	Self netip.Addr
	// Else is what happens to addresses that are not on the map.
	Else Reach

	mu    sync.Mutex
	route map[string]string // "tcp 198.51.100.7:25" → "127.0.0.1:40123"
	reach map[string]Reach
	done  []func()
	dials map[string]int
}

// Reach is how an address that nobody answers at behaves.
type Reach int

// The ways of not answering.
const (
	Refuses     Reach = iota // RST, or ICMP port unreachable
	Drops                    // silence until the caller's time is up
	Unreachable              // an ICMP answer: no route to host
	NoRoute                  // this machine has no way there, as without IPv6
)

// NewWorld is an empty world in which every address refuses.
func NewWorld() *World {
	return &World{route: map[string]string{}, reach: map[string]Reach{}, dials: map[string]int{}}
}

// meet orders a server's reading of its knobs behind the dialler's test that set them: DialContext takes the same lock.
func (w *World) meet() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

// Listen opens a TCP listener that is reached by the invented address, and maps it.
func (w *World) Listen(fake string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.Map("tcp", fake, l.Addr().String())
	w.OnClose(func() { l.Close() })
	return l, nil
}

// ListenPacket opens a UDP socket that is reached by the invented address, and maps it.
func (w *World) ListenPacket(fake string) (net.PacketConn, error) {
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.Map("udp", fake, p.LocalAddr().String())
	w.OnClose(func() { p.Close() })
	return p, nil
}

// Map leads an invented address to a real one. network is "tcp" or "udp".
func (w *World) Map(network, fake, real string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.route[network+" "+canonical(fake)] = real
}

// Unmap takes an invented address off the map: nobody listens there any more.
func (w *World) Unmap(network, fake string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.route, network+" "+canonical(fake))
}

// Set makes an address behave as told, whatever listens there. An address without a port ("198.51.100.7") stands for
// all its ports.
func (w *World) Set(network, fake string, r Reach) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reach[network+" "+canonical(fake)] = r
}

// OnClose has f called by Close.
func (w *World) OnClose(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, f)
}

// Close ends all listeners of the world.
func (w *World) Close() error {
	w.mu.Lock()
	done := w.done
	w.done = nil
	w.mu.Unlock()
	for i := len(done) - 1; i >= 0; i-- {
		done[i]()
	}
	return nil
}

// Dials tells how many connections were opened to an invented address: Dials("tcp", "198.51.100.7:25").
func (w *World) Dials(network, fake string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials[network+" "+canonical(fake)]
}

// DialContext implements wire.Dialer.
func (w *World) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	kind := network
	if len(kind) > 3 {
		kind = kind[:3] // tcp4, udp6
	}
	address = canonical(address)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.dials[kind+" "+address]++
	real, ok := w.route[kind+" "+address]
	r, told := w.reach[kind+" "+address]
	if !told {
		r, told = w.reach[kind+" "+host]
	}
	if !told {
		r = w.Else
	}
	w.mu.Unlock()
	if ok && !told {
		var d net.Dialer
		c, err := d.DialContext(ctx, kind, real)
		if err != nil {
			return nil, err
		}
		return w.disguise(c, kind, address), nil
	}
	return w.fail(ctx, r, kind, address)
}

// fail behaves like an address nobody answers at. A UDP "connection" always opens; silence comes on reading.
func (w *World) fail(ctx context.Context, r Reach, network, address string) (net.Conn, error) {
	fault := func(no syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: network, Addr: addrOf(network, address), Err: os.NewSyscallError("connect", no)}
	}
	switch r {
	case Drops:
		if network == "udp" {
			return w.silence(network, address)
		}
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addrOf(network, address), Err: ctx.Err()}
	case Unreachable:
		return nil, fault(syscall.EHOSTUNREACH)
	case NoRoute:
		return nil, fault(syscall.ENETUNREACH)
	}
	return nil, fault(syscall.ECONNREFUSED)
}

// silence is a UDP socket whose packets go to one of our own that nobody reads.
func (w *World) silence(network, address string) (net.Conn, error) {
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c, err := net.Dial("udp", hole.LocalAddr().String())
	if err != nil {
		hole.Close()
		return nil, err
	}
	return &disguised{Conn: c, remote: addrOf(network, address), local: c.LocalAddr(), also: hole}, nil
}

// disguised is a connection that shows the invented addresses.
type disguised struct {
	net.Conn
	local, remote net.Addr
	also          interface{ Close() error }
}

func (d *disguised) LocalAddr() net.Addr  { return d.local }
func (d *disguised) RemoteAddr() net.Addr { return d.remote }

// Close closes the connection and what was opened with it.
func (d *disguised) Close() error {
	if d.also != nil {
		d.also.Close()
	}
	return d.Conn.Close()
}

func (w *World) disguise(c net.Conn, network, address string) net.Conn {
	d := &disguised{Conn: c, local: c.LocalAddr(), remote: addrOf(network, address)}
	if w.Self.IsValid() {
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		d.local = addrOf(network, net.JoinHostPort(w.Self.String(), port))
	}
	return d
}

func addrOf(network, address string) net.Addr {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fakeAddr{network, address}
	}
	if network == "udp" {
		return net.UDPAddrFromAddrPort(ap)
	}
	return net.TCPAddrFromAddrPort(ap)
}

type fakeAddr struct{ network, text string }

func (a fakeAddr) Network() string { return a.network }
func (a fakeAddr) String() string  { return a.text }

// canonical writes an address:port, or an address alone, in one way.
func canonical(s string) string {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.String()
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	return s
}

// Clock is a fixed clock that a test can move.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock starts at the given time.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is a wire.Clock.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// String tells what is on the map, for messages of failing tests.
func (w *World) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprint(w.route)
}
