package find

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// many searches for a set of texts at once: after Wu and Manber, the window of the shortest text's length is moved on
// by as much as its last four bytes allow, so that most bytes are never looked at.
type many struct {
	texts [][]byte
	width int     // length of the shortest text
	shift []uint8 // by the hash of four bytes: how far the window may move
	next  []int32 // next text with the same last four bytes of the window, -1 at the end
	head  map[uint32]int32
	mask  uint32
}

// newMany prepares the search. Every text is of four bytes or more; a line has none shorter.
func newMany(texts [][]byte) *many {
	m := &many{texts: texts, width: len(texts[0]), next: make([]int32, len(texts)), head: make(map[uint32]int32, len(texts))}
	for _, t := range texts {
		m.width = min(m.width, len(t), 64)
	}
	size := 1 << min(20, max(12, bits.Len(uint(len(texts)*m.width))+3))
	m.mask = uint32(size - 1)
	m.shift = bytes.Repeat([]byte{byte(m.width - 3)}, size)
	for i, t := range texts {
		for at := 0; at+4 <= m.width; at++ {
			s := &m.shift[m.slot(binary.LittleEndian.Uint32(t[at:]))]
			*s = min(*s, byte(m.width-4-at))
		}
		key := binary.LittleEndian.Uint32(t[m.width-4:])
		first, ok := m.head[key]
		if !ok {
			first = -1
		}
		m.next[i], m.head[key] = first, int32(i)
	}
	return m
}

func (m *many) slot(v uint32) uint32 {
	v *= mult
	return (v ^ v>>15) & m.mask
}

// all appends the places of every text in a block of whole lines, in any order. Four parts of the block are walked side by
// side, because each step waits for the table.
func (m *many) all(b []byte, whole bool, places []int) []int {
	var at, end [4]int
	for i, from := 0, 0; i < 4; i++ {
		to := len(b)
		if i < 3 {
			to = max(from, len(b)*(i+1)/4)
			if n := bytes.IndexByte(b[to:], '\n'); n >= 0 {
				to += n + 1
			} else {
				to = len(b)
			}
		}
		at[i], end[i] = from+m.width-4, to-3
		from = to
	}
	shift, mask := m.shift, m.mask
	i0, i1, i2, i3 := at[0], at[1], at[2], at[3]
	for stop := min(end[0]-i0, end[1]-i1, end[2]-i2, end[3]-i3); stop > 0; stop = min(end[0]-i0, end[1]-i1, end[2]-i2, end[3]-i3) {
		for steps := (stop-1)/m.width + 1; steps > 0; steps-- { // no step is longer than the window
			h0, h1 := word(b, i0)*mult, word(b, i1)*mult
			h2, h3 := word(b, i2)*mult, word(b, i3)*mult
			s0, s1 := int(shift[(h0^h0>>15)&mask]), int(shift[(h1^h1>>15)&mask])
			s2, s3 := int(shift[(h2^h2>>15)&mask]), int(shift[(h3^h3>>15)&mask])
			if s0 == 0 || s1 == 0 || s2 == 0 || s3 == 0 {
				for _, c := range [4][2]int{{i0, s0}, {i1, s1}, {i2, s2}, {i3, s3}} {
					if c[1] == 0 && m.is(b, c[0], whole) {
						places = append(places, c[0]+4-m.width)
					}
				}
				s0, s1, s2, s3 = max(s0, 1), max(s1, 1), max(s2, 1), max(s3, 1)
			}
			i0, i1, i2, i3 = i0+s0, i1+s1, i2+s2, i3+s3
		}
	}
	at = [4]int{i0, i1, i2, i3}
	for k := range at {
		for i := at[k]; i < end[k]; {
			h := word(b, i) * mult
			s := int(shift[(h^h>>15)&mask])
			if s == 0 && m.is(b, i, whole) {
				places = append(places, i+4-m.width)
			}
			i += max(s, 1)
		}
	}
	return places
}

const mult = 0x9E3779B1

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// is tells whether one of the texts stands where the window ends with the four bytes at i.
func (m *many) is(b []byte, i int, whole bool) bool {
	n, ok := m.head[word(b, i)]
	for start := i + 4 - m.width; ok && n >= 0; n = m.next[n] {
		if end := start + len(m.texts[n]); end <= len(b) && string(b[start:end]) == string(m.texts[n]) && (!whole || alone(b, start, end)) {
			return true
		}
	}
	return false
}
