package logs

import (
	"errors"
	"fmt"
)

// Error is why an input cannot be read, or not to its end.
type Error struct {
	Name string // of the input
	Err  error
}

func (e *Error) Error() string { return e.Name + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Broken is packed text that ends in the midst, or goes wrong.
type Broken struct {
	After int64 // bytes of text that could be read
	Err   error // io.ErrUnexpectedEOF where the file ends too early
}

func (e *Broken) Error() string {
	return fmt.Sprintf("broken after %d bytes of text: %v", e.After, e.Err)
}

func (e *Broken) Unwrap() error { return e.Err }

// What is wrong with an input. The errors stand in an Error, which has its name.
var (
	ErrDirectory = errors.New("is a directory")
	ErrBinary    = errors.New("is binary, not a log")
	ErrJournal   = errors.New("is a binary journal: use journalctl -o export, or journalctl -o json")
	ErrEmpty     = errors.New("is empty")
	ErrShorter   = errors.New("became shorter while it was read")
	ErrTooLong   = fmt.Errorf("has a line of more than %d MB, which was stepped over", MaxLine>>20)
)
