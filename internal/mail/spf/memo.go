package spf

import (
	"context"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// memo asks each question once, ahead of time where it can be known that it will come up. It ends with wait.
type memo struct {
	ctx  context.Context
	res  mail.Resolver
	mu   sync.Mutex
	have map[question]*answer
	wg   sync.WaitGroup
	left int // questions that may still be asked ahead
}

type question struct {
	name string
	t    mail.Type
}

type answer struct {
	done chan struct{}
	a    *mail.Answer
	err  error
}

// maxAhead bounds the questions asked ahead in one evaluation.
const maxAhead = 60

func newMemo(ctx context.Context, res mail.Resolver) *memo {
	return &memo{ctx: ctx, res: res, have: map[question]*answer{}, left: maxAhead}
}

func (m *memo) wait() { m.wg.Wait() }

func keyOf(name string, t mail.Type) question {
	return question{strings.ToLower(strings.TrimSuffix(name, ".")), t}
}

// Resolve implements mail.Resolver.
func (m *memo) Resolve(_ context.Context, name string, t mail.Type) (*mail.Answer, error) {
	k := keyOf(name, t)
	m.mu.Lock()
	e, ok := m.have[k]
	if !ok {
		e = &answer{done: make(chan struct{})}
		m.have[k] = e
	}
	m.mu.Unlock()
	if !ok {
		e.a, e.err = m.res.Resolve(m.ctx, k.name, t)
		close(e.done)
	}
	<-e.done
	return e.a, e.err
}

// ahead asks in the background and hands the answer to then, which may ask ahead further.
func (m *memo) ahead(name string, t mail.Type, then func(*mail.Answer)) {
	k := keyOf(name, t)
	if !validDomain(k.name) {
		return
	}
	m.mu.Lock()
	_, known := m.have[k]
	if known || m.left == 0 {
		m.mu.Unlock()
		return
	}
	m.left--
	e := &answer{done: make(chan struct{})}
	m.have[k] = e
	m.mu.Unlock()
	m.wg.Go(func() {
		e.a, e.err = m.res.Resolve(m.ctx, k.name, t)
		close(e.done)
		if then != nil && e.err == nil {
			then(e.a)
		}
	})
}
