package logs

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// BlockSize is the size of the blocks of random access, in bytes. It fits the second-level cache of a core.
const BlockSize = 512 << 10

// MaxLine is the longest line kept whole. The rest of a longer one is stepped over.
const MaxLine = 16 << 20

// Input is one opened log: a plain file, which can be read at any place, or a stream (compressed, standard input,
// UTF-16, journald's export), which is read from its start.
type Input struct {
	Name    string
	ModTime time.Time // of the last change; the moment of opening for a stream without one
	Size    int64     // bytes of the file as stored
	Format  string    // "plain", "gzip", "zstd", "xz", "bzip2", "utf-16", "journal-export", "journal-verbose", "json-pretty", "json-list"
	Layout  *Layout   // set by Sniff for tables

	file   *os.File
	packed *os.File // what stream unpacks, when it is a regular file
	stream io.Reader
	head   []byte
	closer func()

	sights []sighting            // of a text whose times name no year
	years  atomic.Pointer[Years] // of a stream they come up at its end
	told   bool                  // years come from an earlier reading
}

// Open opens a file. An empty file, a directory and a binary file are errors that name it.
func Open(name string) (*Input, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = &Error{name, ErrDirectory}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	in := &Input{Name: name, ModTime: st.ModTime(), Size: st.Size(), file: f, closer: func() { f.Close() }}
	if !st.Mode().IsRegular() {
		in.file, in.stream, in.Format = nil, f, "plain"
		return in.decode(bufio.NewReaderSize(f, 1<<16))
	}
	head := make([]byte, 1<<16)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, &Error{name, err}
	}
	if in.head = head[:n]; n == 0 {
		f.Close()
		return nil, &Error{name, ErrEmpty}
	}
	if in.Format = magic(in.head); in.Format == "plain" && !in.broken() {
		if _, ok := sight(in.head, 0, true); ok {
			in.sights = sights(f, in.Size, in.head)
			in.years.Store(settle(in.sights, in.ModTime))
		}
		return in, in.check()
	}
	in.packed = f
	return in.decode(bufio.NewReaderSize(f, 1<<18))
}

// broken tells lines of JSON that must be mended as they are read, which takes a look at all of them.
func (in *Input) broken() bool {
	if in.head[0] != '{' {
		return false
	}
	stop := errors.New("found")
	return in.Each(func(block []byte, _ int64) error {
		if brokenJSON(block) {
			return stop
		}
		return nil
	}) == stop
}

// Twice tells whether Again can be used: there is a file to go back to, and unpacking it again does not take long.
func (in *Input) Twice() bool {
	return in.packed != nil && in.Format != "xz" && in.Format != "bzip2"
}

// Again gives the text of a stream from its start once more, as far as the file went at opening. It must be closed before
// the input is.
func (in *Input) Again() (io.ReadCloser, error) {
	again := &Input{Name: in.Name, Size: in.Size, closer: func() {}}
	again, err := again.decode(bufio.NewReaderSize(io.NewSectionReader(in.packed, 0, in.Size), 1<<18))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{again.stream, again}, nil
}

// FromReader opens a stream; name is how it is called in reports ("standard input"), now its time.
func FromReader(name string, r io.Reader, now time.Time) (*Input, error) {
	in := &Input{Name: name, ModTime: now, closer: func() {}}
	return in.decode(bufio.NewReaderSize(r, 1<<18))
}

// magic tells how the first bytes are packed.
func magic(b []byte) string {
	for _, m := range [...]struct{ sign, name string }{
		{"\x1f\x8b", "gzip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"\xfd7zXZ\x00", "xz"}, {"BZh", "bzip2"},
		{"\xff\xfe", "utf-16"}, {"\xfe\xff", "utf-16"}, {"__CURSOR=", "journal-export"}, {"__REALTIME_TIMESTAMP=", "journal-export"}, {"__SEQNUM=", "journal-export"},
	} {
		if bytes.HasPrefix(b, []byte(m.sign)) {
			return m.name
		}
	}
	first, _, _ := bytes.Cut(b[:min(len(b), 512)], []byte("\n"))
	if _, ok := verboseHead(first); ok {
		return "journal-verbose"
	}
	if prettyJSON(b) {
		return "json-pretty"
	}
	if listedJSON(b) {
		return "json-list"
	}
	return "plain"
}

// decode wraps the stream in what its first bytes ask for, and looks at the text behind.
func (in *Input) decode(br *bufio.Reader) (*Input, error) {
	peek, _ := br.Peek(512)
	if len(peek) == 0 {
		in.Close()
		return nil, &Error{in.Name, ErrEmpty}
	}
	in.Format = magic(peek)
	r, err := in.unpack(br)
	if err != nil {
		in.Close()
		return nil, &Error{in.Name, err}
	}
	text := bufio.NewReaderSize(r, 1<<16)
	if b, _ := text.Peek(512); in.Format != "journal-export" && magic(b) == "journal-export" {
		text = bufio.NewReaderSize(newExport(text), 1<<16)
	} else if in.Format != "utf-16" && magic(b) == "utf-16" {
		text = bufio.NewReaderSize(newUTF16(text), 1<<16)
	} else if m := magic(b); m != in.Format && m == "journal-verbose" {
		text = bufio.NewReaderSize(newVerbose(text), 1<<16)
	} else if m != in.Format && m == "json-pretty" {
		text = bufio.NewReaderSize(newPretty(text), 1<<16)
	} else if m != in.Format && m == "json-list" {
		text = bufio.NewReaderSize(newObjects(text), 1<<16)
	}
	head, err := text.Peek(1 << 16)
	in.file, in.stream, in.head = nil, text, bytes.Clone(head)
	if len(head) == 0 {
		in.Close()
		if err != nil && err != io.EOF {
			return nil, &Error{in.Name, err}
		}
		return nil, &Error{in.Name, ErrEmpty}
	}
	if head[0] == '{' {
		in.stream = newJSON(text, in.head)
	}
	return in, in.check()
}

func (in *Input) unpack(br *bufio.Reader) (io.Reader, error) {
	switch in.Format {
	case "gzip":
		return gzip.NewReader(br)
	case "zstd":
		d, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		c := in.closer
		in.closer = func() { d.Close(); c() }
		return d, nil
	case "xz":
		return xz.NewReader(br)
	case "bzip2":
		return bzip2.NewReader(br), nil
	case "utf-16":
		return newUTF16(br), nil
	case "journal-export":
		return newExport(br), nil
	case "journal-verbose":
		return newVerbose(br), nil
	case "json-pretty":
		return newPretty(br), nil
	case "json-list":
		return newObjects(br), nil
	}
	return br, nil
}

// check refuses what is no text.
func (in *Input) check() error {
	b := in.head
	why := error(nil)
	switch {
	case bytes.HasPrefix(b, []byte("LPKSHHRH")):
		why = ErrJournal
	case notText(b):
		why = ErrBinary
	}
	if why != nil {
		in.Close()
		return &Error{in.Name, why}
	}
	return nil
}

// notText tells bytes that are no log: many control signs. A run of NULs in front, which a truncated log has, is let
// through.
func notText(b []byte) bool {
	b = bytes.TrimLeft(b, "\x00")
	bad := 0
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\t' && c != '\r' && c != 0x1b {
			bad++
		}
	}
	return bad*20 > len(b)
}

// Head is the beginning of the text, up to 64 KiB.
func (in *Input) Head() []byte { return in.head }

// Sniff asks the dialects whether the input is a table of theirs.
func (in *Input) Sniff(dialects []Dialect) {
	if l := LayoutOf(dialects, in.head); l != nil {
		in.Layout = l
	}
}

// LayoutOf asks the dialects whether the first lines of a file are those of a table; nil where they are not.
func LayoutOf(dialects []Dialect, head []byte) *Layout {
	if len(head) == 0 {
		return nil
	}
	for _, d := range dialects {
		if t, ok := d.(Tabular); ok {
			if l := t.Columns(head); l != nil {
				return l
			}
		}
	}
	return nil
}

// Reader gives a reader with the input's time and layout.
func (in *Input) Reader(local *time.Location, dialects []Dialect) *Reader {
	r := NewReader(Clock{Local: local, Latest: in.ModTime}, dialects)
	r.Layout, r.Years = in.Layout, in.years.Load()
	return r
}

// Seekable tells whether Block can be used.
func (in *Input) Seekable() bool { return in.file != nil }

// Blocks is the number of blocks of a seekable input, by its size at opening.
func (in *Input) Blocks() int { return int((in.Size + BlockSize - 1) / BlockSize) }

// Block reads the lines that begin in block i of a seekable input into buf, which grows as needed. base is the offset
// of the first. Many goroutines may call it at once, each with a buffer of its own. With ErrShorter, what is left of the block
// is given.
func (in *Input) Block(i int, buf []byte) (block []byte, base int64, err error) {
	return ReadBlock(in.file, in.Size, i, buf)
}

// ReadAt reads a seekable input at any place.
func (in *Input) ReadAt(b []byte, off int64) (int, error) { return in.file.ReadAt(b, off) }

// ReadBlock is Block for any file of lines of the given size.
func ReadBlock(f io.ReaderAt, size int64, i int, buf []byte) (block []byte, base int64, err error) {
	const slack = 8 << 10
	start := int64(i) * BlockSize
	stop := min(start+BlockSize, size) // lines that begin before stop
	from := max(start-1, 0)
	if cap(buf) < BlockSize+slack+1 {
		buf = make([]byte, BlockSize+slack+1)
	}
	want := min(int64(cap(buf)), size-from)
	n, err := f.ReadAt(buf[:want], from)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	b := buf[:n]
	if int64(n) < want {
		return shortened(b, i, from)
	}
	if i > 0 {
		j := bytes.IndexByte(b, '\n')
		if j < 0 || from+int64(j)+1 >= stop {
			return nil, 0, nil // one line covers the whole block: it belongs to an earlier one
		}
		b, from = b[j+1:], from+int64(j)+1
	}
	for {
		need := int(stop - from) // the line that begins at stop-1 at the latest must be whole
		if need <= len(b) {
			if need == 0 {
				return nil, 0, nil
			}
			if j := bytes.IndexByte(b[need-1:], '\n'); j >= 0 {
				return b[:need+j], from, nil
			}
		}
		if from+int64(len(b)) >= size || len(b) > BlockSize+MaxLine {
			return b, from, nil
		}
		more := make([]byte, min(int64(len(b))*2+slack, size-from))
		copy(more, b)
		m, err := f.ReadAt(more[len(b):], from+int64(len(b)))
		if m == 0 {
			if err == io.EOF || err == nil {
				return b, from, ErrShorter
			}
			return nil, 0, err
		}
		b = more[:len(b)+m]
	}
}

// shortened is a block of which only a part is there any more.
func shortened(b []byte, i int, from int64) (block []byte, base int64, err error) {
	if i > 0 {
		_, rest, _ := bytes.Cut(b, []byte("\n"))
		b, from = rest, from+int64(len(b)-len(rest))
	}
	return b[:bytes.LastIndexByte(b, '\n')+1], from, ErrShorter
}

// Each reads the whole input from its start in blocks of whole lines and gives each to fn with the offset of its first
// byte in the text. The block is valid until fn returns. It returns fn's error, or the input's own after everything
// readable was given.
func (in *Input) Each(fn func(block []byte, base int64) error) error {
	if in.file != nil {
		var buf []byte
		for i := range in.Blocks() {
			b, base, broken := in.Block(i, buf)
			if len(b) > 0 {
				if err := fn(b, base); err != nil {
					return err
				}
			}
			if broken != nil {
				return &Error{in.Name, broken}
			}
			if cap(b) > cap(buf) && cap(b) < 4*BlockSize {
				buf = b[:cap(b)]
			}
		}
		return nil
	}
	var buf []byte
	return in.EachOwned(func() []byte { return buf }, func(block []byte, base int64) error {
		buf = block[:cap(block)]
		return fn(block, base)
	})
}

// EachOwned is Each for a stream, for those who keep the blocks: fn owns its block, and the next one is read into what
// buffer gives, which may be nil, or the last block if it is not in use any more.
func (in *Input) EachOwned(buffer func() []byte, fn func(block []byte, base int64) error) error {
	buf := room(buffer(), 0)
	have, base := 0, int64(0)
	var over, tooLong bool // the rest of a line beyond all measure comes; there was one
	_, watch := sight(in.head, 0, true)
	defer func() {
		if watch && !in.told {
			in.years.Store(settle(in.sights, in.ModTime))
		}
	}()
	for {
		n, err := fill(in.stream, buf[have:])
		have += n
		if over {
			rest := stepOver(buf[:have])
			over = len(rest) == 0
			base += int64(have - len(rest))
			have = copy(buf, rest)
		}
		end := bytes.LastIndexByte(buf[:have], '\n') + 1
		if err != nil {
			end = have
		}
		switch {
		case end > 0:
			rest := buf[end:have]
			if len(rest) > 0 && err == nil {
				rest = bytes.Clone(rest) // the block is no longer ours once it is given away
			}
			if watch && !in.told {
				in.sights = thin(inBlock(in.sights, buf[:end], base), len(in.sights))
			}
			if ferr := fn(buf[:end:len(buf)], base); ferr != nil {
				return ferr
			}
			base += int64(end)
			if err == nil {
				buf = room(buffer(), len(rest))
				have = copy(buf, rest)
			}
		case len(buf) < MaxLine:
			buf = append(buf, make([]byte, len(buf))...)
		default:
			base += int64(have)
			have, over, tooLong = 0, true, true
		}
		if err == io.EOF && tooLong {
			return &Error{in.Name, ErrTooLong}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &Error{in.Name, &Broken{base, err}}
		}
	}
}

// stepOver gives what follows the end of the line.
func stepOver(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}

// room gives a buffer of a block's size, b itself where it is that large, with space behind the first bytes.
func room(b []byte, taken int) []byte {
	if b = b[:cap(b)]; len(b) < BlockSize || len(b) < 2*taken {
		b = make([]byte, max(BlockSize, 2*taken))
	}
	return b
}

// fill reads until the buffer is full or the stream ends; io.EOF is a clean end only.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// Close closes it.
func (in *Input) Close() error {
	if in.closer != nil {
		in.closer()
		in.closer = nil
	}
	return nil
}
