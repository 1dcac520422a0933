// Package intake takes log lines in while we sleep: files followed across rotation, journald, syslog, stdin, a folder of
// exports. It reads, frames and remembers where it was; what a line means is for those behind the Sink.
//
// Promise: nothing lost, nothing twice. The position in a source is stored with the lines before it in one transaction;
// after a stop at any moment reading goes on behind the last line that was stored. What can be read again (files, the
// journal, mailboxes) waits for a sink that is away; what cannot (syslog, standard input) goes to a spool on disk,
// bounded and in order; from reading to storing they are in a file, so that the end of the program loses none of them. RFC 3164, RFC 5424, RFC 5425, RFC 5426, RFC 6587.
package intake

import (
	"context"
	"errors"
	"sort"
	"time"
)

// Sink is what intake needs of a store. Both methods are safe for concurrent use.
type Sink interface {
	// Position gives where the source was left, the zero Position for a source never seen.
	Position(ctx context.Context, source string) (Position, error)
	// Commit stores the lines and the new position, both or neither. A batch whose From is not the stored position was
	// stored before or comes from a second reader of the same source: Batch.Rest says which lines are still to be
	// stored, or that the batch does not follow at all, for which Commit returns ErrMoved.
	Commit(ctx context.Context, b *Batch) error
}

// ErrMoved tells that the stored position is neither where the batch begins nor inside of it: another reader of the same
// source went on. The source asks for the position again.
var ErrMoved = errors.New("the stored position is another one: a second reader of this source went on")

// Position is a place in a source. Bytes are those of the text, after unpacking.
type Position struct {
	File   string    // which file it is, whatever its name: device, inode and a hash of its first bytes; for streams the run that read them
	Offset int64     // bytes of whole lines read from its start, or lines for a stream that has no bytes to come back to
	Cursor string    // of journald
	At     time.Time // when it was stored
}

// Same tells that both are the same place, whenever stored.
func (p Position) Same(q Position) bool {
	return p.File == q.File && p.Offset == q.Offset && p.Cursor == q.Cursor
}

// IsZero tells the position of a source never seen.
func (p Position) IsZero() bool { return p.Same(Position{}) }

// Batch is a piece of one source: whole lines in the order of the source. All of them are of the file To.File; where
// From names another file, they begin at the start of To.File.
type Batch struct {
	Source   string // name of the source, the same after a restart: "file:/var/log/mail.log", "syslog:tcp:10514 mx1"
	Host     string // the machine that logged, where the source knows it better than its lines
	From, To Position
	Lines    [][]byte  // without line ends; valid until Commit returns
	Ends     []int64   // for each line, Position.Offset behind it; the last is To.Offset
	Head     []byte    // first lines of the file where they name its columns ("#Fields: …"); else nil
	Modified time.Time // when the source was last written: lines without a year are read as before it
	Read     time.Time // when the last line was read, for the lag
}

// Rest tells which of the lines are still to be stored when stored is the source's position: all of them, those from the
// index on, or none (from is len(Lines)). follows is false where the batch does not follow the stored position at all.
func (b *Batch) Rest(stored Position) (from int, follows bool) {
	switch {
	case stored.Same(b.From):
		return 0, true
	case stored.Same(b.To):
		return len(b.Lines), true
	case stored.File != b.To.File || stored.IsZero():
		return 0, false
	case stored.Offset >= b.To.Offset:
		return len(b.Lines), true
	case b.From.File == b.To.File && stored.Offset < b.From.Offset:
		return 0, false
	}
	from = sort.Search(len(b.Ends), func(i int) bool { return b.Ends[i] > stored.Offset })
	if from > 0 && b.Ends[from-1] == stored.Offset || from == 0 && (b.From.File != b.To.File && stored.Offset == 0 || b.From.Offset == stored.Offset && b.From.File == b.To.File) {
		return from, true
	}
	return 0, false // within a line: not a place that a batch of this source could have left
}
