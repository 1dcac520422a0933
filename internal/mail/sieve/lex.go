// Package sieve reads, checks and runs Sieve mail filters, and says which line did what and why.
//
// Promise: the answer is that of a server that follows the standards: RFC 5228 (base), 5229 (variables), 5173 (body),
// 5230 and 6131 (vacation), 5231 (relational), 5232 (imap4flags), 5233 (subaddress), 5260 (date), 5429 (reject,
// ereject), 5490 (mailbox), 3894 (copy) and the regex draft. Nothing is executed, sent or looked up: actions are given
// back as data. Bounded: scripts by MaxScript, MaxDepth and MaxNodes, values by MaxValue, traces by MaxSteps; patterns
// run on an engine without backtracking. It must not judge whether a filter is wise.
package sieve

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what is read and kept.
const (
	MaxScript = 1 << 20 // bytes of a script
	MaxDepth  = 32      // nested blocks, tests and lists
	MaxNodes  = 50000   // commands, tests and arguments of a script
	MaxValue  = 4000    // bytes of a variable (RFC 5229 section 6 wants at least 4000)
	MaxSteps  = 5000    // steps kept of a trace
)

// Pos is a place in a script, both from 1; Col counts bytes.
type Pos struct {
	Line int `json:"line"`
	Col  int `json:"column"`
}

// SyntaxCode names what is wrong with the form of a script.
type SyntaxCode string

// The faults of form.
const (
	Unexpected   SyntaxCode = "unexpected"    // something stands where it may not
	EndsEarly    SyntaxCode = "ends-early"    // the script ends inside a command, block or list
	OpenString   SyntaxCode = "open-string"   // a quoted or multi-line string is not closed
	OpenComment  SyntaxCode = "open-comment"  // a bracket comment is not closed
	NoSemicolon  SyntaxCode = "no-semicolon"  // a command ends without ; or a block
	BadNumber    SyntaxCode = "bad-number"    // beyond 2^63 or with an unknown unit
	TooDeep      SyntaxCode = "too-deep"      // beyond MaxDepth
	TooBig       SyntaxCode = "too-big"       // beyond MaxScript or MaxNodes
	BadCharacter SyntaxCode = "bad-character" // a byte no token starts with
)

// SyntaxError is the first fault of form; a server refuses the whole script for it.
type SyntaxError struct {
	Code SyntaxCode
	Pos  Pos
	Word string // what was met, or what is open
}

// Error tells the fault in English, for logs.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s %q", e.Pos.Line, e.Pos.Col, e.Code, e.Word)
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokWord
	tokTag
	tokNumber
	tokString
	tokMark // one of ; , { } ( ) [ ]
)

type token struct {
	kind tokenKind
	text string // words and tags in lower case, strings unquoted
	num  int64
	pos  Pos
	off  int // of the first byte
	end  int // behind the last byte
}

type lexer struct {
	src  string
	at   int
	line int
	bol  int // offset of the line's first byte
}

func (l *lexer) pos() Pos { return Pos{l.line, l.at - l.bol + 1} }

func (l *lexer) fail(c SyntaxCode, p Pos, word string) error {
	if len(word) > 40 {
		word = strings.ToValidUTF8(word[:40], "") + "…"
	}
	return &SyntaxError{c, p, word}
}

// skip passes white space and comments (RFC 5228 section 2.3).
func (l *lexer) skip() error {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n':
			l.at++
			l.line, l.bol = l.line+1, l.at
		case c == ' ', c == '\t', c == '\r':
			l.at++
		case c == '#':
			if i := strings.IndexByte(l.src[l.at:], '\n'); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.src)
			}
		case strings.HasPrefix(l.src[l.at:], "/*"):
			p := l.pos()
			i := strings.Index(l.src[l.at+2:], "*/")
			if i < 0 {
				return l.fail(OpenComment, p, "/*")
			}
			l.advance(i + 4)
		default:
			return nil
		}
	}
	return nil
}

// advance passes n bytes and counts their lines.
func (l *lexer) advance(n int) {
	s := l.src[l.at : l.at+n]
	l.line += strings.Count(s, "\n")
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		l.bol = l.at + i + 1
	}
	l.at += n
}

func isWordByte(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	t := token{pos: l.pos(), off: l.at, end: l.at}
	if l.at >= len(l.src) {
		return t, nil
	}
	var err error
	switch c := l.src[l.at]; {
	case strings.IndexByte(";,{}()[]", c) >= 0:
		t.kind, t.text = tokMark, string(c)
		l.at++
	case c == '"':
		t.kind = tokString
		t.text, err = l.quoted()
	case c == ':':
		l.at++
		t.kind, t.text = tokTag, l.word()
		if t.text == "" {
			err = l.fail(BadCharacter, t.pos, ":")
		}
	case c >= '0' && c <= '9':
		t.kind = tokNumber
		t.num, err = l.number()
	case isWordByte(c, true):
		t.kind, t.text = tokWord, l.word()
		if t.text == "text" && strings.HasPrefix(l.src[l.at:], ":") {
			t.kind = tokString
			t.text, err = l.multiline(t.pos)
		}
	default:
		err = l.fail(BadCharacter, t.pos, firstRune(l.src[l.at:]))
	}
	t.end = l.at
	return t, err
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

func (l *lexer) word() string {
	from := l.at
	for l.at < len(l.src) && isWordByte(l.src[l.at], l.at == from) {
		l.at++
	}
	return strings.ToLower(l.src[from:l.at])
}

func (l *lexer) quoted() (string, error) {
	p, from := l.pos(), l.at+1
	var b strings.Builder
	for i := from; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '\\' && i+1 < len(l.src):
			i++
			b.WriteByte(l.src[i])
		case c == '"':
			l.advance(i + 1 - l.at)
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", l.fail(OpenString, p, l.src[l.at:])
}

// multiline reads text: … up to a line of one dot, dots unstuffed. The lexer stands at the colon.
func (l *lexer) multiline(p Pos) (string, error) {
	rest := l.src[l.at+1:]
	nl := strings.IndexByte(rest, '\n')
	if nl < 0 {
		return "", l.fail(OpenString, p, "text:")
	}
	if head := strings.TrimSpace(rest[:nl]); head != "" && head[0] != '#' {
		return "", l.fail(Unexpected, p, "text:"+head)
	}
	l.advance(nl + 2)
	var b strings.Builder
	for l.at < len(l.src) {
		line, n := l.src[l.at:], len(l.src)-l.at
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line, n = line[:i], i+1
		}
		line = strings.TrimSuffix(line, "\r")
		l.advance(n)
		if line == "." {
			return b.String(), nil
		}
		if strings.HasPrefix(line, "..") { // dot-stuffing; a dot before other text stands for itself (section 2.4.2)
			line = line[1:]
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	return "", l.fail(OpenString, p, "text:")
}

func (l *lexer) number() (int64, error) {
	p, from := l.pos(), l.at
	for l.at < len(l.src) && l.src[l.at] >= '0' && l.src[l.at] <= '9' {
		l.at++
	}
	n, err := strconv.ParseInt(l.src[from:l.at], 10, 64)
	shift := 0
	if l.at < len(l.src) {
		switch l.src[l.at] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
		if shift > 0 {
			l.at++
		}
	}
	glued := l.at < len(l.src) && isWordByte(l.src[l.at], true)
	if err != nil || glued || n > (1<<62)>>shift {
		for l.at < len(l.src) && isWordByte(l.src[l.at], false) {
			l.at++
		}
		return 0, l.fail(BadNumber, p, l.src[from:l.at])
	}
	return n << shift, nil
}
