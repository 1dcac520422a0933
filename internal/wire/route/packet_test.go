package route

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// quote4 is an ICMP error with the head of an echo request to 192.0.2.25 in it.
func quote4(kind, code byte, info uint32, proto byte) []byte {
	b := make([]byte, 8+20+8)
	b[0], b[1] = kind, code
	binary.BigEndian.PutUint32(b[4:], info)
	b[8], b[8+9] = 0x45, proto
	copy(b[8+16:], []byte{192, 0, 2, 25})
	b[28] = 8
	binary.BigEndian.PutUint16(b[32:], 77)
	binary.BigEndian.PutUint16(b[34:], 3)
	return b
}

func TestParseMessage(t *testing.T) {
	target := netip.MustParseAddr("192.0.2.25")
	for name, c := range map[string]struct {
		b    []byte
		ok   bool
		want Answer
	}{
		"reply":      {[]byte{0, 0, 0, 0, 0, 77, 0, 3}, true, Answer{Kind: Reply}},
		"expired":    {quote4(11, 0, 0, protoICMP), true, Answer{Kind: Expired}},
		"reassembly": {quote4(11, 1, 0, protoICMP), false, Answer{}},
		"prohibited": {quote4(3, 13, 0, protoICMP), true, Answer{Kind: Unreachable, Code: CodeProhibited}},
		"too big":    {quote4(3, 4, 1400, protoICMP), true, Answer{Kind: TooBig, MTU: 1400}},
		"of TCP":     {quote4(11, 0, 0, 6), false, Answer{}},
		"cut":        {quote4(11, 0, 0, protoICMP)[:30], false, Answer{}},
		"empty":      {nil, false, Answer{}},
		"request":    {[]byte{8, 0, 0, 0, 0, 77, 0, 3}, false, Answer{}},
	} {
		h, ok := parseMessage(false, c.b)
		if ok != c.ok || ok && (h.answer != c.want || h.id != 77 || h.seq != 3) || ok && c.want.Kind != Reply && h.to != target {
			t.Errorf("%s: %+v %v", name, h, ok)
		}
	}
	if h, ok := parseMessage(true, []byte{129, 0, 0, 0, 0, 77, 0, 3}); !ok || h.seq != 3 {
		t.Errorf("ICMPv6 reply: %+v %v", h, ok)
	}
}

func TestEchoSizes(t *testing.T) {
	for size, want := range map[int]int{0: 16, 30: 16, 1500: 1480} {
		if b, err := echo(false, 1, 2, size); err != nil || len(b) != want {
			t.Errorf("%d: %d bytes, %v", size, len(b), err)
		}
	}
	if b, err := echo(true, 1, 2, 1500); err != nil || len(b) != 1460 {
		t.Errorf("IPv6: %d bytes, %v", len(b), err)
	}
}

func TestParseQueued(t *testing.T) {
	b := make([]byte, 32)
	binary.NativeEndian.PutUint32(b, 113)
	b[4], b[5], b[6] = originICMP, 11, 0
	binary.NativeEndian.PutUint16(b[16:], 2)
	copy(b[20:], []byte{11, 0, 0, 1})
	a, errno, ok := parseQueued(b)
	if !ok || errno != 113 || a.Kind != Expired || a.From != netip.MustParseAddr("11.0.0.1") {
		t.Errorf("%+v %d %v", a, errno, ok)
	}
	if _, _, ok := parseQueued(b[:12]); ok {
		t.Error("a cut error was believed")
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(false, quote4(11, 0, 0, protoICMP))
	f.Add(true, []byte{129, 0, 0, 0, 0, 77, 0, 3})
	f.Fuzz(func(t *testing.T, v6 bool, b []byte) {
		if h, ok := parseMessage(v6, b); ok && (h.answer.Kind == Silence || h.answer.MTU < 0 || h.answer.MTU > 1<<20) {
			t.Fatalf("%x: %+v", b, h)
		}
		if rest, left, ok := stripIPv4(b); ok && (left > 255 || len(rest) > len(b)) {
			t.Fatalf("%x: %d", b, left)
		}
		if a, _, ok := parseQueued(b); ok && a.Kind == Silence {
			t.Fatalf("%x: %+v", b, a)
		}
	})
}
