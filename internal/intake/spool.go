package intake

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spool keeps batches on disk, in order, while the store is away. One goroutine uses it.
//
// It is a folder of segments named by number. A segment is records, each of a length, a CRC-32 (both 4 bytes, big endian)
// and a batch as gob. A record that was cut off by a crash, and what follows in its segment, is dropped.
type spool struct {
	dir  string
	max  int64 // bytes of all segments
	segs []segment
	w    *os.File // the last segment, while it is written
	read int64    // bytes of the first segment that were stored
}

type segment struct {
	n    uint64
	size int64
}

// maxSegment is the size from which a new segment is begun, in bytes.
const maxSegment = 16 << 20

// maxRecord bounds what is believed of a record's length.
const maxRecord = 4 * maxBatchBytes

var (
	errSpoolFull   = errors.New("the spool is full")
	errSpoolBroken = errors.New("a record of the spool is broken; the rest of its segment is dropped")
)

// record is a batch as it is kept.
type record struct {
	Host           string
	From, To       Position
	Lines          [][]byte
	Ends           []int64
	Modified, Read time.Time
}

// openSpool opens the spool of a source; it may hold batches of an earlier run.
func openSpool(dir, source string, max int64) (*spool, error) {
	s := &spool{dir: filepath.Join(dir, spoolName(source)), max: max}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".spool")
		n, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		st, err := e.Info()
		if err != nil {
			return nil, err
		}
		s.segs = append(s.segs, segment{n, st.Size()})
	}
	slices.SortFunc(s.segs, func(a, b segment) int { return int(int64(a.n) - int64(b.n)) })
	return s, nil
}

// spoolName makes a folder's name of a source's name.
func spoolName(source string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, source)
}

func (s *spool) name(n uint64) string { return filepath.Join(s.dir, fmt.Sprintf("%020d.spool", n)) }

// size is the number of bytes that wait.
func (s *spool) size() int64 {
	total := -s.read
	for _, g := range s.segs {
		total += g.size
	}
	return total
}

func (s *spool) empty() bool { return len(s.segs) == 0 }

// append adds a batch at the end. It is on disk when append returns.
func (s *spool) append(b *Batch) error {
	var body bytes.Buffer
	body.Write(make([]byte, 8))
	if err := gob.NewEncoder(&body).Encode(record{b.Host, b.From, b.To, b.Lines, b.Ends, b.Modified, b.Read}); err != nil {
		return err
	}
	raw := body.Bytes()
	binary.BigEndian.PutUint32(raw, uint32(len(raw)-8))
	binary.BigEndian.PutUint32(raw[4:], crc32.ChecksumIEEE(raw[8:]))
	if s.size()+int64(len(raw)) > s.max {
		return errSpoolFull
	}
	if s.w != nil && s.segs[len(s.segs)-1].size > maxSegment {
		s.closeWriter()
	}
	if s.w == nil { // a segment of an earlier run is not written to: its end may be broken
		n := uint64(1)
		if len(s.segs) > 0 {
			n = s.segs[len(s.segs)-1].n + 1
		}
		f, err := os.OpenFile(s.name(n), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		s.w, s.segs = f, append(s.segs, segment{n: n})
	}
	last := &s.segs[len(s.segs)-1]
	_, err := s.w.WriteAt(raw, last.size)
	if err == nil {
		err = s.w.Sync()
	}
	if err != nil { // what was written of it is written over by the next one, or dropped as broken
		return err
	}
	last.size += int64(len(raw))
	return nil
}

// first gives the oldest batch; ok is false where there is none. errSpoolBroken tells that something was dropped: ask
// again.
func (s *spool) first(source string) (b *Batch, size int64, ok bool, err error) {
	for len(s.segs) > 0 {
		if s.read >= s.segs[0].size {
			s.dropFirst()
			continue
		}
		f, err := os.Open(s.name(s.segs[0].n))
		if err != nil {
			s.dropFirst()
			return nil, 0, false, errors.Join(errSpoolBroken, err)
		}
		r, n, err := readRecord(io.NewSectionReader(f, s.read, s.segs[0].size-s.read))
		f.Close()
		if err != nil {
			s.dropFirst()
			return nil, 0, false, errors.Join(errSpoolBroken, err)
		}
		return &Batch{Source: source, Host: r.Host, From: r.From, To: r.To, Lines: r.Lines, Ends: r.Ends, Modified: r.Modified, Read: r.Read}, n, true, nil
	}
	return nil, 0, false, nil
}

// readRecord reads one record.
func readRecord(r io.Reader) (*record, int64, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxRecord {
		return nil, 0, fmt.Errorf("a record of %d bytes", n)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows with what is there, not with what is claimed
	if err != nil {
		return nil, 0, err
	}
	if len(body) != int(n) || crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(head[4:]) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	var rec record
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&rec); err != nil {
		return nil, 0, err
	}
	if len(rec.Ends) != len(rec.Lines) {
		return nil, 0, fmt.Errorf("%d lines with %d ends", len(rec.Lines), len(rec.Ends))
	}
	return &rec, int64(n) + 8, nil
}

// pop takes the oldest batch, of the size first gave, away: it is stored.
func (s *spool) pop(size int64) {
	s.read += size
	if s.read >= s.segs[0].size {
		s.dropFirst()
	}
}

func (s *spool) dropFirst() {
	if len(s.segs) == 1 && s.w != nil {
		s.closeWriter()
	}
	_ = os.Remove(s.name(s.segs[0].n)) // what is left of it is known as stored by its positions
	s.segs, s.read = s.segs[1:], 0
}

// last gives the position behind the newest batch that waits; ok is false where there is none.
func (s *spool) last(source string) (p Position, ok bool) {
	c := spool{dir: s.dir, segs: slices.Clone(s.segs)}
	if len(c.segs) > 1 {
		c.segs = c.segs[len(c.segs)-1:]
	}
	if len(c.segs) == 0 {
		return p, false
	}
	f, err := os.Open(c.name(c.segs[0].n))
	if err != nil {
		return p, false
	}
	defer f.Close()
	for {
		r, _, err := readRecord(f)
		if err != nil {
			return p, ok
		}
		p, ok = r.To, true
	}
}

func (s *spool) closeWriter() {
	if s.w != nil {
		s.w.Close()
		s.w = nil
	}
}
