// Package intaketest helps to test what takes logs in: a writer that appends and rotates.
package intaketest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

// QueueID is the queue id of the nth line, from 1.
func QueueID(n int) string { return fmt.Sprintf("A%011d", n) }

// Writer appends numbered lines and rotates as logrotate does, by renaming or by copying and truncating.
type Writer struct {
	Path    string
	Rand    *rand.Rand
	N       int // lines begun
	Rotated int
	f       *os.File
	half    string // of a line of which the beginning was written
}

func (w *Writer) step() error {
	if w.f == nil {
		f, err := os.OpenFile(w.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		w.f = f
	}
	var b strings.Builder
	b.WriteString(w.half)
	w.half = ""
	for range 1 + w.Rand.IntN(20) {
		w.N++
		fmt.Fprintf(&b, "Nov 22 10:00:00 mx1 postfix/smtp[16]: %s: to=<sun@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok %s)\n", QueueID(w.N), strings.Repeat("x", w.Rand.IntN(200)))
	}
	text := b.String()
	turn := w.Rand.IntN(30)
	if turn > 2 { // between rotations lines are written in pieces
		cut := len(text) - w.Rand.IntN(100)
		text, w.half = text[:cut], text[cut:]
	}
	if _, err := w.f.WriteString(text); err != nil {
		return err
	}
	switch turn {
	case 0, 1:
		return w.byRename()
	case 2:
		return w.byCopy()
	}
	return nil
}

// shift makes room for a new .1.
func (w *Writer) shift() error {
	for k := w.Rotated; k >= 1; k-- {
		if err := os.Rename(fmt.Sprint(w.Path, ".", k), fmt.Sprint(w.Path, ".", k+1)); err != nil {
			return err
		}
	}
	w.Rotated++
	return nil
}

func (w *Writer) byRename() error {
	if err := w.shift(); err != nil {
		return err
	}
	if err := os.Rename(w.Path, w.Path+".1"); err != nil {
		return err
	}
	err := w.f.Close()
	w.f = nil
	return err
}

func (w *Writer) byCopy() error {
	if err := w.shift(); err != nil {
		return err
	}
	whole, err := os.ReadFile(w.Path)
	if err == nil {
		err = os.WriteFile(w.Path+".1", whole, 0o600)
	}
	if err == nil {
		err = os.Truncate(w.Path, 0)
	}
	return err
}

// Start writes step by step until stop is called, which ends the last line and gives the first error.
func (w *Writer) Start() (stop func() error) {
	written, end := make(chan error, 1), make(chan struct{})
	go func() {
		for {
			select {
			case <-end:
				written <- nil
				return
			case <-time.After(time.Millisecond):
			}
			if err := w.step(); err != nil {
				written <- err
				return
			}
		}
	}()
	return func() error {
		close(end)
		err := <-written
		if err == nil && w.f != nil {
			_, err = w.f.WriteString(w.half)
			w.half = ""
		}
		return err
	}
}
