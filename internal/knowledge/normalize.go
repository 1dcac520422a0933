package knowledge

import "strings"

// normalize makes the text of a reply comparable: ASCII lower case, runs of white space as one space, typographic quotes
// as ASCII, and without the code and status that multi-line replies repeat in the middle of a sentence.
func normalize(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	space, word := true, 0 // word: where the current word starts in b
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if !space {
				b.WriteByte(' ')
				space = true
			}
			continue
		case c == 0xE2 && strings.HasPrefix(text[i:], "\u2019"), c == 0xE2 && strings.HasPrefix(text[i:], "\u2018"):
			c = '\''
			i += 2
		case c == 0xE2 && (strings.HasPrefix(text[i:], "\u2013") || strings.HasPrefix(text[i:], "\u2014")):
			c = '-'
			i += 2
		case c == '`':
			c = '\''
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		if space {
			if n := repeated(text[i:], word); n > 0 {
				i += n - 1
				continue
			}
			space = false
		}
		word = b.Len()
		b.WriteByte(c)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// repeated is the length of a "550-5.1.1 ", "550 5.1.1 " or "550-" at the start of s, where it is not the first word.
func repeated(s string, sofar int) int {
	if sofar == 0 || len(s) < 5 || s[0] != '4' && s[0] != '5' || !isDigit(s[1]) || !isDigit(s[2]) || s[3] != '-' && s[3] != ' ' {
		return 0
	}
	if n := enhancedLen(s[4:]); n > 0 {
		return 4 + n
	}
	if s[3] == '-' && !isDigit(s[4]) {
		return 4
	}
	return 0
}

// Flow joins the lines of a reply for reading: the code and status that a multi-line reply repeats are left out after
// the first.
func Flow(reply string) string {
	words := strings.Fields(reply)
	out := words[:0]
	for i := 0; i < len(words); i++ {
		w := words[i]
		if i > 0 && len(w) > 4 && w[3] == '-' && (w[0] == '4' || w[0] == '5') && isDigit(w[1]) && isDigit(w[2]) && enhancedLen(w[4:]) == len(w)-4 {
			continue
		}
		if i > 0 && i+1 < len(words) && len(w) == 3 && (w[0] == '4' || w[0] == '5') && enhancedLen(words[i+1]) == len(words[i+1]) && len(out) > 0 && strings.HasPrefix(words[0], w) {
			i++
			continue
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}
