// Package audit proves that something was said or done: a log file to which records are only ever appended, chained by
// hash. It tells who signed in, looked at which message, ran what, changed what.
//
// Promise: a record that was changed, taken out, put in or moved is found by Verify, with its place. A log that was cut
// off at the end is found by whoever kept a head (a count and a hash, which Verify and every Append give). Proofs are
// those of a transparency log (RFC 6962 trees, by golang.org/x/mod/sumdb/tlog). What a record says is not judged here,
// and passwords and message contents are never in it.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Record is one line of the log. N counts from 0; Prev is the SHA-256 of the line before, "" in the first one.
type Record struct {
	N      int64     `json:"n"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`              // user name; "" is the server itself
	From   string    `json:"from,omitempty"`   // address the user came from
	What   string    `json:"what"`             // "login", "journey.raw", "run", "user.add" …
	Target string    `json:"target,omitempty"` // what it was done to
	Detail string    `json:"detail,omitempty"`
	Prev   string    `json:"prev"`
}

// Head is the state of a log: how many records, and the hash of the last one. Whoever keeps a head outside of the log
// can tell later that nothing before it was changed or cut off.
type Head struct {
	Count int64
	Hash  string // SHA-256 of the last line, "" for an empty log
}

// String writes a head as count:hash.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Count, h.Hash) }

// ParseHead reads count:hash.
func ParseHead(s string) (Head, error) {
	var h Head
	n, err := fmt.Sscanf(s, "%d:%s", &h.Count, &h.Hash)
	if err != nil || n != 2 || h.Count < 1 || len(h.Hash) != 64 {
		return Head{}, fmt.Errorf("%q is no head of an audit log: count:hash", s)
	}
	return h, nil
}

// maxLine bounds a record on reading, maxField each field on writing.
const (
	maxLine  = 64 << 10
	maxField = 4 << 10
)

// Log is a log open for appending. It is safe for concurrent use; one process opens it at a time.
type Log struct {
	mu   sync.Mutex
	f    *os.File
	name string
	head Head
	now  func() time.Time
}

// Open opens the log or makes it, and checks the whole chain. A last line that was not written whole (a crash) is cut
// off, and a record says so. A broken chain is a *Broken error.
func Open(name string, now func() time.Time) (*Log, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &Log{f: f, name: name, now: now}
	torn, err := l.recover()
	if err == nil && torn > 0 {
		_, err = l.Append(Record{What: "audit.recovered", Detail: fmt.Sprintf("%d bytes of a record that was not written whole were cut off", torn)})
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("audit log %s: %w", name, err)
	}
	return l, nil
}

func (l *Log) recover() (torn int64, err error) {
	head, whole, err := walk(l.f, nil)
	if err != nil {
		return 0, err
	}
	l.head = head
	end, err := l.f.Seek(0, io.SeekEnd)
	if err != nil || end == whole {
		return 0, err
	}
	if err := l.f.Truncate(whole); err != nil {
		return 0, err
	}
	_, err = l.f.Seek(whole, io.SeekStart)
	return end - whole, err
}

// Append adds a record and gives the new head. N, Prev and (where zero) At are set here. It is on the disk when Append
// returns.
func (l *Log) Append(r Record) (Head, error) { return l.add(r, true) }

// Look adds a record of somebody who only looked. It survives a crash of the process; after a crash of the machine the
// last ones may be missing, which is not worth a disk's wait per look.
func (l *Log) Look(r Record) (Head, error) { return l.add(r, false) }

func (l *Log) add(r Record, sync bool) (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.N, r.Prev = l.head.Count, l.head.Hash
	if r.At.IsZero() {
		r.At = l.now()
	}
	r.At = r.At.UTC().Truncate(time.Millisecond)
	for _, s := range []*string{&r.Who, &r.From, &r.What, &r.Target, &r.Detail} {
		if len(*s) > maxField {
			*s = (*s)[:maxField] + "…"
		}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return l.head, err
	}
	if _, err := l.f.Write(append(line, '\n')); err != nil {
		return l.head, fmt.Errorf("audit log %s: %w", l.name, err)
	}
	if sync {
		if err := l.f.Sync(); err != nil {
			return l.head, fmt.Errorf("audit log %s: %w", l.name, err)
		}
	}
	l.head = Head{r.N + 1, hashLine(line)}
	return l.head, nil
}

// Head gives the present head.
func (l *Log) Head() Head { l.mu.Lock(); defer l.mu.Unlock(); return l.head }

// Close closes the file.
func (l *Log) Close() error { return errors.Join(l.f.Sync(), l.f.Close()) }

// Page gives up to n records before the given number (before < 0: from the end), the newest first.
func (l *Log) Page(before int64, n int, keep func(*Record) bool) ([]Record, error) {
	f, err := os.Open(l.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if head := l.Head().Count; before < 0 || before > head {
		before = head
	}
	var ring []Record
	_, _, err = walk(f, func(r *Record, _ []byte) error {
		switch {
		case r.N >= before:
			return errStop
		case keep == nil || keep(r):
			if ring = append(ring, *r); len(ring) >= 2*n {
				ring = append(ring[:0], ring[len(ring)-n:]...)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	ring = ring[max(len(ring)-n, 0):]
	for i, j := 0, len(ring)-1; i < j; i, j = i+1, j-1 {
		ring[i], ring[j] = ring[j], ring[i]
	}
	return ring, nil
}

// Broken says where the chain does not hold.
type Broken struct {
	Line int64 // from 1
	Why  string
}

// Error says it in one line.
func (b *Broken) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

// ErrCut says that the log ends before a head that was kept.
var ErrCut = errors.New("the log ends before the head that was kept: records were cut off")

// Verify walks the whole log. A kept head (zero for none) must lie on the chain. each is called for every record and may
// be nil.
func Verify(r io.Reader, kept Head, each func(*Record)) (Head, error) {
	met := kept == Head{}
	head, whole, err := walk(r, func(rec *Record, line []byte) error {
		if rec.N+1 == kept.Count {
			if met = hashLine(line) == kept.Hash; !met {
				return &Broken{rec.N + 1, "the record is not the one of the head that was kept: the log was written anew"}
			}
		}
		if each != nil {
			each(rec)
		}
		return nil
	})
	_ = whole
	switch {
	case err != nil:
		return head, err
	case !met:
		return head, ErrCut
	}
	return head, nil
}

var errStop = errors.New("stop")

// walk reads whole lines and checks the chain; it gives the head and where the last whole line ends. A last line without
// its end is left out.
func walk(r io.Reader, each func(*Record, []byte) error) (head Head, whole int64, err error) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return head, whole, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return head, whole, &Broken{head.Count + 1, "longer than any record"}
		case err != nil:
			return head, whole, err
		}
		whole += int64(len(line))
		line = line[:len(line)-1]
		rec, err := parse(line, head)
		if err != nil {
			return head, whole, err
		}
		head = Head{rec.N + 1, hashLine(line)}
		if each != nil {
			if err := each(rec, line); err != nil {
				return head, whole, err
			}
		}
	}
}

func parse(line []byte, head Head) (*Record, error) {
	var rec Record
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil || d.More() {
		return nil, &Broken{head.Count + 1, "no record of an audit log"}
	}
	switch {
	case rec.N != head.Count:
		return nil, &Broken{head.Count + 1, fmt.Sprintf("record %d stands where record %d belongs", rec.N, head.Count)}
	case rec.Prev != head.Hash:
		return nil, &Broken{head.Count + 1, "it does not follow from the record before: one of the two was changed"}
	}
	return &rec, nil
}

func hashLine(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// Proof shows that a record is in a log of a given size and tree hash, without the rest of the log.
type Proof struct {
	N      int64    `json:"n"`
	Size   int64    `json:"size"` // records in the log
	Tree   string   `json:"tree"` // root hash of the tree over all lines, base64
	Record string   `json:"record"`
	Path   []string `json:"path"`
}

// Prove makes the proof for record n.
func Prove(r io.Reader, n int64) (*Proof, error) {
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			if x < 0 || x >= int64(len(hashes)) {
				return nil, fmt.Errorf("no hash %d", x)
			}
			out[i] = hashes[x]
		}
		return out, nil
	})
	p := &Proof{N: n}
	head, _, err := walk(r, func(rec *Record, line []byte) error {
		more, err := tlog.StoredHashes(rec.N, line, reader)
		hashes = append(hashes, more...)
		if rec.N == n {
			p.Record = string(line)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if n < 0 || n >= head.Count {
		return nil, fmt.Errorf("the log has %d records: there is no record %d", head.Count, n)
	}
	tree, err := tlog.TreeHash(head.Count, reader)
	if err != nil {
		return nil, err
	}
	path, err := tlog.ProveRecord(head.Count, n, reader)
	if err != nil {
		return nil, err
	}
	p.Size, p.Tree = head.Count, tree.String()
	for _, h := range path {
		p.Path = append(p.Path, h.String())
	}
	return p, nil
}

// Check tells whether the proof holds.
func (p *Proof) Check() error {
	tree, err := tlog.ParseHash(p.Tree)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, s := range p.Path {
		h, err := tlog.ParseHash(s)
		if err != nil {
			return err
		}
		path = append(path, h)
	}
	return tlog.CheckRecord(path, p.Size, tree, p.N, tlog.RecordHash([]byte(p.Record)))
}
