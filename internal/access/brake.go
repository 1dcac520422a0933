package access

import (
	"sync"
	"time"
)

// brake slows guessing: after free failures of one key (a name, an address) each further one doubles the wait, up to a
// bound. A success forgets the name's failures. Keys that rest for the bound are forgotten; the map is bounded, too.
type brake struct {
	free  int
	first time.Duration
	most  time.Duration
	now   func() time.Time

	mu   sync.Mutex
	keys map[string]*failures
}

type failures struct {
	n     int
	until time.Time // not before
	last  time.Time
}

// maxKeys bounds the memory of a brake; beyond it the oldest are swept, whoever fills it.
const maxKeys = 50_000

func newBrake(free int, first, most time.Duration, now func() time.Time) *brake {
	return &brake{free: free, first: first, most: most, now: now, keys: map[string]*failures{}}
}

// wait tells how long the key has to wait before it may try.
func (b *brake) wait(key string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.keys[key]; f != nil {
		return max(f.until.Sub(b.now()), 0)
	}
	return 0
}

// failed counts a failure.
func (b *brake) failed(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if len(b.keys) >= maxKeys {
		b.sweep(now)
	}
	f := b.keys[key]
	if f == nil || now.Sub(f.last) > 2*b.most {
		f = &failures{}
		b.keys[key] = f
	}
	f.n++
	f.last = now
	if f.n >= b.free {
		d := b.most
		if over := f.n - b.free; over < 20 && b.first<<over < b.most {
			d = b.first << over
		}
		f.until = now.Add(d)
	}
}

// passed forgets a key.
func (b *brake) passed(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.keys, key)
}

// sweep drops what rests; where that does not make room, all but those that wait now.
func (b *brake) sweep(now time.Time) {
	for k, f := range b.keys {
		if now.Sub(f.last) > b.most {
			delete(b.keys, k)
		}
	}
	if len(b.keys) < maxKeys {
		return
	}
	for k, f := range b.keys {
		if !now.Before(f.until) {
			delete(b.keys, k)
		}
	}
	if len(b.keys) >= maxKeys {
		clear(b.keys)
	}
}
