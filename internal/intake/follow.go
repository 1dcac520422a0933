package intake

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// follower reads one rotated set: what was rotated before, the oldest first, then the file being written, for ever. One
// goroutine.
type follower struct {
	*source
	path    string
	c       *Config
	literal bool // named in the configuration: it may come back
	kick    *kick
	pos     Position
	done    map[rotatedKey]identity // files of the set that were read to their end; the zero identity where none could be taken
	missed  string                  // Position.File whose file was found to be gone, to say it once
	misses  int                     // how often in a row it was not found
	reading identity                // of the file being read
	buf     []byte
	claim   Claim // on the file being read; nil: none is needed
}

type rotatedKey struct {
	dev, ino uint64
	name     string // on systems without inodes
}

func (r *rotatedFile) key() rotatedKey {
	if r.ino != 0 {
		return rotatedKey{dev: r.dev, ino: r.ino}
	}
	return rotatedKey{name: r.name}
}

func newFollower(in *Intake, path string, c *Config, literal bool) *follower {
	return &follower{source: in.newSource("file", path, c.Host), path: path, c: c, literal: literal, buf: make([]byte, 256<<10)}
}

// surelyGone is how many looks in a row must not find a file before it is taken for gone.
const surelyGone = 3

// errAgain asks to look at the set anew: the file was truncated, or is another one.
var errAgain = errors.New("look again")

func (f *follower) run(ctx context.Context) {
	defer f.leave()
	defer f.release()
	f.kick = f.in.watch.on(f.path)
	defer f.in.watch.off(f.kick)
	for ctx.Err() == nil {
		pos, err := f.position(ctx)
		if err != nil {
			return
		}
		f.pos, f.done = pos, map[rotatedKey]identity{}
		err = f.follow(ctx)
		if err == nil {
			return // the file is gone for good
		}
		if errors.Is(err, ErrMoved) {
			f.count(func(st *SourceStats) { st.Moved++ })
			_ = wire.Pause(ctx, f.in.o.Poll) // two readers that meet give each other time
		}
	}
}

// follow reads file after file of the set.
func (f *follower) follow(ctx context.Context) error {
	empty := 0
	for {
		list, err := stableScan(f.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.trouble(unreadable(f.path, err))
		}
		next, off := f.choose(list)
		if next == nil {
			if empty++; !f.literal && len(list) == 0 && empty > 100 {
				return nil
			}
			if err := f.wait(ctx, f.in.o.Poll); err != nil {
				return err
			}
			continue
		}
		empty = 0
		switch err := f.read(ctx, next, off); {
		case err == nil:
			f.finished(next)
		case errors.Is(err, ErrMoved) || ctx.Err() != nil:
			return err
		case errors.Is(err, errAgain):
		case errors.Is(err, fs.ErrNotExist): // renamed in this moment
		case next.current:
			f.trouble(unreadable(next.name, err))
			if err := f.wait(ctx, f.in.o.Poll); err != nil {
				return err
			}
		default: // of the past: named, and the rest goes on
			f.done[next.key()] = identity{}
			f.count(func(st *SourceStats) { st.Unreadable++ })
			f.notice(unreadable(next.name, err))
		}
	}
}

func unreadable(name string, err error) finding.Sentence {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return finding.S("cannot read {{.File}}: {{.Error}}", finding.Args{"File": name, "Error": finding.Raw(err.Error())})
}

// wait is until something happens to the files, or the time is over.
func (f *follower) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.kick.c:
	case <-t.C:
		f.in.watch.again(f.kick)
	}
	return nil
}

// choose picks the file to read next and where to begin in it; nil where there is nothing to read yet.
func (f *follower) choose(list []rotatedFile) (*rotatedFile, int64) {
	i, off := 0, int64(0)
	if f.pos.IsZero() {
		if f.c.NoHistory {
			i = max(len(list)-1, 0)
			if len(list) > 0 && !list[i].current {
				return nil, 0
			}
		}
	} else if at := f.locate(list); at >= 0 {
		i, off, f.misses = at, f.pos.Offset, 0
	} else if f.misses++; f.misses < surelyGone {
		return nil, 0 // a rotation may be under way
	} else {
		i = f.afterGap(list)
	}
	start := i
	for ; i < len(list); i++ {
		if list[i].size == 0 || f.isDone(&list[i]) {
			continue
		}
		if i != start {
			off = 0
		}
		if off == 0 && isCopy(&list[i], list[i+1:]) {
			continue
		}
		return &list[i], off
	}
	return nil, 0
}

// isCopy tells a file of which all is in a later one, too: a copy that is made before the truncation.
func isCopy(r *rotatedFile, later []rotatedFile) bool {
	if r.packed || r.current {
		return false
	}
	head, err := headOfFile(r)
	id, ok := identify(head, true)
	if err != nil || !ok {
		return false
	}
	for i := range later {
		if l := &later[i]; !l.packed && l.size >= r.size {
			if h, err := headOfFile(l); err == nil && id.begins(h) {
				return true
			}
		}
	}
	return false
}

// finished notes a file that was read to its end.
func (f *follower) finished(r *rotatedFile) {
	f.done[r.key()] = f.reading
}

// isDone tells a file that was read to its end. Inodes are used again, so its first bytes are looked at, too.
func (f *follower) isDone(r *rotatedFile) bool {
	id, ok := f.done[r.key()]
	if !ok || id.n == 0 {
		return ok
	}
	head, err := headOfFile(r)
	return err == nil && id.begins(head)
}

// locate finds the file of the position: by its inode, or by its first bytes where it was copied or packed. Negative:
// it is gone.
func (f *follower) locate(list []rotatedFile) int {
	id, ok := parseIdentity(f.pos.File)
	if !ok {
		return -1
	}
	is := func(r *rotatedFile) bool {
		if r.size == 0 || !r.packed && r.size < f.pos.Offset {
			return false
		}
		head, err := headOfFile(r)
		return err == nil && id.begins(head)
	}
	for i := range list {
		if r := &list[i]; r.ino != 0 && r.ino == id.ino && r.dev == id.dev && is(r) {
			return i
		}
	}
	for _, packed := range [...]bool{false, true} {
		for i := range list {
			if list[i].packed == packed && is(&list[i]) {
				return i
			}
		}
	}
	return -1
}

// afterGap gives the first file that was written after the position's file, which is gone.
func (f *follower) afterGap(list []rotatedFile) int {
	since := f.pos.At
	if id, ok := parseIdentity(f.pos.File); ok && id.closed != 0 {
		since = time.Unix(id.closed, 0)
	}
	if f.missed != f.pos.File {
		f.missed = f.pos.File
		f.count(func(st *SourceStats) { st.Truncated++ })
		f.notice(finding.S("the file that was read last is gone or was truncated; what was written to it after {{.At}} cannot be read", finding.Args{"At": f.pos.At}))
	}
	for i := range list {
		if list[i].current || list[i].modified.After(since) {
			return i
		}
	}
	return len(list)
}

// headOfFile reads the first bytes of the text of a file.
func headOfFile(r *rotatedFile) ([]byte, error) {
	if r.packed {
		in, err := logs.Open(r.name)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return in.Head(), nil
	}
	h, err := os.Open(r.name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return headOf(h)
}

// batcherFor prepares the batches of a file. File is the position's own name for it where it goes on.
func (f *follower) batcherFor(r *rotatedFile, head []byte, off int64) (*batcher, bool) {
	b := &batcher{s: f.source, from: f.pos, to: Position{File: f.pos.File, Offset: off}, modified: r.modified}
	if id, ok := parseIdentity(f.pos.File); !ok || !id.begins(head) || off == 0 {
		id, ok = identify(head, !r.current)
		if !ok {
			return nil, false
		}
		id.dev, id.ino = r.dev, r.ino
		if !r.current {
			id.closed = r.modified.Unix()
		}
		b.to.File = id.String()
	}
	b.head = tableHead(head)
	return b, true
}

// tableHead gives the first lines of a file that name its columns, as Exchange and IIS write them.
func tableHead(head []byte) []byte {
	end := 0
	for end < len(head) && head[end] == '#' {
		n := 0
		for end+n < len(head) && head[end+n] != '\n' {
			n++
		}
		if end+n == len(head) {
			break
		}
		end += n + 1
	}
	if end == 0 {
		return nil
	}
	return append([]byte(nil), head[:end]...)
}

// read takes in one file from an offset of its text to its end; of the one being written that is when a successor has
// lines.
func (f *follower) read(ctx context.Context, r *rotatedFile, off int64) error {
	f.reading = identity{}
	if r.packed {
		return f.unpack(ctx, r, off)
	}
	h, err := os.Open(r.name)
	if err != nil {
		return err
	}
	defer h.Close()
	st, err := h.Stat()
	if err != nil {
		return err
	}
	if dev, ino := inode(st); dev != r.dev || ino != r.ino {
		return errAgain // renamed in between
	}
	head, err := headOf(h)
	if err != nil {
		return err
	}
	r.modified = st.ModTime()
	if off, err = f.skipStored(ctx, r, head, off); err != nil {
		return err
	}
	b, ok := f.batcherFor(r, head, off)
	if !ok {
		return f.firstLine(ctx)
	}
	f.reading, _ = parseIdentity(b.to.File)
	f.count(func(st *SourceStats) { st.File = r.name })
	err = f.tail(ctx, h, r, b, off)
	f.pos = b.from
	return err
}

// firstLine waits for a whole line in a file that has none.
func (f *follower) firstLine(ctx context.Context) error {
	if err := f.wait(ctx, f.in.o.Poll); err != nil {
		return err
	}
	return errAgain
}

// unpack reads a packed file of the past.
func (f *follower) unpack(ctx context.Context, r *rotatedFile, off int64) error {
	in, err := logs.Open(r.name)
	if err != nil {
		if errors.Is(err, logs.ErrEmpty) {
			return nil
		}
		return err
	}
	defer in.Close()
	if off, err = f.skipStored(ctx, r, in.Head(), off); err != nil {
		return err
	}
	b, ok := f.batcherFor(r, in.Head(), off)
	if !ok {
		return nil
	}
	f.reading, _ = parseIdentity(b.to.File)
	f.count(func(st *SourceStats) { st.File = r.name })
	err = f.readInput(ctx, in, b, off)
	f.pos = b.from
	return err
}

// readInput gives the lines of an input from an offset on.
func (s *source) readInput(ctx context.Context, in *logs.Input, b *batcher, off int64) error {
	cut := cutter{taken: off, seen: off}
	cut.emit = func(line []byte, end int64) error {
		b.add(line, end)
		if b.full() {
			return b.flush(ctx)
		}
		return ctx.Err()
	}
	err := in.Each(func(block []byte, base int64) error {
		if skip := off - base; skip >= int64(len(block)) {
			return ctx.Err()
		} else if skip > 0 {
			block = block[skip:]
		}
		return cut.feed(block)
	})
	if err == nil {
		err = cut.finish()
	}
	s.long(&cut, in.Name)
	if ferr := b.flush(ctx); err == nil || errors.Is(ferr, ErrMoved) {
		err = ferr
	}
	return err
}

// long counts lines that were too long, and names the place.
func (s *source) long(c *cutter, name string) {
	if c.long == 0 {
		return
	}
	n := c.long
	c.long = 0
	s.count(func(st *SourceStats) { st.Long += n })
	s.notice(finding.S("{{.File}}: a line of more than {{size .Max}} before byte {{.Offset}}; its beginning was kept", finding.Args{"File": name, "Max": MaxLine, "Offset": c.taken}))
}

// tail reads a plain file until it has a successor with lines and nothing more was written to it.
func (f *follower) tail(ctx context.Context, h *os.File, r *rotatedFile, b *batcher, off int64) error {
	cut := cutter{taken: off, seen: off, emit: func(line []byte, end int64) error { b.add(line, end); return nil }}
	id, _ := parseIdentity(b.to.File)
	var successor time.Time // when one was seen
	idle := false           // the end was reached before: what comes now is read as it is written
	for {
		n, err := h.ReadAt(f.buf, cut.seen)
		if err != nil && err != io.EOF {
			return err
		}
		st, err := f.intact(h, id, cut.seen+int64(n))
		if err != nil {
			return errors.Join(b.flush(ctx), err)
		}
		b.modified, b.live = st.ModTime(), idle
		if err := cut.feed(f.buf[:n]); err != nil {
			return err
		}
		f.long(&cut, r.name)
		f.count(func(s *SourceStats) { s.Behind = st.Size() - cut.taken })
		if b.full() || len(b.cuts) > 0 && time.Since(b.first) >= f.in.o.Flush {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
		if n > 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		if !successor.IsZero() && f.settled(successor, st.ModTime()) {
			if err := cut.finish(); err != nil {
				return err
			}
			f.count(func(s *SourceStats) { s.Rotations++; s.Behind = 0 })
			return b.flush(ctx)
		}
		idle = true
		if successor.IsZero() && f.succeeded(st) {
			successor = time.Now()
			continue // what was written before the successor's first line is read now
		}
		if err := f.wait(ctx, f.restOf(b)); err != nil {
			return err
		}
	}
}

// restOf is how long to wait: until the batch must go, or to the next look.
func (f *follower) restOf(b *batcher) time.Duration {
	if len(b.cuts) == 0 {
		return f.in.o.Poll
	}
	return max(min(f.in.o.Flush-time.Since(b.first), f.in.o.Poll), time.Millisecond)
}

// intact tells whether the file is still the one that was begun, with all that was read of it: errAgain where it was
// truncated, even if it has grown since.
func (f *follower) intact(h *os.File, id identity, seen int64) (os.FileInfo, error) {
	st, err := h.Stat()
	if err != nil {
		return nil, err
	}
	head, err := headOf(h)
	if err != nil {
		return nil, err
	}
	if st.Size() < seen || !id.begins(head) {
		return nil, errAgain
	}
	if f.claim != nil {
		if now, ok := identify(head, true); ok {
			f.claim.Grow(now.String())
		}
		if !f.claim.Held() {
			return nil, errAgain
		}
	}
	return st, nil
}

// settled tells that a file with a successor is not written any more.
func (f *follower) settled(successor, modified time.Time) bool {
	return f.in.o.Settle < 0 || time.Since(successor) >= f.in.o.Settle || time.Since(modified) >= f.in.o.Settle
}

// succeeded tells that another file took this one's place, and has lines.
func (f *follower) succeeded(st os.FileInfo) bool {
	list, err := stableScan(f.path)
	if err != nil {
		return false
	}
	dev, ino := inode(st)
	found := false
	for i := range list {
		r := &list[i]
		if r.dev == dev && r.ino == ino && ino != 0 || ino == 0 && filepath.Base(r.name) == st.Name() {
			found = true
		} else if r.size > 0 && (found || r.current) {
			return true
		}
	}
	return false
}
