package smtp

import (
	"context"
	"encoding/json"
	"sync"
)

// maxSessions bounds the memory of a Prober.
const maxSessions = 2000

// Prober runs each plan once per run: checks that want the same session share it. Safe for concurrent use.
type Prober struct {
	Door Door

	mu   sync.Mutex
	done map[string]*flight
}

type flight struct {
	ready chan struct{}
	s     *Session
	err   error
}

// Session runs the plan, waits for whoever runs it already, or gives what came of it before. Sessions are shared: they
// must not be changed.
func (p *Prober) Session(ctx context.Context, plan Plan) (*Session, error) {
	plan.MessageSum = sum(plan.Message)
	raw, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	f, first := p.flight(string(raw))
	if first {
		f.s, f.err = Run(ctx, p.Door, plan)
		close(f.ready)
	}
	select {
	case <-f.ready:
		return f.s, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Prober) flight(key string) (f *flight, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.done[key]; f != nil {
		return f, false
	}
	if p.done == nil || len(p.done) >= maxSessions {
		p.done = map[string]*flight{} // those under way go on for their waiters
	}
	f = &flight{ready: make(chan struct{})}
	p.done[key] = f
	return f, true
}
