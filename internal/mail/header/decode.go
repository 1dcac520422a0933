package header

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

func validUTF8(b []byte) bool { return utf8.Valid(b) }

// Decode turns encoded words (RFC 2047) and raw 8-bit text of an unfolded value into UTF-8. Adjacent words of the same
// charset and encoding are joined before they are decoded, since many senders cut inside a character. Words that are
// broken beyond repair stand as they were written. The result is always valid UTF-8.
func Decode(v string) string {
	if !strings.Contains(v, "=?") {
		return eightBit(v)
	}
	var out strings.Builder
	var pend pending
	for len(v) > 0 {
		i := strings.Index(v, "=?")
		if i < 0 {
			break
		}
		w, n := cutWord(v[i:])
		if n == 0 { // "=?" that begins no word
			pend.flush(&out)
			out.WriteString(eightBit(v[:i+2]))
			v = v[i+2:]
			continue
		}
		between := v[:i]
		if !pend.any || strings.Trim(between, " \t") != "" {
			pend.flush(&out)
			out.WriteString(eightBit(between))
		}
		pend.add(w, &out)
		v = v[i+n:]
	}
	pend.flush(&out)
	out.WriteString(eightBit(v))
	return out.String()
}

// word is one encoded word after its transfer encoding was undone.
type word struct {
	charset string
	enc     byte // 'b' or 'q'
	data    []byte
}

// pending holds decoded bytes of adjacent words of one charset.
type pending struct {
	any     bool
	charset string
	data    []byte
}

func (p *pending) add(w word, out *strings.Builder) {
	if p.any && !strings.EqualFold(p.charset, w.charset) {
		p.flush(out)
	}
	p.any, p.charset = true, w.charset
	p.data = append(p.data, w.data...)
}

func (p *pending) flush(out *strings.Builder) {
	if !p.any {
		return
	}
	s, _ := DecodeCharset(p.charset, p.data)
	out.WriteString(s)
	*p = pending{}
}

// cutWord reads "=?charset?e?text?=" at the start of s; n is its length, 0 when there is none. It is tolerant: the text
// of a Q word may hold spaces and question marks, padding may be missing, an RFC 2231 language suffix is dropped.
func cutWord(s string) (w word, n int) {
	c := strings.IndexByte(s[2:], '?')
	if c <= 0 || c > 60 {
		return w, 0
	}
	w.charset, _, _ = strings.Cut(s[2:2+c], "*")
	i := 2 + c + 1
	if len(s) < i+2 || s[i+1] != '?' || strings.ContainsAny(w.charset, " \t\"") {
		return w, 0
	}
	w.enc = s[i] | 0x20
	text := s[i+2:]
	end := strings.Index(text, "?=")
	// A Q word whose text begins with "=" looks ended at once: "=?utf-8?Q?=E4…".
	if end == 0 && w.enc == 'q' {
		if e := strings.Index(text[1:], "?="); e >= 0 {
			end = e + 1
		}
	}
	if end < 0 {
		return w, 0
	}
	text = text[:end]
	n = i + 2 + end + 2
	switch w.enc {
	case 'b':
		data, ok := lenientBase64(text)
		if !ok {
			return w, 0
		}
		w.data = data
	case 'q':
		w.data = qText(text)
	default:
		return w, 0
	}
	return w, n
}

// lenientBase64 drops what is not of the alphabet and takes missing padding.
func lenientBase64(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/':
			b = append(b, c)
		case c == '=' || c == ' ' || c == '\t':
		default:
			return nil, false
		}
	}
	if len(b)%4 == 1 {
		b = b[:len(b)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(out, b)
	return out[:n], err == nil
}

func qText(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(s) && hex(s[i+1]) < 16 && hex(s[i+2]) < 16:
			out = append(out, hex(s[i+1])<<4|hex(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func hex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// eightBit makes raw text valid UTF-8: as it is, or as GB18030 where that fits, or as Windows-1252.
func eightBit(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	t, _ := DecodeCharset("", []byte(s))
	return t
}

// DecodeCharset turns bytes of a named charset (an IANA or WHATWG label, in any case; UTF-7 too) into UTF-8. For an
// unknown or empty name the charset is guessed, and ok is false. Bytes that fit no character become U+FFFD.
func DecodeCharset(name string, b []byte) (s string, ok bool) {
	name = strings.ToLower(strings.Trim(strings.TrimSpace(name), "\"'"))
	switch name {
	case "utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8":
		if utf8.Valid(b) {
			return string(b), true
		}
		if name == "us-ascii" || name == "ascii" {
			return guess(b), true
		}
		return strings.ToValidUTF8(string(b), "\uFFFD"), true
	case "utf-7", "unicode-1-1-utf-7", "utf7":
		return decodeUTF7(b), true
	case "gb2312", "gbk", "cp936", "gb_2312-80", "euc-cn", "x-gbk", "ms936", "gb18030", "hz-gb-2312":
		if name == "hz-gb-2312" {
			return decodeWith(simplifiedchinese.HZGB2312, b), true
		}
		return decodeWith(simplifiedchinese.GB18030, b), true // a superset of both
	}
	e, err := htmlindex.Get(alias(name))
	if err != nil {
		return guess(b), false
	}
	return decodeWith(e, b), true
}

// alias maps names seen in mail that the WHATWG index lacks.
func alias(name string) string {
	switch name {
	case "cp932", "ms932", "windows-31j":
		return "shift_jis"
	case "cp950", "big5-eten":
		return "big5"
	case "ks_c_5601-1987", "ks_c_5601", "cp949", "ms949":
		return "euc-kr"
	case "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "cp50220":
		return "iso-2022-jp"
	}
	if n, ok := strings.CutPrefix(name, "cp125"); ok {
		return "windows-125" + n
	}
	return name
}

func decodeWith(e encoding.Encoding, b []byte) string {
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return guess(b)
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}

// guess reads bytes of an unknown charset: UTF-8, then GB18030 where all fits, then Windows-1252.
func guess(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil && !strings.Contains(string(out), "\uFFFD") {
		return string(out)
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}
