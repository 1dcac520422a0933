// Package local looks at this machine: the output of commands that only read.
//
// Promise: a command is started without a shell, with a bound on its time and on its output, and only commands that
// read are ever given to it. Nothing here changes anything.
package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// ErrMissing tells that the program is not on this machine.
var ErrMissing = errors.New("not on this machine")

// maxError bounds what is kept of a command's standard error.
const maxError = 4 << 10

// Output runs a command and gives its standard output, at most limit bytes. A command that fails is an error with the
// first line of what it complained of.
func Output(ctx context.Context, timeout time.Duration, limit int64, name string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &limited{w: &errs, left: maxError}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	out, rerr := io.ReadAll(io.LimitReader(pipe, limit+1))
	if int64(len(out)) > limit {
		cancel()
		_ = cmd.Wait()
		return out[:limit], fmt.Errorf("%s: more than %d bytes of output", name, limit)
	}
	if err := cmd.Wait(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		if ctx.Err() != nil {
			return out, fmt.Errorf("%s: %w", name, ctx.Err())
		}
		return out, fmt.Errorf("%s: %w: %s", name, err, first)
	}
	return out, rerr
}

// Follow runs a command that goes on writing lines, and hands each to each until ctx ends, the command ends, or each
// returns an error, which Follow then returns. A line is lent, without its end, and cut after maxLine bytes. The command
// is gone when Follow returns.
func Follow(ctx context.Context, maxLine int, each func(line []byte) error, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, ErrMissing)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &limited{w: &errs, left: maxError}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lerr := eachLine(bufio.NewReaderSize(pipe, 64<<10), maxLine, each)
	cancelled := ctx.Err()
	if lerr != nil {
		cancel()
	}
	if err := cmd.Wait(); err != nil && lerr == nil && cancelled == nil {
		first, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return fmt.Errorf("%s: %w: %s", name, err, first)
	}
	if cancelled != nil {
		return cancelled
	}
	return lerr
}

// eachLine reads lines up to the end of r, whose own error is no error: the command's end tells more.
func eachLine(r *bufio.Reader, maxLine int, each func([]byte) error) error {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece[:min(len(piece), max(maxLine+1-len(line), 0))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == nil || len(line) > 0 {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if err := each(line[:min(len(line), maxLine)]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		line = line[:0]
	}
}

type limited struct {
	w    io.Writer
	left int
}

// Write keeps what fits and swallows the rest, so that the command is not blocked.
func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
