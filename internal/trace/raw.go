package trace

import (
	"context"
	"iter"
)

// RawLines gives the lines found as they stand in their logs, those of several logs merged by time: what a perfect grep
// would print. The line is valid until the next.
func (f *Found) RawLines(ctx context.Context) iter.Seq2[string, []byte] {
	return func(yield func(file string, line []byte) bool) {
		var heads []*rawHead
		for i := range f.sources {
			if f.sources[i].mute {
				continue
			}
			h := &rawHead{c: f.cutter(), src: int32(i), timed: len(f.sources) > 1}
			if h.next() {
				heads = append(heads, h)
			}
		}
		for len(heads) > 0 && ctx.Err() == nil {
			first := 0
			for i, h := range heads {
				if h.at < heads[first].at {
					first = i
				}
			}
			h := heads[first]
			line := h.line
			if f.Redact != nil {
				line = h.c.redacted(h.src, h.off, line)
			}
			if !yield(f.sources[h.src].in.Name, line) {
				return
			}
			if !h.next() {
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}

// rawHead stands at one of the lines found in a source.
type rawHead struct {
	c          *cutter
	src        int32
	timed      bool // times are needed
	block, hit int  // of the next line
	hits       []hit
	desk       desk
	off        int64
	line       []byte
	at         int64 // of a line without a time: that of the one before
}

func (h *rawHead) next() bool {
	for blocks := h.c.f.sources[h.src].blocks; h.block < len(blocks); {
		b := blocks[h.block]
		if h.hit == 0 {
			h.hits = h.c.f.hits(b, &h.desk)
		}
		if h.hit >= len(h.hits) {
			h.block, h.hit = h.block+1, 0
			continue
		}
		h.off = b.start + int64(h.hits[h.hit].off)
		h.hit++
		if h.line = h.c.line(h.src, h.off); h.line == nil {
			continue
		}
		if h.timed {
			if at := h.c.when(h.src, h.off, h.line); at != 0 {
				h.at = at
			}
		}
		return true
	}
	return false
}
