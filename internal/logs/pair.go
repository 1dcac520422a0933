package logs

import "bytes"

// Pair reads one "key=value" at the start of b, where fields are divided by sep (", " or " "), and gives what follows.
// A value in angle brackets or double quotes is read to its own end and given without them, so that what stands inside
// never becomes a field. ok is false where b does not begin with a key.
func Pair(b []byte, sep string) (key, value, rest []byte, ok bool) {
	n := 0
	for n < len(b) && n < 40 && (lower(b[n]|0x20) || digit(b[n]) || b[n] == '_' || b[n] == '-' || b[n] == '.') {
		n++
	}
	if n == 0 || n >= len(b) || b[n] != '=' {
		return nil, nil, b, false
	}
	key, b = b[:n], b[n+1:]
	switch {
	case len(b) > 0 && b[0] == '<':
		if v, r, ok := Angle(b); ok {
			for more := ok; more && Has(r, ",<"); {
				var tail []byte
				if _, tail, more = Angle(r[1:]); more {
					r = tail
				}
			}
			if len(b)-len(r) > len(v)+2 {
				v = b[:len(b)-len(r)]
			}
			if i := bytes.Index(r, []byte(sep)); i > 0 { // "<a>,<b>": several
				return key, b[:len(b)-len(r)+i], r[i+len(sep):], true
			}
			return key, v, bytes.TrimPrefix(r, []byte(sep)), true
		}
	case len(b) > 0 && b[0] == '"':
		for i := 1; i < len(b); i++ {
			if b[i] == '\\' {
				i++
			} else if b[i] == '"' {
				r := b[i+1:]
				if len(r) == 0 || Has(r, sep) {
					return key, b[1:i], bytes.TrimPrefix(r, []byte(sep)), true
				}
				if j := bytes.Index(r, []byte(sep)); j >= 0 { // a quoted local part
					return key, b[:i+1+j], r[j+len(sep):], true
				}
				return key, b, nil, true
			}
		}
	}
	if i := bytes.Index(b, []byte(sep)); i >= 0 {
		return key, b[:i], b[i+len(sep):], true
	}
	return key, b, nil, true
}

// FirstAngle gives the first address of "<a>,<b>" or "<a>", or the text itself.
func FirstAngle(b []byte) []byte {
	if a, _, ok := Angle(b); ok {
		return a
	}
	return b
}
