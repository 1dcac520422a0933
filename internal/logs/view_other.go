//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package logs

import "os"

func showFile(*os.File, int64, int) []byte { return nil }

func hideFile([]byte) {}
