package digest

import (
	"encoding/binary"
	"net/netip"
)

// Key is the hash of something a line can be found by: an id, an address, a host or one of the domains above it, an IP
// address or its network, the fate of a recipient. Different things may share a key: what a key leads to must be looked
// at. Keys are stored, so how they are made must not change without a new schema of the stores.
type Key uint64

// KeyBits is how many of the lowest bits of a key may be left out by a store: the rest tells nearly all keys apart.
const KeyBits = 24

// The kinds of things, mixed into their keys.
const (
	kindID      = 0x1d
	kindAddress = 0xa2
	kindHost    = 0x3b
	kindIP      = 0x4c
	kindNet     = 0x5d
	kindFate    = 0x6e
	kindSubject = 0x7f
)

// ID is the key of lines that belong to a queue id or a message-id. The three keys of one id are neighbours.
func ID(hash uint64) Key { return idKey(hash, 0) }

// Naming is the key of lines that name an id beside the one they belong to: the id the next server gave, a session.
func Naming(hash uint64) Key { return idKey(hash, 1) }

// Session is the key of lines that have no id but that of a session.
func Session(hash uint64) Key { return idKey(hash, 2) }

func idKey(hash, kind uint64) Key { return Key(mix(hash^kindID)&^(3<<KeyBits) | kind<<KeyBits) }

// Hash is a 64-bit hash of an id, never 0. Two of millions of ids have the same one with a chance of one in a million.
func Hash(b []byte) uint64 {
	const m = 0x9E3779B97F4A7C15
	h := uint64(len(b)) * m
	for len(b) >= 8 {
		h = stir(h ^ binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) >= 4 {
		h = stir(h ^ uint64(binary.LittleEndian.Uint32(b)) ^ uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))<<32)
	} else if len(b) > 0 {
		h = stir(h ^ uint64(b[0]) ^ uint64(b[len(b)/2])<<8 ^ uint64(b[len(b)-1])<<16)
	}
	if h == 0 {
		h = 1
	}
	return h
}

func stir(h uint64) uint64 {
	h *= 0xff51afd7ed558ccd
	return h ^ h>>32
}

// Address is the key of a mail address or a login name, whatever the case of its letters.
func Address(b []byte) Key { return hash(kindAddress, b, true) }

// Host is the key of a host name or a domain, and of everything below it.
func Host(b []byte) Key { return hash(kindHost, b, true) }

// Subject is the key of a whole subject.
func Subject(b []byte) Key { return hash(kindSubject, b, false) }

// IP is the key of an address.
func IP(a netip.Addr) Key {
	raw := a.As16()
	return hash(kindIP, raw[:], false)
}

// Net is the key of a network that has one: /8, /16 and /24 of IPv4, /16, /32, /48 and /64 of IPv6. For another length it
// is the key of the next larger network, and ok tells that there is one.
func Net(p netip.Prefix) (k Key, ok bool) {
	sizes := sizes6[:]
	if p.Addr().Is4() {
		sizes = sizes4[:]
	}
	for _, n := range sizes {
		if n <= p.Bits() {
			return netKey(p.Addr(), n), true
		}
	}
	return 0, false
}

var (
	sizes4 = [...]int{24, 16, 8}
	sizes6 = [...]int{64, 48, 32, 16}
)

func netKey(a netip.Addr, bits int) Key {
	raw := a.As16()
	n := bits
	if a.Is4() {
		n += 96
	}
	clear(raw[n/8:])
	return hash(kindNet+uint64(n)<<8, raw[:], false)
}

// Fate is the key of deliveries with the status of this number; number 0 is a refusal at the door.
func Fate(status uint8) Key { return hash(kindFate, []byte{status}, false) }

// hash makes a key. With fold the case of ASCII letters does not matter.
func hash(kind uint64, b []byte, fold bool) Key {
	h := mix(kind*0x9E3779B97F4A7C15 ^ uint64(len(b)))
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		if fold {
			w = lower8(w)
		}
		h = mix(h ^ w)
		b = b[8:]
	}
	if len(b) > 0 {
		var w uint64
		for i := len(b) - 1; i >= 0; i-- {
			w = w<<8 | uint64(b[i])
		}
		if fold {
			w = lower8(w)
		}
		h = mix(h ^ w)
	}
	return Key(mix(h))
}

func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// lower8 makes the capital letters among eight bytes small.
func lower8(w uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	low := w &^ uint64(high)
	ge := low + (128-'A')*ones // high bit where the byte is at least 'A'
	gt := low + (127-'Z')*ones // high bit where it is beyond 'Z'
	up := ge &^ gt &^ w & high // only bytes of ASCII
	return w + up>>2
}
