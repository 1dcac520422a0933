package knowledge

import "strings"

// Codes finds the basic code and the enhanced status in a reply or in a log or report line that quotes one. Only what
// can be a reply's code counts: a three-digit number at the start, after a colon, a bracket or a word that introduces
// one, or directly before an enhanced status or a dash. Nothing is invented: what is not there is "".
func Codes(text string) (code, enhanced string) {
	if len(text) > maxReplyText {
		text = text[:maxReplyText]
	}
	enhanced = findEnhanced(text)
	return findCode(text), enhanced
}

func findCode(text string) string {
	if i := codeAt(text); i >= 0 {
		return text[i : i+3]
	}
	return ""
}

// codeAt is where the reply code of a failure stands, else that of any reply, or -1.
func codeAt(text string) int {
	first := -1
	for i := 0; i+3 <= len(text); i++ {
		if c := text[i]; c != '4' && c != '5' && c != '2' && c != '3' {
			continue
		}
		if !isDigit(text[i+1]) || !isDigit(text[i+2]) || text[i+1] > '5' || !starts(text, i) {
			continue
		}
		if ends(text, i+3) {
			if text[i] >= '4' {
				return i
			}
			if first < 0 {
				first = i
			}
		}
	}
	return first
}

// introducers are the words after which a number is a reply code.
var introducers = []string{"said:", "response:", "response was:", "responded:", "reply:", "error:", "smtp;", "smtp ", "code:", "code ",
	"with:", "returned:", "status:", "<<<", "error ", "stat=", "reason:", "(", "[", "\"", "'", ">:", ">", ";", "answer:", "代码", "错误", "：", "- ", ": ", "status ", "initial "}

// starts tells that a reply code may begin at i.
func starts(text string, i int) bool {
	if i > 0 {
		if c := text[i-1]; isDigit(c) || c == '.' || c == '-' && i > 1 && text[i-2] != ' ' || isLetter(c) || c == '@' || c == '_' || c == '/' || c == '+' {
			return false
		}
	}
	before := strings.TrimRight(text[:i], " \t\r\n")
	if before == "" || len(before) != i && strings.ContainsRune(text[len(before):i], '\n') {
		return true
	}
	if before[len(before)-1] >= 0x80 {
		return true // behind Chinese or Japanese words
	}
	if after := text[i+3:]; len(after) > 5 && (after[0] == ' ' || after[0] == '-') && enhancedLen(after[1:]) > 0 {
		return true
	}
	low := strings.ToLower(tail(text[:i], 16))
	for _, w := range introducers {
		if strings.HasSuffix(low, w) || strings.HasSuffix(strings.TrimRight(low, " \t"), strings.TrimRight(w, " ")) {
			return true
		}
	}
	return false
}

// ends tells that a reply code may end at i.
func ends(text string, i int) bool {
	if i >= len(text) {
		return true
	}
	switch c := text[i]; c {
	case '-':
		return i+1 < len(text) && !isDigit(text[i+1]) || i+1 < len(text) && enhancedLen(text[i+1:]) > 0 || i+1 == len(text)
	case ' ', '\t', '\r', '\n', ']', ')', '"', '\'', ':', ';', ',', '<', '#':
		return true
	case '.':
		return i+1 == len(text) || !isDigit(text[i+1])
	default:
		return c >= 0x80
	}
}

func findEnhanced(text string) string {
	if i := enhancedAt(text); i >= 0 {
		return text[i : i+enhancedLen(text[i:])]
	}
	return ""
}

// enhancedAt is where the first telling enhanced status stands, else the first one, or -1.
func enhancedAt(text string) int {
	weak := -1
	for i := 0; i+5 <= len(text); i++ {
		if c := text[i]; c != '4' && c != '5' && c != '2' {
			continue
		}
		if i > 0 && (isDigit(text[i-1]) || text[i-1] == '.' || isLetter(text[i-1]) || text[i-1] == '/' || text[i-1] == '_') {
			continue
		}
		n := enhancedLen(text[i:])
		if n == 0 {
			continue
		}
		if !vague(text[i : i+n]) {
			return i
		}
		if weak < 0 {
			weak = i
		}
	}
	return weak
}

// enhancedLen is the length of the enhanced status at the start of s (RFC 3463: class "." 1*3digit "." 1*3digit), or 0.
func enhancedLen(s string) int {
	if len(s) < 5 || s[0] != '2' && s[0] != '4' && s[0] != '5' || s[1] != '.' {
		return 0
	}
	i := 2
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == 2 || i > 5 || i >= len(s) || s[i] != '.' {
		return 0
	}
	j := i + 1
	for j < len(s) && isDigit(s[j]) {
		j++
	}
	if j == i+1 || j > i+4 {
		return 0
	}
	if j < len(s) && (s[j] == '.' && j+1 < len(s) && isDigit(s[j+1]) || isLetter(s[j])) {
		return 0 // an IPv4 address or a version
	}
	if s[2] > '7' || i > 3 { // subjects end at 7; some servers go beyond, none with two digits before a real detail
		return 0
	}
	return j
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
