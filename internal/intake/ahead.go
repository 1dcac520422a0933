package intake

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ahead keeps the lines of a stream from the moment they were read until they are stored: each is written to a file, in
// one system call, before the next is read. When the program is killed they are in the system's memory, and the next
// start takes them in first; only the machine's own end can take the last ones (they are stored within Options.Flush).
//
// Each batch has a file of its own, named by the start of the run and by number: a head as JSON, then records of a
// length, a CRC-32 (both 4 bytes, big endian) and a line. One goroutine at a time uses it: see stream.mu.
type ahead struct {
	dir  string // of the stream's spool
	run  string
	name string // begins the names of this run's files
	n    int    // files begun
	f    *os.File
	buf  []byte
	gave bool     // up until the next batch: the file could not be written
	held []string // files of batches that were taken and are not stored yet
}

// aheadHead begins a file: its first line has the number First of the run.
type aheadHead struct {
	Run   string
	First int64
}

const aheadSuffix = ".lines"

func newAhead(folder, source, run string) *ahead {
	return &ahead{dir: filepath.Join(folder, spoolName(source)), run: run, name: fmt.Sprintf("%020d-%s-", time.Now().UnixNano(), strings.TrimPrefix(run, "run "))}
}

// errNotAhead tells that lines are in memory alone until the next batch.
var errNotAhead = errors.New("the lines of this batch are not on file")

// add writes a line, the one of number seq. Where that fails nothing more is written until the next batch begins.
func (a *ahead) add(line []byte, seq int64) error {
	if a.gave {
		return errNotAhead
	}
	err := a.write(line, seq)
	if err != nil {
		a.gave = true
		a.end()
	}
	return err
}

func (a *ahead) write(line []byte, seq int64) error {
	a.buf = a.buf[:0]
	if a.f == nil {
		if err := os.MkdirAll(a.dir, 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Join(a.dir, fmt.Sprintf("%s%08d%s", a.name, a.n, aheadSuffix)), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		a.f, a.n = f, a.n+1
		head, err := json.Marshal(aheadHead{a.run, seq})
		if err != nil {
			return err
		}
		a.buf = append(append(a.buf, head...), '\n')
	}
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(line)))
	a.buf = binary.BigEndian.AppendUint32(a.buf, crc32.ChecksumIEEE(line))
	a.buf = append(a.buf, line...)
	_, err := a.f.Write(a.buf)
	if cap(a.buf) > 1<<20 {
		a.buf = nil
	}
	return err
}

// take ends the file of the batch that is taken.
func (a *ahead) take() {
	a.gave = false
	a.end()
}

func (a *ahead) end() {
	if a.f == nil {
		return
	}
	a.held = append(a.held, a.f.Name())
	a.f.Close() // nothing is buffered here
	a.f = nil
}

// stored removes the files of batches that are stored, or in the spool.
func (a *ahead) stored() error {
	var all error
	for _, n := range a.held {
		if err := os.Remove(n); err != nil && !errors.Is(err, os.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	a.held = nil
	return all
}

// left is a batch that an earlier run read and did not store.
type left struct {
	name  string
	run   string
	first int64
	lines [][]byte
	torn  bool // the file ends within a record: it was being written
}

// earlier gives the files of earlier runs in order.
func (a *ahead) earlier() (out []string, err error) {
	all, err := os.ReadDir(a.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range all {
		if strings.HasSuffix(e.Name(), aheadSuffix) && !strings.HasPrefix(e.Name(), a.name) {
			out = append(out, filepath.Join(a.dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out, err
}

// readAhead reads a file as far as it is whole.
func readAhead(name string) (*left, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := parseAhead(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	l.name = name
	return l, nil
}

func parseAhead(r io.Reader) (*left, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	line, err := br.ReadSlice('\n')
	if err == io.EOF && len(line) == 0 {
		return &left{}, nil
	}
	var h aheadHead
	if err != nil || json.Unmarshal(line, &h) != nil || h.Run == "" || h.First < 1 {
		return nil, errSpoolBroken
	}
	l := &left{run: h.Run, first: h.First}
	for {
		var head [8]byte
		if _, err := io.ReadFull(br, head[:]); err != nil {
			l.torn = err != io.EOF
			return l, nil
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > 2*MaxLine { // what is put in front of a line is short
			l.torn = true
			return l, nil
		}
		var b bytes.Buffer // grows with what is there, not with what is claimed
		if m, err := io.CopyN(&b, br, int64(n)); err != nil || m != int64(n) || crc32.ChecksumIEEE(b.Bytes()) != binary.BigEndian.Uint32(head[4:]) {
			l.torn = true
			return l, nil
		}
		l.lines = append(l.lines, b.Bytes())
	}
}

// batch makes a batch of the lines behind a position; nil where all of them are before it.
func (l *left) batch(s *source, known Position) *Batch {
	skip := int64(0)
	if known.File == l.run {
		skip = min(max(known.Offset+1-l.first, 0), int64(len(l.lines)))
	} else if known.IsZero() {
		known = Position{File: l.run, Offset: l.first - 1}
	}
	if skip == int64(len(l.lines)) {
		return nil
	}
	b := &Batch{Source: s.name, Host: s.host, From: known, To: Position{File: l.run, Offset: l.first + int64(len(l.lines)) - 1}, Lines: l.lines[skip:], Modified: s.in.o.Now(), Read: s.in.o.Now()}
	for i := range b.Lines {
		b.Ends = append(b.Ends, l.first+skip+int64(i))
	}
	return b
}
