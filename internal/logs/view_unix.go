//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package logs

import (
	"os"

	"golang.org/x/sys/unix"
)

// showFile gives a part of a file as memory, nil where that cannot be done.
func showFile(f *os.File, from int64, n int) []byte {
	b, err := unix.Mmap(int(f.Fd()), from, n, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	unix.Madvise(b, unix.MADV_SEQUENTIAL) // only advice: what is not in memory yet is read ahead
	return b
}

func hideFile(b []byte) { unix.Munmap(b) }
