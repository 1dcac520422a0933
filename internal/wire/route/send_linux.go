package route

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// shot is a probe under way.
type shot struct {
	fd     int
	sent   time.Time
	seq    uint16
	answer *Answer
	open   bool // fd is ours to close, and waits
}

// volley is a round under way: the sockets and what they wait for.
type volley struct {
	*Asker
	round Round
	shots []shot
	echo  *echoSocket // of ICMP: one socket for all
	out   []Answer
	fault error
}

// send sends the probes of a round one after the other and gathers answers meanwhile. Silence is the zero Answer.
func (a *Asker) send(ctx context.Context, r Round) ([]Answer, error) {
	v := &volley{Asker: a, round: r, out: make([]Answer, len(r.Probes))}
	defer v.close()
	if r.Method == ICMP {
		var err error
		if v.echo, err = openEcho(r.Target.Addr.Is6(), r.N, a.Source); err != nil {
			return nil, err
		}
	}
	for i := range r.Probes {
		s := shot{answer: &v.out[i], fd: -1}
		if err := v.fire(i, &s); err != nil {
			if v.fault == nil {
				v.fault = err
			}
			continue
		}
		v.shots = append(v.shots, s)
		if i < len(r.Probes)-1 {
			v.gather(ctx, time.Now().Add(a.spacing()), false)
		}
		if ctx.Err() != nil {
			return v.out, ctx.Err()
		}
	}
	if len(v.shots) == 0 && v.fault != nil {
		return nil, v.fault
	}
	v.gather(ctx, time.Now().Add(a.wait()), true)
	return v.out, ctx.Err()
}

func (v *volley) close() {
	for i := range v.shots {
		v.shots[i].close()
	}
	if v.echo != nil {
		_ = unix.Close(v.echo.fd)
	}
}

func (s *shot) close() {
	if s.open {
		s.open = false
		_ = unix.Close(s.fd)
	}
}

// fire sends one probe. An error means that this machine would not send it.
func (v *volley) fire(i int, s *shot) (err error) {
	p := v.round.Probes[i]
	p.TTL, p.Size = min(max(p.TTL, 1), 255), min(p.Size, MaxSize)
	if v.echo != nil {
		s.seq, s.sent = uint16(i), time.Now()
		err = v.echo.send(v.round.Target.Addr, s.seq, p)
	} else {
		err = v.open(i, s, p)
	}
	switch {
	case errors.Is(err, unix.EMSGSIZE): // larger than our own link
		*s.answer = Answer{Kind: TooBig}
		return nil
	case errors.Is(err, unix.ECONNREFUSED): // at once: the host is this machine
		*s.answer = Answer{Kind: Refused, From: v.round.Target.Addr, Took: time.Since(s.sent)}
		s.close()
		return nil
	}
	return err
}

// open makes the socket of a UDP or TCP probe and sends its packet.
func (v *volley) open(i int, s *shot, p Probe) error {
	v6 := v.round.Target.Addr.Is6()
	kind := unix.SOCK_STREAM
	if v.round.Method == UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family(v6), kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	s.fd, s.open = fd, true
	if err := errors.Join(hopLimit(fd, v6, p.TTL), tellErrors(fd, v6), bind(fd, v.Source)); err != nil {
		s.close()
		return err
	}
	port := v.round.Target.Port
	if v.round.Method == UDP {
		if port == 0 {
			port = 33434
		}
		port += uint16(i)
		if p.Size > 0 {
			err = dontFragment(fd, v6)
		}
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1)
	}
	if err != nil {
		s.close()
		return os.NewSyscallError("setsockopt", err)
	}
	s.sent = time.Now()
	err = unix.Connect(fd, sockaddr(v.round.Target.Addr, port))
	if err == nil && v.round.Method == UDP {
		_, err = unix.Write(fd, filling(p.Size-28-20*btoi(v6)))
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.ECONNREFUSED) {
		s.close()
		return os.NewSyscallError("connect", err)
	}
	if errors.Is(err, unix.EMSGSIZE) {
		s.close()
		return unix.EMSGSIZE
	}
	if errors.Is(err, unix.EINPROGRESS) {
		return nil
	}
	return err
}

// gather reads answers until the time is up, or, if all is set, until no probe waits any more. What lies in the sockets
// when the time is up is still read: a busy machine must not take its own lateness for a loss.
func (v *volley) gather(ctx context.Context, until time.Time, all bool) {
	for late := 0; ctx.Err() == nil && late < 3; {
		left := max(time.Until(until), 0)
		fds, who := v.waiting()
		if len(fds) == 0 && all {
			return
		}
		// In slices, so that a context that ends is seen.
		slice := min(left, 100*time.Millisecond)
		n, err := unix.Poll(fds, int((slice+time.Millisecond-1)/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for i := range fds {
			if n > 0 && fds[i].Revents != 0 {
				v.hear(who[i])
			}
		}
		if left == 0 {
			if late++; n <= 0 {
				return
			}
		}
	}
}

// waiting lists the sockets that may still tell something; who is the shot, -1 for the echo socket.
func (v *volley) waiting() (fds []unix.PollFd, who []int) {
	open := 0
	for i := range v.shots {
		if s := &v.shots[i]; s.answer.Kind == Silence {
			open++
			if s.open {
				fds, who = append(fds, unix.PollFd{Fd: int32(s.fd), Events: v.events()}), append(who, i)
			}
		}
	}
	if v.echo != nil && open > 0 {
		fds, who = append(fds, unix.PollFd{Fd: int32(v.echo.fd), Events: unix.POLLIN | unix.POLLERR}), append(who, -1)
	}
	return fds, who
}

func (v *volley) events() int16 {
	if v.round.Method == TCP {
		return unix.POLLOUT | unix.POLLERR
	}
	return unix.POLLIN | unix.POLLERR
}

// hear reads what a socket has to tell.
func (v *volley) hear(i int) {
	now := time.Now()
	if i < 0 {
		v.hearEcho(now)
		return
	}
	s := &v.shots[i]
	a, _, ok := readQueue(s.fd)
	if !ok {
		a, ok = v.plain(s)
	}
	if !ok {
		return
	}
	a.Took = now.Sub(s.sent)
	if a.Kind == Unreachable && a.Code == CodePort && a.From == v.round.Target.Addr {
		a.Kind, a.Code = Reply, ""
	}
	*s.answer = a
	s.close()
}

// plain reads an answer that is no ICMP error: the connection came up or was refused, or somebody answers the datagram.
func (v *volley) plain(s *shot) (a Answer, ok bool) {
	target := v.round.Target.Addr
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return a, false
	}
	switch unix.Errno(errno) {
	case 0:
		if v.round.Method == UDP {
			var b [64]byte
			if _, err := unix.Read(s.fd, b[:]); err != nil {
				return a, false
			}
		} else if _, err := unix.Getpeername(s.fd); err != nil {
			s.close() // the error was told before
			return a, false
		}
		return Answer{Kind: Reply, From: target}, true
	case unix.ECONNREFUSED:
		return Answer{Kind: Refused, From: target}, true
	case unix.EMSGSIZE:
		return Answer{Kind: TooBig}, true
	case unix.EHOSTUNREACH:
		return Answer{Kind: Unreachable, Code: CodeHost}, true
	case unix.ENETUNREACH:
		return Answer{Kind: Unreachable, Code: CodeNet}, true
	case unix.EACCES:
		return Answer{Kind: Unreachable, Code: CodeProhibited}, true
	case unix.ETIMEDOUT:
		s.close()
		return a, false
	}
	return Answer{Kind: Unreachable, Code: CodeOther}, true
}

// hearEcho reads all that lies in the echo socket and gives it to the probes it answers.
func (v *volley) hearEcho(now time.Time) {
	for range 256 {
		h, ok, more := v.echo.read()
		if !more {
			return
		}
		if !ok || h.to.IsValid() && h.to != v.round.Target.Addr || h.answer.Kind == Reply && h.answer.From != v.round.Target.Addr {
			continue
		}
		for i := range v.shots {
			if s := &v.shots[i]; s.seq == h.seq && s.answer.Kind == Silence {
				h.answer.Took = now.Sub(s.sent)
				*s.answer = h.answer
			}
		}
	}
}

// readQueue takes one error out of a socket's error queue.
func readQueue(fd int) (a Answer, seen []byte, ok bool) {
	var data, control [512]byte
	n, cn, _, _, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return a, nil, false
	}
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	if err != nil {
		return a, nil, false
	}
	left := 0
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR, m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR:
			a, _, ok = parseQueued(m.Data)
		default:
			left = max(left, hopLimitOf(m))
		}
	}
	a.Left = left
	return a, data[:n], ok
}

// tellErrors asks the kernel for ICMP errors as data, and for the hop limit they arrive with.
func tellErrors(fd int, v6 bool) error {
	if v6 {
		return errors.Join(
			os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)),
			os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)))
	}
	return errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)))
}

func hopLimit(fd int, v6 bool, n int) error {
	if v6 {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, n))
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, n))
}

// dontFragment sets the bit and has the kernel forget what it learnt about the path: each probe finds out for itself.
func dontFragment(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
}

func hopLimitOf(m unix.SocketControlMessage) int {
	if len(m.Data) < 4 {
		return 0
	}
	if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL || m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT {
		return int(m.Data[0]) | int(m.Data[3]) // an int of at most 255, in either byte order
	}
	return 0
}

func bind(fd int, source netip.Addr) error {
	if !source.IsValid() {
		return nil
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sockaddr(source, 0)))
}

func sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: a.As16()}
}

func family(v6 bool) int {
	if v6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// notPermitted turns the system's refusal into a fault of its own kind.
func notPermitted(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return &wire.Fault{Kind: wire.NotPermitted, Op: "probe", Text: "ICMP needs CAP_NET_RAW: " + err.Error()}
	}
	return err
}
