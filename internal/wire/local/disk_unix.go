//go:build linux || darwin || freebsd

package local

import "syscall"

// Disk is the space of the file system that holds a path.
type Disk struct {
	Path       string `json:"path"`
	Total      int64  `json:"total"` // bytes
	Free       int64  `json:"free"`  // bytes that an ordinary user may still write
	Inodes     int64  `json:"inodes"`
	InodesFree int64  `json:"inodes_free"` // 0 of 0 where the file system makes them as it goes
}

// ReadDisk asks the kernel (statfs).
func ReadDisk(path string) (Disk, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return Disk{Path: path}, err
	}
	size := int64(s.Bsize)
	return Disk{Path: path, Total: int64(s.Blocks) * size, Free: int64(s.Bavail) * size, Inodes: int64(s.Files), InodesFree: int64(s.Ffree)}, nil
}
