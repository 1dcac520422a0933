// Package digest reads log text once, when it is stored, and tells what a store must know to find it again and to count
// it: the keys of its lines, the values that can be searched for by a part, the span of time, hourly numbers.
//
// Promise: every line that trace's search could begin with or follow leads to a key here, so a search by keys finds what
// a search through the text finds; a test holds the two against each other. Nothing is judged. Memory is bounded by the
// text given, beside small tables of what was seen often.
package digest

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Run is a stretch of one source: whole lines as they stood in it.
type Run struct {
	File   int32     // number of the file, the caller's
	Base   int64     // place of the first line in the source
	Start  int       // in the text of the piece
	Len    int       // bytes
	Latest time.Time // no line is later: what tells the year of lines that name none
	Zone   int32     // seconds east of UTC for times that name no zone
	zoned  bool
}

// Digester collects a piece of text and what is known of it. One goroutine uses one Digester.
type Digester struct {
	Piece
	Numbers

	dialects []logs.Dialect
	local    *time.Location
	reader   *logs.Reader
	file     int32
	layout   *logs.Layout
	seen     set // of keys, and of raw things that lead to several keys
	off      int64
	start    int
	words    *words
	room     []byte // for values
}

// Piece is text and what it is found by.
type Piece struct {
	Text     []byte
	Runs     []Run
	Keys     []Key    // each once
	Values   [][]byte // addresses ("a" in front) and subjects ("s"), each once, in any order
	From, To int64    // first and last time of a line of a mail program, ns; From > To: there is none
	Timeless bool     // a mail program's line has no time
}

// New makes a digester. know may be nil: then nothing is said of causes and providers.
func New(dialects []logs.Dialect, local *time.Location, know *knowledge.Base) *Digester {
	d := &Digester{dialects: dialects, local: local, words: newWords(know)}
	d.Numbers.init()
	d.Reset()
	return d
}

// Reset begins a new piece. What Piece held may be kept by the caller, but for the text.
func (d *Digester) Reset() {
	d.Piece = Piece{Text: d.Text[:0], Keys: make([]Key, 0, len(d.Keys)+64), From: 1<<63 - 1, To: -1 << 63}
	d.seen.reset()
}

// Add takes in whole lines, each with its end, that stand at base in the file; layout is that of a table.
func (d *Digester) Add(file int32, base int64, text []byte, latest time.Time, layout *logs.Layout) {
	start := len(d.Text)
	d.Text = append(d.Text, text...)
	d.begin(file, base, start, latest)
	if d.reader == nil || d.reader.Latest != latest || d.layout != layout {
		var had logs.Counts
		if d.reader != nil {
			had = d.reader.Counts
		}
		d.reader = logs.NewReader(logs.Clock{Local: d.local, Latest: latest}, d.dialects)
		d.reader.Layout, d.reader.Counts, d.layout = layout, had, layout
	}
	d.file, d.start = file, start
	d.off = base
	d.reader.Block(d.Text[start:], file, base, d)
	last := &d.Runs[len(d.Runs)-1]
	last.Len = len(d.Text) - last.Start
}

// Counts tells what became of all lines since the digester was made.
func (d *Digester) Counts() logs.Counts {
	if d.reader == nil {
		return logs.Counts{}
	}
	return d.reader.Counts
}

// begin goes on with the last run, or begins a new one.
func (d *Digester) begin(file int32, base int64, start int, latest time.Time) {
	if n := len(d.Runs); n > 0 {
		r := &d.Runs[n-1]
		if near := latest.Sub(r.Latest); r.File == file && r.Base+int64(r.Len) == base && near > -12*time.Hour && near < 12*time.Hour {
			return
		}
	}
	d.Runs = append(d.Runs, Run{File: file, Base: base, Start: start, Latest: latest})
}

// zone notes the zone of times that name none; where it changes (summer time) a new run begins.
func (d *Digester) zone(e *event.Event) {
	r := &d.Runs[len(d.Runs)-1]
	if r.zoned && r.Zone == e.Zone {
		return
	}
	if at := d.start + int(e.Offset-d.off); r.zoned && at > r.Start {
		r.Len = at - r.Start
		d.Runs = append(d.Runs, Run{File: r.File, Base: e.Offset, Start: at, Latest: r.Latest})
		r = &d.Runs[len(d.Runs)-1]
	}
	r.Zone, r.zoned = e.Zone, true
}

// Event takes in what one line tells.
func (d *Digester) Event(e *event.Event) {
	if e.TimeSet {
		d.From, d.To = min(d.From, e.At), max(d.To, e.At)
		if !e.ZoneSet {
			d.zone(e)
		}
	} else {
		d.Timeless = true
	}
	d.id(e.QueueID, ID)
	d.id(e.MessageID, ID)
	d.id(e.Mention, ID)
	d.id(e.Ref, Naming)
	if len(e.QueueID) >= 5 || len(e.MessageID) >= 5 { // what trace takes for an id
		d.id(base(e.Session), Naming)
	} else {
		d.id(base(e.Session), Session)
	}
	d.address(e.From)
	d.address(e.To)
	d.address(e.OrigTo)
	d.address(e.User)
	d.host(e.ClientName)
	d.host(e.Relay)
	d.host(e.Helo)
	d.host(e.Host)
	d.ip(e.ClientIP)
	d.ip(e.RelayIP)
	if len(e.Subject) > 0 {
		if k := Subject(e.Subject); d.key(k) {
			d.value('s', e.Subject)
		}
	}
	switch e.Kind {
	case event.Delivery:
		d.key(Fate(uint8(e.Status)))
	case event.Reject:
		d.key(Fate(0))
	}
	d.count(e, d.words, &d.seen)
}

// key notes a key and tells whether it is new in this piece.
func (d *Digester) key(k Key) bool {
	if !d.seen.add(k) {
		return false
	}
	d.Keys = append(d.Keys, k)
	return true
}

func (d *Digester) value(kind byte, b []byte) {
	if cap(d.room)-len(d.room) < len(b)+1 {
		d.room = make([]byte, 0, max(8<<10, len(b)+1))
	}
	n := len(d.room)
	d.room = append(append(d.room, kind), b...)
	d.Values = append(d.Values, d.room[n:len(d.room):len(d.room)])
}

func (d *Digester) id(b []byte, kind func(uint64) Key) {
	if len(b) >= 2 && len(b) <= 998 {
		d.key(kind(Hash(b)))
	}
}

// address notes an address and the domains above it.
func (d *Digester) address(b []byte) {
	if len(b) < 2 || len(b) > 998 {
		return
	}
	if !d.key(Address(b)) {
		return
	}
	d.value('a', b)
	if i := bytes.LastIndexByte(b, '@'); i >= 0 {
		d.host(b[i+1:])
	}
}

// host notes a name and every domain above it.
func (d *Digester) host(b []byte) {
	if len(b) < 2 || len(b) > 255 {
		return
	}
	for d.key(Host(b)) {
		i := bytes.IndexByte(b, '.')
		if i < 0 || i+2 >= len(b) {
			return
		}
		b = b[i+1:]
	}
}

// ip notes an address and the networks around it.
func (d *Digester) ip(b []byte) {
	if len(b) < 2 || len(b) > 64 || !d.seen.add(hash(kindIP+1, b, false)) {
		return
	}
	a, err := netip.ParseAddr(string(bytes.TrimPrefix(b, []byte("IPv6:"))))
	if err != nil {
		return
	}
	a = a.Unmap().WithZone("")
	sizes := sizes6[:]
	if a.Is4() {
		sizes = sizes4[:]
	}
	d.key(IP(a))
	for _, n := range sizes {
		d.key(netKey(a, n))
	}
}

// base takes the number of a recipient within a session (":2") off, as trace does.
func base(b []byte) []byte {
	if i := bytes.LastIndexByte(b, ':'); i > 8 && i >= len(b)-4 {
		return b[:i]
	}
	return b
}

// set is a set of keys that is emptied often.
type set struct {
	slots []Key
	n     int
}

func (s *set) reset() {
	clear(s.slots)
	s.n = 0
}

func (s *set) add(k Key) bool {
	if k == 0 {
		k = 1
	}
	if s.n*2 >= len(s.slots) {
		old := s.slots
		s.slots, s.n = make([]Key, max(2048, len(old)*2)), 0
		for _, o := range old {
			if o != 0 {
				s.add(o)
			}
		}
	}
	mask := Key(len(s.slots) - 1)
	for i := k & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case k:
			return false
		case 0:
			s.slots[i] = k
			s.n++
			return true
		}
	}
}
