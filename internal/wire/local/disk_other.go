//go:build !linux && !darwin && !freebsd

package local

import "errors"

// Disk is the space of the file system that holds a path.
type Disk struct {
	Path               string `json:"path"`
	Total, Free        int64
	Inodes, InodesFree int64
}

// ReadDisk is not to be had on this system.
func ReadDisk(path string) (Disk, error) { return Disk{Path: path}, errors.ErrUnsupported }
