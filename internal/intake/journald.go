package intake

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

// journal follows journald by journalctl -o json, from the cursor of the last entry that was stored. One goroutine
// stores, one reads the program's output.
type journal struct {
	*source
	c     *Config
	since bool // the cursor's entry is gone from the journal: go by its time
}

func (j *journal) run(ctx context.Context) error {
	defer j.leave()
	for ctx.Err() == nil {
		pos, err := j.position(ctx)
		if err != nil {
			return nil
		}
		n, err := j.follow(ctx, pos)
		switch {
		case errors.Is(err, ErrMoved):
			j.count(func(st *SourceStats) { st.Moved++ })
		case ctx.Err() != nil:
			return nil
		default:
			if err == nil {
				err = errors.New("it ended")
			}
			j.trouble(finding.S("{{.Program}}: {{.Error}}", finding.Args{"Program": j.in.o.Journal, "Error": finding.Raw(err.Error())}))
			j.since = n == 0 && !j.since && pos.Cursor != ""
		}
		if wire.Pause(ctx, j.in.o.Poll) != nil {
			return nil
		}
	}
	return nil
}

// arguments of journalctl, to go on behind the position.
func (j *journal) arguments(pos Position) []string {
	args := []string{"-o", "json", "-f", "-q", "--all"}
	switch at := cursorTime(pos.Cursor); {
	case pos.Cursor == "" && j.c.NoHistory:
		args = append(args, "-n", "0")
	case pos.Cursor == "":
		args = append(args, "--no-tail")
	case j.since && !at.IsZero():
		args = append(args, "--no-tail", "--since", "@"+strconv.FormatInt(at.Unix(), 10))
	default:
		args = append(args, "--no-tail", "--after-cursor", pos.Cursor)
	}
	for _, u := range j.c.Units {
		args = append(args, "-u", u)
	}
	for _, t := range j.c.Identifiers {
		args = append(args, "-t", t)
	}
	return args
}

// cursorTime reads the time of a cursor's entry: "s=…;i=…;b=…;m=…;t=5f0c…;x=…" in microseconds; zero where there is none.
func cursorTime(cursor string) time.Time {
	for part := range bytes.SplitSeq([]byte(cursor), []byte(";")) {
		if v, ok := bytes.CutPrefix(part, []byte("t=")); ok {
			us, err := strconv.ParseInt(string(v), 16, 64)
			if err == nil && us > 0 {
				return time.UnixMicro(us)
			}
		}
	}
	return time.Time{}
}

// follow runs the program once; n is the number of entries it gave.
func (j *journal) follow(ctx context.Context, pos Position) (n int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte, 256)
	ended := make(chan error, 1)
	go func() {
		defer close(lines)
		ended <- local.Follow(ctx, MaxLine+1, func(line []byte) error {
			select {
			case lines <- bytes.Clone(line):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, j.in.o.Journal, j.arguments(pos)...)
	}()
	n, err = j.take(ctx, pos, lines)
	cancel()
	for range lines { // until the program is gone
	}
	return n, errors.Join(err, <-ended)
}

// take stores entries until there are no more, or the sink's position is another one.
func (j *journal) take(ctx context.Context, pos Position, lines <-chan []byte) (n int, err error) {
	b := batcher{s: j.source, from: pos, to: pos, live: true}
	after := time.Time{}
	if j.since {
		after = cursorTime(pos.Cursor)
	}
	tick := time.NewTicker(j.in.o.Flush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := b.flush(ctx); err != nil {
				return n, err
			}
		case line, ok := <-lines:
			if !ok {
				return n, b.flush(ctx)
			}
			cursor := member(line, "__CURSOR")
			if len(line) > MaxLine || len(cursor) == 0 {
				j.odd(line)
				continue // without a cursor it could not be told whether it was stored
			}
			if n++; !after.IsZero() && !cursorTime(string(cursor)).After(after) {
				continue
			}
			b.to.Cursor = string(cursor)
			b.add(line, b.to.Offset+1)
			if b.full() {
				if err := b.flush(ctx); err != nil {
					return n, err
				}
			}
		}
	}
}

// odd counts an entry that cannot be taken.
func (j *journal) odd(line []byte) {
	if len(line) == 0 {
		return
	}
	j.count(func(st *SourceStats) {
		st.Dropped++
		if len(line) > MaxLine {
			st.Long++
		}
	})
	j.notice(finding.S("{{.Program}} gave an entry of {{size .Size}} that is too long or has no cursor", finding.Args{"Program": j.in.o.Journal, "Size": len(line)}))
}
