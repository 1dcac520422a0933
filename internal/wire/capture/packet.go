package capture

import (
	"encoding/binary"
	"net/netip"
)

// flags of a TCP header.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// segment is a TCP segment as it came by.
type segment struct {
	at       int64
	key      flow
	seq, ack uint32
	flags    uint8
	win      uint16
	ttl      uint8
	mss      uint16
	scale    uint8 // window scale + 1 of a SYN; 0: none
	len      int   // payload by the IP header
	data     []byte
	v6       bool
}

// flow is one direction of a conversation.
type flow struct {
	src, dst [16]byte
	sp, dp   uint16
}

func (k flow) reverse() flow { return flow{k.dst, k.src, k.dp, k.sp} }

func (k flow) from() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(k.src).Unmap(), k.sp)
}
func (k flow) to() netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom16(k.dst).Unmap(), k.dp) }

// frame takes the link layer off; ok is false for what is no IP.
func frame(link uint32, b []byte) (ip []byte, ok bool) {
	kind, n := uint16(0), 0
	switch link {
	case linkRaw, linkRawBSD, linkRawOBSD, linkIPv4, linkIPv6:
		return b, true
	case linkNull, linkLoop:
		if len(b) < 4 {
			return nil, false
		}
		return b[4:], true // the family is in one of two byte orders; the IP version says the same
	case linkEthernet:
		if len(b) < 14 {
			return nil, false
		}
		kind, n = binary.BigEndian.Uint16(b[12:]), 14
	case linkSLL:
		if len(b) < 16 {
			return nil, false
		}
		kind, n = binary.BigEndian.Uint16(b[14:]), 16
	case linkSLL2:
		if len(b) < 20 {
			return nil, false
		}
		kind, n = binary.BigEndian.Uint16(b), 20
	default:
		return nil, false
	}
	for range 4 { // VLAN tags, stacked ones too
		if kind != 0x8100 && kind != 0x88a8 && kind != 0x9100 {
			break
		}
		if len(b) < n+4 {
			return nil, false
		}
		kind, n = binary.BigEndian.Uint16(b[n+2:]), n+4
	}
	return b[n:], kind == 0x0800 || kind == 0x86dd
}

// header is what the IP header says.
type header struct {
	src, dst [16]byte
	proto    uint8
	ttl      uint8
	v6       bool
	id       uint32
	off      int // of a fragment, bytes
	more     bool
	body     []byte
	bodyLen  int // as the header says; more than len(body) where the capture cut it
}

// ipHeader reads an IP header with its extension headers; ok is false for one that lies.
func ipHeader(b []byte, h *header) bool {
	if len(b) < 20 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		hl, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if total == 0 {
			total = len(b) // segmentation offload: the card fills the length in
		}
		if hl < 20 || hl > len(b) || total < hl {
			return false
		}
		h.v6, h.ttl, h.proto = false, b[8], b[9]
		h.src, h.dst = map4(b[12:16]), map4(b[16:20])
		h.id = uint32(binary.BigEndian.Uint16(b[4:]))
		frag := binary.BigEndian.Uint16(b[6:])
		h.off, h.more = int(frag&0x1fff)*8, frag&0x2000 != 0
		h.body, h.bodyLen = b[hl:min(len(b), total)], total-hl
		return true
	case 6:
		return ipv6Header(b, h)
	}
	return false
}

func map4(b []byte) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b)
	return a
}

func ipv6Header(b []byte, h *header) bool {
	if len(b) < 40 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n == 0 {
		n = len(b) - 40
	}
	h.v6, h.ttl, h.proto, h.off, h.more = true, b[7], b[6], 0, false
	copy(h.src[:], b[8:24])
	copy(h.dst[:], b[24:40])
	body := b[40:min(len(b), 40+n)]
	for range 16 {
		skip := 0
		switch h.proto {
		case 0, 43, 60, 135: // hop-by-hop, routing, destination options, mobility
			if len(body) < 8 {
				return false
			}
			skip = (int(body[1]) + 1) * 8
		case 51: // authentication
			if len(body) < 8 {
				return false
			}
			skip = (int(body[1]) + 2) * 4
		case 44:
			if len(body) < 8 {
				return false
			}
			f := binary.BigEndian.Uint16(body[2:])
			h.off, h.more, h.id = int(f&^7), f&1 != 0, binary.BigEndian.Uint32(body[4:])
			skip = 8
		default:
			h.body, h.bodyLen = body, n
			return true
		}
		if skip > len(body) {
			return false
		}
		h.proto, body, n = body[0], body[skip:], n-skip
		if h.off > 0 || h.more {
			h.body, h.bodyLen = body, n
			return true
		}
	}
	return false
}

// tcpHeader reads a TCP header; ok is false for one that lies.
func tcpHeader(h *header, s *segment) bool {
	b := h.body
	if len(b) < 20 {
		return false
	}
	hl := int(b[12]>>4) * 4
	if hl < 20 || hl > h.bodyLen || hl > len(b) {
		return false
	}
	s.key = flow{h.src, h.dst, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
	s.seq, s.ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	s.flags, s.win, s.ttl, s.v6 = b[13]&0x1f, binary.BigEndian.Uint16(b[14:]), h.ttl, h.v6
	s.data, s.len = b[hl:], h.bodyLen-hl
	s.mss, s.scale = 0, 0
	if s.flags&flagSYN != 0 {
		tcpOptions(b[20:hl], s)
	}
	return true
}

func tcpOptions(o []byte, s *segment) {
	for len(o) > 0 {
		if o[0] == 0 {
			return
		}
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1]) < 2 || int(o[1]) > len(o) {
			return
		}
		switch {
		case o[0] == 2 && o[1] == 4:
			s.mss = binary.BigEndian.Uint16(o[2:])
		case o[0] == 3 && o[1] == 3:
			s.scale = min(o[2], 14) + 1
		}
		o = o[o[1]:]
	}
}

// icmpNews is an ICMP message about a TCP segment.
type icmpNews struct {
	about flow // the segment that met the trouble
	from  netip.Addr
	kind  string // "frag-needed", "unreachable", "prohibited", "ttl-exceeded"
	mtu   int
}

// icmp reads an ICMP error that quotes a TCP segment.
func icmp(h *header) (n icmpNews, ok bool) {
	b := h.body
	if len(b) < 8+20+8 {
		return n, false
	}
	n.from = netip.AddrFrom16(h.src).Unmap()
	switch {
	case !h.v6 && b[0] == 3 && b[1] == 4:
		n.kind, n.mtu = "frag-needed", int(binary.BigEndian.Uint16(b[6:]))
	case !h.v6 && b[0] == 3 && (b[1] == 9 || b[1] == 10 || b[1] == 13), h.v6 && b[0] == 1 && (b[1] == 1 || b[1] == 5):
		n.kind = "prohibited"
	case !h.v6 && b[0] == 3, h.v6 && b[0] == 1:
		n.kind = "unreachable"
	case !h.v6 && b[0] == 11, h.v6 && b[0] == 3:
		n.kind = "ttl-exceeded"
	case h.v6 && b[0] == 2:
		n.kind, n.mtu = "frag-needed", int(binary.BigEndian.Uint32(b[4:]))
	default:
		return n, false
	}
	var in header
	if !ipHeader(b[8:], &in) || in.proto != 6 || len(in.body) < 4 || in.off > 0 {
		return n, false
	}
	n.about = flow{in.src, in.dst, binary.BigEndian.Uint16(in.body), binary.BigEndian.Uint16(in.body[2:])}
	return n, true
}

// Bounds on fragments that wait for the rest of their packet.
const (
	maxFragSets  = 1024
	maxFragParts = 64
	maxFragBytes = 16 << 20
)

type fragKey struct {
	src, dst [16]byte
	id       uint32
	proto    uint8
}

type fragSet struct {
	parts map[int][]byte
	total int // 0: the last one is not there yet
}

// fragments puts packets together again.
type fragments struct {
	sets  map[fragKey]*fragSet
	order []fragKey
	bytes int
}

// add keeps a fragment; true where h now is the whole packet.
func (f *fragments) add(h *header) bool {
	if f.sets == nil {
		f.sets = map[fragKey]*fragSet{}
	}
	k := fragKey{h.src, h.dst, h.id, h.proto}
	if h.v6 {
		k.proto = 0 // later fragments may name another header
	}
	s := f.sets[k]
	if s == nil {
		for len(f.order) > 0 && (len(f.order) >= maxFragSets || f.bytes > maxFragBytes) {
			f.drop(f.order[0])
			f.order = f.order[1:]
		}
		s = &fragSet{parts: map[int][]byte{}}
		f.sets[k], f.order = s, append(f.order, k)
	}
	if _, have := s.parts[h.off]; !have && len(s.parts) < maxFragParts && h.off+len(h.body) <= 65535 {
		s.parts[h.off] = append([]byte(nil), h.body...)
		f.bytes += len(h.body)
	}
	if !h.more {
		s.total = h.off + len(h.body)
	}
	if s.total == 0 {
		return false
	}
	whole := make([]byte, 0, s.total)
	for len(whole) < s.total {
		p := s.parts[len(whole)]
		if len(p) == 0 {
			return false
		}
		whole = append(whole, p...)
	}
	f.drop(k)
	h.body, h.bodyLen, h.off, h.more = whole, len(whole), 0, false
	return true
}

func (f *fragments) drop(k fragKey) {
	if s := f.sets[k]; s != nil {
		for _, p := range s.parts {
			f.bytes -= len(p)
		}
		delete(f.sets, k)
	}
}
