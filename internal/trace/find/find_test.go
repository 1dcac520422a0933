package find

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// ways gives every way of looking for the texts that can be taken, whichever New would choose.
func ways(texts [][]byte, o Options, freq *Frequency) map[string]*Set {
	out := map[string]*Set{"chosen": New(texts, o, freq)}
	alone := &Set{whole: o.Whole}
	for _, t := range texts {
		alone.alone = append(alone.alone, newNeedle(t, o.Fold, freq))
	}
	out["alone"] = alone
	if w := newWindow(texts, o.Fold, freq, 1); w != nil {
		out["window"] = &Set{whole: o.Whole, window: w}
	}
	if !o.Fold && !slices.ContainsFunc(texts, func(t []byte) bool { return len(t) < 4 }) {
		out["many"] = &Set{whole: o.Whole, many: newMany(texts)}
	}
	return out
}

// stands tells whether one of the texts stands at the place.
func stands(b []byte, at int, texts [][]byte, o Options) bool {
	for _, t := range texts {
		end := at + len(t)
		if end <= len(b) && (bytes.Equal(b[at:end], t) || o.Fold && EqualFold(b[at:end], t)) && (!o.Whole || alone(b, at, end)) {
			return true
		}
	}
	return false
}

// check holds every way against comparing at every place: one find in each line that has any, none elsewhere.
func check(t *testing.T, b []byte, texts [][]byte, o Options, freq *Frequency) {
	t.Helper()
	inLine := map[int]bool{} // by the end of the line
	for at := range b {
		if stands(b, at, texts, o) {
			inLine[lineEnd(b, at)] = true
		}
	}
	for way, set := range ways(texts, o, freq) {
		found := map[int]bool{}
		before := -1
		for _, at := range set.Lines(b, []int{-7})[1:] {
			switch end := lineEnd(b, at); {
			case at <= before || found[end]:
				t.Errorf("%s: place %d after %d", way, at, before)
			case !stands(b, at, texts, o):
				t.Errorf("%s: nothing stands at %d", way, at)
			default:
				found[end], before = true, at
			}
		}
		if len(found) != len(inLine) {
			t.Errorf("%s: %d lines found, want %d", way, len(found), len(inLine))
		}
		if t.Failed() {
			t.Fatalf("texts %q, %+v, in %q", texts, o, b)
		}
	}
}

// TestEveryWayFindsTheSame: texts of many lengths and numbers in random lines, at all edges of the block.
func TestEveryWayFindsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var texts [][]byte
		o := Options{Fold: r.IntN(3) == 0, Whole: r.IntN(2) == 0}
		shortest := 1 + r.IntN(6)
		for i := range 1 + r.IntN(1+r.IntN(120)) {
			text := fmt.Sprintf("%0*X", shortest+r.IntN(9), (i+r.IntN(3))*77777)
			if o.Fold && r.IntN(2) == 0 {
				text = fmt.Sprintf("%x@", text)
			}
			texts = append(texts, []byte(text))
		}
		var b []byte
		for range r.IntN(120) {
			text := texts[r.IntN(len(texts))]
			switch r.IntN(6) {
			case 0:
				b = append(b, text...)
			case 1:
				b = append(b, bytes.ToLower(text)...)
			case 2:
				b = append(b, text[r.IntN(len(text)):]...)
			case 3:
				b = append(b, '\n')
			case 4:
				b = append(b, ": to=<"...)
			default:
				b = append(b, byte('0'+r.IntN(10)))
			}
		}
		var freq Frequency
		freq.Add(b[:r.IntN(len(b)+1)])
		check(t, b, texts, o, &freq)
	}
}

// TestNothingBeyondTheBlock: what stands behind the block in memory is not found, nor half of it.
func TestNothingBeyondTheBlock(t *testing.T) {
	room := bytes.Repeat([]byte("ABC12345"), 40)
	text := []byte("3ABC12345A")
	for from := range 40 {
		for to := from; to <= len(room); to++ {
			b := room[from:to]
			for way, set := range ways([][]byte{text}, Options{}, new(Frequency)) {
				got := set.Lines(b, nil)
				if want := bytes.Index(b, text); want >= 0 && !slices.Equal(got, []int{want}) || want < 0 && len(got) > 0 {
					t.Fatalf("%s: found at %v in %s, want %d", way, got, b, want)
				}
			}
		}
	}
}

// TestDozensOfIDsAreFoundByWindows holds the choice: some dozens of ids are few enough for it, and thousands are not.
func TestDozensOfIDsAreFoundByWindows(t *testing.T) {
	if !shuffles() {
		t.Skip("this processor looks at one place at a time")
	}
	var freq Frequency
	freq.Add([]byte("Nov 22 10:00:00 mx1 postfix/qmgr[13]: 4gHkLmNpQrSt0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"))
	texts := func(n int) (out [][]byte) {
		r := rand.New(rand.NewPCG(3, 4))
		for range n {
			out = append(out, fmt.Appendf(nil, "4%09X", r.Uint64N(1<<36)))
		}
		return out
	}
	if s := New(texts(8), Options{Whole: true}, &freq); s.window == nil {
		t.Error("8 ids are not found by windows")
	}
	if s := New(texts(3000), Options{Whole: true}, &freq); s.many == nil {
		t.Error("3000 ids are found by windows")
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("x 4ABC: to=<a@b>\nb 4abc\n"), []byte("4ABC"), []byte("to=<"), byte(0))
	f.Add([]byte("12\n123\n1234"), []byte("12"), []byte("23"), byte(3))
	f.Fuzz(func(t *testing.T, b, one, two []byte, how byte) {
		if len(one) == 0 || len(two) == 0 || bytes.ContainsAny(one, "\n") || bytes.ContainsAny(two, "\n") {
			t.Skip("texts are parts of lines")
		}
		var freq Frequency
		freq.Add(b[:len(b)/2])
		check(t, b, [][]byte{one, two}, Options{Fold: how&1 != 0, Whole: how&2 != 0}, &freq)
	})
}
