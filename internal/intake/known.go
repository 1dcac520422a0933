package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Recogniser is a Sink that knows what it stored of a file whatever its name: one that was imported and is followed
// then, or followed and imported, or moved to another place.
type Recogniser interface {
	// Known gives the files of which is says so, by their Position.File: where what is stored of each ends, and the text
	// in front of that.
	Known(ctx context.Context, is func(file string) bool) ([]Known, error)
}

// Claimer is a Sink that several intakes write to: of those that read the same file, one stores it and the others wait
// until it is let go, or its holder is not heard of any more.
type Claimer interface {
	// Claim asks for a file. file is what it is called by its beginning (see Identity), and same tells whether what another
	// claimed is this file. by is who has it; "": it is ours.
	Claim(ctx context.Context, node, file string, same func(file string) bool) (c Claim, by string, err error)
}

// Claim is a file that this intake alone may store.
type Claim interface {
	Held() bool       // false: it may be another's by now
	Grow(file string) // more of its beginning is known
	Release()
}

// Known is a file as far as it is stored, from its start.
type Known struct {
	End  int64
	Tail []byte // up to some KB in front of End
}

// Identity names a file by the beginning of its text, for Position.File; complete says that nothing is written to it any
// more. ok is false where it has no whole line yet.
func Identity(head []byte, complete bool) (file string, ok bool) {
	id, ok := identify(head, complete)
	return id.String(), ok
}

// StoredOf tells how much of a file is stored already, in bytes of its text: 0 where it is not known. Its beginning must
// be the one of a file that is known, and it must have the same text in front of the place: files that only begin alike
// are told apart. read gives the bytes of the text from a place on, nil where there are not so many.
func StoredOf(ctx context.Context, r Recogniser, head []byte, read func(from, to int64) ([]byte, error)) (int64, error) {
	all, err := r.Known(ctx, func(file string) bool {
		id, ok := parseIdentity(file)
		return ok && id.begins(head)
	})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(all, func(a, b Known) int { return int(min(max(b.End-a.End, -1), 1)) })
	for _, k := range all {
		if k.End <= 0 || len(k.Tail) == 0 || int64(len(k.Tail)) > k.End {
			continue
		}
		got, err := read(k.End-int64(len(k.Tail)), k.End)
		if err != nil {
			return 0, err
		}
		if bytes.Equal(got, k.Tail) {
			return k.End, nil
		}
	}
	return 0, nil
}

// readPlain gives the bytes of a plain file.
func readPlain(f io.ReaderAt) func(from, to int64) ([]byte, error) {
	return func(from, to int64) ([]byte, error) {
		b := make([]byte, to-from)
		_, err := f.ReadAt(b, from)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return b, err
	}
}

// ReadPacked gives the bytes of the text of a packed file, which is unpacked up to there.
func ReadPacked(name string) func(from, to int64) ([]byte, error) {
	return func(from, to int64) ([]byte, error) {
		in, err := logs.Open(name)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		var out []byte
		err = in.Each(func(block []byte, base int64) error {
			end := base + int64(len(block))
			if end > from && base < to {
				out = append(out, block[max(from-base, 0):min(to, end)-base]...)
			}
			if end >= to {
				return io.EOF
			}
			return nil
		})
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if int64(len(out)) != to-from {
			out = nil
		}
		return out, err
	}
}

// ours makes sure that no other intake stores this file into the same store; errAgain where one does.
func (f *follower) ours(ctx context.Context, head []byte) error {
	sink, ok := f.in.sink.(Claimer)
	if !ok {
		return nil
	}
	f.release()
	id, ok := identify(head, true)
	if !ok {
		return nil
	}
	c, by, err := sink.Claim(ctx, f.in.o.Node, id.String(), func(file string) bool {
		other, ok := parseIdentity(file)
		return ok && (other.begins(head))
	})
	if err != nil {
		f.away(err)
		return pauseAgain(ctx, f.in.o.Retry)
	}
	if by != "" {
		f.notice(finding.S("{{.Node}} stores {{.File}} already; it is left to it as long as it does", finding.Args{"Node": by, "File": f.path}))
		return pauseAgain(ctx, f.in.o.Poll+rand.N(4*f.in.o.Poll)) // so that two that gave way do not meet again
	}
	f.claim = c
	f.source.before = func() error {
		if !c.Held() {
			return errAgain
		}
		return nil
	}
	return nil
}

// release lets go of the file that is not read any more.
func (f *follower) release() {
	if f.claim != nil {
		f.claim.Release()
	}
	f.claim, f.source.before = nil, nil
}

// skipStored moves the position in a file behind what is stored of it under another name, and gives where to go on.
func (f *follower) skipStored(ctx context.Context, r *rotatedFile, head []byte, off int64) (int64, error) {
	if err := f.ours(ctx, head); err != nil {
		return off, err
	}
	sink, ok := f.in.sink.(Recogniser)
	if !ok {
		return off, nil
	}
	read := ReadPacked(r.name)
	if !r.packed {
		h, err := os.Open(r.name)
		if err != nil {
			return off, err
		}
		defer h.Close()
		read = readPlain(h)
	}
	end, err := StoredOf(ctx, sink, head, read)
	if err != nil {
		f.away(err)
		return off, pauseAgain(ctx, f.in.o.Retry)
	}
	b, ok := f.batcherFor(r, head, off)
	if !ok || end <= off {
		return off, nil
	}
	b.to.Offset = end
	if err := f.commit(ctx, b.batch(), false); err != nil {
		return off, err
	}
	f.pos = b.to
	f.pos.At = f.in.o.Now()
	f.count(func(st *SourceStats) { st.Known += end - off })
	return end, nil
}

// pauseAgain waits before a file is looked at again.
func pauseAgain(ctx context.Context, d time.Duration) error {
	if err := wire.Pause(ctx, d); err != nil {
		return err
	}
	return errAgain
}
