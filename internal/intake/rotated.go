package intake

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rotatedFile is a file of a rotated set.
type rotatedFile struct {
	name     string
	current  bool // the one being written, or about to be
	packed   bool
	dev, ino uint64
	size     int64 // as stored
	modified time.Time
	order    int    // 1 for numbers, 2 for dates
	number   int    // "mail.log.3.gz": 3
	date     string // "mail.log-20261101": 20261101
}

var packings = []string{".gz", ".zst", ".xz", ".bz2"}

// rotation takes a name apart: "mail.log.3.gz" is the third before "mail.log". ok is false for names without a number
// or date at the end.
func rotation(name string) (base string, r rotatedFile, ok bool) {
	r.name = name
	for _, z := range packings {
		if s, cut := strings.CutSuffix(name, z); cut {
			name, r.packed = s, true
			break
		}
	}
	i := len(name)
	for i > 0 && strings.IndexByte("0123456789-._T:", name[i-1]) >= 0 {
		i--
	}
	for i < len(name) && name[i] != '.' && name[i] != '-' {
		i++ // "mail2-20261101": the base ends in a digit
	}
	if i+1 >= len(name) {
		return "", r, false
	}
	base, tail := name[:i], name[i+1:]
	if n, err := strconv.ParseUint(tail, 10, 16); err == nil && len(tail) <= 5 {
		r.order, r.number = 1, int(n)
		return base, r, true
	}
	r.date = strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, tail)
	r.order = 2
	return base, r, len(r.date) >= 6
}

// scan gives the rotated set of a path, the oldest first, the path itself last if it is there. Where a file is there
// plain and packed, the packing is not done yet and the plain one is taken.
func scan(path string) ([]rotatedFile, error) {
	dir, want := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, err
	}
	var list []rotatedFile
	plain := map[string]bool{}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), want) {
			continue
		}
		r := rotatedFile{current: true}
		if e.Name() != want {
			base, rf, ok := rotation(e.Name())
			if !ok || base != want {
				continue
			}
			r = rf
		}
		st, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil || !st.Mode().IsRegular() {
			continue // gone in this moment, or no file
		}
		r.name, r.size, r.modified = filepath.Join(dir, e.Name()), st.Size(), st.ModTime()
		r.dev, r.ino = inode(st)
		plain[r.name] = !r.packed
		list = append(list, r)
	}
	list = slices.DeleteFunc(list, func(r rotatedFile) bool {
		return r.packed && plain[strings.TrimSuffix(r.name, filepath.Ext(r.name))]
	})
	slices.SortStableFunc(list, older)
	return list, nil
}

// stableScan is scan until two in a row agree: one that runs while files are renamed may miss some.
func stableScan(path string) ([]rotatedFile, error) {
	last, err := scan(path)
	for range 20 {
		if err != nil {
			return nil, err
		}
		var now []rotatedFile
		if now, err = scan(path); slices.EqualFunc(last, now, func(a, b rotatedFile) bool {
			return a.name == b.name && a.dev == b.dev && a.ino == b.ino
		}) {
			return now, err
		}
		last = now
	}
	return last, err
}

func older(a, b rotatedFile) int {
	switch {
	case a.current != b.current:
		if a.current {
			return 1
		}
		return -1
	case a.order != b.order: // the admin changed from numbers to dates
		return a.modified.Compare(b.modified)
	}
	return cmp.Or(cmp.Compare(b.number, a.number), cmp.Compare(len(a.date), len(b.date)), cmp.Compare(a.date, b.date), a.modified.Compare(b.modified))
}
