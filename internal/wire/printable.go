package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Printable keeps a line as it came, except that bytes that are no UTF-8 are written \xNN: a recording is JSON and
// could not hold them. Control characters stay; faces escape them.
func Printable(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
