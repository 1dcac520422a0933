package dns

import (
	"context"
	"slices"
	"sync"
	"time"
)

// window bounds the questions under way at one server. It starts at what the receive buffer of a UDP socket usually
// holds, grows while all are answered, and halves when answers get lost: a burst of thousands would be dropped by the
// server's kernel, and each loss costs a time-out.
type window struct {
	mu     sync.Mutex
	limit  int // 0: not used yet
	used   int
	credit int
	cutAt  time.Time
	queue  []chan struct{}
}

const (
	firstWindow = 250
	leastWindow = 64
	mostWindow  = 2000
	cutPause    = 200 * time.Millisecond // one loss seldom comes alone: all of a burst count once
)

// enter waits for a place.
func (w *window) enter(ctx context.Context) error {
	w.mu.Lock()
	if w.limit == 0 {
		w.limit = firstWindow
	}
	if w.used < w.limit {
		w.used++
		w.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	w.queue = append(w.queue, turn)
	w.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.queue, turn); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	} else { // the turn came at the same moment
		w.used--
		w.next()
	}
	return ctx.Err()
}

// leave gives the place back and tells whether the answer was lost.
func (w *window) leave(lost bool, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used--
	switch {
	case lost && now.Sub(w.cutAt) > cutPause:
		w.limit, w.credit, w.cutAt = max(w.limit/2, leastWindow), 0, now
	case !lost:
		if w.credit++; w.credit >= w.limit {
			w.limit, w.credit = min(w.limit+w.limit/8, mostWindow), 0
		}
	}
	w.next()
}

// next lets in those who wait.
func (w *window) next() {
	for w.used < w.limit && len(w.queue) > 0 {
		close(w.queue[0])
		w.queue = w.queue[1:]
		w.used++
	}
}
