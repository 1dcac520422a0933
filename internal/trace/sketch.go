package trace

import (
	"bytes"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// place is where in a line an id or a part of one stands. It is mixed into the fingerprint, because an id that was only
// named so far, such as the one another server gave, matters nowhere but in front of a line: many lines may name it.
type place uint64

const (
	named    place = 0
	inFront  place = 0x8f1b_bcdc_bfa5_3e0b
	anywhere place = 0x2545_f491_4f6c_dd1d // a part, in a line that is not understood without parsing
	behind   place = 0xd6e8_feb8_6659_fd93 // a part, behind another id in front
)

// sketch collects the fingerprints of the ids of one piece of text: of whole ids where their places are known, of every
// run of letters and digits elsewhere.
type sketch struct {
	slots [1 << 14]uint32
	list  []uint32
	full  bool // too many: the piece has none
	front bool // the line at hand begins with an id
}

func fingerprint(h uint64) uint32 { return max(1, uint32(h>>29)) }

func (k *sketch) add(h uint64) {
	f := fingerprint(h)
	for i := f * 0x9E3779B1 >> 18; ; i = (i + 1) % uint32(len(k.slots)) {
		switch k.slots[i] {
		case f:
			return
		case 0:
			if len(k.list) > len(k.slots)*2/3 {
				k.full = true
				return
			}
			k.slots[i] = f
			k.list = append(k.list, f)
			return
		}
	}
}

// shortestRun is the length of the shortest run of letters and digits that is noted.
const shortestRun = 5

// runs notes every run of letters and digits.
func (k *sketch) runs(b []byte) {
	start, as := 0, uint64(anywhere)
	if k.front {
		as = uint64(behind)
	}
	for i := 0; i < len(b); i++ {
		if find.WordByte(b[i]) {
			continue
		}
		if i-start >= shortestRun {
			k.add(hash(b[start:i]) ^ as)
		}
		if start = i + 1; b[i] == '\\' && i+6 < len(b) && b[i+1] == 'u' {
			i += 5
			start = i + 1
		}
	}
	if len(b)-start >= shortestRun {
		k.add(hash(b[start:]) ^ as)
	}
}

// runsOf gives the different runs of letters and digits of an id that are long enough to be noted.
func runsOf(id string) (runs []string) {
	for _, r := range strings.FieldsFunc(id, func(r rune) bool { return r >= 0x80 || !find.WordByte(byte(r)) }) {
		if len(r) >= shortestRun && !slices.Contains(runs, r) {
			runs = append(runs, r)
		}
	}
	return runs
}

// takePrints notes the fingerprints of a piece, as long as there is room for them.
func (v *visitor) takePrints(st *blockState) {
	if v.s.noted.Load() > printRoom {
		return
	}
	if v.sketch == nil {
		v.sketch = new(sketch)
	}
	k := v.sketch
	clear(k.slots[:])
	k.list, k.full = k.list[:0], false
	p := prober{into: k}
	for b := st.text; len(b) > 0 && !k.full; {
		line := b
		if n := bytes.IndexByte(b, '\n'); n >= 0 {
			line, b = b[:n], b[n+1:]
		} else {
			b = nil
		}
		k.front = false
		if p.probe(line) {
			k.runs(line)
		}
	}
	if !k.full {
		st.prints = append(make([]uint32, 0, len(k.list)+1), k.list...)
		v.s.noted.Add(int64(4 * cap(st.prints)))
	}
}

// printBook has the fingerprints of the ids followed.
type printBook struct {
	of    map[uint32][]printOf
	some  [1 << 10]uint64   // by the lower bits: whether there is any
	need  map[int32]int32   // how many parts an id has
	seen  map[printOf]int32 // how many of them a piece has
	named []int32           // ids that no line has in front so far
	upTo  int32
	any   int32 // ids below this number are taken for found everywhere
}

// printOf tells whose fingerprint it is.
type printOf struct {
	id int32
	as place
}

// catchUp takes in what the book learnt since, but for ids that need not be searched for.
func (p *printBook) catchUp(k *idBook, sought func(id string) bool) {
	n := k.len()
	if p.of == nil {
		p.of, p.seen, p.need = map[uint32][]printOf{}, map[printOf]int32{}, map[int32]int32{}
	}
	if n-p.upTo > most {
		p.any, p.upTo = n, n
	}
	for ; p.upTo < n; p.upTo++ {
		id := k.id(p.upTo)
		if sought(id) {
			continue
		}
		runs := runsOf(id)
		if p.need[p.upTo] = int32(len(runs)); len(runs) == 0 {
			p.any = p.upTo + 1
		}
		p.note(p.upTo, inFront, id)
		p.note(p.upTo, anywhere, runs...)
		p.named = append(p.named, p.upTo)
	}
}

// defined gives the ids that were found in front of a line since it was asked last: now lines that name them matter.
func (p *printBook) defined(k *idBook) (out []int32) {
	p.named = slices.DeleteFunc(p.named, func(id int32) bool {
		if !k.isDefined(id) {
			return false
		}
		text := k.id(id)
		p.note(id, named, text)
		p.note(id, behind, runsOf(text)...)
		out = append(out, id)
		return true
	})
	return out
}

func (p *printBook) note(id int32, as place, texts ...string) {
	for _, t := range texts {
		f := fingerprint(hash([]byte(t)) ^ uint64(as))
		p.of[f] = append(p.of[f], printOf{id, as})
		p.some[f>>6%uint32(len(p.some))] |= 1 << (f & 63)
	}
}

// in tells the lowest number, from a given one on, of an id that a piece may have, -1 if it has none: of one that is there
// whole where its place was known, or with all its parts.
func (p *printBook) in(st *blockState, from int32) int32 {
	if st.prints == nil || p.any > from {
		return from
	}
	clear(p.seen)
	low := int32(-1)
	for _, f := range st.prints {
		if p.some[f>>6%uint32(len(p.some))]&(1<<(f&63)) == 0 {
			continue
		}
		for _, of := range p.of[f] {
			if of.id < from || low >= 0 && of.id >= low {
				continue
			}
			if p.seen[of]++; of.as == inFront || of.as == named || p.seen[of] == p.need[of.id] {
				low = of.id
			}
		}
	}
	return low
}
