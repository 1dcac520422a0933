package trace

import (
	"cmp"
	"container/heap"
	"context"
	"io"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// Shelf is log text put away in pieces that are found by keys: what a store must have so that Gather can search it. A
// shelf is a view that does not change while it is used; one goroutine uses it.
type Shelf interface {
	// Find gives the pieces that may hold one of the keys, all where keys is nil: a piece with each key that leads to it,
	// or once without a key where it may hold any. A piece may be given several times.
	Find(ctx context.Context, keys []digest.Key) ([]Piece, error)
	// Values shows every stored value of the kind ('a': address, 's': subject) that contains the text, whatever the case
	// of its ASCII letters. Values that do not may be shown as well, and values several times.
	Values(ctx context.Context, kind byte, part string, show func(value []byte)) error
	// Read gives the text of a piece. It is valid for ever and must not be changed.
	Read(ctx context.Context, p Piece) ([]Stretch, error)
}

// Layered is a shelf in parts by time. A search for the newest few looks into a part only when those before it are not
// enough.
type Layered interface {
	// Layers gives the parts, those with the latest lines first.
	Layers() []Layer
}

// Layer is a part of a shelf.
type Layer struct {
	Index
	To int64 // no time of its lines is later, ns
}

// Index is what a shelf is searched by.
type Index interface {
	Find(ctx context.Context, keys []digest.Key) ([]Piece, error)
	Values(ctx context.Context, kind byte, part string, show func(value []byte)) error
}

// Piece names a piece of a shelf.
type Piece struct {
	ID       int64 // one of its own within the shelf
	Key      digest.Key
	From, To int64 // no time of its lines is outside, ns
}

// Stretch is a part of a piece: lines that stand together in one source.
type Stretch struct {
	Name   string // of the source, as files are named
	Order  int64  // of the source among all: the order of lines of one moment
	Base   int64  // place of the first byte in the source
	Text   []byte // whole lines, each with its end
	Latest time.Time
	Local  *time.Location
	Layout *logs.Layout
	Around io.ReaderAt // the whole source, for what stands near
	Mute   bool        // its lines are not given out, only what they tell: the term of raw lines is over
}

// Gather searches a shelf for the query and follows every id of what it finds, as Scan does with files. Journeys come in
// the order of their start: oldest first they are all gathered before the first is given (see tooMany), newest first each as
// soon as it is certain that no later one will come.
func Gather(ctx context.Context, shelf Shelf, q Query, opt Options) iter.Seq2[*Journey, error] {
	return func(yield func(*Journey, error) bool) {
		g := &gathering{shelf: shelf, q: q, opt: opt, told: map[string]bool{}, layers: []Layer{{shelf, 1<<63 - 1}}}
		if l, ok := shelf.(Layered); ok && q.Newest && q.Limit > 0 {
			g.layers = l.Layers()
		}
		g.line.newest = q.Newest
		if err := g.run(ctx, func(j *Journey) bool { return yield(j, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// keys gives what to look up for the query, or all: every piece must be looked at.
func (q *Query) keys(ctx context.Context, shelf Index) (keys []digest.Key, all bool, err error) {
	text := []byte(q.Text)
	switch q.Kind {
	case ByMessage:
		return []digest.Key{digest.ID(hash(text))}, false, nil
	case ByQueue:
		return []digest.Key{digest.ID(hash(text)), digest.Naming(hash(text)), digest.Session(hash(text))}, false, nil
	case ByAny:
		return []digest.Key{digest.ID(hash(text)), digest.Address(text)}, false, nil
	case ByAddress:
		return []digest.Key{digest.Address(text)}, false, nil
	case ByHost:
		return []digest.Key{digest.Host(text)}, false, nil
	case ByIP:
		if q.Prefix.IsSingleIP() {
			return []digest.Key{digest.IP(q.Prefix.Addr())}, false, nil
		}
		k, ok := digest.Net(q.Prefix)
		return []digest.Key{k}, !ok, nil
	case ByFate:
		switch {
		case q.Rejected:
			return []digest.Key{digest.Fate(0)}, false, nil
		case q.Status == event.Sent:
			return []digest.Key{digest.Fate(uint8(event.Sent)), digest.Fate(uint8(event.Relayed))}, false, nil
		case q.Status != event.NoStatus:
			return []digest.Key{digest.Fate(uint8(q.Status))}, false, nil
		}
		return nil, true, nil
	case BySubject:
		err = shelf.Values(ctx, 's', q.Text, func(v []byte) {
			if find.IndexFold(v, text) >= 0 {
				keys = append(keys, digest.Subject(v))
			}
		})
		return keys, false, err
	}
	if !strings.ContainsAny(q.Text, `*?[\_`) {
		return []digest.Key{digest.Address(text)}, false, nil
	}
	if d, ok := strings.CutPrefix(q.Text, "*@"); ok && !strings.ContainsAny(d, `*?[\`) {
		return []digest.Key{digest.Host([]byte(d))}, false, nil
	}
	pattern := strings.ToLower(q.Text)
	err = shelf.Values(ctx, 'a', literal(q.Text), func(v []byte) {
		if ok, _ := path.Match(pattern, strings.ToLower(strings.ReplaceAll(string(v), "/", "_"))); ok {
			keys = append(keys, digest.Address(v))
		}
	})
	return keys, false, err
}

// literal is the longest part of a pattern that stands in every value it matches.
func literal(pattern string) string {
	best := ""
	for _, p := range strings.FieldsFunc(pattern, func(r rune) bool { return strings.ContainsRune(`*?_`, r) }) {
		if len(p) > len(best) && !strings.ContainsAny(p, `[]\`) {
			best = p
		}
	}
	return best
}

// gathering is one search.
type gathering struct {
	shelf Shelf
	q     Query
	opt   Options
	told  map[string]bool // journeys that are in line or were given
	line  queue           // those found whose turn has not come
	given int

	layers []Layer // not searched yet
	pieces []Piece // found and not looked at yet, in order

	sessions int // added so far
}

// open searches the next layer, and those that hold as late lines as what is found so far.
func (g *gathering) open(ctx context.Context) error {
	for len(g.layers) > 0 && (len(g.pieces) == 0 || g.pieces[0].To <= g.layers[0].To) {
		l := g.layers[0]
		g.layers = g.layers[1:]
		keys, all, err := g.q.keys(ctx, l)
		if err != nil || len(keys) == 0 && !all {
			if err != nil {
				return err
			}
			continue
		}
		if all || len(keys) > wide {
			keys = nil
		}
		more, err := l.Find(ctx, keys)
		if err != nil {
			return err
		}
		g.pieces = g.order(append(g.pieces, more...))
	}
	return nil
}

// latest is the time after which nothing more can be found that was not looked at.
func (g *gathering) latest() int64 {
	t := int64(-1 << 63)
	if len(g.pieces) > 0 {
		t = g.pieces[0].To
	}
	if len(g.layers) > 0 {
		t = max(t, g.layers[0].To)
	}
	return t
}

// wide is how many keys are looked up at most: a pattern that so many values match is found in nearly every piece.
const wide = 2000

// longest is how long a message is taken to wait in queues at most: a page of the newest journeys begins so much later.
const longest = 10 * 24 * time.Hour

// order sorts the pieces, each once, and leaves out those that cannot hold what is asked for.
func (g *gathering) order(pieces []Piece) []Piece {
	since, until := int64(-1<<63), int64(1<<63-1)
	if !g.q.Since.IsZero() {
		since = g.q.Since.UnixNano()
	}
	if !g.q.Until.IsZero() {
		until = g.q.Until.UnixNano()
	}
	late := until
	if g.q.Newest && !g.q.After.Started.IsZero() {
		late = min(late, g.q.After.Started.Add(longest).UnixNano())
	}
	pieces = slices.DeleteFunc(pieces, func(p Piece) bool { return p.To < since || p.From >= until || p.From > late })
	slices.SortFunc(pieces, func(a, b Piece) int {
		if g.q.Newest {
			return cmp.Or(cmp.Compare(b.To, a.To), cmp.Compare(b.ID, a.ID))
		}
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(pieces, func(a, b Piece) bool { return a.ID == b.ID })
}

// run searches the pieces in order, the first few alone where the newest are wanted first.
func (g *gathering) run(ctx context.Context, yield func(*Journey) bool) error {
	if err := g.open(ctx); err != nil {
		return err
	}
	n, done := len(g.pieces), 0
	if g.q.Newest {
		n = 1
	}
	for len(g.pieces) > 0 {
		n = min(n, len(g.pieces))
		if more, err := g.some(ctx, g.pieces[:n], yield); err != nil || !more {
			return err
		}
		done += n
		if g.pieces = g.pieces[n:]; !g.release(g.latest(), yield) {
			return nil
		}
		if err := g.open(ctx); err != nil {
			return err
		}
		n = min(2*n, 64)
		if found := len(g.told); g.q.Limit > 0 && found > 0 { // as many as may do beside those that wait for their turn
			n = max(1, min(n, (g.q.Limit-g.given-g.line.Len())*done/found))
		}
	}
	g.release(-1<<63, yield)
	return ctx.Err()
}

// release gives the journeys whose turn it is: nothing that is not found yet begins after the moment.
func (g *gathering) release(moment int64, yield func(*Journey) bool) bool {
	for g.line.Len() > 0 {
		if g.q.Newest && g.line.js[0].started <= moment {
			return true
		}
		e := heap.Pop(&g.line).(queued)
		if g.given++; !yield(e.j) || g.given == g.q.Limit {
			return false
		}
	}
	return true
}

// tooMany is how many lines of journeys may wait for their turn, oldest first. What is wider is given in the order of the
// first lines, as from files, each journey built when its turn comes.
const tooMany = 200_000

// some finds the journeys that begin a search in the pieces.
func (g *gathering) some(ctx context.Context, pieces []Piece, yield func(*Journey) bool) (more bool, err error) {
	f, err := g.closure(ctx, pieces)
	if err != nil {
		return false, err
	}
	for j := range f.Journeys(ctx) {
		e := queued{j: j, started: startOf(j.ID()), id: j.ID()}
		if g.told[e.id] || !g.after(e) {
			continue
		}
		g.told[e.id] = true
		if g.sessions < g.q.Sessions {
			g.sessions++
			f.Session(j)
		}
		if g.q.Newest || f.Lines <= tooMany {
			heap.Push(&g.line, e)
		} else if g.given++; !yield(j) || g.given == g.q.Limit {
			return false, nil
		}
	}
	return true, ctx.Err()
}

// after tells whether the journey is behind the place where the last page ended.
func (g *gathering) after(e queued) bool {
	p := g.q.After
	if p.Started.IsZero() {
		return true
	}
	return g.line.before(queued{started: startOf(p.ID), id: p.ID}, e)
}

// queued is a journey that waits for its turn.
type queued struct {
	j       *Journey
	started int64
	id      string
}

// queue is a heap of journeys by their turn.
type queue struct {
	js     []queued
	newest bool
}

func (q *queue) Len() int           { return len(q.js) }
func (q *queue) Less(a, b int) bool { return q.before(q.js[a], q.js[b]) }
func (q *queue) Swap(a, b int)      { q.js[a], q.js[b] = q.js[b], q.js[a] }
func (q *queue) Push(x any)         { q.js = append(q.js, x.(queued)) }
func (q *queue) Pop() any {
	e := q.js[len(q.js)-1]
	q.js[len(q.js)-1] = queued{}
	q.js = q.js[:len(q.js)-1]
	return e
}

func (q *queue) before(a, b queued) bool {
	if a.started != b.started {
		return (a.started < b.started) != q.newest
	}
	return a.id < b.id
}
