package route

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Protocol numbers of IANA.
const (
	protoICMP  = 1
	protoICMP6 = 58
)

// echo builds an echo request of size bytes with the IP header, at least the 8 bytes of its own.
func echo(v6 bool, id, seq uint16, size int) ([]byte, error) {
	head, kind := 20, icmp.Type(ipv4.ICMPTypeEcho)
	if v6 {
		head, kind = 40, ipv6.ICMPTypeEchoRequest
	}
	m := icmp.Message{Type: kind, Body: &icmp.Echo{ID: int(id), Seq: int(seq), Data: filling(size - head - 8)}}
	return m.Marshal(nil) // the kernel sets the checksum of ICMPv6
}

func filling(n int) []byte { return make([]byte, max(n, 8)) }

// heard is an ICMP message that may answer a probe.
type heard struct {
	id, seq uint16
	to      netip.Addr // where the quoted packet went; zero in an echo reply
	answer  Answer
}

// parseMessage reads an ICMP message (after the IP header) that answers an echo request: an echo reply, or an error that
// quotes one.
func parseMessage(v6 bool, b []byte) (h heard, ok bool) {
	if len(b) < 8 {
		return h, false
	}
	kind, code := b[0], b[1]
	if v6 && kind == 129 || !v6 && kind == 0 {
		h.id, h.seq, h.answer.Kind = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), Reply
		return h, true
	}
	info := binary.BigEndian.Uint32(b[4:])
	if h.answer, ok = errorOf(v6, kind, code, info); !ok {
		return h, false
	}
	to, proto, rest, ok := quoted(v6, b[8:])
	if !ok || len(rest) < 8 || proto != protoICMP && proto != protoICMP6 {
		return h, false
	}
	if v6 && rest[0] != 128 || !v6 && rest[0] != 8 {
		return h, false // the error of somebody else's packet
	}
	h.to, h.id, h.seq = to, binary.BigEndian.Uint16(rest[4:]), binary.BigEndian.Uint16(rest[6:])
	return h, true
}

// errorOf reads type, code and the 32 bits after the checksum of an ICMP error.
func errorOf(v6 bool, kind, code byte, info uint32) (a Answer, ok bool) {
	if v6 {
		switch kind {
		case 1:
			return Answer{Kind: Unreachable, Code: codeOf(code, map[byte]string{0: CodeNet, 1: CodeProhibited, 3: CodeHost, 4: CodePort, 5: CodeProhibited, 6: CodeProhibited})}, true
		case 2:
			return Answer{Kind: TooBig, MTU: int(min(info, 1<<20))}, true
		case 3:
			return Answer{Kind: Expired}, code == 0
		case 4:
			return Answer{Kind: Unreachable, Code: CodeProtocol}, code == 1
		}
		return a, false
	}
	switch {
	case kind == 3 && code == 4:
		return Answer{Kind: TooBig, MTU: int(info & 0xffff)}, true
	case kind == 3:
		return Answer{Kind: Unreachable, Code: codeOf(code, map[byte]string{0: CodeNet, 1: CodeHost, 2: CodeProtocol, 3: CodePort, 6: CodeNet, 7: CodeHost, 9: CodeProhibited, 10: CodeProhibited, 13: CodeProhibited})}, true
	case kind == 11 && code == 0:
		return Answer{Kind: Expired}, true
	}
	return a, false
}

func codeOf(code byte, names map[byte]string) string {
	if n, ok := names[code]; ok {
		return n
	}
	return CodeOther
}

// quoted reads the packet an ICMP error quotes: where it went, its protocol, and what follows its IP header.
func quoted(v6 bool, b []byte) (to netip.Addr, proto byte, rest []byte, ok bool) {
	if v6 {
		if len(b) < 40 || b[0]>>4 != 6 {
			return to, 0, nil, false
		}
		return netip.AddrFrom16([16]byte(b[24:40])), b[6], b[40:], true
	}
	if len(b) < 20 || b[0]>>4 != 4 {
		return to, 0, nil, false
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head {
		return to, 0, nil, false
	}
	return netip.AddrFrom4([4]byte(b[16:20])), b[9], b[head:], true
}

// stripIPv4 takes the header off a packet of a raw IPv4 socket and tells the hop limit it arrived with.
func stripIPv4(b []byte) (rest []byte, left int, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return nil, 0, false
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head {
		return nil, 0, false
	}
	return b[head:], int(b[8]), true
}

// Origins of an error in the queue of a socket.
const (
	originLocal = 1
	originICMP  = 2
	originICMP6 = 3
)

// parseQueued reads an extended error of a socket's error queue (struct sock_extended_err and the address of who sent
// it, in the machine's byte order). errno is the error as the kernel sees it.
func parseQueued(b []byte) (a Answer, errno uint32, ok bool) {
	if len(b) < 16 {
		return a, 0, false
	}
	errno = binary.NativeEndian.Uint32(b)
	origin, kind, code := b[4], b[5], b[6]
	info := binary.NativeEndian.Uint32(b[8:])
	switch origin {
	case originLocal:
		return Answer{Kind: TooBig, MTU: int(min(info, 1<<20))}, errno, info > 0
	case originICMP, originICMP6:
		if a, ok = errorOf(origin == originICMP6, kind, code, info); !ok {
			return a, errno, false
		}
		a.From = offender(b[16:])
		return a, errno, true
	}
	return a, errno, false
}

// offender reads the socket address of who sent an ICMP error.
func offender(b []byte) netip.Addr {
	if len(b) < 8 {
		return netip.Addr{}
	}
	if family := binary.NativeEndian.Uint16(b); family == 2 {
		return netip.AddrFrom4([4]byte(b[4:8]))
	}
	if len(b) < 24 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(b[8:24])).Unmap()
}
