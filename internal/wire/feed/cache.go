package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"
)

// Cache keeps what sources said in a folder, a file each; the time of a file is that of the answer. The zero Cache keeps
// nothing.
type Cache struct{ Folder string }

func (c Cache) file(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(c.Folder, hex.EncodeToString(sum[:16]))
}

// Get gives what was kept under a key and when.
func (c Cache) Get(key string) (body []byte, at time.Time, ok bool) {
	if c.Folder == "" {
		return nil, at, false
	}
	st, err := os.Stat(c.file(key))
	if err != nil || st.Size() > MaxBytes {
		return nil, at, false
	}
	body, err = os.ReadFile(c.file(key))
	return body, st.ModTime(), err == nil
}

// Put keeps an answer; a reader meets the old one or the new one, never a half.
func (c Cache) Put(key string, body []byte, at time.Time) error {
	if c.Folder == "" {
		return nil
	}
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Folder, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chtimes(f.Name(), at, at)
	}
	if err == nil {
		err = os.Rename(f.Name(), c.file(key))
	}
	return err
}
