package date

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in     string
		want   string
		faults []Fault
	}{
		{"Tue, 29 Aug 2023 16:20:12 +0000", "2023-08-29T16:20:12Z", nil},
		{"Mon,  7 Aug 2006 17:48:07 +0200 (MEST)", "2006-08-07T17:48:07+02:00", nil},
		{"7 Aug 2006 17:48 +0200", "2006-08-07T17:48:00+02:00", nil},
		{"Fri Feb 07 10:18:12 2003 -0800", "2003-02-07T10:18:12-08:00", []Fault{Layout}},
		{"Fri Sep 14 14:36:56 EDT 2018", "2018-09-14T14:36:56-04:00", []Fault{ObsoleteZone, Layout}},
		{"Sun Nov 13 14:50:12 2005", "2005-11-13T14:50:12Z", []Fault{Layout, NoZone}},
		{"Fri, 27 Feb 04 14:16:56 -0800", "2004-02-27T14:16:56-08:00", []Fault{ShortYear}},
		{"Wed, 27 Feb 104 14:16:56 -0800", "2004-02-27T14:16:56-08:00", []Fault{ShortYear, WrongDay}},
		{"Thu, 6 May 2004 17:40:44-0500", "2004-05-06T17:40:44-05:00", nil},
		{"3 Jul 2002 15:43:50 UT", "2002-07-03T15:43:50Z", []Fault{ObsoleteZone}},
		{"14-Mar-2003 09:20:06 GMT", "2003-03-14T09:20:06Z", []Fault{Layout, ObsoleteZone}},
		{"2024-03-01T05:06:07.25+08:00", "2024-03-01T05:06:07.25+08:00", []Fault{Layout}},
		{"2024-03-01 05:06:07 +0800", "2024-03-01T05:06:07+08:00", []Fault{Layout}},
		{"Wed, 6 Mar 2024 01:02:03 GMT+0800", "2024-03-06T01:02:03+08:00", []Fault{ObsoleteZone}},
		{"Wed, 6 Mar 2024 1:02:03 PM +0000", "2024-03-06T13:02:03Z", []Fault{Layout}},
		{"Wed, 6 March 2024 01.02.03 +0000", "2024-03-06T01:02:03Z", []Fault{Layout}},
		{"Wed, 6 Mar 2024 01:02:03 +9900", "2024-03-06T01:02:03Z", []Fault{BadZone}},
		{"Wed, 6 Mar 2024 01:02:03 XYZ", "2024-03-06T01:02:03Z", []Fault{UnknownZone}},
		{"Wed, 6 Mar 2024 01:02:03 +0000 and more", "2024-03-06T01:02:03Z", []Fault{Trailing}},
		{"Thu, 31 Dec 1998 23:59:60 +0000", "1999-01-01T00:00:00Z", nil},
	} {
		d, err := Parse(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got := d.Time.Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
		got := slices.Clone(d.Faults)
		want := slices.Clone(c.faults)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: faults %v, want %v", c.in, d.Faults, c.faults)
		}
	}
}

func TestNotADate(t *testing.T) {
	for _, s := range []string{"", "yesterday", "Tue, 31 Feb 2023 00:00:00 +0000", "12:00:00", "Mon, 99 Mar 2024 01:02:03 +0000", "99999999999 Mar 2020 00:00:00"} {
		if d, err := Parse(s); !errors.Is(err, ErrNoDate) {
			t.Errorf("%q was read as %v (%v)", s, d.Time, err)
		}
	}
}

func TestPrefixStopsAtClause(t *testing.T) {
	s := "Thu, 20 Mar 03 10:06:43 +0100 for <a@b.example>"
	_, n, err := Prefix(s)
	if err != nil || s[n:] != " for <a@b.example>" {
		t.Errorf("took %d bytes, rest %q, %v", n, s[n:], err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Mon,  7 Aug 2006 17:48:07 +0200 (MEST)")
	f.Add("2024-03-01T05:06:07.25+08:00")
	f.Fuzz(func(t *testing.T, s string) {
		_, n, err := Prefix(s)
		if err == nil && (n <= 0 || n > len(s)) {
			t.Fatalf("took %d of %d bytes", n, len(s))
		}
		_, _ = Parse(s)
	})
}
