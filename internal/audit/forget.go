package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// anchor is the first line of a log whose oldest records were deleted: the head of what is gone, signed. What follows
// hangs on it.
type anchor struct {
	Anchor int64     `json:"anchor"` // records that are gone
	Hash   string    `json:"hash"`   // SHA-256 of the last one
	At     time.Time `json:"at"`
	Sig    string    `json:"sig,omitempty"`
}

var anchorStart = []byte(`{"anchor":`)

func (a anchor) text() ([]byte, error) {
	a.Sig = ""
	return json.Marshal(a)
}

// parseAnchor reads a line; ok is false for one that is none.
func parseAnchor(line []byte) (a anchor, ok bool) {
	if !bytes.HasPrefix(line, anchorStart) {
		return a, false
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	return a, d.Decode(&a) == nil && !d.More() && a.Anchor > 0 && len(a.Hash) == 64
}

// Beginning tells how many of the oldest records of a log were deleted, and whether one of the keys signed that. A whole
// log has 0 and is as good as signed.
func Beginning(r io.Reader, keys []ed25519.PublicKey) (gone int64, signed bool, err error) {
	buf := make([]byte, maxLine)
	n, err := io.ReadFull(r, buf)
	if err != nil && n == 0 {
		return 0, true, nil // empty
	}
	line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
	a, ok := parseAnchor(line)
	if !ok {
		return 0, true, nil
	}
	text, err := a.text()
	if err != nil {
		return a.Anchor, false, err
	}
	sig, err := base64.StdEncoding.DecodeString(a.Sig)
	for _, k := range keys {
		signed = signed || err == nil && ed25519.Verify(k, text, sig)
	}
	return a.Anchor, signed, nil
}

// Forget deletes the records from before a moment, up to the first one that is not, and gives how many. A signed record
// that says so is written first; without a key (see SignWith) nothing is deleted.
func (l *Log) Forget(before time.Time, who string) (gone int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key == nil {
		return 0, ErrNoKey
	}
	unlock, err := l.alone()
	if err != nil {
		return 0, err
	}
	defer unlock()
	f, err := os.Open(l.name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	a := anchor{At: l.now().UTC().Truncate(time.Millisecond)}
	var cut int64
	var first, last time.Time
	_, _, err = walk(f, func(rec *Record, line []byte, end int64) error {
		if !rec.At.Before(before) {
			return errStop
		}
		if gone++; gone == 1 {
			first = rec.At
		}
		cut, last = end, rec.At
		a.Anchor, a.Hash = rec.N+1, hashLine(line)
		return nil
	})
	if err != nil && !errors.Is(err, errStop) || gone == 0 {
		if errors.Is(err, errStop) {
			err = nil
		}
		return 0, err
	}
	detail := fmt.Sprintf("%d records of %s to %s; the last one had the hash %s", gone, first.Format(time.RFC3339), last.Format(time.RFC3339), a.Hash)
	if err := l.add(Record{Who: who, What: "audit.delete", Target: "before " + before.UTC().Format(time.RFC3339), Detail: detail}, durable|signed); err != nil {
		return 0, err
	}
	return gone, l.rewrite(&a, f, cut)
}

// rewrite puts a log in the place of this one that begins with the anchor and goes on with what stands behind the cut.
func (l *Log) rewrite(a *anchor, old *os.File, cut int64) error {
	text, err := a.text()
	if err != nil {
		return err
	}
	a.Sig = l.key.signature(text)
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := old.Seek(cut, io.SeekStart); err != nil {
		return err
	}
	f, err := os.OpenFile(l.name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		_, err = io.Copy(f, old)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(l.name+".new", l.name)
	}
	if err != nil {
		f.Close()
		return errors.Join(fmt.Errorf("audit log %s: %w", l.name, err), os.Remove(l.name+".new"))
	}
	l.f.Close() // nothing more goes there
	l.f = f
	l.end, err = f.Seek(0, io.SeekCurrent)
	return err
}
