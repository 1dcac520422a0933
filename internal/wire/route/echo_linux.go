package route

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// echoSocket sends echo requests and hears what answers them: a raw socket, or the ping socket some kernels give to
// everybody.
type echoSocket struct {
	fd  int
	v6  bool
	raw bool
	id  uint16
}

// openEcho opens a raw socket, or a ping socket where that is not allowed.
func openEcho(v6 bool, round int, source netip.Addr) (*echoSocket, error) {
	proto := unix.IPPROTO_ICMP
	if v6 {
		proto = unix.IPPROTO_ICMPV6
	}
	e := &echoSocket{v6: v6, raw: true, id: uint16(os.Getpid()) ^ uint16(time.Now().UnixNano()>>10) ^ uint16(round)}
	var err error
	if e.fd, err = unix.Socket(family(v6), unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto); err != nil {
		raw := err
		e.raw = false
		if e.fd, err = unix.Socket(family(v6), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto); err != nil {
			return nil, notPermitted(os.NewSyscallError("socket", raw))
		}
	}
	err = bind(e.fd, source)
	if e.raw && v6 {
		err = errors.Join(err, os.NewSyscallError("setsockopt", unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)))
	}
	if !e.raw {
		err = errors.Join(err, tellErrors(e.fd, v6))
	}
	if err != nil {
		_ = unix.Close(e.fd)
		return nil, err
	}
	return e, nil
}

// send sends one echo request; a socket's hop limit holds for what is sent next.
func (e *echoSocket) send(to netip.Addr, seq uint16, p Probe) error {
	if err := hopLimit(e.fd, e.v6, p.TTL); err != nil {
		return err
	}
	if p.Size > 0 {
		if err := dontFragment(e.fd, e.v6); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	b, err := echo(e.v6, e.id, seq, p.Size)
	if err != nil {
		return err
	}
	err = unix.Sendto(e.fd, b, 0, sockaddr(to, 0))
	if errors.Is(err, unix.EMSGSIZE) {
		return unix.EMSGSIZE
	}
	return os.NewSyscallError("sendto", err)
}

// read reads one message; ok where it may answer a probe, more where there was one at all.
func (e *echoSocket) read() (h heard, ok, more bool) {
	if !e.raw {
		return e.readPing()
	}
	var data [2048]byte
	var control [128]byte
	n, cn, _, from, err := unix.Recvmsg(e.fd, data[:], control[:], unix.MSG_DONTWAIT)
	if err != nil {
		return h, false, errors.Is(err, unix.EINTR)
	}
	b, left := data[:n], 0
	if e.v6 {
		if messages, err := unix.ParseSocketControlMessage(control[:cn]); err == nil {
			for _, m := range messages {
				left = max(left, hopLimitOf(m))
			}
		}
	} else if b, left, ok = stripIPv4(b); !ok {
		return h, false, true
	}
	if h, ok = parseMessage(e.v6, b); !ok || h.id != e.id {
		return h, false, true
	}
	h.answer.From, h.answer.Left = addrOf(from), left
	return h, true, true
}

// readPing reads from a ping socket: errors lie in its queue, replies in its buffer, and the kernel picks the identifier.
func (e *echoSocket) readPing() (h heard, ok, more bool) {
	if a, seen, ok := readQueue(e.fd); ok {
		if len(seen) < 8 {
			return h, false, true
		}
		h.answer, h.seq = a, binary.BigEndian.Uint16(seen[6:])
		return h, true, true
	}
	var data [2048]byte
	var control [128]byte
	n, cn, _, from, err := unix.Recvmsg(e.fd, data[:], control[:], unix.MSG_DONTWAIT)
	if err != nil {
		return h, false, errors.Is(err, unix.EINTR)
	}
	if h, ok = parseMessage(e.v6, data[:n]); !ok {
		return h, false, true
	}
	h.answer.From = addrOf(from)
	if messages, err := unix.ParseSocketControlMessage(control[:cn]); err == nil {
		for _, m := range messages {
			h.answer.Left = max(h.answer.Left, hopLimitOf(m))
		}
	}
	return h, true, true
}

func addrOf(s unix.Sockaddr) netip.Addr {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(s.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(s.Addr).Unmap()
	}
	return netip.Addr{}
}
