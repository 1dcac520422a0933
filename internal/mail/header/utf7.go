package header

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
)

// decodeUTF7 reads RFC 2152: "+" begins base64 of UTF-16, "-" or any other byte ends it, "+-" is a plus sign. What
// fits no character becomes U+FFFD.
func decodeUTF7(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); {
		if b[i] != '+' {
			if b[i] < 0x80 {
				out.WriteByte(b[i])
			} else {
				out.WriteRune('\uFFFD')
			}
			i++
			continue
		}
		j := i + 1
		for j < len(b) && isBase64(b[j]) {
			j++
		}
		if j == i+1 {
			out.WriteByte('+')
		} else {
			out.WriteString(utf16Run(b[i+1 : j]))
		}
		if j < len(b) && b[j] == '-' {
			j++
		}
		i = j
	}
	return out.String()
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

func utf16Run(s []byte) string {
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(s)))
	n, err := base64.RawStdEncoding.Decode(raw, s)
	if err != nil {
		return "\uFFFD"
	}
	u := make([]uint16, 0, n/2)
	for k := 0; k+1 < n; k += 2 {
		u = append(u, uint16(raw[k])<<8|uint16(raw[k+1]))
	}
	return string(utf16.Decode(u))
}
