package logs

import "bytes"

// Member goes through the members of an object of JSON without copying: strings are given as they are written, between
// their quotes and with their escapes; numbers, words, lists and objects whole.
type Member struct {
	Key, Value []byte
	Quoted     bool // the value is a string
	rest       []byte
}

// Members begins at the object that b begins with. Broken JSON ends it.
func Members(b []byte) Member {
	if len(b) == 0 || b[0] != '{' {
		return Member{}
	}
	return Member{rest: b[1:]}
}

// Next goes to the next member; false behind the last.
func (m *Member) Next() bool {
	b := m.rest
	i := space(b, 0)
	for i < len(b) && b[i] == ',' {
		i = space(b, i+1)
	}
	if i >= len(b) || b[i] != '"' {
		return false
	}
	n := quotedEnd(b[i:])
	if n == 0 {
		return false
	}
	m.Key = b[i+1 : i+n-1]
	if i = space(b, i+n); i >= len(b) || b[i] != ':' {
		return false
	}
	if i = space(b, i+1); i >= len(b) {
		return false
	}
	if m.Quoted = b[i] == '"'; m.Quoted {
		n = quotedEnd(b[i:])
	} else {
		n = jsonSkip(b[i:])
	}
	if n == 0 {
		return false
	}
	if m.Value = b[i : i+n]; m.Quoted {
		m.Value = b[i+1 : i+n-1]
	}
	m.rest = b[i+n:]
	return true
}

// Item gives the first item of a list of JSON, and the rest of the list.
func Item(b []byte) (item, rest []byte, ok bool) {
	i := 0
	for i < len(b) && (b[i] == '[' || b[i] == ',' || b[i] == ' ') {
		i++
	}
	if i >= len(b) || b[i] == ']' {
		return nil, nil, false
	}
	if b[i] == '"' {
		n := quotedEnd(b[i:])
		if n == 0 {
			return nil, nil, false
		}
		return b[i+1 : i+n-1], b[i+n:], true
	}
	n := jsonSkip(b[i:])
	if n == 0 {
		return nil, nil, false
	}
	return b[i : i+n], b[i+n:], true
}

// Unescaped gives a string as it is meant: the bytes themselves where it has no escapes, a copy otherwise.
func Unescaped(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			out = append(out, b[i])
			i++
			continue
		}
		var n int
		if out, n = jsonEscape(out, b[i:]); n == 0 {
			return out
		}
		i += n
	}
	return out
}

// quotedEnd is the length of a string with its quotes, 0 for one that does not end.
func quotedEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
