package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// memory is a sink that keeps everything and can be told to fail.
type memory struct {
	mu    sync.Mutex
	pos   map[string]Position
	lines map[string][]string
	heads map[string]string
	fail  error
	tries int
	news  chan struct{} // closed and made anew with every change
}

func newMemory() *memory {
	return &memory{pos: map[string]Position{}, lines: map[string][]string{}, heads: map[string]string{}, news: make(chan struct{})}
}

func (m *memory) Position(_ context.Context, source string) (Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pos[source], m.fail
}

func (m *memory) Commit(_ context.Context, b *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { close(m.news); m.news = make(chan struct{}) }()
	m.tries++
	if m.fail != nil {
		return m.fail
	}
	if len(b.Lines) != len(b.Ends) || len(b.Ends) > 0 && b.Ends[len(b.Ends)-1] != b.To.Offset {
		return fmt.Errorf("a batch of %d lines with ends %v up to %d", len(b.Lines), b.Ends, b.To.Offset)
	}
	from, follows := b.Rest(m.pos[b.Source])
	if !follows {
		return ErrMoved
	}
	for _, l := range b.Lines[from:] {
		m.lines[b.Source] = append(m.lines[b.Source], string(bytes.Clone(l)))
	}
	if from < len(b.Lines) {
		m.pos[b.Source] = b.To
		m.pos[b.Source] = Position{b.To.File, b.To.Offset, b.To.Cursor, time.Now()}
	}
	m.heads[b.Source] = string(b.Head)
	return nil
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	m.fail = err
	m.mu.Unlock()
}

// all gives what is stored of a source.
func (m *memory) all(source string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lines[source])
}

// until waits for a state of the sink.
func (m *memory) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond) // for states that change without a commit
	defer tick.Stop()
	for {
		m.mu.Lock()
		ok, news := is(), m.news
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-tick.C:
		case <-deadline.C:
			m.mu.Lock()
			defer m.mu.Unlock()
			t.Fatalf("%s did not come about; stored: %.2000v", what, m.lines)
		}
	}
}

func (m *memory) wantLines(t *testing.T, source string, want ...string) {
	t.Helper()
	m.until(t, fmt.Sprintf("%q in %s", want, source), func() bool { return len(m.lines[source]) >= len(want) })
	if got := m.all(source); !slices.Equal(got, want) {
		t.Fatalf("%s: stored\n%q, want\n%q", source, got, want)
	}
}

var errAway = errors.New("no space left on device")

// quick are options for tests: every wait is short, and none of them decides what comes out.
func quick() Options {
	return Options{Flush: time.Millisecond, Poll: 5 * time.Millisecond, Settle: -1, Retry: time.Millisecond, RetryMax: 5 * time.Millisecond}
}

// start runs an intake until stop is called or the test ends.
func start(t *testing.T, o Options, sink Sink, list ...Config) (in *Intake, stop func()) {
	t.Helper()
	in, err := New(o, list, sink, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("intake: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return in, stop
}
