package intake

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// maxFiles is how many files one entry follows at once.
const maxFiles = 1000

// files follows the files of one entry: each is a source of its own.
type files struct {
	in *Intake
	c  *Config
}

// run looks for files at intervals and follows each until ctx ends.
func (f *files) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex
	open := map[string]bool{}
	told := false
	for {
		found, more := f.expand()
		for path, literal := range found {
			mu.Lock()
			is := open[path]
			full := len(open) >= maxFiles
			if !is && !full {
				open[path] = true
			}
			mu.Unlock()
			if more = more || !is && full; is || full {
				continue
			}
			fo := newFollower(f.in, path, f.c, literal)
			wg.Go(func() {
				fo.run(ctx)
				mu.Lock()
				delete(open, path)
				mu.Unlock()
			})
		}
		if more && !told {
			told = true
			f.in.o.Log.Warn("intake", "trouble", finding.S("more than {{.N}} files match; the rest is not read", finding.Args{"N": maxFiles}).String())
		}
		if err := wire.Pause(ctx, 5*f.in.o.Poll); err != nil {
			return err
		}
	}
}

// expand gives the paths to follow; the value tells those that are named and not found by a glob.
func (f *files) expand() (paths map[string]bool, more bool) {
	paths = map[string]bool{}
	for _, p := range f.c.Paths {
		if !strings.ContainsAny(p, "*?[") {
			paths[filepath.Clean(p)] = true
			continue
		}
		found, _ := filepath.Glob(p) // the pattern was validated
		for _, name := range found {
			if base, packed := baseOf(p, name); packed || paths[base] {
				continue
			} else if len(paths) >= maxFiles {
				more = true
			} else {
				paths[base] = false
			}
		}
	}
	return paths, more
}

// baseOf gives the file that a match of a pattern belongs to: itself, or the one it was rotated from where that would
// match, too, even if it is not there in this moment. packed tells a packed file that belongs to none: it is history
// that nobody asked for.
func baseOf(pattern, name string) (base string, packed bool) {
	dir, last := filepath.Split(name)
	b, r, ok := rotation(last)
	if !ok {
		for _, z := range packings {
			packed = packed || strings.HasSuffix(last, z)
		}
		return name, packed
	}
	if ok, err := filepath.Match(pattern, dir+b); ok && err == nil {
		return dir + b, false
	}
	return name, r.packed
}
