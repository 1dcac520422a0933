package find

import "bytes"

// needle is one text: the rarest of its bytes is looked up with the fastest routine there is, and only around its finds
// the whole text is compared.
type needle struct {
	text []byte
	fold bool
	rare byte
	at   int // index of rare in text
}

// rareByte is the part of all bytes below which a byte is rare: looking at each of its places takes less time than
// anything else.
const rareByte = 1.0 / 400

// newNeedle chooses the rarest byte. With fold, letters are passed over where there is a choice, because both cases
// would have to be searched; a text of letters alone is searched by its rarest pair of cases.
func newNeedle(text []byte, fold bool, freq *Frequency) needle {
	n := needle{text: text, fold: fold}
	best := uint32(1<<32 - 1)
	for i, c := range n.text {
		if fold && Letter(c) {
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

// rate is the part of all bytes that the search has to look at; of a letter of any case all.
func (n *needle) rate(freq *Frequency) float64 {
	if n.fold && Letter(n.rare) {
		return 1
	}
	return freq.share(n.rare)
}

// share is the part of the sample that a byte is, never quite nothing.
func (f *Frequency) share(c byte) float64 {
	all := uint32(1)
	for _, n := range f {
		all += n
	}
	return float64(f[c]+1) / float64(all+256)
}

// lines appends the first place in each line.
func (n *needle) lines(b []byte, whole bool, places []int) []int {
	for at := n.next(b, 0); at >= 0; {
		if whole && !alone(b, at, at+len(n.text)) {
			at = n.next(b, at+1)
			continue
		}
		places = append(places, at)
		at = n.next(b, lineEnd(b, at))
	}
	return places
}

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
	if !n.fold || !Letter(n.rare) {
		return bytes.IndexByte(b, n.rare)
	}
	for from := 0; ; { // the nearer of the two, without searching far for the other again and again
		to := min(from+256, len(b))
		lower := bytes.IndexByte(b[from:to], n.rare|0x20)
		if lower >= 0 {
			to = from + lower
		}
		if upper := bytes.IndexByte(b[from:to], n.rare&^0x20); upper >= 0 {
			return from + upper
		}
		if lower >= 0 {
			return to
		}
		if from = to; from == len(b) {
			return -1
		}
	}
}

func (n *needle) is(b []byte) bool {
	if n.fold {
		return EqualFold(b, n.text)
	}
	return string(b) == string(n.text)
}
