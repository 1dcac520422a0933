package trace

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// mapped is how much of its file a room maps at once, in bytes.
const mapped = 4 << 20

// room gives zeroed memory for the large tables of a search: from the heap up to a bound, beyond it from a temporary file
// without a name that is mapped. Such memory is part of the page cache: the system writes it out when it is short of memory,
// so that the widest search fits whatever the size of the log. Where files cannot be mapped, or the disk is full, all is from
// the heap. A room must be closed, and what it gave is not used afterwards.
type room struct {
	mu   sync.Mutex
	dir  string
	left int // bytes of the heap still to be given
	file *os.File
	size int64  // of the file
	rest []byte // mapped and not given yet
	maps [][]byte
	err  error // why the file cannot be used
}

// words gives n zeroed words.
func (r *room) words(n int) []uint32 {
	if b := r.outside(4 * n); b != nil {
		return unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), n)
	}
	return make([]uint32, n)
}

// longs gives n zeroed words of 64 bits.
func (r *room) longs(n int) []uint64 {
	if b := r.outside(8 * n); b != nil {
		return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), n)
	}
	return make([]uint64, n)
}

// fits tells whether so many bytes would be taken from the heap.
func (r *room) fits(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left >= n || r.err != nil
}

// freed tells that memory from the heap is used no more. Of the file nothing comes back before the end.
func (r *room) freed(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += bytes
}

// outside gives memory of the file, nil where it is to be taken from the heap.
func (r *room) outside(n int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n = (n + 7) &^ 7; r.left < n && r.err == nil && len(r.rest) < n {
		r.rest, r.err = r.grow((n + mapped - 1) / mapped * mapped)
	}
	if r.left >= n || r.err != nil {
		r.left -= n
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// grow maps another part of the file. Zeros are written to it first: a full disk is an error here, and not a fault later.
func (r *room) grow(n int) ([]byte, error) {
	if r.file == nil {
		f, err := os.CreateTemp(r.dir, "mailwhy-*.ids")
		if err != nil {
			return nil, fmt.Errorf("room for ids: %w", err)
		}
		os.Remove(f.Name()) // some systems refuse while it is open; close tries again
		r.file = f
	}
	zeros := make([]byte, 1<<20)
	for at := 0; at < n; at += len(zeros) {
		if _, err := r.file.WriteAt(zeros[:min(len(zeros), n-at)], r.size+int64(at)); err != nil {
			return nil, err
		}
	}
	b, err := mapFile(r.file, r.size, n)
	if err != nil {
		return nil, err
	}
	r.size += int64(n)
	r.maps = append(r.maps, b)
	return b, nil
}

func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.maps {
		unmapFile(b)
	}
	r.maps, r.rest = nil, nil
	if r.file != nil {
		name := r.file.Name()
		r.file.Close()
		os.Remove(name)
		r.file = nil
	}
}

// column is a list of words in pages, which never move.
type column struct {
	room  *room
	pages [][]uint32
	n     int32
}

const columnPage = 1 << 14 // words

func (c *column) add(v uint32) {
	if int(c.n)%columnPage == 0 && int(c.n)/columnPage == len(c.pages) {
		c.pages = append(c.pages, c.room.words(columnPage))
	}
	*c.at(c.n) = v
	c.n++
}

func (c *column) at(n int32) *uint32 { return &c.pages[n/columnPage][n%columnPage] }
