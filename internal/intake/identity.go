package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxHead is how much of a file's beginning tells which one it is, in bytes.
const maxHead = 4 << 10

// identity tells files apart whatever their name: by device and inode while they are renamed, by the hash of their first
// bytes once they were copied or packed. It is written into Position.File and never changes for a file that is read.
type identity struct {
	dev, ino uint64
	closed   int64 // when a file that was rotated already was last written, in Unix seconds; 0 for the one being written
	n        int   // bytes that were hashed: whole lines
	hash     string
}

// identify takes the first bytes of a file for its identity. A file that is still written and has no whole line yet
// cannot be told from others: ok is false.
func identify(head []byte, complete bool) (id identity, ok bool) {
	head = head[:min(len(head), maxHead)]
	n := bytes.LastIndexByte(head, '\n') + 1
	if n == 0 && (complete || len(head) == maxHead) {
		n = len(head)
	}
	return identity{n: n, hash: hashOf(head[:n])}, n > 0
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:10])
}

// String is what Position.File holds.
func (id identity) String() string {
	s := fmt.Sprintf("%x-%x-%d-%s", id.dev, id.ino, id.n, id.hash)
	if id.closed != 0 {
		s += "-" + strconv.FormatInt(id.closed, 10)
	}
	return s
}

// parseIdentity reads String's form. ok is false for anything else.
func parseIdentity(s string) (id identity, ok bool) {
	f := strings.Split(s, "-")
	if len(f) != 4 && len(f) != 5 {
		return id, false
	}
	var err [4]error
	id.dev, err[0] = strconv.ParseUint(f[0], 16, 64)
	id.ino, err[1] = strconv.ParseUint(f[1], 16, 64)
	id.n, err[2] = strconv.Atoi(f[2])
	if len(f) == 5 {
		id.closed, err[3] = strconv.ParseInt(f[4], 10, 64)
	}
	id.hash = f[3]
	for _, e := range err {
		if e != nil {
			return id, false
		}
	}
	return id, id.n > 0 && id.n <= maxHead
}

// begins tells whether a file with this head is the one, or a copy of it.
func (id identity) begins(head []byte) bool {
	return len(head) >= id.n && hashOf(head[:id.n]) == id.hash
}

// headOf reads the first bytes of a file.
func headOf(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, maxHead)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}
