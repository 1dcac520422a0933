package sqlite

import (
	"container/list"
	"sync"

	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// texts keeps the blocks unpacked last, up to a number of bytes.
type texts struct {
	mu    sync.Mutex
	limit int
	size  int
	all   map[int64]*list.Element
	order list.List // latest used in front
}

// blockText is a block unpacked. It is never changed.
type blockText struct {
	id   int64
	text []byte
	runs []digest.Run
}

// muteBlock is set in the number of a block whose raw lines were let go: it is another than it was before.
const muteBlock = 1 << 31

// forget lets go of the blocks of a segment as they were before its raw lines were let go.
func (t *texts) forget(segment int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, e := range t.all {
		if id>>32 == int64(segment) && id&muteBlock == 0 {
			t.size -= len(t.order.Remove(e).(*blockText).text)
			delete(t.all, id)
		}
	}
}

func (t *texts) get(id int64) *blockText {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.all[id]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return e.Value.(*blockText)
}

func (t *texts) put(b *blockText) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[int64]*list.Element{}
	}
	if t.all[b.id] != nil || len(b.text) > t.limit {
		return
	}
	t.all[b.id] = t.order.PushFront(b)
	t.size += len(b.text)
	for t.size > t.limit {
		e := t.order.Back()
		old := t.order.Remove(e).(*blockText)
		delete(t.all, old.id)
		t.size -= len(old.text)
	}
}
