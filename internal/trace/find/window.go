package find

import (
	"cmp"
	"math/bits"
	"slices"
)

// window finds texts by three bytes of each, its window, chosen so that they are rare. The bytes stand in every text at the
// same distances from each other. Each text is in one of eight buckets; by the lower and the upper half of a byte a table tells
// the buckets in which it may stand at a place of the window. The processor looks halves of 32 bytes up in one step (see
// shuffle), so that what this costs hardly depends on how many texts there are.
type window struct {
	tables
	fold    bool
	buckets [8][]windowed
}

// windowed is a text and where its window begins.
type windowed struct {
	text []byte
	at   int
}

// tables are laid out as shuffle reads them.
type tables struct {
	halves [6][32]byte // lower and upper halves of the three bytes, 16 entries each, twice
	second int         // distance of the second byte from the first
	third  int
}

const (
	mostWindows = 96        // texts for which a window is tried at all
	falseRate   = 1.0 / 200 // of all places that may be looked at in vain
	farthest    = 7         // distance of the last byte of a window from its first
	step        = 32        // places that shuffle looks at at once
)

// newWindow gives nil where another way is better: where more than a part of all places would be looked at in vain.
func newWindow(texts [][]byte, fold bool, freq *Frequency, most float64) *window {
	shortest := len(texts[0])
	for _, t := range texts {
		shortest = min(shortest, len(t))
	}
	if !shuffles() || shortest < 3 || len(texts) > mostWindows {
		return nil
	}
	share := shares(freq, fold)
	w := &window{fold: fold}
	all, best := make([]windowed, len(texts)), 2.0*float64(len(texts))
	for third := 2; third <= min(farthest, shortest-1); third++ {
		for second := 1; second < third; second++ {
			var sum float64
			try := make([]windowed, len(texts))
			for i, t := range texts {
				var rate float64
				try[i], rate = rarest(t, second, third, share)
				sum += rate
			}
			if sum < best {
				best, all, w.second, w.third = sum, try, second, third
			}
		}
	}
	w.fill(all)
	if w.rate(share) > most {
		return nil
	}
	return w
}

// shares gives the part of all bytes that each is; with fold, of both cases of a letter.
func shares(freq *Frequency, fold bool) *[256]float64 {
	sum := 256.0
	for _, n := range freq {
		sum += float64(n)
	}
	var out [256]float64
	for c := range out {
		n := freq[c]
		if fold && Letter(byte(c)) {
			n = freq[c|0x20] + freq[c&^0x20]
		}
		out[c] = float64(n+1) / sum
	}
	return &out
}

// rarest gives the window of a text that should be found the least often.
func rarest(text []byte, second, third int, share *[256]float64) (best windowed, rate float64) {
	rate = 2
	for at := 0; at+third < len(text); at++ {
		if r := share[text[at]] * share[text[at+second]] * share[text[at+third]]; r < rate {
			best, rate = windowed{text, at}, r
		}
	}
	return best, rate
}

// fill puts the texts into buckets, those with like windows together, and writes the tables.
func (w *window) fill(all []windowed) {
	bytesOf := func(t windowed) [3]byte {
		return [3]byte{t.text[t.at], t.text[t.at+w.second], t.text[t.at+w.third]}
	}
	slices.SortFunc(all, func(a, b windowed) int {
		x, y := bytesOf(a), bytesOf(b)
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(x[2], y[2]))
	})
	for i, t := range all {
		bucket := i
		if len(all) > len(w.buckets) {
			bucket = i * len(w.buckets) / len(all)
		}
		w.buckets[bucket] = append(w.buckets[bucket], t)
		for k, c := range bytesOf(t) {
			w.enter(k, bucket, c)
			if w.fold && Letter(c) {
				w.enter(k, bucket, c^0x20)
			}
		}
	}
}

func (w *window) enter(k, bucket int, c byte) {
	for _, lane := range [2]byte{0, 16} {
		w.halves[2*k][lane+c&15] |= 1 << bucket
		w.halves[2*k+1][lane+c>>4] |= 1 << bucket
	}
}

// may gives the buckets in which a byte may stand at a place of the window, a bit for each.
func (w *window) may(k int, c byte) byte { return w.halves[2*k][c&15] & w.halves[2*k+1][c>>4] }

// rate estimates at which part of all places a text will be compared.
func (w *window) rate(share *[256]float64) (sum float64) {
	for bucket := range w.buckets {
		rate := 1.0
		for k := range 3 {
			var part float64
			for c, s := range share {
				if w.may(k, byte(c))>>bucket&1 != 0 {
					part += s
				}
			}
			rate *= part
		}
		sum += rate
	}
	return sum
}

// lines appends a place in each line that has one.
func (w *window) lines(b []byte, whole bool, places []int) []int {
	for i := 0; i+w.third < len(b); {
		at, mask, next := w.candidates(b, i)
		for ; mask != 0; mask &= mask - 1 {
			if start := w.compare(b, at+bits.TrailingZeros32(mask), whole); start >= 0 {
				places, next = append(places, start), lineEnd(b, start)
				break
			}
		}
		i = next
	}
	return places
}

// candidates gives the next places from i on where a window may begin, a bit for each from a place on, and the place to go
// on from.
func (w *window) candidates(b []byte, i int) (at int, mask uint32, next int) {
	if last := len(b) - w.third - step; i <= last { // whole steps end within the block
		n, mask := shuffle(&b[i], last-i+1, &w.tables)
		if mask == 0 {
			return i + n, 0, i + n
		}
		return i + n, mask, i + n + step
	}
	if w.in(b, i) != 0 {
		mask = 1
	}
	return i, mask, i + 1
}

// in gives the buckets of the texts whose window may begin at a place.
func (w *window) in(b []byte, i int) byte {
	return w.may(0, b[i]) & w.may(1, b[i+w.second]) & w.may(2, b[i+w.third])
}

// compare gives where a text stands whose window begins at a place, or -1.
func (w *window) compare(b []byte, i int, whole bool) int {
	for in := uint(w.in(b, i)); in != 0; in &= in - 1 {
		for _, t := range w.buckets[bits.TrailingZeros(in)] {
			start := i - t.at
			end := start + len(t.text)
			if start < 0 || end > len(b) || whole && !alone(b, start, end) {
				continue
			}
			if s := b[start:end]; string(s) == string(t.text) || w.fold && EqualFold(s, t.text) {
				return start
			}
		}
	}
	return -1
}
