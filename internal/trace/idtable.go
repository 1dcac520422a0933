package trace

import (
	"math/bits"
	"sync/atomic"
)

// idTable tells the number of an id by its hash of 64 bits, and whether a line has the id in front. One writes at a time,
// and any number read beside it without waiting: what they do not see yet, is for another pass. It is in segments that grow
// one by one, so that growing never takes much beside what is there.
type idTable struct {
	room     *room
	segments [256]atomic.Pointer[segment]
}

// segment is a part of the table: slots side by side, looked at from the home of a hash on until one is empty.
type segment struct {
	keys []uint64 // 0: empty
	nums []uint32 // number of the id; the highest bit says that it is defined
	used int
	heap bool // the room gave it from the heap
}

const (
	definedBit = 1 << 31
	slotBytes  = 12
	newSegment = 8 // slots
)

func (s *segment) home(h uint64) int {
	at, _ := bits.Mul64(h<<8, uint64(len(s.keys)))
	return int(at)
}

// look gives the number of the id, and whether it is defined.
func (t *idTable) look(h uint64) (n int32, defined, ok bool) {
	s := t.segments[h>>56].Load()
	if s == nil {
		return 0, false, false
	}
	for i := s.home(h); ; {
		switch atomic.LoadUint64(&s.keys[i]) {
		case h:
			v := atomic.LoadUint32(&s.nums[i])
			return int32(v &^ definedBit), v&definedBit != 0, true
		case 0:
			return 0, false, false
		}
		if i++; i == len(s.keys) {
			i = 0
		}
	}
}

// has tells whether the id is known.
func (t *idTable) has(h uint64) bool {
	_, _, ok := t.look(h)
	return ok
}

// add takes in an id that is not there.
func (t *idTable) add(h uint64, n int32) {
	s := t.segments[h>>56].Load()
	if s == nil || s.used*5 >= len(s.keys)*4 {
		s = t.grown(s)
		t.segments[h>>56].Store(s)
	}
	s.put(h, uint32(n))
}

func (s *segment) put(h uint64, v uint32) {
	i := s.home(h)
	for s.keys[i] != 0 {
		if i++; i == len(s.keys) {
			i = 0
		}
	}
	atomic.StoreUint32(&s.nums[i], v)
	atomic.StoreUint64(&s.keys[i], h) // what finds the key finds its number
	s.used++
}

// grown gives a copy of the segment with more slots: a quarter more on the heap, which gets the old ones back, and twice as
// many in a file, which does not.
func (t *idTable) grown(old *segment) *segment {
	had := 0
	if old != nil {
		had = len(old.keys)
	}
	size := had + max(newSegment, had/4)
	heap := t.room.fits(slotBytes * size)
	if !heap {
		size = max(2*had, newSegment)
	}
	s := &segment{keys: t.room.longs(size), nums: t.room.words(size), heap: heap}
	if old == nil {
		return s
	}
	for i, h := range old.keys {
		if h != 0 {
			s.put(h, old.nums[i])
		}
	}
	if old.heap {
		t.room.freed(slotBytes * had)
	}
	return s
}

// define notes that a line has the id in front.
func (t *idTable) define(h uint64) {
	s := t.segments[h>>56].Load()
	i := s.home(h)
	for s.keys[i] != h {
		if i++; i == len(s.keys) {
			i = 0
		}
	}
	atomic.StoreUint32(&s.nums[i], s.nums[i]|definedBit)
}

// forget lets go of the memory.
func (t *idTable) forget() {
	for i := range t.segments {
		if s := t.segments[i].Swap(nil); s != nil && s.heap {
			t.room.freed(slotBytes * len(s.keys))
		}
	}
}
