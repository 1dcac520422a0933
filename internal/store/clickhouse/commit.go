package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/klauspost/compress/zstd"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Bounds of what is written.
const (
	pieceSize   = 64 << 10 // text of a piece, at least, where a batch has more
	maxText     = 40 << 20 // what a piece may unpack to
	maxTogether = 64       // batches of several sources in one insert
	maxValues   = 1 << 20  // values remembered as stored
)

// writer stores batches. Those of several sources that come at once go into one insert.
type writer struct {
	s       *Store
	queue   chan *request
	done    chan struct{}
	stop    chan struct{}
	seed    maphash.Seed
	mu      sync.Mutex
	sources map[string]*sourceState
	lastNo  int64

	enc *zstd.Encoder // for EncodeAll, by several goroutines

	// Of the one goroutine that writes.
	d      *digest.Digester
	values map[uint64]bool
	day    int64
}

// sourceState is what is remembered of a source. Its lock is held during a commit.
type sourceState struct {
	mu    sync.Mutex
	known bool
	pos   intake.Position
	seq   int64
	files map[string]*fileState // by Position.File; the latest ones
}

// fileState is a file of a source, or a run of a stream.
type fileState struct {
	no     int64
	head   []byte
	layout *logs.Layout
	bytes  int64 // text of a stream whose positions are no bytes
}

// request is a batch on its way.
type request struct {
	ctx  context.Context
	b    *intake.Batch
	from int
	src  *sourceState
	f    *fileState
	end  int64 // fileState.bytes afterwards
	err  chan error
}

func newWriter(s *Store) *writer {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // only for settings that contradict each other
	}
	w := &writer{s: s, queue: make(chan *request), done: make(chan struct{}), stop: make(chan struct{}), seed: maphash.MakeSeed(), sources: map[string]*sourceState{},
		d: digest.New(s.opt.Dialects, s.opt.Local, s.opt.Know), enc: enc, values: map[uint64]bool{}}
	go w.run()
	return w
}

func (w *writer) close() {
	close(w.stop)
	<-w.done
	w.enc.Close()
}

// errClosed tells that the store was closed.
var errClosed = errors.New("the store is closed")

func (w *writer) source(name string) *sourceState {
	w.mu.Lock()
	defer w.mu.Unlock()
	src := w.sources[name]
	if src == nil {
		src = &sourceState{files: map[string]*fileState{}}
		w.sources[name] = src
	}
	return src
}

// Position gives where the source was left.
func (s *Store) Position(ctx context.Context, source string) (intake.Position, error) {
	src := s.w.source(source)
	src.mu.Lock()
	defer src.mu.Unlock()
	err := s.load(ctx, source, src)
	return src.pos, hidden(err, s.secret)
}

// Commit stores the lines of a batch and where it ends: see intake.Sink. Where that fails it is not known whether they
// are stored; the same batch again is stored once in any case, for its pieces have the same names.
func (s *Store) Commit(ctx context.Context, b *intake.Batch) error {
	if s.opt.ReadOnly {
		return ErrReadOnly
	}
	src := s.w.source(b.Source)
	src.mu.Lock()
	defer src.mu.Unlock()
	if err := s.load(ctx, b.Source, src); err != nil {
		return hidden(err, s.secret)
	}
	from, follows := b.Rest(src.pos)
	if !follows {
		return intake.ErrMoved
	}
	if from == len(b.Lines) && len(b.Lines) > 0 && src.pos.File == b.To.File && src.pos.Offset >= b.To.Offset {
		return nil
	}
	if len(b.Ends) != len(b.Lines) {
		return fmt.Errorf("batch of %s: %d ends of %d lines", b.Source, len(b.Ends), len(b.Lines))
	}
	f, err := s.file(ctx, b, src)
	if err != nil {
		return hidden(err, s.secret)
	}
	r := &request{ctx: ctx, b: b, from: from, src: src, f: f, err: make(chan error, 1)}
	select {
	case s.w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.w.done:
		return errClosed
	}
	if err := <-r.err; err != nil { // the writer heeds ctx
		return hidden(err, s.secret)
	}
	src.pos = b.To
	src.pos.At = s.opt.Now()
	src.seq++
	f.bytes = r.end
	return nil
}

// run writes what comes, as much together as waits.
func (w *writer) run() {
	defer close(w.done)
	for {
		var all []*request
		select {
		case <-w.stop:
			return
		case r := <-w.queue:
			all = append(all, r)
		}
	more:
		for len(all) < maxTogether {
			select {
			case r := <-w.queue:
				all = append(all, r)
			default:
				break more
			}
		}
		err := w.write(all)
		for _, r := range all {
			r.err <- err
		}
	}
}

// rows are what an insert holds.
type rows struct {
	pieces []*piece
	found  []lead
	values [][]byte
}

// lead is a row of found.
type lead struct {
	key          uint64
	file, base   int64
	since, until int64
}

// piece is a row of piece.
type piece struct {
	source, host, name string
	file, base         int64
	bare, ends         bool
	size               int
	since, until       int64
	head, text         []byte
	runs               []digest.Run
	seq                int64
	to                 intake.Position
	read               int64
	numbers            digest.Numbers
	old                *written // of a piece that takes another one's place; nil: it is new
}

// written is what a row holds that was written before.
type written struct {
	day     time.Time
	at      int64
	numbers columns
}

// write stores batches: what leads to the pieces first, then the pieces. The first context that ends ends all.
func (w *writer) write(all []*request) error {
	var out rows
	ctx, cancel := context.WithCancel(all[0].ctx)
	defer cancel()
	for _, r := range all {
		defer context.AfterFunc(r.ctx, cancel)()
		w.cut(r, &out)
	}
	now := w.s.opt.Now()
	if err := retry(ctx, func() error { return w.leads(ctx, now, &out) }); err != nil {
		return err
	}
	if err := retry(ctx, func() error { return w.pieces(ctx, now, out.pieces) }); err != nil {
		return err
	}
	for _, v := range out.values {
		w.values[maphash.Bytes(w.seed, v)] = true
	}
	return nil
}

// cut makes pieces of the lines of a batch, those together that stand together in the source.
func (w *writer) cut(r *request, out *rows) {
	b, f := r.b, r.f
	at := int64(0) // where the line begins
	if r.from > 0 {
		at = b.Ends[r.from-1]
	} else if b.From.File == b.To.File {
		at = b.From.Offset
	}
	counted := false // positions are numbers of lines, not bytes
	for i, begin := r.from, at; i < len(b.Lines); i++ {
		counted = counted || b.Ends[i]-begin < int64(len(b.Lines[i]))
		begin = b.Ends[i]
	}
	if r.end = f.bytes; counted {
		at = f.bytes
	}
	var text []byte
	base, first := at, len(out.pieces)
	for i := r.from; i < len(b.Lines); i++ {
		line := b.Lines[i]
		end := at + int64(len(line)) + 1
		if !counted {
			end = b.Ends[i]
		}
		if base+int64(len(text)) != at || len(text) >= pieceSize {
			w.piece(r, base, text, out)
			text, base = nil, at
		}
		text = append(text, line[:min(len(line), logs.MaxLine)]...)
		if end-at == int64(len(line))+2 {
			text = append(text, '\r') // taken off by the reader
		}
		text = append(text, '\n')
		at = end
	}
	if counted {
		r.end = at
	}
	if len(text) > 0 {
		w.piece(r, base, text, out)
	}
	if len(out.pieces) == first { // a position alone
		out.pieces = append(out.pieces, &piece{source: b.Source, host: b.Host, name: b.To.File, file: f.no, base: b.To.Offset, bare: true})
	}
	last := out.pieces[len(out.pieces)-1]
	last.ends, last.seq, last.to = true, r.src.seq+1, b.To
}

// piece makes one piece.
func (w *writer) piece(r *request, base int64, text []byte, out *rows) {
	if len(text) == 0 {
		return
	}
	b, latest := r.b, r.b.Modified
	if latest.IsZero() {
		latest = w.s.opt.Now()
	}
	w.d.Reset()
	w.d.Add(0, base, text, latest, r.f.layout)
	p := &piece{source: b.Source, host: b.Host, name: b.To.File, file: r.f.no, base: base, size: len(text), since: w.d.From, until: w.d.To, head: r.f.head,
		text: w.enc.EncodeAll(text, nil), runs: w.d.Runs, numbers: w.d.Take()}
	if w.d.Timeless {
		p.since, p.until = -1<<63, 1<<63-1
	}
	if !b.Read.IsZero() {
		p.read = b.Read.UnixNano()
	}
	out.pieces = append(out.pieces, p)
	for _, k := range w.d.Keys {
		out.found = append(out.found, lead{uint64(k), p.file, base, p.since, p.until})
	}
	if day := w.s.opt.Now().Unix() / 86400; day != w.day || len(w.values) > maxValues { // each partition has its own
		clear(w.values)
		w.day = day
	}
	for _, v := range w.d.Values {
		if !w.values[maphash.Bytes(w.seed, v)] {
			out.values = append(out.values, v)
		}
	}
}

// insert gives a batch of the driver that a distributed table passes on before it answers.
func (s *Store) insert(ctx context.Context, table, columns string) (driver.Batch, error) {
	if s.cluster != "" {
		ctx = ch.Context(ctx, ch.WithSettings(ch.Settings{"insert_distributed_sync": 1, "insert_quorum": s.quorum}))
	}
	return s.conn.PrepareBatch(ctx, "INSERT INTO "+s.name(table)+" ("+columns+") VALUES")
}

// leads writes keys and values.
func (w *writer) leads(ctx context.Context, now time.Time, out *rows) error {
	if err := w.s.putValues(ctx, now, out.values); err != nil {
		return err
	}
	if len(out.found) == 0 {
		return nil
	}
	b, err := w.s.insert(ctx, "found", "day, k, file, base, since, until")
	if err != nil {
		return err
	}
	defer b.Close()
	for i := range out.found {
		l := &out.found[i]
		if err := b.Append(now, l.key, l.file, l.base, l.since, l.until); err != nil {
			return err
		}
	}
	return b.Send()
}

// putValues writes what can be searched by a part, into the week of a day.
func (s *Store) putValues(ctx context.Context, day time.Time, values [][]byte) error {
	if len(values) == 0 {
		return nil
	}
	b, err := s.insert(ctx, "value", "day, kind, value")
	if err != nil {
		return err
	}
	defer b.Close()
	for _, v := range values {
		if err := b.Append(day, v[0], string(v[1:])); err != nil {
			return err
		}
	}
	return b.Send()
}

const pieceColumns = "day, source, host, name, file, base, bare, size, since, until, head, text, r_base, r_len, r_latest, r_zone, ends, seq, to_offset, to_cursor, at, read, " +
	"n_hour, n_host, n_fate, n_way, n_provider, n_cause, n_n, n_bytes, n_delay, h_name, h_last"

// pieces writes pieces. Those of one source are on one shard, so they are stored all or none.
func (w *writer) pieces(ctx context.Context, now time.Time, all []*piece) error {
	b, err := w.s.insert(ctx, "piece", pieceColumns)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, p := range all {
		var rBase, rLatest []int64
		var rLen []uint32
		var rZone []int32
		for i := range p.runs {
			r := &p.runs[i]
			rBase, rLen, rLatest, rZone = append(rBase, r.Base), append(rLen, uint32(r.Len)), append(rLatest, r.Latest.UnixNano()), append(rZone, r.Zone)
		}
		row := p.old
		kind := uint8(letGo)
		if row == nil {
			row, kind = &written{now, now.UnixNano(), spread(&p.numbers)}, bit(p.bare)
		}
		n := &row.numbers
		if err := b.Append(row.day, p.source, p.host, p.name, p.file, p.base, kind, uint32(p.size), p.since, p.until, string(p.head), string(p.text), rBase, rLen, rLatest, rZone,
			bit(p.ends), p.seq, p.to.Offset, p.to.Cursor, row.at, p.read,
			n.hour, n.host, n.fate, n.way, n.provider, n.cause, n.n, n.bytes, n.delay, n.names, n.last); err != nil {
			return err
		}
	}
	return b.Send()
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// columns are numbers as arrays beside each other.
type columns struct {
	hour, n, bytes, delay, last  []int64
	host, provider, cause, names []string
	fate, way                    []uint8
}

func spread(n *digest.Numbers) (c columns) {
	for k, v := range n.Hours {
		c.hour, c.host, c.fate, c.way = append(c.hour, k.Hour), append(c.host, k.Host), append(c.fate, uint8(k.Fate)), append(c.way, uint8(k.Direction))
		c.provider, c.cause = append(c.provider, k.Provider), append(c.cause, k.Cause)
		c.n, c.bytes, c.delay = append(c.n, v.N), append(c.bytes, v.Bytes), append(c.delay, int64(v.Delay))
	}
	for name, at := range n.Hosts {
		c.names, c.last = append(c.names, name), append(c.last, at)
	}
	return c
}

// file finds what is known of the file a batch ends in, or begins to know it.
func (s *Store) file(ctx context.Context, b *intake.Batch, src *sourceState) (*fileState, error) {
	if f := src.files[b.To.File]; f != nil {
		return f, nil
	}
	f := &fileState{}
	err := s.query(ctx, fmt.Sprintf("SELECT file, max(base + size), any(head), count() FROM %s WHERE source = %s AND name = %s GROUP BY file ORDER BY file LIMIT 1", s.name("piece"), quote(b.Source), quote(b.To.File)),
		nil, func(r driver.Rows) error {
			var head string
			var n uint64
			err := r.Scan(&f.no, &f.bytes, &head, &n)
			f.head = []byte(head)
			return err
		})
	if err != nil {
		return nil, err
	}
	if f.no == 0 {
		f.no, f.head, f.bytes = s.w.number(b.Source+"\x00"+b.To.File), bytes.Clone(b.Head), 0
	}
	f.layout = logs.LayoutOf(s.opt.Dialects, f.head)
	if len(src.files) > 100 {
		clear(src.files)
	}
	src.files[b.To.File] = f
	return f, nil
}

// number makes the number of a file: files are in the order in which they were first seen, by whatever writer, and no two
// have the same.
func (w *writer) number(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := max(w.s.opt.Now().UnixMicro(), w.lastNo+1)
	w.lastNo = n
	return n<<10 | int64(digest.Hash([]byte(name))&1023)
}
