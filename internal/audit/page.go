package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sort"
)

// Page gives up to n records before the given number (before < 0: from the end), the newest first. It reads from the end
// of the file and no more than it needs; the chain is not verified.
func (l *Log) Page(before int64, n int, keep func(*Record) bool) ([]Record, error) {
	f, err := os.Open(l.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := st.Size()
	if before >= 0 {
		if end, err = endBefore(f, end, before); err != nil {
			return nil, err
		}
	}
	var out []Record
	err = backwards(f, end, func(line []byte) bool {
		var r Record
		if bytes.HasPrefix(line, anchorStart) || json.Unmarshal(line, &r) != nil {
			return len(line) == 0 || !bytes.HasPrefix(line, anchorStart) // one that is damaged is for Verify to tell
		}
		if (before < 0 || r.N < before) && (keep == nil || keep(&r)) {
			out = append(out, r)
		}
		return len(out) < n
	})
	return out, err
}

// endBefore finds where the records before a number end, by halves: the numbers only rise.
func endBefore(f *os.File, size, before int64) (int64, error) {
	var failed error
	buf := make([]byte, 2*maxLine)
	at := sort.Search(int(size), func(i int) bool { // is the first record that begins behind i one of those that are left out?
		n, err := f.ReadAt(buf, int64(i))
		if err != nil && !errors.Is(err, io.EOF) {
			failed = err
			return true
		}
		b := buf[:n]
		if i > 0 {
			_, b, _ = bytes.Cut(b, []byte("\n"))
		}
		line, _, whole := bytes.Cut(b, []byte("\n"))
		var r Record
		if !whole {
			return true
		}
		if bytes.HasPrefix(line, anchorStart) {
			return false
		}
		return json.Unmarshal(line, &r) != nil || r.N >= before
	})
	if failed != nil || at == 0 {
		return 0, failed
	}
	n, err := f.ReadAt(buf[:maxLine], int64(at)) // the line that at lies in is the last one before
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
		return int64(at) + int64(i) + 1, err
	}
	return size, err
}

// backwards shows the whole lines before a place, the last one first, until show is content. What has no end yet is left
// out.
func backwards(f io.ReaderAt, end int64, show func(line []byte) bool) error {
	const step = 64 << 10
	var rest []byte // of a line whose beginning was not read yet
	first := true   // what stands behind the last end of a line is no record
	for end > 0 {
		start := max(0, end-step)
		buf := make([]byte, end-start, end-start+int64(len(rest)))
		if _, err := f.ReadAt(buf, start); err != nil {
			return err
		}
		buf, end = append(buf, rest...), start
		for {
			i := bytes.LastIndexByte(buf, '\n')
			if i < 0 {
				break
			}
			line := buf[i+1:]
			buf = buf[:i]
			if first {
				first = false
			} else if !show(line) {
				return nil
			}
		}
		if rest = buf; len(rest) > maxLine+step {
			return &Broken{0, "longer than any record"}
		}
	}
	if len(rest) > 0 && !first {
		show(rest)
	}
	return nil
}
