package logs

import (
	"bytes"
	"runtime/debug"
)

// A view shows so many blocks at once, and so much before and behind them, in bytes: room for the lines at its ends, and
// a multiple of every system's page size.
const (
	viewBlocks = 16
	viewMargin = 64 << 10
)

// View shows the text of files without copying it, where the system can. One goroutine uses one View, one file at a
// time. It must be closed.
type View struct {
	in   *Input
	text []byte
	from int64 // offset of the text in the file
}

// Block is Input.Block without a buffer: the text is valid until the next call. It must be called, and the text be looked
// at, within Guard. ok is false where the block has to be read: the system cannot show it, or a line is very long.
func (v *View) Block(in *Input, i int) (block []byte, base int64, ok bool) {
	if !v.show(in, i) {
		return nil, 0, false
	}
	start := int64(i) * BlockSize
	stop := min(start+BlockSize, in.Size)
	from := max(start-1, 0)
	b := v.text[from-v.from:]
	if i > 0 {
		j := bytes.IndexByte(b, '\n')
		if j < 0 || from+int64(j)+1 >= stop {
			return nil, 0, false
		}
		b, from = b[j+1:], from+int64(j)+1
	}
	need := int(stop - from)
	if j := bytes.IndexByte(b[need-1:], '\n'); j >= 0 {
		return b[:need+j], from, true
	}
	return b, from, from+int64(len(b)) == in.Size
}

// show moves the view to a block.
func (v *View) show(in *Input, i int) bool {
	first := int64(i) / viewBlocks * viewBlocks * BlockSize
	from, to := max(0, first-viewMargin), min(in.Size, first+viewBlocks*BlockSize+viewMargin)
	if v.in == in && v.from == from && v.text != nil {
		return true
	}
	v.Close()
	if in.file == nil {
		return false
	}
	v.in, v.from, v.text = in, from, showFile(in.file, from, int(to-from))
	return v.text != nil
}

// Close ends the view.
func (v *View) Close() {
	if v.text != nil {
		hideFile(v.text)
	}
	v.text = nil
}

// Guard runs fn, which looks at the text of the view. The error says that the text went away while fn looked at it: a
// file that became shorter, or a disk that failed. What fn did may be half done.
func (v *View) Guard(fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		fault := recover()
		if _, ok := fault.(interface{ Addr() uintptr }); ok && v.text != nil {
			err = &Error{v.in.Name, ErrShorter}
		} else if fault != nil {
			panic(fault)
		}
	}()
	fn()
	return nil
}
