package logs

import (
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// Clock turns the times of line prefixes into moments. It remembers the last hour it worked out, so that a line costs
// a comparison and two small sums. One goroutine uses one Clock; the zero value reads UTC and takes 1970 for a missing
// year, so set both fields.
type Clock struct {
	Local *time.Location // zone of times that name none; nil means UTC
	// Latest is the moment no line can be later than: the time of the file's last change, or now. A time without a year
	// gets the latest year that keeps it before Latest, so a file that crosses New Year is read right.
	Latest time.Time

	nearby int64 // 0, or about when the lines being read were written: that tells the year better than Latest

	mon  hourMemory // "Nov 22 01"
	iso  hourMemory // "2026-11-22 01", local
	isoU hourMemory // "2026-11-22T01", as UTC
}

type hourMemory struct {
	key  [16]byte
	base int64 // seconds since 1970 UTC of the hour's start
	zone int32
}

func digit(c byte) bool { return c-'0' <= 9 }

// two reads two decimal digits; a leading space counts as 0. It gives a large number for anything else.
func two(b []byte) int {
	hi, lo := b[0]-'0', b[1]-'0'
	if b[0] == ' ' {
		hi = 0
	}
	if hi > 9 || lo > 9 {
		return 1 << 20
	}
	return int(hi)*10 + int(lo)
}

// minsec reads "MM:SS" and gives seconds, or -1.
func minsec(b []byte) int64 {
	m, s := two(b), two(b[3:])
	if m > 59 || s > 60 || b[2] != ':' {
		return -1
	}
	return int64(m*60 + s)
}

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// month reads an English month name of three letters; 0 for anything else.
func month(b []byte) time.Month {
	for i := 0; i < len(monthNames); i += 3 {
		if b[0] == monthNames[i] && b[1] == monthNames[i+1] && b[2] == monthNames[i+2] {
			return time.Month(i/3 + 1)
		}
	}
	return 0
}

// bsd reads "Nov 22 01:45:23" (15 bytes at least) without a year. ok is false for anything else.
func (c *Clock) bsd(b []byte) (sec int64, zone int32, ok bool) {
	ms := minsec(b[10:])
	if ms < 0 || b[9] != ':' {
		return 0, 0, false
	}
	if m := &c.mon; string(m.key[:9]) == string(b[:9]) {
		return m.base + ms, m.zone, true
	}
	mo, day, hour := month(b), two(b[4:]), two(b[7:])
	if mo == 0 || b[3] != ' ' || b[6] != ' ' || day < 1 || day > 31 || hour > 23 {
		return 0, 0, false
	}
	t := c.guessYear(mo, day, hour)
	_, z := t.Zone()
	copy(c.mon.key[:9], b)
	c.mon.base, c.mon.zone = t.Unix(), int32(z)
	return c.mon.base + ms, c.mon.zone, true
}

// slack is how far a line may be later than the file's last change: clocks of senders and writers differ.
const slack = 26 * time.Hour

func (c *Clock) guessYear(mo time.Month, day, hour int) time.Time {
	loc := c.loc()
	if c.nearby != 0 {
		return c.soonest(mo, day, hour)
	}
	year := c.Latest.In(loc).Year() + 1
	for range 9 {
		t := time.Date(year, mo, day, hour, 0, 0, 0, loc)
		if t.Day() == day && !t.After(c.Latest.Add(slack)) { // 29 February exists in some years only
			return t
		}
		year--
	}
	return time.Date(c.Latest.In(loc).Year(), mo, day, hour, 0, 0, 0, loc)
}

// soonest gives the first such time that is not before the moment nearby, but for what a clock may be set back.
func (c *Clock) soonest(mo time.Month, day, hour int) time.Time {
	from := time.Unix(c.nearby-jump, 0).In(c.loc())
	for year := from.Year(); year <= from.Year()+8; year++ {
		if t := time.Date(year, mo, day, hour, 0, 0, 0, c.loc()); t.Day() == day && !t.Before(from) {
			return t
		}
	}
	return time.Date(from.Year(), mo, day, hour, 0, 0, 0, c.loc())
}

func (c *Clock) loc() *time.Location {
	if c.Local == nil {
		return time.UTC
	}
	return c.Local
}

// isoLocal reads "2026-11-22 01:45:23" in the local zone.
func (c *Clock) isoLocal(b []byte) (sec int64, zone int32, ok bool) {
	ms := minsec(b[14:])
	if ms < 0 || b[13] != ':' {
		return 0, 0, false
	}
	m := &c.iso
	if string(m.key[:13]) == string(b[:13]) {
		return m.base + ms, m.zone, true
	}
	t, ok := isoHour(b, c.loc())
	if !ok {
		return 0, 0, false
	}
	_, z := t.Zone()
	copy(m.key[:13], b)
	m.base, m.zone = t.Unix(), int32(z)
	return m.base + ms, m.zone, true
}

// isoUTC reads the same text as UTC; the caller takes the zone off.
func (c *Clock) isoUTC(b []byte) (sec int64, ok bool) {
	ms := minsec(b[14:])
	if ms < 0 || b[13] != ':' {
		return 0, false
	}
	m := &c.isoU
	if string(m.key[:13]) == string(b[:13]) {
		return m.base + ms, true
	}
	t, ok := isoHour(b, time.UTC)
	if !ok {
		return 0, false
	}
	copy(m.key[:13], b)
	m.base = t.Unix()
	return m.base + ms, true
}

func isoHour(b []byte, loc *time.Location) (time.Time, bool) {
	y1, y2, mo, day, hour := two(b), two(b[2:]), two(b[5:]), two(b[8:]), two(b[11:])
	if b[4] != '-' || b[7] != '-' || y1 > 99 || y2 > 99 || mo < 1 || mo > 12 || day < 1 || day > 31 || hour > 23 {
		return time.Time{}, false
	}
	return time.Date(y1*100+y2, time.Month(mo), day, hour, 0, 0, 0, loc), true
}

// fraction reads ".123456" (or ",123") and gives nanoseconds and the bytes read.
func fraction(b []byte) (ns int64, n int) {
	if len(b) < 2 || b[0] != '.' && b[0] != ',' || !digit(b[1]) {
		return 0, 0
	}
	scale := int64(1e9)
	for n = 1; n < len(b) && digit(b[n]); n++ {
		if scale > 1 {
			scale /= 10
			ns += int64(b[n]-'0') * scale
		}
	}
	return ns, n
}

// zone reads "Z", "+02:00" or "+0200" and gives seconds east and the bytes read, 0 bytes for anything else.
func zone(b []byte) (sec int32, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] == 'Z' {
		return 0, 1
	}
	if b[0] != '+' && b[0] != '-' || len(b) < 5 {
		return 0, 0
	}
	h, rest, n := two(b[1:]), b[3:], 5
	if rest[0] == ':' {
		rest, n = rest[1:], 6
	}
	if len(rest) < 2 {
		return 0, 0
	}
	m := two(rest)
	if h > 23 || m > 59 {
		return 0, 0
	}
	sec = int32(h*3600 + m*60)
	if b[0] == '-' {
		sec = -sec
	}
	return sec, n
}

// iso reads a time of RFC 3339 (or with a zone without colon, as journalctl writes it) and gives the bytes read.
func (c *Clock) iso3339(b []byte) (at int64, z int32, zoned bool, n int) {
	if len(b) < 19 {
		return 0, 0, false, 0
	}
	ns, fn := fraction(b[19:])
	n = 19 + fn
	z, zn := zone(b[n:])
	if zn == 0 {
		sec, lz, ok := c.isoLocal(b)
		if !ok {
			return 0, 0, false, 0
		}
		return sec*1e9 + ns, lz, false, n
	}
	sec, ok := c.isoUTC(b)
	if !ok {
		return 0, 0, false, 0
	}
	return (sec-int64(z))*1e9 + ns, z, true, n + zn
}

// Epoch reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970 into the origin.
func (c *Clock) Epoch(b []byte, o *event.Origin) {
	if ns := epoch(b); ns > 0 {
		o.At, o.Zone, o.ZoneSet, o.TimeSet = ns, 0, true, true
	}
}

// When reads a time that stands in a column ("2026-11-22T01:45:23.123Z", "11/22/2026 1:45:23 AM", which is taken for
// UTC as Exchange writes it) into the origin.
func (c *Clock) When(b []byte, o *event.Origin) {
	if at, z, zoned, n := c.iso3339(b); n > 0 {
		o.At, o.Zone, o.ZoneSet, o.TimeSet = at, z, zoned, true
		return
	}
	for _, layout := range [...]string{"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "2/1/2006 15:04:05", "2006/1/2 15:04:05", "2.1.2006 15:04:05", "2-1-2006 15:04:05",
		"1/2/2006 3:04 PM", "1/2/2006 15:04", "2/1/2006 15:04", "2.1.2006 15:04", "2/1/2006 3:04:05 PM"} {
		if t, err := time.Parse(layout, string(b[:min(len(b), 40)])); err == nil {
			o.At, o.Zone, o.ZoneSet, o.TimeSet = t.UnixNano(), 0, true, true
			return
		}
	}
}
