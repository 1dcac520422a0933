package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Clean makes hostile text safe for a terminal: control characters, escape sequences, bidirectional overrides and
// broken UTF-8 become visible \x1b forms. Tabs and newlines become a space.
func Clean(s string) string { return clean(s, false) }

// CleanBlock is Clean for a verbatim block: newlines stay.
func CleanBlock(s string) string { return clean(s, true) }

func clean(s string, lines bool) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' && lines:
			b.WriteByte('\n')
		case r == '\r' && i+1 < len(s) && s[i+1] == '\n': // a line ends: nothing is hidden
		case r == '\t' || r == '\n':
			b.WriteByte(' ')
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		case !unicode.IsPrint(r) && r != '　':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func isPlain[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// columns is the width of a string on a terminal: wide East Asian characters take two, combining marks none.
func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// pad fills a string with spaces to a width in columns.
func pad(s string, w int) string {
	if d := w - columns(s); d > 0 {
		return s + strings.Repeat(" ", d)
	}
	return s
}

// cut shortens a string to a width in columns, with an ellipsis.
func cut(s string, w int) string {
	if columns(s) <= w {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > w-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// wrap breaks text into lines of at most w columns: at spaces, and between any two East Asian characters, but never so
// that a closing mark begins a line. A word longer than a line is left whole, so that it can be copied.
func wrap(s string, w int) []string {
	var lines []string
	line, lineW := "", 0
	for _, word := range breakable(s) {
		ww := columns(strings.TrimRight(word, " "))
		if lineW > 0 && lineW+ww > w {
			lines = append(lines, strings.TrimRight(line, " "))
			line, lineW = "", 0
		}
		line += word
		lineW += columns(word)
	}
	return append(lines, strings.TrimRight(line, " "))
}

const (
	closing = "，。、；：？！）」』》】…”’)]},.;:?!"
	opening = "（「『《【“‘([{"
)

// breakable cuts text into pieces between which a line may break; trailing spaces stay with their piece.
func breakable(s string) []string {
	var out []string
	start := 0
	rs := []rune(s)
	for i := 1; i < len(rs); i++ {
		prev, r := rs[i-1], rs[i]
		afterSpace := prev == ' ' && r != ' '
		eastAsian := (runeColumns(prev) == 2 || runeColumns(r) == 2) && r != ' ' &&
			!strings.ContainsRune(closing, r) && !strings.ContainsRune(opening, prev)
		if afterSpace || eastAsian {
			out = append(out, string(rs[start:i]))
			start = i
		}
	}
	return append(out, string(rs[start:]))
}

// Command writes a command line as it would be typed, quoted for a POSIX shell where needed.
func Command(c finding.Command) string {
	if len(c) == 0 {
		return ""
	}
	words := []string{"mailwhy"}
	for _, w := range c {
		words = append(words, quote(Clean(w)))
	}
	return strings.Join(words, " ")
}

func quote(w string) string {
	plain := w != ""
	for _, r := range w {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.,:/@%+=[]", r) || r > 0x7f) {
			plain = false
			break
		}
	}
	if plain {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
