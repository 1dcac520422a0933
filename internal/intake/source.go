package intake

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds of a batch.
const (
	maxBatchBytes = 4 << 20
	maxBatchLines = 50_000
)

// source is what all kinds of source have: a name, counters, and the way into the sink.
type source struct {
	in   *Intake
	name string
	kind string
	host string

	before func() error // asked in front of every commit; nil: nothing keeps from it

	*counters // shared by the files of one folder
}

type counters struct {
	mu sync.Mutex
	st SourceStats
}

func (in *Intake) newSource(kind, what, host string) *source {
	s := &source{in: in, name: kind + ":" + what, kind: kind, host: host, counters: &counters{}}
	if what == "" {
		s.name = kind
	}
	if in.o.Node != "" {
		s.name += " " + in.o.Node
	}
	s.st.Name, s.st.Kind = s.name, kind
	in.mu.Lock()
	in.sources = append(in.sources, s)
	in.mu.Unlock()
	return s
}

// leave takes the source out of the figures.
func (s *source) leave() {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	for i, o := range s.in.sources {
		if o == s {
			s.in.sources = append(s.in.sources[:i:i], s.in.sources[i+1:]...)
			return
		}
	}
}

func (s *source) count(f func(*SourceStats)) {
	s.mu.Lock()
	f(&s.st)
	s.mu.Unlock()
}

// trouble tells what keeps the source from going on; it is logged when it changes, the zero Sentence takes it back.
func (s *source) trouble(t finding.Sentence) {
	text := t.In(finding.EN)
	s.mu.Lock()
	was := s.st.Trouble.In(finding.EN)
	s.st.Trouble = t
	s.mu.Unlock()
	switch {
	case text == was:
	case text == "":
		s.in.o.Log.Info("intake goes on", slog.String("source", s.name))
	default:
		s.in.o.Log.Warn("intake", slog.String("source", s.name), slog.String("trouble", text))
	}
}

// notice logs what happened once and counts for itself.
func (s *source) notice(t finding.Sentence) {
	s.mu.Lock()
	s.st.Notice, s.st.NoticeAt = t, s.in.o.Now()
	s.mu.Unlock()
	s.in.o.Log.Warn("intake", slog.String("source", s.name), slog.String("notice", t.In(finding.EN)))
}

// position asks the sink until it answers.
func (s *source) position(ctx context.Context) (Position, error) {
	for wait := s.in.o.Retry; ; wait = min(2*wait, s.in.o.RetryMax) {
		p, err := s.in.sink.Position(ctx, s.name)
		if err == nil || ctx.Err() != nil {
			return p, errors.Join(err, ctx.Err())
		}
		s.away(err)
		if err := wire.Pause(ctx, wait); err != nil {
			return p, err
		}
	}
}

// try stores a batch once and counts it.
func (s *source) try(ctx context.Context, b *Batch, live bool) error {
	err := s.in.sink.Commit(ctx, b)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, ErrMoved) {
			s.away(err)
		}
		return err
	}
	s.trouble(finding.Sentence{})
	n := int64(0)
	for _, l := range b.Lines {
		n += int64(len(l)) + 1
	}
	now := s.in.o.Now()
	newest := s.in.look(b, live)
	s.count(func(st *SourceStats) {
		st.Lines += int64(len(b.Lines))
		st.Bytes += n
		st.Batches++
		st.Stored = now
		if newest.After(st.Newest) {
			st.Newest = newest
		}
	})
	return nil
}

// commit stores a batch however long the sink is away; ErrMoved and the end of ctx end it.
func (s *source) commit(ctx context.Context, b *Batch, live bool) error {
	for wait := s.in.o.Retry; ; wait = min(2*wait, s.in.o.RetryMax) {
		if s.before != nil {
			if err := s.before(); err != nil {
				return err
			}
		}
		err := s.try(ctx, b, live)
		if err == nil || errors.Is(err, ErrMoved) {
			return err
		}
		if err := wire.Pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *source) away(err error) {
	s.count(func(st *SourceStats) { st.SinkErrors++ })
	s.trouble(finding.S("the store does not take lines: {{.Error}}", finding.Args{"Error": finding.Raw(err.Error())}))
}

// batcher gathers the lines of one file or stream.
type batcher struct {
	s        *source
	from, to Position
	data     []byte
	cuts     []int // end of each line in data
	ends     []int64
	head     []byte
	modified time.Time
	first    time.Time // when the first line came, by the machine's own clock
	live     bool      // the lines are read as they are written
}

func (b *batcher) add(line []byte, end int64) {
	if len(b.cuts) == 0 {
		b.first = time.Now()
	}
	b.data = append(b.data, line...)
	b.cuts = append(b.cuts, len(b.data))
	b.ends = append(b.ends, end)
	b.to.Offset = end
}

func (b *batcher) full() bool { return len(b.data) >= maxBatchBytes || len(b.cuts) >= maxBatchLines }

// batch gives what was gathered; it is valid until the next add.
func (b *batcher) batch() *Batch {
	out := &Batch{Source: b.s.name, Host: b.s.host, From: b.from, To: b.to, Ends: b.ends, Head: b.head, Modified: b.modified, Read: b.s.in.o.Now()}
	out.Lines = make([][]byte, len(b.cuts))
	start := 0
	for i, end := range b.cuts {
		out.Lines[i] = b.data[start:end:end]
		start = end
	}
	return out
}

// flush stores what was gathered.
func (b *batcher) flush(ctx context.Context) error {
	if len(b.cuts) == 0 {
		return nil
	}
	if err := b.s.commit(ctx, b.batch(), b.live); err != nil {
		return err
	}
	b.stored()
	return nil
}

func (b *batcher) stored() {
	b.from = b.to
	b.from.At = b.s.in.o.Now()
	b.data, b.cuts, b.ends = b.data[:0], b.cuts[:0], b.ends[:0]
}
