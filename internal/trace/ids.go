package trace

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"sync"

	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// idBook holds every id that is followed, in the order of discovery, and which of them belong to one journey. It is
// shared by the workers.
//
// Ids are of three strengths. A queue id in front of a line and a message-id make the line belong. The id another
// server gave a message ("queued as X") is only looked for: servers elsewhere count as they like, so two messages that
// went to the same X are not one, unless X is the queue id of a line in these logs. A session id makes only those lines
// belong that name nothing stronger.
type idBook struct {
	table   idTable
	mu      sync.Mutex
	n       int32
	hashes  []uint64 // by number, where keep is set
	keep    bool
	text    []byte // the ids from number first on, one behind the other
	ends    []uint32
	first   int32
	parent  column // union-find; the highest bit says that a line has the id in front
	edges   edges
	pending []lateLine
}

// lateLine is a line that names another queue's id which no line has in front so far.
type lateLine struct {
	src    int32
	offset int64
	ref    int32
	ids    lineIDs
}

// lineIDs are the ids of one line.
type lineIDs struct {
	strong   [][]byte
	refs     [][]byte
	sessions [][]byte
}

func (l *lineIDs) clone() lineIDs {
	dup := func(in [][]byte) (out [][]byte) {
		for _, b := range in {
			out = append(out, bytes.Clone(b))
		}
		return out
	}
	return lineIDs{dup(l.strong), dup(l.refs), dup(l.sessions)}
}

func newIDBook(r *room) *idBook {
	k := &idBook{edges: newEdges(r.dir)}
	k.table.room, k.parent.room = r, r
	return k
}

// hash is a hash of an id.
func hash(b []byte) uint64 { return digest.Hash(b) }

// take notes the ids of a line that belongs, and gives the number of its journey so far, -1 for a line without ids.
func (k *idBook) take(l *lineIDs) int32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := int32(-1)
	for _, id := range l.strong {
		n, _ := k.intern(id)
		if !k.defined(n) {
			*k.parent.at(n) |= definedBit
			k.table.define(hash(id))
		}
		if first < 0 {
			first = n
		} else {
			k.union(first, n)
		}
	}
	for _, id := range l.refs {
		switch n, _ := k.intern(id); {
		case first < 0:
			first = n
		case k.defined(n):
			k.union(first, n)
		default:
			k.edges.add(first, n)
		}
	}
	for _, id := range l.sessions {
		n, fresh := k.intern(id)
		if first < 0 {
			first = n
		} else if fresh {
			k.union(first, n)
		}
	}
	return first
}

// later keeps a line until the id it names is known to be a queue id of these logs, or not.
func (k *idBook) later(src int32, offset int64, ref []byte, l *lineIDs) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n, _, ok := k.table.look(hash(ref)); ok {
		k.pending = append(k.pending, lateLine{src, offset, n, l.clone()})
	}
}

// ripe gives the kept lines whose id has become known, and forgets them.
func (k *idBook) ripe() (out []lateLine) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending = slices.DeleteFunc(k.pending, func(p lateLine) bool {
		if k.defined(p.ref) {
			out = append(out, p)
			return true
		}
		return false
	})
	return out
}

// join makes journeys one that name each other's queue ids, when all is found: the table is not needed any more.
func (k *idBook) join() error {
	k.table.forget()
	return k.edges.drain(func(a, b int32) {
		if k.defined(b) {
			k.union(a, b)
		}
	})
}

// intern gives the number of an id, and whether it was not known before.
func (k *idBook) intern(id []byte) (n int32, fresh bool) {
	h := hash(id)
	if n, _, ok := k.table.look(h); ok {
		return n, false
	}
	n = k.n
	k.n++
	k.table.add(h, n)
	k.parent.add(uint32(n))
	if k.keep {
		k.hashes = append(k.hashes, h)
	}
	k.text = append(k.text, id...)
	k.ends = append(k.ends, uint32(len(k.text)))
	if len(k.ends) > 2*most { // with so many, lines are looked up by hash
		cut := k.ends[most-1]
		k.text = append(k.text[:0], k.text[cut:]...)
		for i, e := range k.ends[most:] {
			k.ends[i] = e - cut
		}
		k.ends = k.ends[:len(k.ends)-most]
		k.first += most
	}
	return n, true
}

func (k *idBook) defined(n int32) bool { return *k.parent.at(n)&definedBit != 0 }

func (k *idBook) find(n int32) int32 {
	for {
		at := k.parent.at(n)
		up := int32(*at &^ definedBit)
		if up == n {
			return n
		}
		above := *k.parent.at(up) &^ definedBit
		*at = *at&definedBit | above
		n = int32(above)
	}
}

func (k *idBook) union(a, b int32) {
	a, b = k.find(a), k.find(b)
	if b < a {
		a, b = b, a
	}
	at := k.parent.at(b)
	*at = *at&definedBit | uint32(a)
}

func (k *idBook) len() int32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

// since gives the hashes from number n on; the slice is only read.
func (k *idBook) since(n int32) []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hashes[n:len(k.hashes):len(k.hashes)]
}

// id gives the text of an id, "" where it is no longer known because there are very many.
func (k *idBook) id(n int32) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n -= k.first; n < 0 {
		return ""
	}
	from := uint32(0)
	if n > 0 {
		from = k.ends[n-1]
	}
	return string(k.text[from:k.ends[n]])
}

// isDefined tells whether a line has the id in front.
func (k *idBook) isDefined(n int32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.defined(n)
}

// edges are pairs of ids of which a line of the first names the second, put aside where they are many.
type edges struct {
	spill *spill
	end   int64
	last  []byte // not put aside yet
}

const edgeBuffer = 64 << 10 // bytes

func newEdges(dir string) edges { return edges{spill: &spill{dir: dir, limit: 2 << 20}} }

func (e *edges) add(a, b int32) {
	e.last = binary.AppendVarint(binary.AppendUvarint(e.last, uint64(a)), int64(b)-int64(a))
	if len(e.last) >= edgeBuffer && e.spill.write(e.last, e.end) == nil {
		e.end += int64(len(e.last))
		e.last = e.last[:0]
	}
}

// drain gives all pairs and forgets them.
func (e *edges) drain(fn func(a, b int32)) error {
	in := bufio.NewReaderSize(io.MultiReader(io.NewSectionReader(e.spill, 0, e.end), bytes.NewReader(e.last)), edgeBuffer)
	defer e.spill.close()
	e.last = nil
	for {
		a, err := binary.ReadUvarint(in)
		if err != nil {
			e.end = 0
			if err == io.EOF {
				err = nil
			}
			return err
		}
		d, err := binary.ReadVarint(in)
		if err != nil {
			return err
		}
		fn(int32(a), int32(int64(a)+d))
	}
}
