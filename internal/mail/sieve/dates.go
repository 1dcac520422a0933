package sieve

import (
	"fmt"
	"strconv"
	"time"
)

// dateParts are the parts of a date that can be compared (RFC 5260 section 4.2).
var dateParts = []string{"year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone", "weekday"}

// datePart gives a part of a time as text; ok is false for an unknown part.
func datePart(t time.Time, part string) (s string, ok bool) {
	switch part {
	case "year":
		return t.Format("2006"), true
	case "month":
		return t.Format("01"), true
	case "day":
		return t.Format("02"), true
	case "date":
		return t.Format("2006-01-02"), true
	case "julian":
		// Modified Julian Day: days since 17 November 1858.
		day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		return strconv.FormatInt(day.Unix()/86400+40587, 10), true
	case "hour":
		return t.Format("15"), true
	case "minute":
		return t.Format("04"), true
	case "second":
		return t.Format("05"), true
	case "time":
		return t.Format("15:04:05"), true
	case "iso8601":
		return t.Format("2006-01-02T15:04:05-07:00"), true
	case "std11":
		return t.Format("Mon, 02 Jan 2006 15:04:05 -0700"), true
	case "zone":
		return t.Format("-0700"), true
	case "weekday":
		return strconv.Itoa(int(t.Weekday())), true
	}
	return "", false
}

// inZone moves a time into an offset like "+0800"; ok is false for what is none.
func inZone(t time.Time, zone string) (time.Time, bool) {
	var sign byte
	var h, m int
	if n, err := fmt.Sscanf(zone, "%c%02d%02d", &sign, &h, &m); n != 3 || err != nil || len(zone) != 5 || h > 23 || m > 59 {
		return t, false
	}
	off := (h*60 + m) * 60
	if sign == '-' {
		off = -off
	} else if sign != '+' {
		return t, false
	}
	return t.In(time.FixedZone("", off)), true
}
