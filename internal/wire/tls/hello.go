package tls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Version is a protocol version as it stands on the wire.
type Version uint16

// The versions.
const (
	SSL30 Version = 0x0300
	TLS10 Version = 0x0301
	TLS11 Version = 0x0302
	TLS12 Version = 0x0303
	TLS13 Version = 0x0304
)

// String is the version as people write it.
func (v Version) String() string {
	switch v {
	case SSL30:
		return "SSL 3.0"
	case TLS10, TLS11, TLS12, TLS13:
		return fmt.Sprintf("TLS 1.%d", v-TLS10)
	}
	return fmt.Sprintf("0x%04X", uint16(v))
}

// MarshalText writes the version as people write it.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is the reverse of MarshalText.
func (v *Version) UnmarshalText(b []byte) error {
	for _, k := range []Version{SSL30, TLS10, TLS11, TLS12, TLS13} {
		if k.String() == string(b) {
			*v = k
			return nil
		}
	}
	return fmt.Errorf("unknown TLS version %q", b)
}

// Group is a number of the IANA registry "TLS Supported Groups".
type Group uint16

// groupNames are the groups we offer, strongest first.
var groupNames = [...]struct {
	id   Group
	name string
}{
	{0x11EC, "X25519MLKEM768"}, {0x11EB, "SecP256r1MLKEM768"}, {0x11ED, "SecP384r1MLKEM1024"}, {0x0201, "MLKEM768"}, {0x0202, "MLKEM1024"},
	{0x001D, "X25519"}, {0x0017, "secp256r1"}, {0x001E, "X448"}, {0x0018, "secp384r1"}, {0x0019, "secp521r1"},
	{0x0100, "ffdhe2048"}, {0x0101, "ffdhe3072"}, {0x0102, "ffdhe4096"}, {0x0103, "ffdhe6144"}, {0x0104, "ffdhe8192"},
	{0x001F, "brainpoolP256r1tls13"}, {0x0020, "brainpoolP384r1tls13"}, {0x0021, "brainpoolP512r1tls13"},
	{0x0013, "secp192r1"}, {0x0015, "secp224r1"}, {0x0016, "secp256k1"}, {0x001A, "brainpoolP256r1"}, {0x001B, "brainpoolP384r1"}, {0x001C, "brainpoolP512r1"},
}

// String is the registered name.
func (g Group) String() string {
	for _, k := range groupNames {
		if k.id == g {
			return k.name
		}
	}
	return fmt.Sprintf("0x%04X", uint16(g))
}

// MarshalText writes the name.
func (g Group) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads a name or a number.
func (g *Group) UnmarshalText(b []byte) error {
	for _, k := range groupNames {
		if k.name == string(b) {
			*g = k.id
			return nil
		}
	}
	if _, err := fmt.Sscanf(string(b), "0x%X", (*uint16)(g)); err != nil {
		return fmt.Errorf("unknown group %q", b)
	}
	return nil
}

// Groups lists all groups we know.
func Groups() []Group {
	out := make([]Group, len(groupNames))
	for i, k := range groupNames {
		out[i] = k.id
	}
	return out
}

// Hello is what a ClientHello offers.
type Hello struct {
	Version    Version // the highest, and for TLS 1.3 the only one
	ServerName string  // SNI; empty or an address sends none
	Suites     []Suite
	Groups     []Group // empty: none are named
}

// append16 writes a block with a two-byte length in front.
func append16(b []byte, fill func([]byte) []byte) []byte {
	at := len(b)
	b = fill(append(b, 0, 0))
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// Marshal writes the ClientHello as one TLS record. random is 32 bytes. For TLS 1.3 no key share is sent: the server
// then names the group it wants in a HelloRetryRequest (RFC 8446 section 4.2.8), which costs neither side a
// computation. RFCs: 5246 section 7.4.1.2, 8446 section 4.1.2, 6066 (SNI), 8422 (curves), 7627, 5746.
func (h *Hello) Marshal(random []byte) []byte {
	legacy := min(h.Version, TLS12)
	body := binary.BigEndian.AppendUint16(nil, uint16(legacy))
	body = append(body, random[:32]...)
	if h.Version == TLS13 {
		body = append(append(body, 32), random[:32]...) // RFC 8446 appendix D.4: middleboxes want a session ID
	} else {
		body = append(body, 0)
	}
	body = append16(body, func(b []byte) []byte {
		for _, s := range h.Suites {
			b = binary.BigEndian.AppendUint16(b, uint16(s))
		}
		if h.Version < TLS13 {
			b = append(b, 0x00, 0xFF) // renegotiation_info, as a suite so that SSL 3.0 bears it too
		}
		return b
	})
	body = append(body, 1, 0) // no compression
	if h.Version > SSL30 {
		body = append16(body, h.extensions)
	}
	rec := binary.BigEndian.AppendUint16([]byte{22}, uint16(min(legacy, TLS10)))
	return append16(rec, func(b []byte) []byte {
		b = append(b, 1, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)))
		return append(b, body...)
	})
}

func (h *Hello) extensions(b []byte) []byte {
	ext := func(id uint16, fill func([]byte) []byte) {
		b = append16(binary.BigEndian.AppendUint16(b, id), fill)
	}
	if _, err := netip.ParseAddr(h.ServerName); h.ServerName != "" && err != nil {
		ext(0, func(b []byte) []byte {
			return append16(b, func(b []byte) []byte {
				return append16(append(b, 0), func(b []byte) []byte { return append(b, h.ServerName...) })
			})
		})
	}
	if len(h.Groups) > 0 {
		ext(10, func(b []byte) []byte {
			return append16(b, func(b []byte) []byte {
				for _, g := range h.Groups {
					b = binary.BigEndian.AppendUint16(b, uint16(g))
				}
				return b
			})
		})
		ext(11, func(b []byte) []byte { return append(b, 1, 0) })
	}
	if h.Version >= TLS12 {
		ext(13, func(b []byte) []byte {
			return append16(b, func(b []byte) []byte {
				for _, s := range signatures {
					b = binary.BigEndian.AppendUint16(b, s)
				}
				return b
			})
		})
	}
	ext(23, func(b []byte) []byte { return b }) // extended_master_secret
	if h.Version == TLS13 {
		ext(43, func(b []byte) []byte { return append(b, 2, 3, 4) })
		ext(45, func(b []byte) []byte { return append(b, 1, 1) })
		ext(51, func(b []byte) []byte { return append(b, 0, 0) })
	}
	return b
}

// signatures are the schemes we name, old ones too: what a server has to sign with is an observation.
var signatures = [...]uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0203, 0x0201, 0x0202, 0x0402}

// ServerHello is what a server picked.
type ServerHello struct {
	Version Version
	Suite   Suite
	Group   Group // TLS 1.3: the group of the share or of the HelloRetryRequest
	Retry   bool  // it is a HelloRetryRequest
	Deflate bool  // compression was agreed though we offered none
}

var errShort = errors.New("broken off")

// take cuts n bytes off the front.
func take(b *[]byte, n int) ([]byte, error) {
	if len(*b) < n {
		return nil, errShort
	}
	out := (*b)[:n]
	*b = (*b)[n:]
	return out, nil
}

// taken cuts a block with a length of size bytes in front.
func taken(b *[]byte, size int) ([]byte, error) {
	l, err := take(b, size)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, c := range l {
		n = n<<8 | int(c)
	}
	return take(b, n)
}

// retryRandom marks a HelloRetryRequest (RFC 8446 section 4.1.3).
const retryRandom = "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"

// ParseServerHello reads the body of a ServerHello message.
func ParseServerHello(b []byte) (*ServerHello, error) {
	fixed, err := take(&b, 34)
	if err != nil {
		return nil, fmt.Errorf("ServerHello: %w", err)
	}
	h := &ServerHello{Version: Version(binary.BigEndian.Uint16(fixed)), Retry: string(fixed[2:]) == retryRandom}
	if _, err = taken(&b, 1); err != nil {
		return nil, fmt.Errorf("ServerHello session ID: %w", err)
	}
	picked, err := take(&b, 3)
	if err != nil {
		return nil, fmt.Errorf("ServerHello suite: %w", err)
	}
	h.Suite, h.Deflate = Suite(binary.BigEndian.Uint16(picked)), picked[2] != 0
	if len(b) == 0 {
		return h, nil
	}
	exts, err := taken(&b, 2)
	if err != nil {
		return nil, fmt.Errorf("ServerHello extensions: %w", err)
	}
	for len(exts) > 0 {
		id, err := take(&exts, 2)
		if err != nil {
			return nil, fmt.Errorf("ServerHello extension: %w", err)
		}
		val, err := taken(&exts, 2)
		if err != nil {
			return nil, fmt.Errorf("ServerHello extension %d: %w", binary.BigEndian.Uint16(id), err)
		}
		switch binary.BigEndian.Uint16(id) {
		case 43:
			if len(val) == 2 {
				h.Version = Version(binary.BigEndian.Uint16(val))
			}
		case 51:
			if len(val) >= 2 {
				h.Group = Group(binary.BigEndian.Uint16(val))
			}
		}
	}
	return h, nil
}

// parseKeyExchange reads a ServerKeyExchange for the group (ECDHE) or the size of the prime in bits (DHE).
func parseKeyExchange(s Suite, b []byte) (g Group, dhBits int) {
	name := s.String()
	switch {
	case has(name, "_ECDHE_") || has(name, "_ECDH_anon"):
		if len(b) >= 3 && b[0] == 3 {
			return Group(binary.BigEndian.Uint16(b[1:])), 0
		}
	case has(name, "_DHE_") || has(name, "_DH_anon"):
		p, err := taken(&b, 2)
		if err != nil {
			return 0, 0
		}
		for len(p) > 0 && p[0] == 0 {
			p = p[1:]
		}
		if len(p) == 0 {
			return 0, 0
		}
		bits := len(p) * 8
		for top := p[0]; top < 0x80; top <<= 1 {
			bits--
		}
		return 0, bits
	}
	return 0, 0
}
