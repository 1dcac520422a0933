package received

import "strings"

type kind uint8

const (
	word    kind = iota // any run of text; brackets [ ] may hold blanks
	comment             // ( … ), text without the outer brackets
	angle               // < … >
	semi                // ;
)

type token struct {
	kind       kind
	text       string
	start, end int // in the field
}

// tokenize cuts a field. Comments nest; one that is never closed ends at the first ")" or is read as plain words.
func tokenize(s string) []token {
	var out []token
	unclosed := false // no ")" is left: "(" is then only a blank
	for i := 0; i < len(s) && len(out) < 400; {
		switch c := s[i]; c {
		case ' ', '\t', ')', '\n', '\r':
			i++
		case ';':
			out = append(out, token{semi, ";", i, i + 1})
			i++
		case '(':
			end := -1
			if !unclosed {
				end = closing(s, i)
			}
			if end < 0 {
				unclosed, i = true, i+1
				continue
			}
			out = append(out, token{comment, strings.TrimSpace(s[i+1 : end]), i, end + 1})
			i = end + 1
		case '<':
			end := strings.IndexByte(s[i:], '>')
			if end < 0 || end > 512 {
				i++
				continue
			}
			out = append(out, token{angle, strings.TrimSpace(s[i+1 : i+end]), i, i + end + 1})
			i += end + 1
		default:
			end := wordEnd(s, i)
			if t := strings.Trim(s[i:end], ",\""); t != "" && t != "_" {
				out = append(out, token{word, t, i, end})
			}
			i = end
		}
	}
	return out
}

// closing finds the bracket that ends the comment at i: the matching one, else the first one.
func closing(s string, i int) int {
	depth := 0
	for j := i; j < len(s); j++ {
		switch s[j] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return j
			}
		}
	}
	if first := strings.IndexByte(s[i:], ')'); first >= 0 {
		return i + first
	}
	return -1
}

func wordEnd(s string, i int) int {
	for j := i; j < len(s); j++ {
		switch s[j] {
		case ' ', '\t', '\n', '\r', '(', ')', ';':
			return j
		case '<':
			if j > i {
				return j
			}
		case '[':
			if end := strings.IndexByte(s[j:min(len(s), j+256)], ']'); end > 0 {
				j += end
			}
		}
	}
	return len(s)
}
