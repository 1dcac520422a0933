package trace

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// spill keeps the text of a stream for the passes after the first: in memory up to a bound, beyond it in a temporary
// file that has no name any more and goes away with the process.
type spill struct {
	mu    sync.Mutex
	dir   string
	limit int
	mem   []byte
	file  *os.File
	err   error
}

// write puts the block at its place. Blocks may come in any order once they are in the file; in memory they are laid
// out by offset as well.
func (s *spill) write(b []byte, off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.file == nil && off+int64(len(b)) <= int64(s.limit) {
		if need := int(off) + len(b); need > len(s.mem) {
			if need > cap(s.mem) {
				grown := make([]byte, len(s.mem), min(max(need, 2*cap(s.mem)), s.limit))
				copy(grown, s.mem)
				s.mem = grown
			}
			s.mem = s.mem[:need]
		}
		copy(s.mem[off:], b)
		return nil
	}
	if s.file == nil {
		if s.err = s.toFile(); s.err != nil {
			return s.err
		}
	}
	_, s.err = s.file.WriteAt(b, off)
	return s.err
}

func (s *spill) toFile() error {
	f, err := os.CreateTemp(s.dir, "mailwhy-*.log")
	if err != nil {
		return fmt.Errorf("room for the unpacked log: %w", err)
	}
	os.Remove(f.Name()) // some systems refuse while it is open; close tries again
	s.file = f
	if _, err := f.WriteAt(s.mem, 0); err != nil {
		return err
	}
	s.mem = nil
	return nil
}

// ReadAt reads what was written.
func (s *spill) ReadAt(p []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	if off >= int64(len(s.mem)) {
		return 0, io.EOF
	}
	n := copy(p, s.mem[off:])
	if n < len(p) {
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
