package trace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestManyFindsWhatEachAloneFinds holds the search for several texts against the plain one, over texts of many lengths
// in random lines, at all edges of the block.
func TestManyFindsWhatEachAloneFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var texts [][]byte
		for i := range 3 + r.IntN(60) {
			texts = append(texts, []byte(fmt.Sprintf("%0*X", 5+r.IntN(9), i*77777)))
		}
		var b []byte
		for range r.IntN(80) {
			switch r.IntN(4) {
			case 0:
				b = append(b, texts[r.IntN(len(texts))]...)
			case 1:
				b = append(b, '\n')
			case 2:
				b = append(b, ": to=<"...)
			default:
				b = append(b, byte('0'+r.IntN(10)))
			}
		}
		var want []int
		for i := range b {
			for _, text := range texts {
				if bytes.HasPrefix(b[i:], text) && token(b, i, i+len(text)) {
					want = append(want, i)
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := newMany(texts).all(b, nil); !slices.Equal(got, want) {
			t.Fatalf("in %q\ngot  %v\nwant %v", b, got, want)
		}
	}
}
