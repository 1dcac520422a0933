package trace

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// hit is a line found: its offset in the block, and an id of its journey, -1 for a line without one.
type hit struct {
	off uint32
	id  int32
}

// shelvedHits is where lines found are put aside, those of each block together.
type shelvedHits struct {
	spill spill
	keep  int64        // lines kept in memory at most; those of more blocks are packed and put aside
	held  atomic.Int64 // and now
	mu    sync.Mutex
	end   int64
}

// found is the lines found in a block. Who works on the block opens it and shuts it afterwards; in between all lines are in
// the list.
type found struct {
	n    int   // lines
	list []hit // nil where they are put aside
	at   int64 // where they were put aside, and how many bytes they take and may take there
	size int32
	room int32
}

// sort puts the lines into order, each once.
func (f *found) sort() {
	slices.SortFunc(f.list, func(a, b hit) int { return int(a.off) - int(b.off) })
	f.list = slices.CompactFunc(f.list, func(a, b hit) bool { return a.off == b.off })
}

// desk is the room in which one goroutine has the lines of a block at hand.
type desk struct {
	list   []hit
	packed []byte
}

// of gives the lines of a block on a desk.
func (s *shelvedHits) of(f *found, d *desk) ([]hit, error) {
	d.list = d.list[:0]
	if f.size == 0 {
		d.list = append(d.list, f.list...)
		return d.list, nil
	}
	d.packed = slices.Grow(d.packed[:0], int(f.size))[:f.size]
	if _, err := s.spill.ReadAt(d.packed, f.at); err != nil {
		return nil, err
	}
	var h hit
	for b := d.packed; len(d.list) < f.n; {
		off, n := binary.Uvarint(b)
		id, m := binary.Varint(b[n:])
		b = b[n+m:]
		h.off += uint32(off)
		h.id += int32(id)
		d.list = append(d.list, h)
	}
	return d.list, nil
}

// open takes the lines of a block onto a desk.
func (s *shelvedHits) open(f *found, d *desk) error {
	if f.size == 0 {
		s.held.Add(int64(-len(f.list)))
	}
	list, err := s.of(f, d)
	f.list, f.size = list, 0
	return err
}

// shut keeps the lines of a block that was open on a desk.
func (s *shelvedHits) shut(f *found, d *desk) {
	f.sort()
	d.list, f.n = f.list, len(f.list)
	if f.n == 0 || s.held.Add(int64(f.n)) > s.keep && s.pack(f, d) {
		f.list = nil
		return
	}
	f.list = slices.Clone(d.list)
}

// pack puts the lines of a block aside, in its old place where they fit.
func (s *shelvedHits) pack(f *found, d *desk) bool {
	b := d.packed[:0]
	var last hit
	for _, h := range f.list {
		b = binary.AppendUvarint(b, uint64(h.off-last.off))
		b = binary.AppendVarint(b, int64(h.id)-int64(last.id))
		last = h
	}
	if d.packed = b; int32(len(b)) > f.room {
		s.mu.Lock()
		f.at, f.room = s.end, int32(len(b))
		s.end += int64(len(b))
		s.mu.Unlock()
	}
	if s.spill.write(b, f.at) != nil {
		f.room = 0
		return false
	}
	s.held.Add(int64(-f.n))
	f.size = int32(len(b))
	return true
}
