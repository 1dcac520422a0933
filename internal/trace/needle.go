package trace

import "bytes"

// needle is a text searched for in large blocks: the rarest of its bytes is looked up with the fastest routine there
// is, and only around its finds the whole text is compared.
type needle struct {
	text []byte
	fold bool
	rare byte
	at   int // index of rare in text
}

// frequency is how often each byte stands in a sample.
type frequency [256]uint32

func (f *frequency) add(sample []byte) {
	for _, c := range sample {
		f[c]++
	}
}

// newNeedle chooses the rarest byte. With fold, letters are passed over where there is a choice, because both cases
// would have to be searched; a text of letters alone is searched by its rarest pair of cases.
func newNeedle(text string, fold bool, freq *frequency) needle {
	n := needle{text: []byte(text), fold: fold}
	best := uint32(1<<32 - 1)
	for i, c := range n.text {
		if fold && letter(c) {
			continue
		}
		if f := freq[c]; f < best {
			best, n.rare, n.at = f, c, i
		}
	}
	if best == 1<<32-1 {
		for i, c := range n.text {
			if f := freq[c|0x20] + freq[c&^0x20]; f < best {
				best, n.rare, n.at = f, c, i
			}
		}
	}
	return n
}

func letter(c byte) bool { return c|0x20-'a' < 26 }

// next gives the position of the first find at or after from, or -1.
func (n *needle) next(b []byte, from int) int {
	i := from + n.at
	for i < len(b) {
		j := n.jump(b[i:])
		if j < 0 {
			return -1
		}
		start := i + j - n.at
		if start+len(n.text) > len(b) {
			return -1
		}
		if n.is(b[start : start+len(n.text)]) {
			return start
		}
		i += j + 1
	}
	return -1
}

func (n *needle) jump(b []byte) int {
	if n.fold && letter(n.rare) {
		lo, up := bytes.IndexByte(b, n.rare|0x20), -1
		if lo >= 0 {
			up = bytes.IndexByte(b[:lo], n.rare&^0x20)
		} else {
			up = bytes.IndexByte(b, n.rare&^0x20)
		}
		if up >= 0 {
			return up
		}
		return lo
	}
	return bytes.IndexByte(b, n.rare)
}

func (n *needle) is(b []byte) bool {
	if n.fold {
		return equalFold(b, n.text)
	}
	return string(b) == string(n.text)
}

// equalFold compares texts of equal length without regard to the case of ASCII letters.
func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || !letter(x)) {
			return false
		}
	}
	return true
}

func indexFold(s, sub []byte) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if equalFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}

// token tells whether b[i:j] stands alone: no letter or digit touches it, but for those of an angle bracket that was
// written as \u003c, as docker does in JSON.
func token(b []byte, i, j int) bool {
	return (i == 0 || !wordByte(b[i-1]) || i >= 6 && b[i-6] == '\\' && b[i-5] == 'u') && (j >= len(b) || !wordByte(b[j]))
}

func wordByte(c byte) bool { return inRun[c] }

// inRun tells letters and digits.
var inRun = func() (t [256]bool) {
	for c := range t {
		t[c] = byte(c)-'0' < 10 || letter(byte(c))
	}
	return t
}()
