package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"time"
)

// Bounds on what a file may claim.
const (
	maxPacket     = 1 << 20 // captured bytes of one packet
	maxBlock      = 16 << 20
	maxInterfaces = 4096
)

// ErrFormat is an input that is neither pcap nor pcapng.
var ErrFormat = errors.New("neither pcap nor pcapng")

// The link types read (the tcpdump registry's numbers).
const (
	linkNull     = 0
	linkEthernet = 1
	linkRawBSD   = 12
	linkRawOBSD  = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// packet is one captured packet; data is valid until the next one is read.
type packet struct {
	data []byte
	at   int64 // ns since 1970
	orig int   // length on the wire
	link uint32
}

type iface struct {
	link uint32
	snap uint32
	unit uint64 // ticks per second
	base int64  // seconds to add
}

// file reads packets from a capture.
type file struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	ng     bool
	nano   bool
	link   uint32
	ifs    []iface
	buf    []byte
	cut    bool  // the file ends in the middle of a packet
	broken error // a lying header: what follows cannot be read
	last   int64
}

func open(r io.Reader) (*file, error) {
	f := &file{r: bufio.NewReaderSize(r, 1<<20)}
	if head, _ := f.r.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(f.r)
		if err != nil {
			return nil, err
		}
		f.r = bufio.NewReaderSize(z, 1<<20)
	}
	head, err := f.r.Peek(4)
	if len(head) < 4 {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, ErrFormat
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xa1b2c3d4:
		f.order = binary.BigEndian
	case 0xd4c3b2a1:
		f.order = binary.LittleEndian
	case 0xa1b23c4d:
		f.order, f.nano = binary.BigEndian, true
	case 0x4d3cb2a1:
		f.order, f.nano = binary.LittleEndian, true
	case 0x0a0d0d0a:
		f.ng = true
		return f, nil
	default:
		return nil, ErrFormat
	}
	h, err := f.take(24)
	if err != nil {
		return nil, ErrFormat
	}
	f.link = f.order.Uint32(h[20:]) & 0xffff
	return f, nil
}

// take gives the next n bytes, valid until the next call.
func (f *file) take(n int) ([]byte, error) {
	if n <= f.r.Size() {
		b, err := f.r.Peek(n)
		if len(b) < n {
			return b, err
		}
		_, err = f.r.Discard(n)
		return b, err
	}
	if cap(f.buf) < n {
		f.buf = make([]byte, n)
	}
	m, err := io.ReadFull(f.r, f.buf[:n])
	return f.buf[:m], err
}

// next reads a packet; io.EOF at the end, and also where the file is cut or lies (see cut, broken).
func (f *file) next(p *packet) error {
	var err error
	if f.ng {
		err = f.nextNG(p)
	} else {
		err = f.nextClassic(p)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		f.cut = true
		return io.EOF
	}
	return err
}

func (f *file) lie(text string) error { f.broken = errors.New(text); return io.EOF }

func (f *file) nextClassic(p *packet) error {
	h, err := f.take(16)
	if err != nil {
		if len(h) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	sec, frac, n, orig := f.order.Uint32(h), f.order.Uint32(h[4:]), f.order.Uint32(h[8:]), f.order.Uint32(h[12:])
	if n > maxPacket {
		return f.lie("a packet header claims more than a megabyte")
	}
	p.at = int64(sec) * 1e9
	if f.nano {
		p.at += int64(frac)
	} else {
		p.at += int64(frac) * 1000
	}
	p.link, p.orig = f.link, int(orig)
	if p.data, err = f.take(int(n)); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (f *file) nextNG(p *packet) error {
	for {
		h, err := f.r.Peek(12)
		if len(h) == 0 || err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(h) < 12 {
			return io.ErrUnexpectedEOF
		}
		if binary.BigEndian.Uint32(h) == 0x0a0d0d0a {
			switch binary.BigEndian.Uint32(h[8:]) {
			case 0x1a2b3c4d:
				f.order = binary.BigEndian
			case 0x4d3c2b1a:
				f.order = binary.LittleEndian
			default:
				return f.lie("a section header without a byte order")
			}
			f.ifs = f.ifs[:0]
		}
		if f.order == nil {
			return f.lie("no section header")
		}
		kind, n := f.order.Uint32(h), f.order.Uint32(h[4:])
		if n < 12 || n%4 != 0 || n > maxBlock {
			return f.lie("a block header claims an impossible length")
		}
		b, err := f.take(int(n))
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		if f.block(kind, b[8:n-4], p) {
			return nil
		}
		if f.broken != nil {
			return io.EOF
		}
	}
}

// block reads one block; true where it held a packet.
func (f *file) block(kind uint32, b []byte, p *packet) bool {
	switch kind {
	case 1: // interface description
		if len(b) < 8 {
			return false
		}
		if len(f.ifs) >= maxInterfaces {
			f.broken = errors.New("too many interfaces")
			return false
		}
		i := iface{link: uint32(f.order.Uint16(b)), snap: f.order.Uint32(b[4:]), unit: 1e6}
		f.options(b[8:], &i)
		f.ifs = append(f.ifs, i)
	case 2, 6: // packet (obsolete), enhanced packet
		if len(b) < 20 {
			return false
		}
		id := f.order.Uint32(b)
		if kind == 2 {
			id = uint32(f.order.Uint16(b))
		}
		n := int64(f.order.Uint32(b[12:]))
		if int64(id) >= int64(len(f.ifs)) || n > int64(len(b)-20) {
			return false
		}
		i := &f.ifs[id]
		p.data, p.orig, p.link = b[20:20+n], int(f.order.Uint32(b[16:])), i.link
		p.at = i.time(uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:])))
		f.last = p.at
		return true
	case 3: // simple packet: no time of its own
		if len(b) < 4 || len(f.ifs) == 0 {
			return false
		}
		orig := f.order.Uint32(b)
		n := min(int64(orig), int64(len(b)-4))
		if s := f.ifs[0].snap; s > 0 {
			n = min(n, int64(s))
		}
		p.data, p.orig, p.link, p.at = b[4:4+n], int(orig), f.ifs[0].link, f.last
		return true
	}
	return false
}

func (f *file) options(b []byte, i *iface) {
	for len(b) >= 4 {
		code, n := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		if code == 0 || 4+n > len(b) {
			return
		}
		v := b[4 : 4+n]
		switch {
		case code == 9 && n >= 1: // resolution
			e := v[0] & 0x7f
			if v[0]&0x80 != 0 && e < 63 {
				i.unit = 1 << e
			} else if v[0]&0x80 == 0 && e <= 18 {
				i.unit = 1
				for range e {
					i.unit *= 10
				}
			}
		case code == 14 && n >= 8: // offset
			i.base = int64(f.order.Uint64(v))
		}
		b = b[min(len(b), 4+(n+3)&^3):]
	}
}

func (i *iface) time(ticks uint64) int64 {
	sec, frac := ticks/i.unit, ticks%i.unit
	hi, lo := bits.Mul64(frac, 1e9)
	ns, _ := bits.Div64(hi, lo, i.unit)
	return (int64(sec)+i.base)*1e9 + int64(ns)
}

func stamp(ns int64) time.Time { return time.Unix(0, ns).UTC() }
