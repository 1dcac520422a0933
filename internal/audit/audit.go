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
	"strings"
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
	Sig    string    `json:"sig,omitempty"` // Ed25519 over the record without it, base64: what was deleted is signed
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

// Log is a log open for appending. It is safe for concurrent use; several processes may have it open where each has a
// Lock (see OpenShared).
type Log struct {
	mu   sync.Mutex
	f    *os.File
	name string
	head Head
	end  int64 // of the file, as far as head knows it
	now  func() time.Time
	key  *Key // nil: nothing can be signed
	lock Lock // nil: this process alone has the log
}

// Lock keeps other processes from writing until unlock is called.
type Lock func() (unlock func(), err error)

// OpenShared is Open for a log that other processes write to as well. Each holds the lock while it writes, and reads
// first what others wrote.
func OpenShared(name string, now func() time.Time, lock Lock) (*Log, error) {
	unlock, err := lock()
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", name, err)
	}
	defer unlock()
	l, err := Open(name, now)
	if err == nil {
		l.lock = lock
	}
	return l, err
}

// alone takes the log for this process and reads what others wrote. The mutex is held.
func (l *Log) alone() (unlock func(), err error) {
	if l.lock == nil {
		return func() {}, nil
	}
	if unlock, err = l.lock(); err == nil {
		if err = l.catchUp(); err != nil {
			unlock()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", l.name, err)
	}
	return unlock, nil
}

// catchUp reads what other processes wrote: records behind those that are known, or a log that took the place of this one.
func (l *Log) catchUp() error {
	at, err := os.Stat(l.name)
	if err != nil {
		return err
	}
	if here, err := l.f.Stat(); err != nil || !os.SameFile(at, here) {
		f, err := os.OpenFile(l.name, os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		l.f.Close() // nothing more goes there
		l.f, l.head, l.end = f, Head{}, 0
	}
	if at.Size() == l.end {
		return nil
	}
	head, n, err := walkFrom(io.NewSectionReader(l.f, l.end, at.Size()-l.end), l.head, l.end == 0, nil)
	if err != nil {
		return err
	}
	l.head, l.end = head, l.end+n
	_, err = l.f.Seek(l.end, io.SeekStart)
	return err
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
	l.head, l.end = head, whole
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

// SignWith gives the log the key that signs. It must be called before the log is shared.
func (l *Log) SignWith(k *Key) { l.key = k }

// Append adds a record and gives the new head. N, Prev and (where zero) At are set here. It is on the disk when Append
// returns.
func (l *Log) Append(r Record) (Head, error) { return l.locked(r, durable) }

// AppendSigned is Append of a record that outsiders can verify alone: it is signed. Without a key it is ErrNoKey.
func (l *Log) AppendSigned(r Record) (Head, error) { return l.locked(r, durable|signed) }

// Look adds a record of somebody who only looked. It survives a crash of the process; after a crash of the machine the
// last ones may be missing, which is not worth a disk's wait per look.
func (l *Log) Look(r Record) (Head, error) { return l.locked(r, 0) }

// How a record is added.
const (
	durable = 1 << iota
	signed
)

func (l *Log) locked(r Record, how int) (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unlock, err := l.alone()
	if err != nil {
		return l.head, err
	}
	defer unlock()
	err = l.add(r, how)
	return l.head, err
}

// add writes a record. The lock is held.
func (l *Log) add(r Record, how int) error {
	r.N, r.Prev, r.Sig = l.head.Count, l.head.Hash, ""
	if r.At.IsZero() {
		r.At = l.now()
	}
	r.At = r.At.UTC().Truncate(time.Millisecond)
	for _, s := range []*string{&r.Who, &r.From, &r.What, &r.Target, &r.Detail} {
		*s = strings.ToValidUTF8(*s, "\uFFFD") // as it is read again: a signature is over what stands there
		if len(*s) > maxField {
			*s = strings.ToValidUTF8((*s)[:maxField], "") + "…"
		}
	}
	if how&signed != 0 {
		if l.key == nil {
			return ErrNoKey
		}
		text, err := r.text()
		if err != nil {
			return err
		}
		r.Sig = l.key.signature(text)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := l.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("audit log %s: %w", l.name, err)
	}
	if how&durable != 0 {
		if err := l.f.Sync(); err != nil {
			return fmt.Errorf("audit log %s: %w", l.name, err)
		}
	}
	l.head, l.end = Head{r.N + 1, hashLine(line)}, l.end+int64(len(line))+1
	return nil
}

// Head gives the present head.
func (l *Log) Head() Head { l.mu.Lock(); defer l.mu.Unlock(); return l.head }

// Close closes the file.
func (l *Log) Close() error { return errors.Join(l.f.Sync(), l.f.Close()) }

// Broken says where the chain does not hold.
type Broken struct {
	Line int64 // from 1
	Why  string
}

// Error says it in one line.
func (b *Broken) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

// Errors about a head that was kept.
var (
	ErrCut  = errors.New("the log ends before the head that was kept: records were cut off")
	ErrGone = errors.New("the head that was kept is of records that were deleted since: it cannot be compared")
)

// Verify walks the whole log. A kept head (zero for none) must lie on the chain. each is called for every record and may
// be nil. Where the oldest records were deleted (see Beginning) the chain begins with the head of the last of them.
func Verify(r io.Reader, kept Head, each func(*Record)) (Head, error) {
	met, early := kept == Head{}, false
	head, _, err := walk(r, func(rec *Record, line []byte, _ int64) error {
		if rec.N == kept.Count && !met && kept.Hash == rec.Prev {
			met = true // the last one that was deleted
		}
		early = early || rec.N >= kept.Count
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
	switch {
	case err != nil:
		return head, err
	case !met && early:
		return head, ErrGone
	case !met:
		return head, ErrCut
	}
	return head, nil
}

var errStop = errors.New("stop")

// walk reads whole lines and checks the chain; it gives the head and where the last whole line ends. A last line without
// its end is left out. each is shown a record, its line and where that ends.
func walk(r io.Reader, each func(rec *Record, line []byte, end int64) error) (head Head, whole int64, err error) {
	return walkFrom(r, Head{}, true, each)
}

// walkFrom is walk of what follows a head; first tells that it is the beginning of a log.
func walkFrom(r io.Reader, head Head, first bool, each func(rec *Record, line []byte, end int64) error) (_ Head, whole int64, err error) {
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
		begin := whole
		whole += int64(len(line))
		line = line[:len(line)-1]
		if a, ok := parseAnchor(line); ok && first && begin == 0 {
			head = Head{a.Anchor, a.Hash}
			continue
		}
		rec, err := parse(line, head)
		if err != nil {
			return head, whole, err
		}
		head = Head{rec.N + 1, hashLine(line)}
		if each != nil {
			if err := each(rec, line, whole); err != nil {
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
	First  int64    `json:"first,omitempty"` // number of the first record that was not deleted: the tree begins with it
	Size   int64    `json:"size"`            // records in the tree
	Tree   string   `json:"tree"`            // root hash of the tree over all lines, base64
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
	first := int64(-1)
	head, _, err := walk(r, func(rec *Record, line []byte, _ int64) error {
		if first < 0 {
			first = rec.N
		}
		more, err := tlog.StoredHashes(rec.N-first, line, reader)
		hashes = append(hashes, more...)
		if rec.N == n {
			p.Record = string(line)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if first < 0 || n < first || n >= head.Count {
		return nil, fmt.Errorf("the log has records %d to %d: there is no record %d", max(first, 0), head.Count-1, n)
	}
	p.First, p.Size = first, head.Count-first
	tree, err := tlog.TreeHash(p.Size, reader)
	if err != nil {
		return nil, err
	}
	path, err := tlog.ProveRecord(p.Size, n-first, reader)
	if err != nil {
		return nil, err
	}
	p.Tree = tree.String()
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
	return tlog.CheckRecord(path, p.Size, tree, p.N-p.First, tlog.RecordHash([]byte(p.Record)))
}
