//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package trace

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile gives a part of a file as memory.
func mapFile(f *os.File, from int64, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), from, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unmapFile(b []byte) { unix.Munmap(b) }
