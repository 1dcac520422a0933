package trace

import (
	"bytes"
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
	mu      sync.Mutex
	index   []int32 // by hash: number of the id and one, 0 for none
	hashes  []uint64
	text    []byte // the ids from number first on, one behind the other
	ends    []uint32
	first   int32
	parent  []int32 // union-find
	defined []bool  // a line has it in front
	defs    []uint64
	edges   [][2]int32 // a line of the first names the second
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

func newIDBook() *idBook { return &idBook{index: make([]int32, 1024)} }

// asRef is the key under which a defined id is known to lines that name it.
const asRef = 0x5bd1e995_9e3779b9

// hash is a hash of an id.
func hash(b []byte) uint64 { return digest.Hash(b) }

// take notes the ids of a line that belongs, and gives the number of its journey so far, -1 for a line without ids.
func (k *idBook) take(l *lineIDs) int32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := int32(-1)
	for _, id := range l.strong {
		n := k.intern(id)
		if !k.defined[n] {
			k.defined[n] = true
			k.defs = append(k.defs, k.hashes[n]^asRef)
		}
		if first < 0 {
			first = n
		} else {
			k.union(first, n)
		}
	}
	for _, id := range l.refs {
		n := k.intern(id)
		if first < 0 {
			first = n
		} else {
			k.edges = append(k.edges, [2]int32{first, n})
		}
	}
	for _, id := range l.sessions {
		had := len(k.hashes)
		n := k.intern(id)
		if first < 0 {
			first = n
		} else if len(k.hashes) > had {
			k.union(first, n)
		}
	}
	return first
}

// later keeps a line until the id it names is known to be a queue id of these logs, or not.
func (k *idBook) later(src int32, offset int64, ref []byte, l *lineIDs) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.number(hash(ref)); n >= 0 {
		k.pending = append(k.pending, lateLine{src, offset, n, l.clone()})
	}
}

// ripe gives the kept lines whose id has become known, and forgets them.
func (k *idBook) ripe() (out []lateLine) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending = slices.DeleteFunc(k.pending, func(p lateLine) bool {
		if k.defined[p.ref] {
			out = append(out, p)
		}
		return k.defined[p.ref]
	})
	return out
}

// join makes journeys one that name each other's queue ids.
func (k *idBook) join() {
	for _, e := range k.edges {
		if k.defined[e[1]] {
			k.union(e[0], e[1])
		}
	}
	k.edges = nil
}

// number gives the number of the id with the hash, -1 if there is none.
func (k *idBook) number(h uint64) int32 {
	for i := h; ; i++ {
		n := k.index[i&uint64(len(k.index)-1)] - 1
		if n < 0 || k.hashes[n] == h {
			return n
		}
	}
}

func (k *idBook) place(h uint64, n int32) {
	i := h
	for k.index[i&uint64(len(k.index)-1)] != 0 {
		i++
	}
	k.index[i&uint64(len(k.index)-1)] = n + 1
}

func (k *idBook) intern(id []byte) int32 {
	h := hash(id)
	if n := k.number(h); n >= 0 {
		return n
	}
	n := int32(len(k.hashes))
	if len(k.hashes)*3 > len(k.index)*2 {
		k.index = make([]int32, 2*len(k.index))
		for i, old := range k.hashes {
			k.place(old, int32(i))
		}
	}
	k.place(h, n)
	k.hashes = append(k.hashes, h)
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
	k.parent = append(k.parent, n)
	k.defined = append(k.defined, false)
	return n
}

func (k *idBook) find(n int32) int32 {
	for k.parent[n] != n {
		k.parent[n] = k.parent[k.parent[n]]
		n = k.parent[n]
	}
	return n
}

func (k *idBook) union(a, b int32) {
	a, b = k.find(a), k.find(b)
	if a < b {
		k.parent[b] = a
	} else {
		k.parent[a] = b
	}
}

func (k *idBook) len() int32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return int32(len(k.hashes))
}

// defsSince gives the keys of ids that became defined.
func (k *idBook) defsSince(n int) []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.defs[n:len(k.defs):len(k.defs)]
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

// numberOf gives the number of the id with the hash.
func (k *idBook) numberOf(h uint64) int32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.number(h)
}

// isDefined tells whether a line has the id in front.
func (k *idBook) isDefined(n int32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.defined[n]
}

// hashSet is a set of hashes for one worker.
type hashSet struct {
	slots []uint64
	n     int
	upTo  int32 // ids of the book it holds
	defs  int   // defined ids of the book it holds
}

func (s *hashSet) has(h uint64) bool {
	if s.n == 0 {
		return false
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return true
		case 0:
			return false
		}
	}
}

func (s *hashSet) add(h uint64) {
	if s.n*4 >= len(s.slots)*3 {
		old := s.slots
		s.slots, s.n = make([]uint64, max(1024, len(old)*2)), 0
		for _, o := range old {
			if o != 0 {
				s.put(o)
			}
		}
	}
	s.put(h)
}

func (s *hashSet) put(h uint64) {
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return
		case 0:
			s.slots[i] = h
			s.n++
			return
		}
	}
}

// catchUp takes in what the book learnt since.
func (s *hashSet) catchUp(k *idBook) {
	for _, h := range k.since(s.upTo) {
		s.add(h)
		s.upTo++
	}
	for _, h := range k.defsSince(s.defs) {
		s.add(h)
		s.defs++
	}
}
