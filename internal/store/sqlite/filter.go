package sqlite

// filter tells of nearly all keys that are not in a part that they are not, without reading a page: a Bloom filter of two
// bytes a key, those of one key in one block of 32 bytes. It says yes for every key of the part, and for some two of a
// thousand others. (With one byte a key it would be 30: where there are 30 parts, a page would be read in vain for each key.)
type filter []byte

const (
	filterBlock = 32
	filterKeys  = filterBlock / 2 // keys for each block
)

// filterAfter is how many look-ups in a part make reading its filter worth while; filterRoom is how many bytes of filters
// are kept in memory.
const (
	filterAfter = 200
	filterRoom  = 256 << 20
)

// newFilter makes a filter of entries in order.
func newFilter(entries []entry) filter {
	n := 0
	for i := range entries {
		if i == 0 || entries[i]>>blockBits != entries[i-1]>>blockBits {
			n++
		}
	}
	f := make(filter, (n/filterKeys+1)*filterBlock)
	for i, e := range entries {
		if i == 0 || e>>blockBits != entries[i-1]>>blockBits {
			block, h := f.block(e)
			for range 6 {
				block[h>>3&(filterBlock-1)] |= 1 << (h & 7)
				h >>= 8
			}
		}
	}
	return f
}

func (f filter) block(e entry) (block []byte, h uint64) {
	k := uint64(e>>blockBits) * 0x9E3779B97F4A7C15
	n := uint64(len(f) / filterBlock)
	at := (k >> 32) * n >> 32 * filterBlock
	return f[at : at+filterBlock], k * 0xd6e8feb86659fd93 >> 8
}

func (f filter) has(e entry) bool {
	if len(f) < filterBlock {
		return true
	}
	block, h := f.block(e)
	for range 6 {
		if block[h>>3&(filterBlock-1)]&(1<<(h&7)) == 0 {
			return false
		}
		h >>= 8
	}
	return true
}
