package intake

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// maxHosts is how many hosts are told apart in the figures.
const maxHosts = 1000

// Stats are the figures of a moment.
type Stats struct {
	Sources []SourceStats `json:"sources"`
	Hosts   []HostStats   `json:"hosts"`
}

// SourceStats are the figures of one source since the start of the program.
type SourceStats struct {
	Name       string           `json:"name"`
	Kind       string           `json:"kind"`
	File       string           `json:"file,omitempty"` // the one being read
	Lines      int64            `json:"lines"`          // stored
	Bytes      int64            `json:"bytes"`
	Batches    int64            `json:"batches"`
	Long       int64            `json:"long_lines"` // longer than MaxLine: their beginning was stored
	Dropped    int64            `json:"dropped"`    // lines lost: UDP beyond the limits, a full spool, framing that cannot be read
	Refused    int64            `json:"refused"`    // connections not taken: limits, networks that may not send
	Peers      int              `json:"peers"`      // connections now
	Rotations  int64            `json:"rotations"`
	Truncated  int64            `json:"truncated"`  // files of which the end was not found any more
	Moved      int64            `json:"moved"`      // another reader of the same source went on in between
	Unreadable int64            `json:"unreadable"` // files that could not be read
	SinkErrors int64            `json:"sink_errors"`
	Spooled    int64            `json:"spooled_bytes"` // waiting on disk now
	Recovered  int64            `json:"recovered"`     // lines that an earlier run had read and not stored
	Known      int64            `json:"known_bytes"`   // of files that were stored before under another name, and left out
	Behind     int64            `json:"behind_bytes"`  // of the file being read, not read yet
	Newest     time.Time        `json:"newest,omitzero"`
	Stored     time.Time        `json:"stored,omitzero"` // when something was stored last
	Lag        time.Duration    `json:"lag"`             // from the time of the newest line stored to now; with nothing written it grows, so look at Behind, too
	Trouble    finding.Sentence `json:"trouble,omitzero"`
	Notice     finding.Sentence `json:"notice,omitzero"` // the last thing worth telling that did not keep it from going on
	NoticeAt   time.Time        `json:"notice_at,omitzero"`
}

// HostStats are what the lines of a host tell.
type HostStats struct {
	Name   string        `json:"name"`
	Newest time.Time     `json:"last_seen"` // time of its newest line, by its own clock
	Lag    time.Duration `json:"lag"`
	Skew   time.Duration `json:"clock_skew"` // its clock against ours, positive when it is ahead; from lines read as they were written
	Live   bool          `json:"live"`       // Skew is known
}

// Stats gives the figures of this moment.
func (in *Intake) Stats() Stats {
	now := in.o.Now()
	var out Stats
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.sources {
		s.mu.Lock()
		st := s.st
		s.mu.Unlock()
		if !st.Newest.IsZero() {
			st.Lag = max(now.Sub(st.Newest), 0)
		}
		out.Sources = append(out.Sources, st)
	}
	for _, h := range in.hosts {
		c := *h
		c.Lag = max(now.Sub(c.Newest), 0)
		out.Hosts = append(out.Hosts, c)
	}
	slices.SortFunc(out.Sources, func(a, b SourceStats) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Hosts, func(a, b HostStats) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// look reads who and when from some lines of a batch: the newest time is returned, and hosts are noted.
func (in *Intake) look(b *Batch, live bool) (newest time.Time) {
	const most = 100
	clock := logs.Clock{Local: in.o.Local, Latest: b.Modified}
	if b.Modified.IsZero() {
		clock.Latest = b.Read
	}
	step := max(len(b.Lines)/most, 1)
	in.mu.Lock()
	defer in.mu.Unlock()
	first := map[*HostStats]bool{}
	for i := (len(b.Lines) - 1) % step; i >= 0 && i < len(b.Lines); i += step { // the last line is among them
		at, host := whoWhen(&clock, b.Lines[i])
		if at.IsZero() {
			continue
		}
		if at.After(newest) {
			newest = at
		}
		if len(host) == 0 || b.Host != "" {
			host = []byte(b.Host)
		}
		h := in.hosts[string(host)]
		if h == nil {
			if len(host) == 0 || len(in.hosts) >= maxHosts {
				continue
			}
			h = &HostStats{Name: string(bytes.ToValidUTF8(host[:min(len(host), 255)], []byte("�")))}
			in.hosts[h.Name] = h
		}
		if at.After(h.Newest) {
			h.Newest = at
		}
		// A line is read after it was written: the smallest difference of a batch is nearest to that of the clocks.
		if skew := at.Sub(b.Read); live && (!first[h] || skew > h.Skew) {
			h.Skew, h.Live, first[h] = skew, true, true
		}
	}
	return newest
}

// whoWhen reads the time and the host of a line; the zero time where it has none.
func whoWhen(c *logs.Clock, line []byte) (time.Time, []byte) {
	if len(line) > 0 && line[0] == '{' {
		us, err := strconv.ParseInt(string(member(line, "__REALTIME_TIMESTAMP")), 10, 64)
		if err != nil {
			return time.Time{}, nil
		}
		return time.UnixMicro(us), member(line, "_HOSTNAME")
	}
	var o event.Origin
	if !logs.Prefix(c, line, &o) || !o.TimeSet {
		return time.Time{}, nil
	}
	return time.Unix(0, o.At), o.Host
}

// member takes a plain string out of a flat JSON object as journalctl writes it: no escapes, no blanks. Names inside of
// strings cannot be taken for it, for their quotes are escaped.
func member(line []byte, name string) []byte {
	_, rest, ok := bytes.Cut(line, []byte(`"`+name+`":"`))
	if !ok {
		if _, rest, ok = bytes.Cut(line, []byte(`"`+name+`" : "`)); !ok {
			return nil
		}
	}
	i := bytes.IndexByte(rest, '"')
	if i < 0 || bytes.IndexByte(rest[:i], '\\') >= 0 {
		return nil
	}
	return rest[:i]
}
