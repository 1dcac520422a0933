package intake

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// folder takes in the files that are put into a folder, each once, whatever it is called then: a file is known by its
// first lines. One that grows is read on. One goroutine.
type folder struct {
	*source
	dir  string
	seen map[string]seenFile // by name
	shut bool                // a file may not be read
}

type seenFile struct {
	size     int64
	modified time.Time
	read     bool // as it is now
}

// maxExports is how many files of a folder are looked at.
const maxExports = 100_000

func (f *folder) run(ctx context.Context) error {
	defer f.leave()
	kick := f.in.watch.on(filepath.Join(f.dir, " "))
	defer f.in.watch.off(kick)
	for {
		f.look(ctx)
		if err := wire.Pause(ctx, f.in.o.Poll); err != nil {
			return err
		}
		f.in.watch.again(kick)
	}
}

// look reads what came and has not changed since the last look.
func (f *folder) look(ctx context.Context) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.trouble(unreadable(f.dir, err))
		return
	}
	f.shut = false
	there := make(map[string]seenFile, len(f.seen))
	for _, e := range entries[:min(len(entries), maxExports)] {
		st, err := e.Info()
		if err != nil || !st.Mode().IsRegular() || st.Size() == 0 || e.Name()[0] == '.' {
			continue
		}
		was := f.seen[e.Name()]
		now := seenFile{st.Size(), st.ModTime(), false}
		if was.size == now.size && was.modified.Equal(now.modified) { // nobody is writing to it
			if now.read = was.read; !now.read {
				now.read = f.take(ctx, filepath.Join(f.dir, e.Name()))
			}
		}
		if there[e.Name()] = now; ctx.Err() != nil {
			return
		}
	}
	f.seen = there
	if !f.shut {
		f.trouble(finding.Sentence{})
	}
}

// take reads one file; done is false where it is to be tried again.
func (f *folder) take(ctx context.Context, name string) (done bool) {
	in, err := logs.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if errors.Is(err, fs.ErrPermission) { // a right that is given later changes no time
			f.trouble(unreadable(name, err))
			f.shut = true
			return false
		}
		f.count(func(st *SourceStats) { st.Unreadable++ })
		f.notice(unreadable(name, err))
		return true
	}
	defer in.Close()
	id := exportID(in.Head())
	s := *f.source
	s.name += "#" + id
	f.count(func(st *SourceStats) { st.File = name })
	pos, err := s.position(ctx)
	if err != nil {
		return false
	}
	b := &batcher{s: &s, from: pos, to: Position{File: id, Offset: pos.Offset}, modified: in.ModTime, head: tableHead(in.Head())}
	err = s.readInput(ctx, in, b, pos.Offset)
	if errors.Is(err, ErrMoved) || ctx.Err() != nil {
		return false // with the next look
	}
	if err != nil {
		f.count(func(st *SourceStats) { st.Unreadable++ })
		f.notice(unreadable(name, err))
	}
	return true
}

// exportID tells an export by its first lines: those in front that begin with "#" (they are the same in all exports of a
// program) and two more.
func exportID(head []byte) string {
	end, data := 0, 0
	for end < len(head) && data < 2 {
		i := bytes.IndexByte(head[end:], '\n')
		if i < 0 {
			end = len(head)
			break
		}
		if head[end] != '#' {
			data++
		}
		end += i + 1
	}
	return hashOf(head[:end])
}
