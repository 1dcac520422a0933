package logs

import (
	"bytes"
	"io"
	"slices"
	"time"
)

// Years tells when the parts of an input were written, for lines whose times name no year. It is needed where the time
// of the file's last change alone would tell wrong: a log of several years, or one whose end lies far behind its file's
// time. It does not change once made.
type Years struct{ marks []mark }

// mark is about when a place of an input was written.
type mark struct{ off, sec int64 }

// near gives the moment of the last mark at or before an offset, in seconds, and for which offsets it stands.
func (y *Years) near(off int64) (sec, from, to int64) {
	i, _ := slices.BinarySearchFunc(y.marks, off+1, func(m mark, off int64) int {
		if m.off < off {
			return -1
		}
		return 1
	})
	to = 1<<63 - 1
	if i < len(y.marks) {
		to = y.marks[i].off
	}
	if i == 0 {
		return y.marks[0].sec, 0, to
	}
	return y.marks[i-1].sec, y.marks[i-1].off, to
}

// sighting is the time of a line without its year: seconds since the start of a leap year.
type sighting struct{ off, sec int64 }

const (
	day      = 24 * 3600
	leapYear = 366 * day
	leapDay  = 59 // of a leap year, from 0
	// jump is how far a clock may be set back, or a line be late, without a New Year being taken for it.
	jump = 30 * day
	// closer is how much may have gone by between two sightings before one is sought between them.
	closer = day
	// fast is how far the clock of a whole log may go ahead of its file's time, where it begins before that.
	fast = 14 * day * time.Second
	// nearest is how far apart two sightings must be, in bytes, to look between them; mostSights is how often that is done.
	nearest, mostSights = 1 << 10, 4096
)

// yearless reads the time of a line whose prefix names no year; ok is false for all other lines.
func yearless(b []byte) (sec int64, ok bool) {
	if len(b) > 4 && b[0] == '<' {
		if _, n := pid(b[1:]); n > 0 && len(b) > n+2 && b[n+1] == '>' {
			b = b[n+2:]
		}
	} else if len(b) > 20 && b[0]-'A' >= 26 && !digit(b[0]) && b[0] != '{' {
		if rest := composed(b); rest != nil {
			b = rest
		}
	}
	if len(b) < 16 || b[3] != ' ' || b[6] != ' ' || b[9] != ':' {
		return 0, false
	}
	mo, d, h, ms := month(b), two(b[4:]), two(b[7:]), minsec(b[10:])
	if mo == 0 || d < 1 || d > 31 || h > 23 || ms < 0 {
		return 0, false
	}
	const anyLeapYear = 2000
	days := time.Date(anyLeapYear, mo, d, 0, 0, 0, 0, time.UTC).YearDay() - 1
	return int64(days*day+h*3600) + ms, true
}

// sight gives the first line with a time in the text, which begins at off; where it may not begin with a line's first
// byte, the rest of a line in front is left out.
func sight(b []byte, off int64, whole bool) (s sighting, ok bool) {
	if !whole {
		i := bytes.IndexByte(b, '\n') + 1
		if i == 0 {
			return s, false
		}
		b, off = b[i:], off+int64(i)
	}
	for range 64 {
		if sec, ok := yearless(b); ok {
			return sighting{off, sec}, true
		}
		i := bytes.IndexByte(b, '\n') + 1
		if i == 0 {
			return s, false
		}
		b, off = b[i:], off+int64(i)
	}
	return s, false
}

// gone is the time from one sighting to a later one if no whole year lies between them, negative for a clock set back.
func gone(a, b sighting) int64 {
	d := b.sec - a.sec
	switch {
	case d < -jump:
		d += leapYear
	case d > leapYear-jump:
		d -= leapYear
	}
	return d
}

// between looks at lines between two sightings until little time lies between each and the next. at gives the first one
// behind an offset. Those found are appended, and b.
func between(out []sighting, a, b sighting, budget *int, at func(off int64) (sighting, bool)) []sighting {
	if g := gone(a, b); b.off-a.off >= nearest && *budget > 0 && (g > closer || g < 0) {
		*budget--
		if s, ok := at(a.off + (b.off-a.off)/2); ok && s.off > a.off && s.off < b.off {
			out = between(out, a, s, budget, at)
			return between(out, s, b, budget, at)
		}
	}
	return append(out, b)
}

// sights looks at lines of a file here and there, and more closely where much time goes by. head is the file's beginning.
func sights(f io.ReaderAt, size int64, head []byte) []sighting {
	if int64(len(head)) >= size {
		return inBlock(nil, head, 0)
	}
	buf := make([]byte, 2<<10)
	at := func(off int64) (sighting, bool) {
		from := max(off-1, 0)
		n, _ := f.ReadAt(buf, from)
		return sight(buf[:n], from, off == 0)
	}
	budget := mostSights
	var out []sighting
	add := func(s sighting) {
		if n := len(out); n == 0 {
			out = append(out, s)
		} else if s.off > out[n-1].off {
			out = between(out, out[n-1], s, &budget, at)
		}
	}
	step := max(size/256, 2*nearest)
	for off := int64(0); off < size; off += step {
		if s, ok := at(off); ok {
			add(s)
		}
	}
	tail := size - int64(len(buf))
	n, _ := f.ReadAt(buf, tail)
	if s, ok := lastSight(buf[:n], tail); ok {
		add(s)
	}
	return out
}

// lastSight reads the last line of a text that begins at off.
func lastSight(b []byte, off int64) (s sighting, ok bool) {
	b = bytes.TrimRight(b, "\n")
	i := bytes.LastIndexByte(b, '\n') + 1
	sec, ok := yearless(b[i:])
	return sighting{off + int64(i), sec}, ok
}

// inBlock is sights for a block of whole lines of a stream.
func inBlock(out []sighting, b []byte, base int64) []sighting {
	at := func(off int64) (sighting, bool) {
		if off == base {
			return sight(b, base, true)
		}
		return sight(b[off-1-base:], off-1, false)
	}
	budget := mostSights
	add := func(s sighting) {
		if n := len(out); n == 0 || out[n-1].off < base {
			out = append(out, s)
		} else if s.off > out[n-1].off {
			out = between(out, out[n-1], s, &budget, at)
		}
	}
	step := nearest * 4
	if len(b) <= 64*nearest { // every line
		step = 1
	}
	for off := int64(0); off < int64(len(b)); off += int64(step) {
		s, ok := at(base + off)
		if !ok {
			continue
		}
		add(s)
		if step == 1 {
			off = s.off - base
		}
	}
	if s, ok := lastSight(b, base); ok {
		add(s)
	}
	return out
}

// thin takes out, from an index on, the sightings of the hour behind one that stays: they tell no more, and a long stream has
// very many. The last one stays.
func thin(s []sighting, from int) []sighting {
	kept := s[:from]
	for i, x := range s[from:] {
		if n := len(kept); n > 0 && from+i < len(s)-1 {
			if g := gone(kept[n-1], x); g >= 0 && g < 3600 {
				continue
			}
		}
		kept = append(kept, x)
	}
	return kept
}

// settle gives each sighting its year, so that time goes on from one to the next and the last is not later than the
// moment given. It is nil where that moment alone tells the same.
func settle(s []sighting, latest time.Time) *Years {
	s = sober(s)
	if len(s) == 0 {
		return nil
	}
	rel := make([]int, len(s)) // years since the first
	for i := 1; i < len(s); i++ {
		rel[i] = rel[i-1]
		switch d := s[i].sec - s[i-1].sec; {
		case d < -jump:
			rel[i]++
		case d > leapYear-jump:
			rel[i]--
		}
	}
	c := Clock{Latest: latest}
	date := func(y int, sec int64) time.Time {
		d := time.Date(2000, 1, 1, 0, 0, int(sec), 0, time.UTC)
		return time.Date(y, d.Month(), d.Day(), d.Hour(), d.Minute(), d.Second(), 0, time.UTC)
	}
	last := len(s) - 1
	end := date(2000, s[last].sec)
	first := c.guessYear(end.Month(), end.Day(), end.Hour()).Year() - rel[last]
	if from, to := date(first+1, s[0].sec), date(first+1+rel[last], s[last].sec); !from.After(latest.Add(slack)) && !to.After(latest.Add(fast)) {
		first++ // it begins before the file's last change and goes on for days behind it: a clock that is fast, not a year lost
	}
	for range 8 { // 29 February tells which years it cannot be
		if !slices.ContainsFunc(s, func(x sighting) bool {
			return x.sec/day == leapDay && date(first+rel[slices.Index(s, x)], x.sec).Day() != 29
		}) {
			break
		}
		first--
	}
	y, same := &Years{}, true
	for i, x := range s {
		t := date(first+rel[i], x.sec)
		y.marks = append(y.marks, mark{x.off, t.Unix()})
		same = same && c.guessYear(t.Month(), t.Day(), t.Hour()).Year() == t.Year()
	}
	if same {
		return nil
	}
	return y
}

// sober takes out what a machine wrote before its clock was set, as after a start without a battery: time that jumps far
// away and soon comes back to where it was.
func sober(s []sighting) []sighting {
	const soon = 16
	out := s[:0:0]
	for i := 0; i < len(s); i++ {
		if n := len(out); n > 0 {
			if g := gone(out[n-1], s[i]); g < 0 || g > jump {
				for j := i + 1; j < len(s) && j <= i+soon; j++ {
					if away := s[j-1].sec - s[i].sec; away < 0 || away > day { // it lived on there
						break
					}
					if back := s[j].sec - out[n-1].sec; back >= 0 && back < 2*day && s[j].off-s[i].off < 1<<20 {
						i = j
						break
					}
				}
			}
		}
		out = append(out, s[i])
	}
	return out
}

// latest takes a moment at which the input was finished, where that is known to be before the time of its file: a log of
// a rotated set ends where the next begins.
func (in *Input) latest(t time.Time) {
	if t.Before(in.ModTime) {
		in.ModTime = t
		in.years.Store(settle(in.sights, t))
	}
}

// start is the moment of the first line whose time names no year; ok is false where there is none near the start.
func (in *Input) start() (t time.Time, ok bool) {
	s, ok := sight(in.head, 0, true)
	if !ok {
		return t, false
	}
	c := Clock{Latest: in.ModTime}
	if y := in.years.Load(); y != nil {
		c.nearby, _, _ = y.near(0)
	}
	d := time.Date(2000, 1, 1, 0, 0, int(s.sec), 0, time.UTC)
	return c.guessYear(d.Month(), d.Day(), d.Hour()), true
}

// Chain makes the inputs of each rotated set end where the next one begins, for times that name no year: copies of logs
// often have the time of copying. Inputs are in the order of Expand.
func Chain(inputs []*Input) {
	for i := len(inputs) - 2; i >= 0; i-- {
		if !follows(inputs[i+1].Name, inputs[i].Name) {
			continue
		}
		if t, ok := inputs[i+1].start(); ok {
			inputs[i].latest(t)
		}
	}
}

func follows(b, a string) bool {
	sa, ra := rotation(a)
	sb, rb := rotation(b)
	return sa == sb && ra < rb
}

// Ends is Chain for those who open one input after the other: it gives the moments for Before.
func Ends(names []string) map[string]time.Time {
	ends := map[string]time.Time{}
	for i := len(names) - 2; i >= 0; i-- {
		if !follows(names[i+1], names[i]) {
			continue
		}
		in, err := Open(names[i+1])
		if err != nil {
			continue // it is named when it is read
		}
		if end, ok := ends[names[i+1]]; ok {
			in.latest(end)
		}
		if t, ok := in.start(); ok {
			ends[names[i]] = t
		}
		in.Close()
	}
	return ends
}

// Before tells that the input was finished before a moment that Ends gave.
func (in *Input) Before(t time.Time) { in.latest(t) }

// Late tells whether it came up only as a stream was read that its lines are of other years than was taken: what was made
// of them must be made again from another opening that is told the Years.
func (in *Input) Late() bool {
	return in.file == nil && in.packed != nil && in.years.Load() != nil && !in.told
}

// Unplaced is Late for a stream that cannot be opened again.
func (in *Input) Unplaced() bool {
	return in.file == nil && in.packed == nil && in.years.Load() != nil && !in.told
}

// Years is what is known of when the parts of the input were written, nil where the time of its file tells all.
func (in *Input) Years() *Years { return in.years.Load() }

// Tell gives what an earlier reading of the same input found out.
func (in *Input) Tell(y *Years) {
	in.years.Store(y)
	in.told = true
}

// LatestAt is a moment that no line in front of an offset is later than.
func (in *Input) LatestAt(off int64) time.Time {
	if y := in.years.Load(); y != nil {
		for _, m := range y.marks {
			if m.off >= off {
				return time.Unix(m.sec, 0)
			}
		}
		return time.Unix(y.marks[len(y.marks)-1].sec, 0)
	}
	return in.ModTime
}
