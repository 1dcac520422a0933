package trace

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// pageSize is the unit in which a spill takes room, in bytes.
const pageSize = 4 << 10

// spill keeps text of a stream at its offset, for later passes and for showing it: in memory up to a bound, beyond it
// in a temporary file that has no name any more and goes away with the process. What was never written takes no room and
// reads as zeros.
type spill struct {
	mu    sync.Mutex
	dir   string
	limit int // bytes in memory
	pages map[int64]*[pageSize]byte
	size  int64 // end of what was written
	file  *os.File
	err   error
}

// write puts text at its place. The first error stays and is given from then on.
func (s *spill) write(b []byte, off int64) error {
	s.mu.Lock()
	if s.size = max(s.size, off+int64(len(b))); s.err == nil && s.file == nil {
		s.toMemory(b, off)
		if len(s.pages)*pageSize > s.limit {
			s.err = s.toFile()
		}
		defer s.mu.Unlock()
		return s.err
	}
	f, err := s.file, s.err
	s.mu.Unlock()
	if err == nil {
		if _, err = f.WriteAt(b, off); err != nil { // many at once: they write at different places
			s.mu.Lock()
			defer s.mu.Unlock()
			s.err = err
		}
	}
	return err
}

func (s *spill) toMemory(b []byte, off int64) {
	if s.pages == nil {
		s.pages = map[int64]*[pageSize]byte{}
	}
	for len(b) > 0 {
		p := s.pages[off/pageSize]
		if p == nil {
			p = new([pageSize]byte)
			s.pages[off/pageSize] = p
		}
		n := copy(p[off%pageSize:], b)
		b, off = b[n:], off+int64(n)
	}
}

func (s *spill) toFile() error {
	f, err := os.CreateTemp(s.dir, "mailwhy-*.log")
	if err != nil {
		return fmt.Errorf("room for the unpacked log: %w", err)
	}
	os.Remove(f.Name()) // some systems refuse while it is open; close tries again
	for n, p := range s.pages {
		if _, err := f.WriteAt(p[:min(pageSize, s.size-n*pageSize)], n*pageSize); err != nil {
			f.Close()
			return err
		}
	}
	s.file, s.pages = f, nil
	return nil
}

// ReadAt reads what was written.
func (s *spill) ReadAt(b []byte, off int64) (int, error) {
	s.mu.Lock()
	f, size := s.file, s.size
	if f != nil {
		s.mu.Unlock()
		return f.ReadAt(b, off)
	}
	defer s.mu.Unlock()
	if off >= size {
		return 0, io.EOF
	}
	n := 0
	for end := min(int64(len(b)), size-off); int64(n) < end; {
		at := off + int64(n)
		to := b[n:min(int64(n)+pageSize-at%pageSize, end)]
		if p := s.pages[at/pageSize]; p != nil {
			copy(to, p[at%pageSize:])
		} else {
			clear(to)
		}
		n += len(to)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (s *spill) close() {
	if s.file != nil {
		name := s.file.Name()
		s.file.Close()
		os.Remove(name)
	}
}
