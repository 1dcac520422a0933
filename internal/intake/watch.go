package intake

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// watcher passes the system's notices about files on. It is a comfort: those who wait look by themselves, too, for there
// are file systems that give no notice, and limits on how much may be watched.
type watcher struct {
	fs *fsnotify.Watcher // nil where the system gives none

	mu   sync.Mutex
	dirs map[string]map[*kick]bool
}

// kick is one who waits for notices about files whose names begin like this.
type kick struct {
	dir, base string
	c         chan struct{}
}

func newWatcher() *watcher {
	w := &watcher{dirs: map[string]map[*kick]bool{}}
	w.fs, _ = fsnotify.NewWatcher() // none: looking at intervals is enough
	return w
}

// on begins to pass on notices about a path and its rotated files.
func (w *watcher) on(path string) *kick {
	k := &kick{filepath.Dir(path), filepath.Base(path), make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirs[k.dir] == nil {
		w.dirs[k.dir] = map[*kick]bool{}
	}
	w.dirs[k.dir][k] = true
	w.add(k.dir)
	return k
}

// again asks once more for notices about the folder: it may not have been there, or be another one now.
func (w *watcher) again(k *kick) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(k.dir)
}

func (w *watcher) add(dir string) {
	if w.fs != nil {
		_ = w.fs.Add(dir) // the folder is not there yet, or there are too many
	}
}

func (w *watcher) off(k *kick) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.dirs[k.dir], k)
	if len(w.dirs[k.dir]) == 0 {
		delete(w.dirs, k.dir)
		if w.fs != nil {
			_ = w.fs.Remove(k.dir) // gone by itself
		}
	}
}

func (w *watcher) run(ctx context.Context) {
	if w.fs == nil {
		<-ctx.Done()
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			w.pass(e.Name)
		case _, ok := <-w.fs.Errors: // an overflow: the next look finds everything
			if !ok {
				return
			}
		}
	}
}

func (w *watcher) pass(name string) {
	dir, base := filepath.Dir(name), filepath.Base(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.dirs[dir] {
		if strings.HasPrefix(base, k.base) {
			select {
			case k.c <- struct{}{}:
			default:
			}
		}
	}
}

func (w *watcher) close() {
	if w.fs != nil {
		w.fs.Close()
	}
}
