package sqlite

import (
	"encoding/binary"
	"fmt"
	"slices"

	"zombiezen.com/go/sqlite"
)

// gramIndex tells for every three bytes in a row (letters made small) the chunks of values they stand in. Chunks hold
// some hundred values that are neighbours in order, so the lists are short: a thirtieth of what an index of the values
// themselves takes, and built in a twentieth of the time.
type gramIndex struct {
	lists map[uint32]*gramList
}

type gramList struct {
	last int
	n    int
	data []byte // differences of chunk numbers
}

// gram is the directory of the lists: the first trigram of each page.
type gram struct {
	first uint32
	page  int64
}

func trigram(b []byte) uint32 {
	return uint32(small(b[0]))<<16 | uint32(small(b[1]))<<8 | uint32(small(b[2]))
}

func (x *gramIndex) add(v []byte, chunk int) {
	if x.lists == nil {
		x.lists = map[uint32]*gramList{}
	}
	for i := 0; i+3 <= len(v); i++ {
		g := trigram(v[i:])
		l := x.lists[g]
		if l == nil {
			l = &gramList{last: -1}
			x.lists[g] = l
		}
		if l.last != chunk {
			l.data = binary.AppendUvarint(l.data, uint64(chunk-l.last))
			l.last, l.n = chunk, l.n+1
		}
	}
}

// save writes the lists in pages and gives their directory.
func (x *gramIndex) save(c *sqlite.Conn, next *int64) (dir []byte, err error) {
	order := make([]uint32, 0, len(x.lists))
	for g := range x.lists {
		order = append(order, g)
	}
	slices.Sort(order)
	var buf []byte
	flush := func() error {
		if len(buf) == 0 {
			return nil
		}
		err := run(c, "INSERT INTO page VALUES (?, ?)", *next, buf)
		buf = buf[:0]
		return err
	}
	for _, g := range order {
		if len(buf) == 0 {
			*next++
			dir = binary.LittleEndian.AppendUint32(dir, g)
			dir = binary.LittleEndian.AppendUint64(dir, uint64(*next))
		}
		l := x.lists[g]
		buf = binary.LittleEndian.AppendUint32(buf, g)
		buf = binary.AppendUvarint(buf, uint64(len(l.data)))
		if buf = append(buf, l.data...); len(buf) > 8<<10 {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return dir, flush()
}

func loadGrams(dir []byte) (out []gram) {
	for ; len(dir) >= 12; dir = dir[12:] {
		out = append(out, gram{binary.LittleEndian.Uint32(dir), int64(binary.LittleEndian.Uint64(dir[4:]))})
	}
	return out
}

// chunksWith gives the chunks in which all trigrams of the text stand; all: the text is too short to tell.
func (p *part) chunksWith(pages pageReader, text []byte) (chunks []int, all bool, err error) {
	if len(text) < 3 {
		return nil, true, nil
	}
	if len(p.grams) == 0 {
		return nil, len(p.chunks) > 0, nil
	}
	done := map[uint32]bool{}
	for i := 0; i+3 <= len(text); i++ {
		g := trigram(text[i:])
		if done[g] {
			continue
		}
		done[g] = true
		list, err := p.gramList(pages, g)
		if err != nil {
			return nil, false, err
		}
		if len(done) == 1 {
			chunks = list
		} else {
			chunks = both(chunks, list)
		}
		if len(chunks) == 0 {
			return nil, false, nil
		}
	}
	return chunks, false, nil
}

func (p *part) gramList(pages pageReader, g uint32) (out []int, err error) {
	i, found := slices.BinarySearchFunc(p.grams, g, func(a gram, g uint32) int { return int(a.first) - int(g) })
	if !found {
		i--
	}
	if i < 0 {
		return nil, nil
	}
	b, err := pages.page(p.grams[i].page)
	if err != nil {
		return nil, err
	}
	for len(b) >= 5 {
		here := binary.LittleEndian.Uint32(b)
		size, n := binary.Uvarint(b[4:])
		if n <= 0 || size > uint64(len(b)-4-n) {
			return nil, fmt.Errorf("list of trigrams %w", errBroken)
		}
		data := b[4+n : 4+n+int(size)]
		if b = b[4+n+int(size):]; here != g {
			continue
		}
		at := -1
		for len(data) > 0 {
			d, n := binary.Uvarint(data)
			if n <= 0 || d == 0 || d > 1<<30 {
				return nil, fmt.Errorf("list of trigrams %w", errBroken)
			}
			at += int(d)
			out = append(out, at)
			data = data[n:]
		}
		return out, nil
	}
	return nil, nil
}

// both gives what stands in two lists in order.
func both(a, b []int) (out []int) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			out = append(out, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return out
}
