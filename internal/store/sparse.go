package store

import "io"

// ReadAt reads, as io.ReaderAt does, a source of which stretches are stored. at gives the stretch with the offset in it, or
// else the next one, without text behind the last. What never was stored reads as empty lines.
func ReadAt(p []byte, off int64, at func(off int64) (base int64, text []byte, err error)) (n int, err error) {
	for n < len(p) {
		base, text, err := at(off + int64(n))
		if err != nil {
			return n, err
		}
		if text == nil {
			return n, io.EOF
		}
		for off+int64(n) < base && n < len(p) {
			p[n] = '\n'
			n++
		}
		if n < len(p) {
			n += copy(p[n:], text[off+int64(n)-base:])
		}
	}
	return n, nil
}
