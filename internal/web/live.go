package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// live holds the runs under way, and those whose reports are not stored, for a while.
type live struct {
	now  func() time.Time
	mu   sync.Mutex
	held map[string]*liveRun
}

// Bounds of what is held in memory.
const (
	maxLive  = 200
	liveLife = 2 * time.Hour
	maxSteps = 1000 // of one run
)

func newLive(now func() time.Time) *live { return &live{now: now, held: map[string]*liveRun{}} }

// liveRun is a run in memory. changed is closed and made anew with every change, so that any number may wait for it.
type liveRun struct {
	mu      sync.Mutex
	run     runs.Run
	steps   []runStep
	changed chan struct{}
}

func (l *live) start(r *runs.Run) *liveRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	x := &liveRun{run: *r, changed: make(chan struct{})}
	l.held[r.ID] = x
	return x
}

// sweep drops ended runs that are old, and the oldest ended ones where there are too many.
func (l *live) sweep() {
	var ended []*liveRun
	for id, x := range l.held {
		r := x.copy()
		if r.State == runs.Running {
			continue
		}
		if l.now().Sub(r.Ended) > liveLife {
			delete(l.held, id)
			continue
		}
		ended = append(ended, x)
	}
	slices.SortFunc(ended, func(a, b *liveRun) int { return a.run.Ended.Compare(b.run.Ended) })
	for i := 0; len(l.held) >= maxLive && i < len(ended); i++ {
		delete(l.held, ended[i].run.ID)
	}
}

func (l *live) get(id string) *liveRun { l.mu.Lock(); defer l.mu.Unlock(); return l.held[id] }

func (l *live) forget(id string) { l.mu.Lock(); defer l.mu.Unlock(); delete(l.held, id) }

// all gives copies, the newest first.
func (l *live) all() []runs.Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []runs.Run
	for _, x := range l.held {
		out = append(out, x.copy())
	}
	slices.SortFunc(out, func(a, b runs.Run) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return out
}

func (l *live) shared(hash string) *runs.Run {
	for _, r := range l.all() {
		if r.Share.Hash == hash {
			return &r
		}
	}
	return nil
}

func (x *liveRun) copy() runs.Run { x.mu.Lock(); defer x.mu.Unlock(); return x.run }

func (x *liveRun) seen() []runStep { x.mu.Lock(); defer x.mu.Unlock(); return slices.Clone(x.steps) }

func (x *liveRun) change(do func(*runs.Run)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	do(&x.run)
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *liveRun) step(s runStep) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.steps) >= maxSteps || x.run.State != runs.Running {
		return
	}
	x.steps = append(x.steps, s)
	close(x.changed)
	x.changed = make(chan struct{})
}

// since gives the steps from n on, the state, and what to wait for.
func (x *liveRun) since(n int) ([]runStep, runs.Run, <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.steps[n:]), x.run, x.changed
}

// limiter bounds what users start: so many at once each, so many a minute each, so many at once in all.
type limiter struct {
	now            func() time.Time
	each, all, per int

	mu      sync.Mutex
	running map[string]int
	total   int
	started map[string][]time.Time // of the last minute
}

func newLimiter(each, perMinute, all int, now func() time.Time) *limiter {
	return &limiter{now: now, each: each, per: perMinute, all: all, running: map[string]int{}, started: map[string][]time.Time{}}
}

// enter lets a user begin; leave must be called at the end.
func (l *limiter) enter(user string) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for u, at := range l.started {
		if at = slices.DeleteFunc(at, func(t time.Time) bool { return now.Sub(t) >= time.Minute }); len(at) == 0 {
			delete(l.started, u)
		} else {
			l.started[u] = at
		}
	}
	busy := func(wait time.Duration, what finding.Sentence) error {
		return &Fault{Status: http.StatusTooManyRequests, What: what, Wait: wait}
	}
	switch {
	case l.running[user] >= l.each:
		return nil, busy(5*time.Second, finding.S("{{.N}} of your runs are under way: wait for one to end", finding.Args{"N": l.each}))
	case l.total >= l.all:
		return nil, busy(5*time.Second, finding.S("too many runs are under way on this server", nil))
	case len(l.started[user]) >= l.per:
		return nil, busy(time.Minute-now.Sub(l.started[user][0]), finding.S("{{.N}} runs in a minute are enough: wait a little", finding.Args{"N": l.per}))
	}
	l.started[user] = append(l.started[user], now)
	l.running[user]++
	l.total++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.running[user]--; l.running[user] == 0 {
			delete(l.running, user)
		}
		l.total--
	}), nil
}

// sender writes server-sent events. An error means that nobody listens any more.
type sender struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

// send writes one event. Data is JSON on one line.
func (e *sender) send(event string, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return e.write("event: " + event + "\ndata: " + string(raw) + "\n\n")
}

func (e *sender) write(text string) error {
	_ = e.ctl.SetWriteDeadline(time.Now().Add(30 * time.Second)) // a recorder in a test has none
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.ctl.Flush()
}

// heartbeat keeps proxies from cutting a silent stream, and tells when nobody listens.
const heartbeat = 20 * time.Second

// stream puts a route into the API that answers with server-sent events. h checks first (an error is a problem as of any
// route), then what it returns is called to send.
func stream[I any](s *Server, p access.Permission, op huma.Operation, h func(context.Context, *I) (func(context.Context, *sender) error, error)) {
	describe(&op, p)
	op.Responses = map[string]*huma.Response{"200": {Description: "Server-sent events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}}}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		send, err := h(ctx, in)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("X-Accel-Buffering", "no")
			e := &sender{w, http.NewResponseController(w)}
			if err := e.write(": mailwhy\n\n"); err != nil {
				return
			}
			if err := send(r.Context(), e); err != nil && r.Context().Err() == nil {
				s.o.Log.Debug("a stream ended early", "error", err)
			}
		}}, nil
	})
}

// runEvents follows a run: what happened so far, then what happens.
func (s *Server) runEvents(ctx context.Context, in *ByID) (func(context.Context, *sender) error, error) {
	r, x, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, e *sender) error {
		if x == nil {
			return ended(e, r)
		}
		beat := time.NewTicker(heartbeat)
		defer beat.Stop()
		for n := 0; ; {
			steps, now, changed := x.since(n)
			for _, st := range steps {
				if err := e.send("step", st); err != nil {
					return err
				}
			}
			n += len(steps)
			if now.State != runs.Running {
				return ended(e, &now)
			}
			select {
			case <-changed:
			case <-beat.C:
				if err := e.write(": still here\n\n"); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}, nil
}

func ended(e *sender, r *runs.Run) error {
	if r.State == runs.Failed {
		return e.send("problem", map[string]any{"title": "failed", "detail": r.Problem})
	}
	return e.send("done", map[string]any{"id": r.ID})
}
