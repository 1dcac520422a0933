package tag

import "testing"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in     string
		tags   []Tag
		faults []Fault
	}{
		{"v=DMARC1; p=none;", []Tag{{"v", "DMARC1", 0, 2}, {"p", "none", 10, 12}}, nil},
		{"v = DMARC1 ;p= none", []Tag{{"v", "DMARC1", 0, 4}, {"p", "none", 12, 15}}, nil},
		{"v=1;;p=x", []Tag{{"v", "1", 0, 2}, {"p", "x", 5, 7}}, []Fault{{EmptyPart, 4, ""}}},
		{"v=1; p none", []Tag{{"v", "1", 0, 2}}, []Fault{{NoEquals, 5, "p none"}}},
		{"v=1; =x", []Tag{{"v", "1", 0, 2}}, []Fault{{NoName, 5, "=x"}}},
		{"v=1; p=a; P=b", []Tag{{"v", "1", 0, 2}, {"p", "a", 5, 7}}, []Fault{{Duplicate, 10, "P"}}},
		{"p=“none”", []Tag{{"p", "“none”", 0, 2}}, []Fault{{BadByte, 2, "p=“none”"}}},
		{"p=", []Tag{{"p", "", 0, 2}}, []Fault{{EmptyValue, 0, "p"}}},
		{"", nil, nil},
	} {
		tags, faults := Parse(c.in)
		if !same(tags, c.tags) || !same(faults, c.faults) {
			t.Errorf("%q:\n got %+v %+v\nwant %+v %+v", c.in, tags, faults, c.tags, c.faults)
		}
	}
}

func same[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func FuzzParse(f *testing.F) {
	f.Add("v=DMARC1; p=none; rua=mailto:a@b.example")
	f.Add(";;=;\x00")
	f.Fuzz(func(t *testing.T, s string) {
		tags, faults := Parse(s)
		for _, g := range tags {
			if g.Pos < 0 || g.ValuePos > len(s) || s[g.ValuePos:g.ValuePos+len(g.Value)] != g.Value {
				t.Fatalf("%q: tag %+v is not where it says", s, g)
			}
		}
		for _, x := range faults {
			if x.Pos < 0 || x.Pos > len(s) {
				t.Fatalf("%q: fault %+v lies outside", s, x)
			}
		}
	})
}
