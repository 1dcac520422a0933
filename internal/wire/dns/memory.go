package dns

import (
	"context"
	"errors"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// key names a remembered answer: a normal name, a type, and whether it was asked with CD for our own validation.
type key struct {
	name string
	t    mail.Type
	cd   bool
}

// entry is what is remembered: an answer, or the failure to get one.
type entry struct {
	done    chan struct{} // closed when the fields below stand
	answer  *mail.Answer
	open    bool       // the answer ends in a CNAME whose target the resolver did not look up
	msg     *miekg.Msg // with CD: the whole message, for validation
	err     error
	expires time.Time
}

const (
	shortest    = time.Minute      // within a run, an answer is not asked again before this
	longest     = time.Hour        // nor believed longer than this
	failureLife = 10 * time.Second // a failure is remembered so long
)

// memory is bounded in two generations: when the young one has half of the entries it becomes the old one, and what
// was old is forgotten. What is used is young again. That is as good as LRU here, and needs no list.
type memory struct {
	mu         sync.Mutex
	half       int
	young, old map[key]*entry
}

func newMemory(size int) *memory {
	return &memory{half: max(size/2, 1), young: map[key]*entry{}}
}

// get finds the entry of a key, or makes one that the caller must fill (mine).
func (m *memory) get(k key, now time.Time) (e *entry, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e = m.young[k]
	if e == nil {
		if e = m.old[k]; e != nil {
			delete(m.old, k)
			m.add(k, e)
		}
	}
	if e != nil {
		select {
		case <-e.done:
			if now.Before(e.expires) {
				return e, false
			}
		default:
			return e, false
		}
	}
	e = &entry{done: make(chan struct{})}
	m.add(k, e)
	return e, true
}

func (m *memory) add(k key, e *entry) {
	if len(m.young) >= m.half {
		m.old, m.young = m.young, make(map[key]*entry, m.half)
	}
	m.young[k] = e
}

func (m *memory) forget(k key, e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young[k] == e {
		delete(m.young, k)
	}
	if m.old[k] == e {
		delete(m.old, k)
	}
}

// lookup answers from memory, joins a question under way, or asks. The one who asks does so in his own context: if he
// gives up, those who joined ask again.
func (c *Client) lookup(ctx context.Context, k key) (*entry, error) {
	for {
		e, mine := c.memory.get(k, c.now())
		if mine {
			c.fill(ctx, k, e)
		}
		select {
		case <-e.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !mine && gaveUp(e.err) && ctx.Err() == nil {
			continue
		}
		return e, e.err
	}
}

func gaveUp(err error) bool {
	var f *Failure
	return err != nil && !errors.As(err, &f) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}

func (c *Client) fill(ctx context.Context, k key, e *entry) {
	defer close(e.done)
	e.err = c.ask(ctx, k, e)
	if gaveUp(e.err) {
		c.memory.forget(k, e)
		return
	}
	life := failureLife
	if e.err == nil {
		life = min(max(e.answer.TTL, shortest), longest)
	}
	e.expires = c.now().Add(life)
}
