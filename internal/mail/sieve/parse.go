package sieve

import "strings"

// ArgKind says what an argument is.
type ArgKind uint8

// The kinds of argument.
const (
	StringArg ArgKind = iota
	ListArg
	NumberArg
	TagArg
)

// Arg is one argument. Strings are unquoted; a single string stands in Strings too.
type Arg struct {
	Kind    ArgKind
	Tag     string // without the colon, lower case
	Number  int64
	Strings []string
	Pos     Pos
}

// Test is a test with its arguments and, for not, allof and anyof, its tests.
type Test struct {
	Name  string // lower case
	Args  []Arg
	Tests []*Test
	List  bool // the tests stand in parentheses
	Pos   Pos
	Text  string // the source, white space made single, cut
	call  *call
}

// Command is a command with its tests and block.
type Command struct {
	Name  string // lower case
	Args  []Arg
	Tests []*Test
	Block []*Command
	Has   bool // a block is there, maybe empty
	Pos   Pos
	Text  string // the source without the block, cut
	call  *call
}

// Script is a script read without a fault of form.
type Script struct {
	Commands []*Command
	Requires []string // extensions named by require, in order
	Problems []Problem
}

type parser struct {
	lex   lexer
	tok   token
	prev  int // end of the token before
	nodes int
}

// Parse reads and checks a script. The error is a *SyntaxError; faults of meaning stand in Problems, and such a script
// can still be run to show what it would do.
func Parse(src []byte) (*Script, error) {
	text := strings.TrimPrefix(string(src), "\xef\xbb\xbf")
	p := &parser{lex: lexer{src: text, line: 1}}
	if len(text) > MaxScript {
		return nil, p.lex.fail(TooBig, Pos{1, 1}, "")
	}
	if err := p.step(); err != nil {
		return nil, err
	}
	cmds, err := p.commands(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, p.unexpected()
	}
	s := &Script{Commands: cmds}
	s.check()
	return s, nil
}

func (p *parser) step() (err error) {
	p.prev = p.tok.end
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) is(mark string) bool { return p.tok.kind == tokMark && p.tok.text == mark }

func (p *parser) unexpected() error {
	if p.tok.kind == tokEnd {
		return p.lex.fail(EndsEarly, p.tok.pos, "")
	}
	return p.lex.fail(Unexpected, p.tok.pos, p.lex.src[p.tok.off:p.tok.end])
}

func (p *parser) count(depth int) error {
	if p.nodes++; p.nodes > MaxNodes {
		return p.lex.fail(TooBig, p.tok.pos, "")
	}
	if depth > MaxDepth {
		return p.lex.fail(TooDeep, p.tok.pos, p.lex.src[p.tok.off:p.tok.end])
	}
	return nil
}

func (p *parser) commands(depth int) ([]*Command, error) {
	var out []*Command
	for p.tok.kind == tokWord {
		c, err := p.command(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (p *parser) command(depth int) (*Command, error) {
	if err := p.count(depth); err != nil {
		return nil, err
	}
	c := &Command{Name: p.tok.text, Pos: p.tok.pos}
	from := p.tok.off
	if err := p.step(); err != nil {
		return nil, err
	}
	var err error
	if c.Args, c.Tests, _, err = p.arguments(depth); err != nil {
		return nil, err
	}
	c.Text = squeeze(p.lex.src[from:p.prev])
	switch {
	case p.is(";"):
		return c, p.step()
	case p.is("{"):
		c.Has = true
		if err := p.step(); err != nil {
			return nil, err
		}
		if c.Block, err = p.commands(depth + 1); err != nil {
			return nil, err
		}
		if !p.is("}") {
			return nil, p.unexpected()
		}
		return c, p.step()
	}
	if p.tok.kind == tokEnd || p.tok.kind == tokWord || p.is("}") {
		return nil, p.lex.fail(NoSemicolon, c.Pos, c.Name)
	}
	return nil, p.unexpected()
}

// arguments reads arguments, then a test or a list of tests (RFC 5228 section 8.2).
func (p *parser) arguments(depth int) (args []Arg, tests []*Test, list bool, err error) {
	for {
		a := Arg{Pos: p.tok.pos}
		switch {
		case p.tok.kind == tokString:
			a.Strings = []string{p.tok.text}
		case p.tok.kind == tokNumber:
			a.Kind, a.Number = NumberArg, p.tok.num
		case p.tok.kind == tokTag:
			a.Kind, a.Tag = TagArg, p.tok.text
		case p.is("["):
			a.Kind = ListArg
			if a.Strings, err = p.strings(); err != nil {
				return
			}
			args = append(args, a)
			continue
		case p.tok.kind == tokWord:
			t, err := p.test(depth + 1)
			return args, []*Test{t}, false, err
		case p.is("("):
			tests, err = p.testList(depth + 1)
			return args, tests, true, err
		default:
			return
		}
		if err = p.count(depth); err != nil {
			return
		}
		args = append(args, a)
		if err = p.step(); err != nil {
			return
		}
	}
}

// strings reads ["a", "b"]; an empty list is an error of form.
func (p *parser) strings() ([]string, error) {
	var out []string
	for {
		if err := p.step(); err != nil {
			return nil, err
		}
		if p.tok.kind != tokString {
			return nil, p.unexpected()
		}
		if err := p.count(0); err != nil {
			return nil, err
		}
		out = append(out, p.tok.text)
		if err := p.step(); err != nil {
			return nil, err
		}
		if p.is("]") {
			return out, p.step()
		}
		if !p.is(",") {
			return nil, p.unexpected()
		}
	}
}

func (p *parser) test(depth int) (*Test, error) {
	if err := p.count(depth); err != nil {
		return nil, err
	}
	if p.tok.kind != tokWord {
		return nil, p.unexpected()
	}
	t := &Test{Name: p.tok.text, Pos: p.tok.pos}
	from := p.tok.off
	if err := p.step(); err != nil {
		return nil, err
	}
	var err error
	t.Args, t.Tests, t.List, err = p.arguments(depth)
	t.Text = squeeze(p.lex.src[from:max(p.prev, from)])
	return t, err
}

func (p *parser) testList(depth int) ([]*Test, error) {
	var out []*Test
	for {
		if err := p.step(); err != nil {
			return nil, err
		}
		t, err := p.test(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		if p.is(")") {
			return out, p.step()
		}
		if !p.is(",") {
			return nil, p.unexpected()
		}
	}
}

// squeeze makes source text fit a line.
func squeeze(s string) string {
	if len(s) > 400 {
		s = s[:400]
	}
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "�")
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return s
}
