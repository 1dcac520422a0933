package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/audit"
)

// Errors about backups.
var (
	ErrNotEmpty = errors.New("is not empty")
	ErrNoBackup = errors.New("is no backup of mailwhy")
	ErrChanged  = errors.New("is not what was backed up")
)

// Manifest lists a backup. It is written last, so that a backup that was broken off is none.
type Manifest struct {
	At    time.Time    `json:"at"`
	Files []BackupFile `json:"files"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Name  string `json:"name"` // within the folder, with slashes
	Bytes int64  `json:"bytes"`
	Hash  string `json:"sha256"`
}

const manifestName = "backup.json"

// Backup copies the folder of a store into another one, which is new or empty, while mailwhy serve goes on. The newest
// segment is copied first: whatever its positions count as stored is in it or in those before, which no longer change.
func Backup(ctx context.Context, folder, to string, now time.Time) (*Manifest, error) {
	if err := empty(to); err != nil {
		return nil, err
	}
	numbers, err := listSegments(folder)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", folder, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "state.db")); err != nil && len(numbers) == 0 {
		return nil, fmt.Errorf("%s %w", folder, ErrNoStore)
	}
	if err := os.MkdirAll(filepath.Join(to, "journeys"), 0o750); err != nil {
		return nil, err
	}
	slices.Reverse(numbers)
	var names []string
	for _, n := range numbers {
		names = append(names, "journeys/"+filepath.Base(segmentPath(folder, n)))
	}
	names = append(names, "state.db")
	for _, n := range names {
		if err := vacuumInto(ctx, filepath.Join(folder, n), filepath.Join(to, n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if err := copyOthers(ctx, folder, to); err != nil {
		return nil, err
	}
	m := &Manifest{At: now}
	err = walkFiles(to, func(name string) error {
		f, err := hashFile(filepath.Join(to, name))
		f.Name = filepath.ToSlash(name)
		m.Files = append(m.Files, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(to, manifestName), append(raw, '\n'), 0o640)
	}
	return m, err
}

// empty makes sure that a folder is new or has nothing in it.
func empty(dir string) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && len(names) > 0 {
		return fmt.Errorf("%s %w", dir, ErrNotEmpty)
	}
	return err
}

// vacuumInto copies a database as it is at one moment.
func vacuumInto(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	c, err := sqlite.OpenConn(from, sqlite.OpenReadWrite)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	defer c.Close()
	c.SetBusyTimeout(10 * time.Second)
	c.SetInterrupt(ctx.Done())
	if err := sqlitex.ExecuteTransient(c, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{to}}); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

// copyOthers copies what is no database: the audit log, the configuration. What is appended to a file meanwhile is not
// in the copy; nor is the private key that signs, for a backup lies in more hands. Its public part is.
func copyOthers(ctx context.Context, folder, to string) error {
	return walkFiles(folder, func(name string) error {
		if strings.HasSuffix(name, ".db") || strings.HasSuffix(name, ".db-wal") || strings.HasSuffix(name, ".db-shm") || strings.HasSuffix(name, ".db-journal") || name == manifestName || name == audit.KeyFile {
			return ctx.Err()
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o750); err != nil {
			return err
		}
		err := copyFile(filepath.Join(folder, name), filepath.Join(to, name))
		if errors.Is(err, os.ErrNotExist) { // gone meanwhile
			err = nil
		}
		return errors.Join(err, ctx.Err())
	})
}

func walkFiles(folder string, do func(name string) error) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		return do(name)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, st.Size())
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, out.Sync(), out.Close())
}

func hashFile(name string) (f BackupFile, err error) {
	in, err := os.Open(name)
	if err != nil {
		return f, err
	}
	defer in.Close()
	h := sha256.New()
	f.Bytes, err = io.Copy(h, in)
	f.Hash = hex.EncodeToString(h.Sum(nil))
	return f, err
}

// Restore copies a backup into a folder that is new or empty, after every file was held against its hash.
func Restore(ctx context.Context, backup, folder string) (*Manifest, error) {
	raw, err := os.ReadFile(filepath.Join(backup, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s %w", backup, ErrNoBackup)
	}
	m := &Manifest{}
	if err == nil {
		err = json.Unmarshal(raw, m)
	}
	if err == nil {
		err = empty(folder)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", backup, err)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Name) {
			return nil, fmt.Errorf("%s %w: %q", backup, ErrNoBackup, f.Name)
		}
		now, err := hashFile(filepath.Join(backup, f.Name))
		if err != nil {
			return nil, err
		}
		if now.Hash != f.Hash {
			return nil, fmt.Errorf("%s %w", filepath.Join(backup, f.Name), ErrChanged)
		}
	}
	for _, f := range m.Files {
		to := filepath.Join(folder, f.Name)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return nil, err
		}
		if err := errors.Join(copyFile(filepath.Join(backup, f.Name), to), ctx.Err()); err != nil {
			return nil, err
		}
	}
	return m, nil
}
