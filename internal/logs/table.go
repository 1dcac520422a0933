package logs

import (
	"bytes"
	"strings"
)

// Cell takes one value off a row. Doubled quotes inside a quoted value are left doubled: nothing is copied.
func Cell(b []byte, sep byte) (v, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		for i := 1; i < len(b); i++ {
			if b[i] != '"' {
				continue
			}
			if i+1 < len(b) && b[i+1] == '"' {
				i++
				continue
			}
			rest = b[i+1:]
			if j := bytes.IndexByte(rest, sep); j >= 0 {
				return b[1:i], rest[j+1:]
			}
			return b[1:i], nil
		}
		return b[1:], nil
	}
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// Columns reads the head of a table.
func Columns(line []byte, sep byte) (names []string) {
	for len(line) > 0 && len(names) < 256 {
		var c []byte
		c, line = Cell(line, sep)
		names = append(names, ColumnName(c))
	}
	return names
}

// ColumnName is how a column is called here: event-id, event_id, EventId and "Event ID" are the same one.
func ColumnName(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(strings.TrimSpace(string(b))))
}

// IsHead tells the line that names the columns.
func IsHead(v []byte, first string) bool {
	return first != "" && len(v) < 40 && len(v) >= len(first) && v[0]|0x20 == first[0] && ColumnName(v) == first
}
