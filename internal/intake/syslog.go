package intake

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds of a listener.
const (
	handshakeTime = 10 * time.Second
	messageTime   = time.Minute // a message that was begun is whole by then, or the connection ends
	firstBuffer   = 4 << 10     // of a connection: there may be ten thousand
	manyBig       = 64          // messages beyond smallLine that are held at once
)

// syslog listens on one port.
type syslog struct {
	*stream
	c      *Config
	proto  string
	allow  []netip.Prefix
	tls    *tls.Config
	ln     net.Listener   // tcp, tls
	packet net.PacketConn // udp
	big    chan struct{}  // tokens for long messages

	mu    sync.Mutex
	open  map[net.Conn]bool
	peers map[netip.Addr]*peer
}

// peer are the limits of one address. It is kept while the address has connections, and for UDP while it sends.
type peer struct {
	conns int
	start time.Time // of the second that is counted
	lines int
}

func newSyslog(in *Intake, c *Config) (*syslog, error) {
	proto, address, err := c.listen()
	if err != nil {
		return nil, err
	}
	s := &syslog{c: c, proto: proto, big: make(chan struct{}, manyBig), open: map[net.Conn]bool{}, peers: map[netip.Addr]*peer{}}
	for _, a := range c.Allow {
		p, err := prefixOf(a)
		if err != nil {
			return nil, err
		}
		s.allow = append(s.allow, p)
	}
	if proto == "tls" {
		if s.tls, err = c.tlsConfig(); err != nil {
			return nil, err
		}
	}
	if proto == "udp" {
		s.packet, err = net.ListenPacket("udp", address)
	} else {
		s.ln, err = net.Listen("tcp", address)
	}
	if err != nil {
		return nil, err
	}
	s.stream = newStream(in.newSource("syslog", proto+":"+address, c.Host))
	return s, nil
}

// Addr is where it listens.
func (s *syslog) Addr() net.Addr {
	if s.packet != nil {
		return s.packet.LocalAddr()
	}
	return s.ln.Addr()
}

// Close ends listening.
func (s *syslog) Close() error {
	if s.packet != nil {
		return s.packet.Close()
	}
	return s.ln.Close()
}

func (s *syslog) run(ctx context.Context) error {
	defer s.leave()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var serr error
	wg.Go(func() { serr = s.store(context.WithoutCancel(ctx), stop) })
	unhook := context.AfterFunc(ctx, func() { s.Close(); s.hangUp() })
	defer unhook()
	var err error
	if s.packet != nil {
		err = s.datagrams(ctx)
	} else {
		err = s.accept(ctx)
	}
	close(stop)
	wg.Wait()
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, serr)
}

func (s *syslog) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		c.Close()
	}
}

// accept takes connections until the listener is closed, and returns when all of them are over.
func (s *syslog) accept(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := s.ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return err
			}
			if perr := wire.Pause(ctx, s.in.o.Poll); perr != nil { // out of descriptors
				return perr
			}
			continue
		}
		from := addrOf(c.RemoteAddr())
		if !s.admit(ctx, c, from) {
			c.Close()
			continue
		}
		wg.Go(func() {
			defer s.dismiss(c, from)
			s.serve(ctx, c, from)
		})
	}
}

func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (s *syslog) allowed(from netip.Addr) bool {
	for _, p := range s.allow {
		if p.Contains(from) {
			return true
		}
	}
	return len(s.allow) == 0
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

// admit holds the limits on connections.
func (s *syslog) admit(ctx context.Context, c net.Conn, from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[from]
	if ctx.Err() != nil || !s.allowed(from) || len(s.open) >= orElse(s.c.Connections, maxConnections) || p != nil && p.conns >= orElse(s.c.PerPeer, maxPerPeer) {
		s.count(func(st *SourceStats) { st.Refused++ })
		return false
	}
	if p == nil {
		p = &peer{}
		s.peers[from] = p
	}
	p.conns++
	s.open[c] = true
	n := len(s.open)
	s.count(func(st *SourceStats) { st.Peers = n })
	return true
}

func (s *syslog) dismiss(c net.Conn, from netip.Addr) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if p := s.peers[from]; p != nil {
		if p.conns--; p.conns <= 0 {
			delete(s.peers, from)
		}
	}
	n := len(s.open)
	s.count(func(st *SourceStats) { st.Peers = n })
}

// overdue counts a line of an address and tells how long it must wait for its rate; 0 where it need not.
func (s *syslog) overdue(from netip.Addr, lines int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p := s.peers[from]
	if p == nil { // UDP
		if len(s.peers) >= maxConnections {
			clear(s.peers)
		}
		p = &peer{start: now}
		s.peers[from] = p
	}
	if now.Sub(p.start) >= time.Second {
		p.start, p.lines = now, 0
	}
	p.lines += lines
	if p.lines > orElse(s.c.LinesPeer, maxLinesPeer) {
		return time.Second - now.Sub(p.start)
	}
	return 0
}

// serve reads one connection.
func (s *syslog) serve(ctx context.Context, c net.Conn, from netip.Addr) {
	if s.tls != nil {
		t := tls.Server(c, s.tls)
		hctx, cancel := context.WithTimeout(ctx, handshakeTime)
		err := t.HandshakeContext(hctx)
		cancel()
		if err != nil {
			s.count(func(st *SourceStats) { st.Refused++ })
			return
		}
		c = t
	}
	h := &hurried{Conn: c}
	f := framer{r: bufio.NewReaderSize(h, firstBuffer), big: s.big}
	defer f.small()
	var line []byte
	for {
		h.begun = f.r.Buffered() > 0
		msg, err := f.next()
		if err != nil {
			s.broken(err, from)
			return
		}
		s.countLong(&f, from)
		if len(msg) == 0 {
			continue
		}
		line = syslogLine(line[:0], msg, from, s.in.o.Now())
		if s.add(ctx, line, true) != nil {
			return
		}
		if cap(line) > smallLine {
			line = nil // one long line does not keep its room
		}
		if d := s.overdue(from, 1); d > 0 && wire.Pause(ctx, d) != nil {
			return
		}
	}
}

func (s *syslog) countLong(f *framer, from netip.Addr) {
	if n := f.long; n > 0 {
		f.long = 0
		s.count(func(st *SourceStats) { st.Long += n })
		s.notice(finding.S("{{.Peer}} sent a message of more than {{size .Max}}; its beginning was kept", finding.Args{"Peer": from, "Max": MaxLine}))
	}
}

// broken says what of a connection that ended was lost.
func (s *syslog) broken(err error, from netip.Addr) {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errFraming) {
		s.count(func(st *SourceStats) { st.Dropped++ })
		s.notice(finding.S("{{.Peer}} broke off in the middle of a message: {{.Error}}", finding.Args{"Peer": from, "Error": finding.Raw(err.Error())}))
	}
}

// hurried ends a connection that began a message and does not go on.
type hurried struct {
	net.Conn
	begun bool // a part of a message is here
}

func (h *hurried) Read(b []byte) (int, error) {
	until := time.Time{}
	if h.begun {
		until = time.Now().Add(messageTime)
	}
	if err := h.Conn.SetReadDeadline(until); err != nil {
		return 0, err
	}
	n, err := h.Conn.Read(b)
	h.begun = true
	return n, err
}

// datagrams reads UDP: a message each (RFC 5426). Nobody waits there: what finds no room is dropped and counted.
func (s *syslog) datagrams(ctx context.Context) error {
	if u, ok := s.packet.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(4 << 20) // the system may give less
	}
	buf := make([]byte, 64<<10)
	var line []byte
	for {
		n, a, err := s.packet.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return err
			}
			if perr := wire.Pause(ctx, s.in.o.Poll); perr != nil {
				return perr
			}
			continue
		}
		from := addrOf(a)
		msg := trimEnd(buf[:n])
		switch {
		case len(msg) == 0:
		case !s.allowed(from):
			s.count(func(st *SourceStats) { st.Refused++ })
		case s.overdue(from, 1) > 0:
			s.count(func(st *SourceStats) { st.Dropped++ })
		default:
			line = syslogLine(line[:0], msg, from, s.in.o.Now())
			_ = s.add(ctx, line, false) // counted there
		}
	}
}
