// Package tag reads the "tag=value; tag=value" lists in which DMARC, MTA-STS, TLS-RPT and BIMI records are written.
//
// Promise: every tag and every fault has its place in the text, as a byte offset; nothing is dropped silently. The
// grammar is that of RFC 6376 section 3.2 as RFC 7489, 8460, 8461 and 9989 borrow it. What a tag means is not known here.
package tag

import "strings"

// Tag is one tag=value of a list.
type Tag struct {
	Name     string // as written, white space around it removed
	Value    string // as written, white space around it removed
	Pos      int    // byte offset of the name
	ValuePos int    // byte offset of the value
}

// Kind says what is wrong at a place.
type Kind string

// The kinds of fault.
const (
	NoEquals   Kind = "no-equals"   // a part without "="
	NoName     Kind = "no-name"     // "=" without a name before it
	BadName    Kind = "bad-name"    // the name has a byte that no tag name has
	BadByte    Kind = "bad-byte"    // a byte outside printable ASCII
	Duplicate  Kind = "duplicate"   // a tag given before
	EmptyPart  Kind = "empty-part"  // two semicolons with nothing between
	EmptyValue Kind = "empty-value" // a tag without a value
)

// Fault is one thing wrong in a list.
type Fault struct {
	Kind Kind
	Pos  int    // byte offset
	Text string // the offending part, as written
}

// Parse cuts a list. Tags that are faulty but have a name and "=" are also given, so that a reader sees what was meant;
// of a duplicate tag only the first is given. An empty part at the end is no fault.
func Parse(s string) ([]Tag, []Fault) {
	var tags []Tag
	var faults []Fault
	for start := 0; start <= len(s); {
		end := len(s)
		if i := strings.IndexByte(s[start:], ';'); i >= 0 {
			end = start + i
		}
		part := s[start:end]
		last := end == len(s)
		if trim(part) == "" {
			if !last {
				faults = append(faults, Fault{EmptyPart, start, part})
			}
		} else if t, ok := one(part, start, &faults); ok {
			if Find(tags, t.Name) != nil {
				faults = append(faults, Fault{Duplicate, t.Pos, t.Name})
			} else {
				tags = append(tags, t)
			}
		}
		start = end + 1
	}
	return tags, faults
}

func one(part string, start int, faults *[]Fault) (Tag, bool) {
	lead := len(part) - len(strings.TrimLeft(part, space))
	pos := start + lead
	for i := range len(part) {
		if b := part[i]; (b < 0x20 && b != '\t') || b > 0x7e {
			*faults = append(*faults, Fault{BadByte, start + i, trim(part)})
			break
		}
	}
	name, value, ok := strings.Cut(part, "=")
	if !ok {
		*faults = append(*faults, Fault{NoEquals, pos, trim(part)})
		return Tag{}, false
	}
	valuePos := start + len(name) + 1 + len(value) - len(strings.TrimLeft(value, space))
	t := Tag{Name: trim(name), Value: trim(value), Pos: pos, ValuePos: valuePos}
	switch {
	case t.Name == "":
		*faults = append(*faults, Fault{NoName, pos, trim(part)})
		return Tag{}, false
	case !nameOK(t.Name):
		*faults = append(*faults, Fault{BadName, pos, t.Name})
	}
	if t.Value == "" {
		*faults = append(*faults, Fault{EmptyValue, t.Pos, t.Name})
	}
	return t, true
}

// space is the white space of the grammar (FWS). Other white space of Unicode is a fault, not space.
const space = " \t\r\n"

func trim(s string) string { return strings.Trim(s, space) }

func nameOK(n string) bool {
	for i := range len(n) {
		b := n[i] | 0x20
		if (b < 'a' || b > 'z') && (n[i] < '0' || n[i] > '9' || i == 0) && n[i] != '_' && n[i] != '-' {
			return false
		}
	}
	return true
}

// Find gives the tag of a name, compared without case, or nil.
func Find(tags []Tag, name string) *Tag {
	for i := range tags {
		if strings.EqualFold(tags[i].Name, name) {
			return &tags[i]
		}
	}
	return nil
}
