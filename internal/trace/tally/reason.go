package tally

import "bytes"

// normalise takes the changing parts out of a reason, so that equal reasons fall together: addresses in angle brackets
// and with @, numbers of four digits and more, IP addresses, queue ids and host names in "host x[y] said". The kind is put in
// front; out is used again for what it gives.
func normalise(out []byte, kind string, text []byte) []byte {
	out = append(out[:0], kind...)
	out = append(out, ' ')
	if i := bytes.Index(text, []byte(" said: ")); i >= 0 && bytes.HasPrefix(text, []byte("host ")) {
		text = text[i+7:]
	}
	if i := bytes.LastIndex(text, []byte(" (in reply to ")); i > 0 {
		text = text[:i]
	}
	for i := 0; i < len(text) && len(out) < 300; {
		j := i
		for j < len(text) && !sep(text[j]) {
			j++
		}
		if j > i {
			out = append(out, token(text[i:j])...)
		}
		if j < len(text) {
			out = append(out, text[j])
			j++
		}
		i = j
	}
	return out
}

func sep(c byte) bool {
	return c == ' ' || c == '<' || c == '>' || c == '[' || c == ']' || c == '(' || c == ')' || c == ',' || c == ';' || c == '\'' || c == '"' || c == '='
}

var star = []byte("*")

// token keeps a word and replaces what changes from case to case with a star.
func token(w []byte) []byte {
	digits, letters, dots, colons := 0, 0, 0, 0
	for _, c := range w {
		switch {
		case c == '@':
			return star
		case c-'0' <= 9:
			digits++
		case c == '.':
			dots++
		case c == ':':
			colons++
		default:
			letters++
		}
	}
	switch {
	case digits == 0 && dots >= 2 && len(w) > 5, digits > 0 && dots >= 1 && letters > 3: // a host name
		return star
	case digits >= 4, digits > 0 && colons >= 2, digits >= 4 && dots == 3:
		return star
	}
	return w
}
