// Package intake takes log lines in while we sleep: files followed across rotation, journald, syslog, stdin, a folder of
// exports. It reads, frames and remembers where it was; what a line means is for those behind the Sink.
//
// Promise: nothing lost, nothing twice. The position in a source is stored with the lines before it in one transaction;
// after a stop at any moment reading goes on behind the last line that was stored. RFC 3164, RFC 5424, RFC 5425, RFC 5426,
// RFC 6587.
package intake

import (
	"context"
	"time"
)

// Sink is what intake needs of a store. Both methods are safe for concurrent use.
type Sink interface {
	// Position gives where the source was left, the zero Position for a source never seen.
	Position(ctx context.Context, source string) (Position, error)
	// Commit stores the lines and the new position, both or neither. A batch whose From is not the stored position was
	// stored before or comes from a second reader of the same source: the lines already covered are left out.
	Commit(ctx context.Context, b *Batch) error
}

// Position is a place in a source. Bytes are those of the text, after unpacking.
type Position struct {
	File   string    // which file it is, whatever its name: device, inode and a hash of its first bytes; "" for streams
	Offset int64     // bytes of whole lines read from its start, or lines for a stream that has no bytes to come back to
	Cursor string    // of journald
	At     time.Time // when it was stored
}

// Batch is a piece of one source: whole lines in the order of the source.
type Batch struct {
	Source   string // name of the source, the same after a restart: "file:/var/log/mail.log", "syslog:tcp:10514 mx1"
	Host     string // the machine that logged, where the source knows it better than its lines
	From, To Position
	Lines    [][]byte  // without line ends; valid until Commit returns
	Modified time.Time // when the source was last written: lines without a year are read as before it
	Read     time.Time // when the last line was read, for the lag
}
