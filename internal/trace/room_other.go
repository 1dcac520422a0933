//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package trace

import (
	"errors"
	"os"
)

func mapFile(*os.File, int64, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmapFile([]byte) {}
