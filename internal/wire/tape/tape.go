// Package tape records what the instruments of a run saw into one file, and replays it: a user's bug report becomes a
// test case, and yesterday's facts can be judged by today's rules.
//
// Promise: a tape holds observations only (DNS messages, transcripts, certificates, HTTP bodies), never a secret: the
// instruments mask before they hand over, and requests hold no passwords. A replay touches no network; what was not
// recorded is answered with a wire.Fault of kind off-tape, which reports show as "could not test".
package tape

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Version of the file format: JSON, one object per line, the first one a header.
const Version = 1

// maxLine bounds one record when reading: 64 MB.
const maxLine = 64 << 20

type header struct {
	Mailwhy int       `json:"mailwhy_tape"`
	Started time.Time `json:"started"`
	Args    []string  `json:"args,omitempty"`
}

type record struct {
	Door string          `json:"door"`
	Req  json.RawMessage `json:"req"`
	Res  json.RawMessage `json:"res,omitempty"`
	Err  *wire.Fault     `json:"err,omitempty"`
}

// Tape is a recorder or a player, and a wire.Tape. It is safe for concurrent use.
type Tape struct {
	mu      sync.Mutex
	out     *bufio.Writer
	err     error
	replay  map[string][]record // door+request → answers in recorded order; the last one repeats
	started time.Time
	args    []string
}

// NewRecorder writes to w. Close flushes. args is the command line, kept so that a replay can tell what was asked.
func NewRecorder(w io.Writer, started time.Time, args []string) *Tape {
	t := &Tape{out: bufio.NewWriter(w), started: started}
	t.write(header{Version, started, args})
	return t
}

// Open reads a whole recording.
func Open(r io.Reader) (*Tape, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	t := &Tape{replay: map[string][]record{}}
	var h header
	if !sc.Scan() || json.Unmarshal(sc.Bytes(), &h) != nil || h.Mailwhy == 0 {
		return nil, errors.Join(errors.New("not a mailwhy recording: the first line is no header"), sc.Err())
	}
	if h.Mailwhy > Version {
		return nil, fmt.Errorf("recording of version %d, this mailwhy reads up to %d", h.Mailwhy, Version)
	}
	t.started, t.args = h.Started, h.Args
	for n := 2; sc.Scan(); n++ {
		var rec record
		if err := json.Unmarshal(sc.Bytes(), &rec); err != nil {
			return nil, fmt.Errorf("recording line %d: %w", n, err)
		}
		k := rec.Door + " " + string(rec.Req)
		t.replay[k] = append(t.replay[k], rec)
	}
	return t, sc.Err()
}

// Replaying tells whether answers come from a recording.
func (t *Tape) Replaying() bool { return t.replay != nil }

// Started is when the recorded run began; replays use it as their clock.
func (t *Tape) Started() time.Time { return t.started }

// Args is the recorded command line.
func (t *Tape) Args() []string { return t.args }

// Close flushes a recorder and returns the first error of writing.
func (t *Tape) Close() error {
	if t.out == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.err, t.out.Flush())
}

// Do implements wire.Tape.
func (t *Tape) Do(door string, req, res any, live func() error) error {
	raw, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("tape: request of %s: %w", door, err)
	}
	if t.replay != nil {
		return t.play(door, raw, res)
	}
	lerr := live()
	rec := record{Door: door, Req: raw, Err: wire.Classify("", lerr)}
	if rec.Res, err = json.Marshal(res); err != nil {
		return errors.Join(lerr, fmt.Errorf("tape: answer of %s: %w", door, err))
	}
	t.write(rec)
	return lerr
}

func (t *Tape) play(door string, req []byte, res any) error {
	k := door + " " + string(req)
	t.mu.Lock()
	recs := t.replay[k]
	if len(recs) > 1 {
		t.replay[k] = recs[1:]
	}
	t.mu.Unlock()
	if len(recs) == 0 {
		return &wire.Fault{Kind: wire.OffTape, Op: door, Text: "not in the recording: " + string(req)}
	}
	if err := json.Unmarshal(recs[0].Res, res); err != nil {
		return fmt.Errorf("recording: answer of %s: %w", door, err)
	}
	if recs[0].Err != nil {
		return recs[0].Err
	}
	return nil
}

func (t *Tape) write(v any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := json.Marshal(v)
	if err == nil {
		_, err = t.out.Write(append(b, '\n'))
	}
	t.err = errors.Join(t.err, err)
}

var _ wire.Tape = (*Tape)(nil)
