//go:build unix

package intake

import (
	"os"
	"syscall"
)

// inode gives the device and the number of a file; zeros where the file system has none.
func inode(st os.FileInfo) (dev, ino uint64) {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Dev), uint64(s.Ino) //nolint:unconvert // the types differ between systems
	}
	return 0, 0
}
