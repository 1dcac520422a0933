// Package find finds texts in blocks of memory, nearly as fast as memory is read: one text, or thousands at once.
//
// Promise: however texts are looked for (see New), what is found is what comparing them at every place would find. The
// package knows nothing of logs but that they are lines, that ids stand alone in them, and that bytes are not all
// equally frequent.
package find

import (
	"bytes"
	"slices"
)

// Frequency is how often each byte stands in a sample.
type Frequency [256]uint32

// Add counts the bytes of a sample.
func (f *Frequency) Add(sample []byte) {
	for _, c := range sample {
		f[c]++
	}
}

// Set is a set of texts that are looked for together. It does not change: many goroutines may use one.
type Set struct {
	whole  bool
	alone  []needle // each looked for on its own
	window *window  // those looked for by three of their bytes
	many   *many    // those looked for by their last bytes
}

// Options tell what counts as a find.
type Options struct {
	Fold  bool // the case of ASCII letters does not matter
	Whole bool // the text stands alone: no letter or digit touches it
}

// few is the number of texts up to which each is looked for on its own where there is nothing better, and of short ones
// that are kept from slowing down the search for many.
const few = 2

// New prepares the search for texts, of at least one byte each. The frequency is that of the text to be searched.
//
// A single text with a rare byte is found by that byte. Up to some dozens are found by three of their bytes, as far as the
// processor can look at 32 places at once; more, or anywhere else, by their last four bytes: the longer the shortest text is,
// the more places are stepped over.
func New(texts [][]byte, o Options, freq *Frequency) *Set {
	s := &Set{whole: o.Whole}
	texts = slices.Clone(texts)
	slices.SortFunc(texts, func(a, b []byte) int { return len(a) - len(b) })
	if len(texts) == 1 {
		if n := newNeedle(texts[0], o.Fold, freq); n.rate(freq) < rareByte {
			s.alone = []needle{n}
			return s
		}
	}
	if s.window = newWindow(texts, o.Fold, freq, falseRate); s.window != nil {
		return s
	}
	for len(texts) > 0 && s.byItself(texts, o) {
		s.alone, texts = append(s.alone, newNeedle(texts[0], o.Fold, freq)), texts[1:]
	}
	if len(texts) > 0 {
		s.many = newMany(texts)
	}
	return s
}

// byItself tells whether the first and shortest of the texts is better looked for on its own: all where they are few or
// may be of any case, otherwise those that would slow down the search for the others.
func (s *Set) byItself(texts [][]byte, o Options) bool {
	n := len(s.alone)
	return o.Fold || n+len(texts) <= few || len(texts[0]) < 4 || n < few && len(texts[0]) < 9
}

// Lines appends to places where texts stand in a block of whole lines, ascending: at most the first place in each line,
// which is of any of them.
func (s *Set) Lines(b []byte, places []int) []int {
	from := len(places)
	if s.window != nil {
		return s.window.lines(b, s.whole, places)
	}
	for i := range s.alone {
		places = s.alone[i].lines(b, s.whole, places)
	}
	if s.many != nil {
		places = s.many.all(b, s.whole, places)
	}
	if s.many != nil || len(s.alone) > 1 {
		slices.Sort(places[from:])
		places = onePerLine(b, places, from)
	}
	return places
}

// onePerLine keeps of the places from an index on the first in each line.
func onePerLine(b []byte, places []int, from int) []int {
	kept, end := places[:from], 0
	for _, at := range places[from:] {
		if at >= end {
			kept, end = append(kept, at), lineEnd(b, at)
		}
	}
	return kept
}

// lineEnd is where the line around a place ends, behind its last byte.
func lineEnd(b []byte, at int) int {
	if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(b)
}

// EqualFold compares texts without regard to the case of ASCII letters.
func EqualFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || !Letter(x)) {
			return false
		}
	}
	return true
}

// IndexFold is where a text stands first, without regard to the case of ASCII letters, or -1.
func IndexFold(s, text []byte) int {
	for i := 0; i+len(text) <= len(s); i++ {
		if EqualFold(s[i:i+len(text)], text) {
			return i
		}
	}
	return -1
}

// alone tells whether b[i:j] stands alone: no letter or digit touches it, but for those of an angle bracket that was
// written as \u003c, as docker does in JSON.
func alone(b []byte, i, j int) bool {
	return (i == 0 || !inWord[b[i-1]] || i >= 6 && b[i-6] == '\\' && b[i-5] == 'u') && (j >= len(b) || !inWord[b[j]])
}

// WordByte tells letters and digits.
func WordByte(c byte) bool { return inWord[c] }

var inWord = func() (t [256]bool) {
	for c := range t {
		t[c] = byte(c)-'0' < 10 || Letter(byte(c))
	}
	return t
}()

// Letter tells ASCII letters.
func Letter(c byte) bool { return c|0x20-'a' < 26 }
