// Package date reads the dates of mail: RFC 5322 section 3.3, the obsolete forms of section 4.3, and the forms that real
// software writes instead (asctime, dashes, two-digit years, named zones, missing seconds, glued zones, ISO 8601).
//
// Promise: whatever is read is read for certain; each liberty taken is named in Faults, so that a check can speak of it.
// No clock is read: a date that cannot be understood is an error that quotes the text.
package date

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fault is a way in which a date departs from RFC 5322.
type Fault string

// The faults, from harmless to grave.
const (
	ObsoleteZone Fault = "obsolete-zone" // a name where ±hhmm is wanted (section 4.3)
	ShortYear    Fault = "short-year"    // two or three digits (section 4.3)
	Layout       Fault = "layout"        // the parts stand in another order or with other marks
	WrongDay     Fault = "wrong-weekday" // the name of the day does not fit the date
	NoZone       Fault = "no-zone"       // no zone: Time is in UTC by assumption
	UnknownZone  Fault = "unknown-zone"  // a zone name nobody defined: Time is in UTC by assumption
	BadZone      Fault = "bad-zone"      // an offset beyond ±24:00
	Trailing     Fault = "trailing-text" // something stands after the date; only Parse says this
)

// Date is a date as it was written.
type Date struct {
	Time   time.Time // in the zone written
	Zone   string    // the zone as written: "+0800", "EST", or ""
	Faults []Fault
}

// Has tells whether the date has the fault.
func (d Date) Has(f Fault) bool {
	for _, x := range d.Faults {
		if x == f {
			return true
		}
	}
	return false
}

// ErrNoDate is wrapped by every error of this package.
var ErrNoDate = errors.New("not a date")

// Parse reads the whole text as a date.
func Parse(s string) (Date, error) {
	d, n, err := Prefix(s)
	if err != nil {
		return d, err
	}
	if strings.Trim(s[n:], " \t\r\n_.;") != "" {
		d.Faults = append(d.Faults, Trailing)
	}
	return d, nil
}

// Prefix reads a date at the start of the text and tells how many bytes it took.
func Prefix(s string) (Date, int, error) {
	r := reader{s: s, day: -1, month: -1, year: -1, hour: -1}
	r.run()
	if r.day < 0 || r.month < 0 || r.year < 0 || r.hour < 0 {
		return Date{}, 0, fmt.Errorf("%w: %q", ErrNoDate, clip(s))
	}
	d, err := r.date()
	if err != nil {
		return Date{}, 0, fmt.Errorf("%w: %q: %v", ErrNoDate, clip(s), err)
	}
	return d, r.end, nil
}

func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return s
}

// reader takes one part after the other and stops at the first thing that cannot belong to a date.
type reader struct {
	s        string
	pos, end int // end: behind the last part taken

	day, month, year, hour, min, sec, nano int
	pm, am, iso                            bool
	weekday                                int // 1 Monday … 7 Sunday, 0 not given
	order                                  string
	zone                                   string
	offset                                 int
	zoneSet                                bool
	faults                                 []Fault
}

func (r *reader) run() {
	for steps := 0; r.pos < len(r.s) && steps < 24; steps++ {
		c := r.s[r.pos]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == '_':
			r.pos++
		case c == '(':
			if !r.comment() {
				return
			}
		case c >= '0' && c <= '9':
			if !r.number() {
				return
			}
		case (c == '+' || c == '-') && r.hour >= 0:
			if !r.numericZone() {
				return
			}
		case isLetter(c):
			if !r.word() {
				return
			}
		default:
			return
		}
	}
}

func (r *reader) take(end int) { r.pos, r.end = end, end }

// comment skips one comment behind the date, as in "+0800 (CST)"; before the time there is none.
func (r *reader) comment() bool {
	if r.hour < 0 || r.year < 0 {
		return false
	}
	end := strings.IndexByte(r.s[r.pos:], ')')
	if end < 0 || end > 60 || strings.ContainsAny(r.s[r.pos:r.pos+end], "=@:") {
		return false
	}
	r.take(r.pos + end + 1)
	return true
}

func (r *reader) word() bool {
	end := r.pos
	for end < len(r.s) && (isLetter(r.s[end]) || r.s[end] == '.') {
		end++
	}
	w := strings.ToLower(strings.TrimRight(r.s[r.pos:end], "."))
	switch {
	case indexName(days[:], w) >= 0 && r.weekday == 0 && r.hour < 0:
		r.weekday = indexName(days[:], w) + 1
	case r.month < 0 && indexName(months[:], w) >= 0:
		r.month = indexName(months[:], w) + 1
		r.order += "M"
	case r.iso && w == "t" && r.hour < 0:
	case r.hour >= 0 && (w == "am" || w == "pm"):
		r.am, r.pm = w == "am", w == "pm"
		r.fault(Layout)
	case r.hour >= 0 && !r.zoneSet && r.namedZone(w):
	default:
		return false
	}
	r.take(end)
	if end < len(r.s) && r.s[end] == '-' && r.hour < 0 {
		r.pos++
		r.fault(Layout)
	}
	return true
}

func (r *reader) number() bool {
	end := r.pos
	for end < len(r.s) && r.s[end] >= '0' && r.s[end] <= '9' {
		end++
	}
	if end-r.pos > 4 {
		return false
	}
	n, _ := strconv.Atoi(r.s[r.pos:end])
	next := byte(0)
	if end < len(r.s) {
		next = r.s[end]
	}
	switch {
	case r.hour < 0 && (next == ':' || next == '.' && r.year >= 0) && end-r.pos <= 2:
		return r.clock()
	case end-r.pos == 4 && r.year < 0:
		r.year = n
		r.order += "Y"
		if r.day < 0 && (next == '-' || next == '/') {
			return r.isoDate(end)
		}
	case r.day < 0 && end-r.pos <= 2:
		r.day = n
		r.order += "D"
	case r.year < 0 && r.day >= 0 && r.month >= 0 && end-r.pos >= 2:
		r.year = n
		r.order += "Y"
		r.fault(ShortYear)
		r.year += shortYearBase(n, end-r.pos)
	default:
		return false
	}
	r.take(end)
	if next == '-' && r.hour < 0 {
		r.pos++
		r.fault(Layout)
	}
	return true
}

// shortYearBase gives the century of RFC 5322 section 4.3: 00–49 is 2000 on, all else 1900 on.
func shortYearBase(n, digits int) int {
	if digits == 2 && n < 50 {
		return 2000
	}
	return 1900
}

// isoDate reads "-MM-DD" behind the year.
func (r *reader) isoDate(at int) bool {
	var m, d int
	rest := strings.ReplaceAll(r.s[at:min(at+6, len(r.s))], "/", "-")
	if n, err := fmt.Sscanf(rest, "-%2d-%2d", &m, &d); n != 2 || err != nil {
		return false
	}
	end := at + 1
	for dashes := 0; end < len(r.s) && (r.s[end] >= '0' && r.s[end] <= '9' || (r.s[end] == '-' || r.s[end] == '/') && dashes == 0); end++ {
		if r.s[end] == '-' || r.s[end] == '/' {
			dashes++
		}
	}
	r.month, r.day, r.iso = m, d, true
	r.fault(Layout)
	r.take(end)
	return true
}

// clock reads hh:mm[:ss[.frac]], also with dots.
func (r *reader) clock() bool {
	var parts [3]int
	end, n := r.pos, 0
	for n < 3 {
		start := end
		for end < len(r.s) && end-start < 2 && r.s[end] >= '0' && r.s[end] <= '9' {
			end++
		}
		if start == end {
			return false
		}
		parts[n], _ = strconv.Atoi(r.s[start:end])
		n++
		if n == 3 || end+1 >= len(r.s) || r.s[end] != ':' && r.s[end] != '.' || r.s[end+1] < '0' || r.s[end+1] > '9' {
			break
		}
		if r.s[end] == '.' {
			r.fault(Layout)
		}
		end++
	}
	if n < 2 {
		return false
	}
	r.hour, r.min, r.sec = parts[0], parts[1], parts[2]
	if end+1 < len(r.s) && (r.s[end] == '.' || r.s[end] == ',') && r.s[end+1] >= '0' && r.s[end+1] <= '9' {
		frac := end + 1
		for frac < len(r.s) && r.s[frac] >= '0' && r.s[frac] <= '9' {
			frac++
		}
		digits := (r.s[end+1:frac] + "000000000")[:9]
		r.nano, _ = strconv.Atoi(digits)
		end = frac
	}
	r.order += "T"
	r.take(end)
	return true
}

// numericZone reads ±hhmm, and the broken ±h:mm, ±hh:mm, ±hmm, ±hh.
func (r *reader) numericZone() bool {
	end := r.pos + 1
	var digits []byte
	for end < len(r.s) && (r.s[end] >= '0' && r.s[end] <= '9' || r.s[end] == ':' && len(digits) > 0) {
		if r.s[end] != ':' {
			digits = append(digits, r.s[end])
		}
		end++
	}
	h, m := 0, 0
	switch len(digits) {
	case 1, 2:
		h, _ = strconv.Atoi(string(digits))
	case 3:
		h, m = int(digits[0]-'0'), int(digits[1]-'0')*10+int(digits[2]-'0')
	case 4:
		h, m = int(digits[0]-'0')*10+int(digits[1]-'0'), int(digits[2]-'0')*10+int(digits[3]-'0')
	default:
		return false
	}
	if len(digits) != 4 || r.s[end-1] == ':' {
		r.fault(Layout)
	}
	if h > 23 || m > 59 {
		r.fault(BadZone)
		h, m = 0, 0
	}
	r.offset = (h*60 + m) * 60
	if r.s[r.pos] == '-' {
		r.offset = -r.offset
	}
	r.zone, r.zoneSet = r.s[r.pos:end], true
	r.take(end)
	return true
}

func (r *reader) namedZone(w string) bool {
	off, known := zones[w]
	switch {
	case known:
		r.fault(ObsoleteZone)
	case len(w) >= 3 && len(w) <= 5 && !clauseWord[w]:
		r.fault(UnknownZone)
	default:
		return false
	}
	r.offset, r.zone = off*60, strings.ToUpper(w)
	// "GMT+0800" goes on with a numeric zone, which rules; only a bare name ends the zone.
	next := r.pos + len(w)
	r.zoneSet = next >= len(r.s) || r.s[next] != '+' && r.s[next] != '-'
	return true
}

func (r *reader) fault(f Fault) {
	for _, x := range r.faults {
		if x == f {
			return
		}
	}
	r.faults = append(r.faults, f)
}

func (r *reader) date() (Date, error) {
	if r.pm && r.hour < 12 {
		r.hour += 12
	}
	if r.am && r.hour == 12 {
		r.hour = 0
	}
	if r.month < 1 || r.month > 12 || r.day < 1 || r.day > 31 || r.hour > 24 || r.min > 59 || r.sec > 60 {
		return Date{}, errors.New("a part is out of range")
	}
	t := time.Date(r.year, time.Month(r.month), r.day, r.hour, r.min, r.sec, r.nano, time.FixedZone("", r.offset))
	if t.Day() != r.day && r.hour < 24 && r.sec < 60 {
		return Date{}, errors.New("the month has no such day")
	}
	if r.order != "DMYT" && !r.iso {
		r.fault(Layout)
	}
	if r.zone == "" {
		r.fault(NoZone)
	}
	named := time.Date(r.year, time.Month(r.month), r.day, 0, 0, 0, 0, time.UTC).Weekday()
	if r.weekday != 0 && int(named+6)%7+1 != r.weekday {
		r.fault(WrongDay)
	}
	return Date{Time: t, Zone: r.zone, Faults: r.faults}, nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// indexName finds a name by its first three letters; the rest, where given, must be of the full name.
func indexName(names []string, w string) int {
	if len(w) < 3 {
		return -1
	}
	for i, n := range names {
		if strings.HasPrefix(n, w) || w == n || len(w) == 4 && strings.HasPrefix(n, w[:3]) && (w == "sept" || w == "tues" || w == "thur") {
			return i
		}
	}
	return -1
}

var days = [...]string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

var months = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

// clauseWord are words that follow a date without a semicolon in broken Received fields.
var clauseWord = map[string]bool{"for": true, "from": true, "with": true, "via": true, "env": true}

// zones in minutes east of UTC: RFC 5322 section 4.3, and what software writes besides. Names that mean different
// offsets in different places are left out, except where RFC 5322 defines them.
var zones = map[string]int{
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0,
	"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
	"akst": -540, "akdt": -480, "hst": -600, "ast": -240, "adt": -180, "nst": -210, "ndt": -150,
	"bst": 60, "cet": 60, "met": 60, "mez": 60, "west": 60, "cest": 120, "mest": 120, "mesz": 120, "eet": 120, "sast": 120,
	"eest": 180, "msk": 180, "msd": 240, "hkt": 480, "sgt": 480, "awst": 480, "jst": 540, "kst": 540,
	"aest": 600, "aedt": 660, "acst": 570, "acdt": 630, "nzst": 720, "nzdt": 780, "brt": -180,
}
