//go:build !unix

package cli

import "os"

// lockFile does nothing where there are no such locks; SQLite's own still hold.
func lockFile(*os.File) error { return nil }

func waitForLock(*os.File) error { return nil }
