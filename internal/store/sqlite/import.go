package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Imported tells what an import did.
type Imported struct {
	Lines  int64 // stored now
	Bytes  int64 // of text, stored now
	Before int64 // bytes that were stored by an earlier import
	Counts logs.Counts
}

// importBlocks is how many blocks of an input are stored in one transaction: some 16 MB of text.
const importBlocks = 32

// importJob is a block of an input on its way: read by the feeder, digested by a worker, written in order.
type importJob struct {
	block  int
	buf    []byte
	text   []byte
	base   int64
	pieces []packed
	num    digest.Numbers
	counts logs.Counts
	err    error
	done   chan struct{}
}

// Import stores a whole input. It goes on where an earlier import of the same text ended, so one that was broken off is
// run again. Blocks are digested by all cores and stored in order, many in one transaction; progress is told how many
// bytes of text are stored.
func (s *Store) Import(ctx context.Context, in *logs.Input, progress func(bytes int64)) (Imported, error) {
	if s.opt.ReadOnly {
		return Imported{}, ErrReadOnly
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in.Sniff(s.opt.Dialects)
	head := in.Head()
	m := &importer{s: s, in: in, source: "file:" + in.Name, progress: progress}
	name, ok := intake.Identity(head, true)
	if m.name = name; !ok {
		m.name = "empty"
	}
	if in.Layout != nil {
		m.head = head
	}
	if err := m.begin(ctx); err != nil {
		return Imported{}, err
	}
	err := m.run(ctx)
	return m.out, err
}

type importer struct {
	s        *Store
	in       *logs.Input
	source   string
	name     string
	head     []byte
	from     int64 // stored before
	progress func(int64)
	out      Imported
}

// begin finds how much of the text is stored: by an earlier import, or because serve followed the file.
func (m *importer) begin(ctx context.Context) error {
	w := &m.s.w
	w.mu.Lock()
	err := w.ready()
	if p := w.pos[m.source]; err == nil && p.File == m.name {
		m.from = p.Offset
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	known, err := intake.StoredOf(ctx, m.s, m.in.Head(), m.read())
	m.from = max(m.from, known)
	m.out.Before = m.from
	return err
}

// read gives what reads the text at a place; of standard input nothing can be read twice.
func (m *importer) read() func(from, to int64) ([]byte, error) {
	if !m.in.Seekable() {
		if _, err := os.Stat(m.in.Name); err != nil {
			return func(int64, int64) ([]byte, error) { return nil, nil }
		}
		return intake.ReadPacked(m.in.Name)
	}
	return func(from, to int64) (out []byte, err error) {
		for i := max(from/logs.BlockSize-1, 0); i*logs.BlockSize < to && i < int64(m.in.Blocks()); i++ {
			block, base, err := m.in.Block(int(i), nil)
			if err != nil {
				return nil, err
			}
			if end := base + int64(len(block)); end > from && base < to {
				out = append(out, block[max(from-base, 0):min(to, end)-base]...)
			}
		}
		if int64(len(out)) == to-from-1 && to == m.in.Size+1 {
			out = append(out, '\n') // the last line lacks its end, which is put there when it is stored
		}
		if int64(len(out)) != to-from {
			out = nil
		}
		return out, nil
	}
}

func (m *importer) run(ctx context.Context) error {
	workers := runtime.GOMAXPROCS(0)
	free := make(chan *importJob, importBlocks+2*workers)
	for range cap(free) {
		free <- &importJob{done: make(chan struct{}, 1)}
	}
	todo, order := make(chan *importJob), make(chan *importJob, cap(free))
	for range workers {
		go m.work(todo)
	}
	var failed error // of the feeder; read after order is closed
	go func() {
		defer close(order)
		defer close(todo)
		failed = m.feed(ctx, free, todo, order)
	}()
	var have []*importJob
	var broken error
	store := func() {
		if broken == nil {
			broken = m.store(have)
		}
		for _, j := range have {
			j.pieces = nil
			free <- j
		}
		have = have[:0]
	}
	for j := range order {
		<-j.done
		broken = errors.Join(broken, j.err)
		if have = append(have, j); len(have) == importBlocks {
			store()
		}
		if ctx.Err() != nil && broken == nil {
			broken = ctx.Err()
		}
	}
	store()
	if broken != nil {
		return broken
	}
	return failed
}

// feed hands out the blocks that were not stored before.
func (m *importer) feed(ctx context.Context, free, todo, order chan *importJob) error {
	give := func(j *importJob) { order <- j; todo <- j }
	if m.in.Seekable() {
		for i := range m.in.Blocks() {
			if int64(i+1)*logs.BlockSize <= m.from {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			j := <-free
			j.block, j.text = i, nil
			give(j)
		}
		return nil
	}
	var next *importJob
	return m.in.EachOwned(func() []byte {
		if next == nil {
			next = <-free
		}
		return next.buf
	}, func(block []byte, base int64) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next.buf, next.text, next.base = block[:cap(block)], block, base
		give(next)
		next = nil
		return nil
	})
}

// work digests blocks.
func (m *importer) work(todo chan *importJob) {
	d := digest.New(m.s.opt.Dialects, m.s.opt.Local, m.s.opt.Know)
	enc := newEncoder()
	defer enc.Close()
	var before logs.Counts
	for j := range todo {
		j.err = nil
		if j.text == nil {
			j.text, j.base, j.err = m.in.Block(j.block, j.buf)
			if cap(j.text) > cap(j.buf) && cap(j.text) < 4*logs.BlockSize {
				j.buf = j.text[:cap(j.text)]
			}
		}
		if skip := m.from - j.base; skip > 0 && j.err == nil {
			j.text, j.base = j.text[min(skip, int64(len(j.text))):], j.base+min(skip, int64(len(j.text)))
		}
		if n := len(j.text); n > 0 && j.text[n-1] != '\n' { // the last line lacks its end
			j.text = append(j.text[:n:n], '\n')
		}
		m.digest(d, enc, j)
		j.num = d.Take()
		now := d.Counts()
		j.counts = logs.Counts{Lines: now.Lines - before.Lines, Bytes: now.Bytes - before.Bytes, Mail: now.Mail - before.Mail, Foreign: now.Foreign - before.Foreign, Unparsed: now.Unparsed - before.Unparsed}
		before = now
		j.done <- struct{}{}
	}
}

// digest makes pieces of equal size of a block.
func (m *importer) digest(d *digest.Digester, enc packer, j *importJob) {
	if j.err != nil {
		return
	}
	text, base := j.text, j.base
	size := len(text)/max(1, (len(text)+blockSize/2)/blockSize) + 1
	for len(text) > 0 {
		n := min(size, len(text))
		for n < len(text) && text[n-1] != '\n' {
			n++
		}
		d.Reset()
		d.Add(0, base, text[:n], m.in.LatestAt(base+int64(n)), m.in.Layout)
		j.pieces = append(j.pieces, packPiece(enc, &d.Piece))
		text, base = text[n:], base+int64(n)
	}
}

// store writes blocks and the position behind them in one transaction.
func (m *importer) store(jobs []*importJob) error {
	if len(jobs) == 0 {
		return nil
	}
	w := &m.s.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.turn(); err != nil {
		return err
	}
	w.doubt = true
	end := int64(0)
	err := transaction(w.c, func() error {
		f, err := w.file(m.source, m.name, "", m.head)
		if err != nil {
			return err
		}
		var entries []entry
		var vals [][]byte
		sum := digest.New(nil, time.UTC, nil).Take()
		for _, j := range jobs {
			for i := range j.pieces {
				p := &j.pieces[i]
				for r := range p.runs {
					p.runs[r].File = f.id
				}
				if err := w.block(*p); err != nil {
					return err
				}
				for _, k := range p.keys {
					entries = append(entries, entryOf(k, w.blocks))
				}
				vals = append(vals, p.values...)
			}
			sum.Add(&j.num)
			end = max(end, j.base+int64(len(j.text)))
		}
		id, err := nextPart(w.c)
		if err != nil {
			return err
		}
		slices.Sort(entries)
		if err := savePart(w.c, w.enc, id, slices.Compact(entries), mergeValues([][][]byte{vals})); err != nil {
			return err
		}
		if err := w.numbers(w.c, sum, time.Time{}); err != nil {
			return err
		}
		to := intake.Position{File: m.name, Offset: end, At: m.s.opt.Now()}
		w.pos[m.source] = to
		return savePosition(w.c, m.source, to)
	})
	if err != nil {
		return fmt.Errorf("segment %s: %w", w.seg.path, err)
	}
	w.doubt = false
	for _, j := range jobs {
		m.out.Bytes += int64(len(j.text))
		m.out.Counts.Add(j.counts)
	}
	m.out.Lines = m.out.Counts.Lines
	if m.progress != nil {
		m.progress(m.from + m.out.Bytes)
	}
	return nil
}
