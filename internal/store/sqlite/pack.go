package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// errBroken tells of stored bytes that are not what was written.
var errBroken = errors.New("is damaged")

// blockSize is how much text a block has at least, in bytes. At 64 KB a block packs to 0.14 of its size and is unpacked
// in 50 µs; half of it packs to 0.16, the double to 0.12.
const blockSize = 64 << 10

// maxText bounds what a block may unpack to: a line of the greatest length, and what was before it.
const maxText = 40 << 20

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // only for settings that contradict each other
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxText))
	if err != nil {
		panic(err) // only for settings that contradict each other
	}
	return d
}

// packRuns writes runs as numbers of varying length.
func packRuns(runs []digest.Run) []byte {
	b := make([]byte, 0, 16*len(runs))
	for i := range runs {
		r := &runs[i]
		b = binary.AppendUvarint(b, uint64(r.File))
		b = binary.AppendVarint(b, r.Base)
		b = binary.AppendUvarint(b, uint64(r.Len))
		b = binary.AppendVarint(b, r.Latest.UnixNano())
		b = binary.AppendVarint(b, int64(r.Zone))
	}
	return b
}

func unpackRuns(b []byte) (runs []digest.Run, err error) {
	start := 0
	for len(b) > 0 {
		var v [5]int64
		for i := range v {
			n := 0
			if i == 0 || i == 2 {
				var u uint64
				u, n = binary.Uvarint(b)
				v[i] = int64(u)
			} else {
				v[i], n = binary.Varint(b)
			}
			if n <= 0 {
				return nil, fmt.Errorf("list of runs %w", errBroken)
			}
			b = b[n:]
		}
		if v[2] < 0 || v[2] > maxText || v[4] > 1<<20 || v[4] < -1<<20 {
			return nil, fmt.Errorf("list of runs %w", errBroken)
		}
		runs = append(runs, digest.Run{File: int32(v[0]), Base: v[1], Start: start, Len: int(v[2]), Latest: time.Unix(0, v[3]), Zone: int32(v[4])})
		start += int(v[2])
	}
	return runs, nil
}

// packKeys writes the keys of one block in order.
func packKeys(keys []digest.Key) []byte {
	slices.Sort(keys)
	b := make([]byte, 0, 8*len(keys))
	for _, k := range keys {
		b = binary.LittleEndian.AppendUint64(b, uint64(k))
	}
	return b
}

func unpackKeys(b []byte) []digest.Key {
	out := make([]digest.Key, len(b)/8)
	for i := range out {
		out[i] = digest.Key(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}

// packValues writes values with their lengths.
func packValues(vals [][]byte) []byte {
	var b []byte
	for _, v := range vals {
		b = binary.AppendUvarint(b, uint64(len(v)))
		b = append(b, v...)
	}
	return b
}

func eachValue(b []byte, show func(v []byte)) error {
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return fmt.Errorf("list of values %w", errBroken)
		}
		show(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	return nil
}
