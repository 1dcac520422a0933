//go:build unix

package cli

import (
	"os"
	"syscall"
)

// lockFile takes a file for this process alone; the lock ends with the process, however it ends.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// waitForLock waits until it has the file alone.
func waitForLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
