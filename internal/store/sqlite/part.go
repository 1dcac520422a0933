package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// entry is a key and the block it leads to: the upper 40 bits of the key above 24 bits of the number of the block. The
// bits left out only let a few keys of millions lead to a block more.
type entry uint64

const blockBits = digest.KeyBits

func entryOf(k digest.Key, block int64) entry {
	return entry(uint64(k)>>blockBits<<blockBits | uint64(block))
}

// pageEntries is how many entries a page has: some 4 bytes each.
const pageEntries = 200

// chunkBytes is how much text a chunk of values has before it is packed.
const chunkBytes = 16 << 10

// part is the directory of pages in order.
type part struct {
	id     int64
	first  []entry // of each page
	pages  []int64
	chunks []chunk
	grams  []gram
	filter filter // nil: not read
	asked  int    // look-ups without one
}

// chunk is a run of values in order, packed: its page.
type chunk struct{ page int64 }

// savePart writes entries and values, both in order and each once, as a part. It must be called in a transaction.
func savePart(c *sqlite.Conn, enc packer, id int64, entries []entry, vals [][]byte) error {
	next := int64(0)
	err := query(c, "SELECT coalesce(max(id), 0) FROM page", func(st *sqlite.Stmt) error {
		next = st.ColumnInt64(0)
		return nil
	})
	if err != nil {
		return err
	}
	var dir []byte
	buf := make([]byte, 0, 16<<10)
	if err := run(c, "INSERT INTO filter VALUES (?, ?)", id, []byte(newFilter(entries))); err != nil {
		return err
	}
	for len(entries) > 0 {
		n := min(pageEntries, len(entries))
		next++
		dir = binary.LittleEndian.AppendUint64(dir, uint64(entries[0]))
		dir = binary.LittleEndian.AppendUint64(dir, uint64(next))
		buf = packEntries(buf[:0], entries[:n])
		if err := run(c, "INSERT INTO page VALUES (?, ?)", next, buf); err != nil {
			return err
		}
		entries = entries[n:]
	}
	var chunks []byte
	var index gramIndex
	for number := 0; len(vals) > 0; number++ {
		n, size := 0, 0
		for n < len(vals) && (n == 0 || size+len(vals[n]) < chunkBytes) {
			size += len(vals[n]) + 2
			index.add(vals[n][1:], number)
			n++
		}
		next++
		chunks = binary.LittleEndian.AppendUint64(chunks, uint64(next))
		if err := run(c, "INSERT INTO page VALUES (?, ?)", next, enc.EncodeAll(packValues(vals[:n]), nil)); err != nil {
			return err
		}
		vals = vals[n:]
	}
	grams, err := index.save(c, &next)
	if err != nil {
		return err
	}
	return run(c, "INSERT INTO part VALUES (?, ?, ?, ?)", id, dir, chunks, grams)
}

type packer interface{ EncodeAll(src, dst []byte) []byte }

// packEntries writes entries in order: the differences of the keys, and the blocks.
func packEntries(b []byte, entries []entry) []byte {
	last := uint64(0)
	for _, e := range entries {
		k := uint64(e) >> blockBits
		b = binary.AppendUvarint(b, k-last)
		b = binary.AppendUvarint(b, uint64(e)&(1<<blockBits-1))
		last = k
	}
	return b
}

func unpackEntries(b []byte, out []entry) ([]entry, error) {
	k := uint64(0)
	for len(b) > 0 {
		d, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("page of keys %w", errBroken)
		}
		block, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return nil, fmt.Errorf("page of keys %w", errBroken)
		}
		k += d
		out = append(out, entry(k<<blockBits|block&(1<<blockBits-1)))
		b = b[n+m:]
	}
	return out, nil
}

// loadPart reads the directory of a part.
func loadPart(dir, chunks, grams []byte) *part {
	p := &part{}
	for ; len(dir) >= 16; dir = dir[16:] {
		p.first = append(p.first, entry(binary.LittleEndian.Uint64(dir)))
		p.pages = append(p.pages, int64(binary.LittleEndian.Uint64(dir[8:])))
	}
	for ; len(chunks) >= 8; chunks = chunks[8:] {
		p.chunks = append(p.chunks, chunk{int64(binary.LittleEndian.Uint64(chunks))})
	}
	p.grams = loadGrams(grams)
	return p
}

// find shows the blocks of a key.
func (p *part) find(pages pageReader, f filter, k digest.Key, show func(block int64)) error {
	lo := entryOf(k, 0)
	if f != nil && !f.has(lo) {
		return nil
	}
	i := sort.Search(len(p.first), func(i int) bool { return p.first[i] > lo })
	if i > 0 {
		i--
	}
	for ; i < len(p.first) && p.first[i]>>blockBits <= lo>>blockBits; i++ {
		entries, err := pages.entries(p.pages[i])
		if err != nil {
			return err
		}
		n, _ := slices.BinarySearch(entries, lo)
		for ; n < len(entries) && entries[n]>>blockBits == lo>>blockBits; n++ {
			show(int64(entries[n] & (1<<blockBits - 1)))
		}
	}
	return nil
}

// pageReader reads pages of a segment.
type pageReader interface {
	page(id int64) ([]byte, error)
	entries(id int64) ([]entry, error)
	unpack(b []byte) ([]byte, error)
}

// values shows the values that may contain the text.
func (p *part) values(ctx context.Context, pages pageReader, kind byte, text []byte, show func(v []byte)) error {
	chunks, all, err := p.chunksWith(pages, text)
	if err != nil {
		return err
	}
	if all {
		chunks = nil
		for i := range p.chunks {
			chunks = append(chunks, i)
		}
	}
	for _, i := range chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i >= len(p.chunks) {
			return fmt.Errorf("list of trigrams %w", errBroken)
		}
		raw, err := pages.page(p.chunks[i].page)
		if err == nil {
			raw, err = pages.unpack(raw)
		}
		if err != nil {
			return err
		}
		err = eachValue(raw, func(v []byte) {
			if len(v) > 0 && v[0] == kind && containsFold(v[1:], text) {
				show(v[1:])
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// containsFold tells whether b contains the text, which is in small letters.
func containsFold(b, text []byte) bool {
	if len(text) == 0 {
		return true
	}
	for i := 0; i+len(text) <= len(b); i++ {
		n := 0
		for n < len(text) && small(b[i+n]) == text[n] {
			n++
		}
		if n == len(text) {
			return true
		}
	}
	return false
}

func small(c byte) byte {
	if c-'A' < 26 {
		c += 'a' - 'A'
	}
	return c
}

func smalls(s string) []byte {
	b := []byte(s)
	for i := range b {
		b[i] = small(b[i])
	}
	return b
}

// merge makes one list of all, each once, in order.
func mergeValues(lists [][][]byte) [][]byte {
	var all [][]byte
	for _, l := range lists {
		all = append(all, l...)
	}
	slices.SortFunc(all, bytes.Compare)
	return slices.CompactFunc(all, bytes.Equal)
}
