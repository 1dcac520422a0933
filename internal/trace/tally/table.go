package tally

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// table counts by key in bounded memory. Beyond its limit the lighter half of the entries is forgotten, and the number
// of distinct keys is estimated from then on (HyperLogLog, error about 0.8 %).
type table[T any] struct {
	limit  int
	weight func(*T) int64
	slots  []uint32 // index of the entry plus one; 0 is free
	ents   []entry[T]
	cut    int64 // entries forgotten
	seen   *sketch
}

type entry[T any] struct {
	hash uint64
	key  string
	val  T
}

func newTable[T any](limit int, weight func(*T) int64) *table[T] {
	return &table[T]{limit: limit, weight: weight, slots: make([]uint32, 64)}
}

// at finds the entry of a key, making it where there is none. The pointer is good until the next call.
func (t *table[T]) at(hash uint64, key []byte) *T {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return t.add(hash, key)
		}
		if e := &t.ents[n-1]; e.hash == hash && e.key == string(key) {
			return &e.val
		}
	}
}

func (t *table[T]) add(hash uint64, key []byte) *T {
	if len(t.ents) >= t.limit {
		t.forget()
	}
	if t.seen != nil {
		t.seen.add(string(key))
	}
	t.ents = append(t.ents, entry[T]{hash: hash, key: string(key)})
	if len(t.ents)*2 > len(t.slots) {
		t.rehash(len(t.slots) * 2)
	} else {
		t.place(len(t.ents) - 1)
	}
	return &t.ents[len(t.ents)-1].val
}

func (t *table[T]) place(n int) {
	mask := uint64(len(t.slots) - 1)
	i := t.ents[n].hash & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = uint32(n + 1)
}

func (t *table[T]) rehash(size int) {
	t.slots = make([]uint32, size)
	for n := range t.ents {
		t.place(n)
	}
}

// forget drops the lighter half.
func (t *table[T]) forget() {
	if t.seen == nil {
		t.seen = new(sketch)
		for i := range t.ents {
			t.seen.add(t.ents[i].key)
		}
	}
	slices.SortFunc(t.ents, func(a, b entry[T]) int { return int(t.weight(&b.val) - t.weight(&a.val)) })
	keep := len(t.ents) / 2
	t.cut += int64(len(t.ents) - keep)
	clear(t.ents[keep:])
	t.ents = t.ents[:keep]
	t.rehash(len(t.slots))
}

// distinct is the number of keys ever seen; exact where nothing was forgotten.
func (t *table[T]) distinct() (n int64, exact bool) {
	if t.seen == nil {
		return int64(len(t.ents)), true
	}
	return t.seen.count(), false
}

// sorted lists the heaviest entries, heaviest first, ties by key; top 0 means all. Where few of many are wanted the
// rest is not sorted.
func (t *table[T]) sorted(top int) []entry[T] {
	order := func(a, b *entry[T]) int {
		return cmp.Or(cmp.Compare(t.weight(&b.val), t.weight(&a.val)), strings.Compare(a.key, b.key))
	}
	if top <= 0 || top > len(t.ents) {
		top = len(t.ents)
	}
	best := make([]*entry[T], 0, 2*top+1)
	var floor *entry[T] // no entry behind it can be among the heaviest
	for i := range t.ents {
		e := &t.ents[i]
		if floor != nil && order(e, floor) > 0 {
			continue
		}
		if best = append(best, e); len(best) == cap(best) {
			slices.SortFunc(best, order)
			best = best[:top]
			floor = best[top-1]
		}
	}
	slices.SortFunc(best, order)
	out := make([]entry[T], 0, min(top, len(best)))
	for _, e := range best[:min(top, len(best))] {
		out = append(out, *e)
	}
	return out
}

// sketch is a HyperLogLog with 2^14 registers (Flajolet et al. 2007), fed with a hash that is the same in each run (FNV-1a),
// so that its estimate is.
type sketch struct{ reg [1 << 14]uint8 }

func (s *sketch) add(key string) {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>31) * 0x9e3779b97f4a7c15
	i := h >> 50
	s.reg[i] = max(s.reg[i], uint8(bits.LeadingZeros64(h<<14|1<<13))+1)
}

func (s *sketch) count() int64 {
	const m = float64(1 << 14)
	sum, zero := 0.0, 0
	for _, r := range s.reg {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			zero++
		}
	}
	est := 0.7213 / (1 + 1.079/m) * m * m / sum
	if est <= 2.5*m && zero > 0 {
		est = m * math.Log(m/float64(zero))
	}
	return int64(est)
}
