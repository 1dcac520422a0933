package sieve

import (
	"regexp"
	"slices"
	"strings"
)

// Code names a fault of meaning.
type Code string

// The faults of meaning. Those up to BadRegex make a server refuse the script.
const (
	MissingRequire  Code = "missing-require"  // Word: the extension, More: what needs it
	LateRequire     Code = "late-require"     // require behind another command
	UnknownRequire  Code = "unknown-require"  // no extension of this name is known
	UnknownCommand  Code = "unknown-command"  //
	UnknownTest     Code = "unknown-test"     //
	UnknownTag      Code = "unknown-tag"      // Word: the tag, More: where
	WrongArguments  Code = "wrong-arguments"  // Word: the command or test
	TagConflict     Code = "tag-conflict"     // two tags of which only one may stand
	TestPlace       Code = "test-place"       // tests missing, too many, or where none may be
	BlockPlace      Code = "block-place"      // a block missing or where none may be
	ElseWithoutIf   Code = "else-without-if"  //
	BadComparator   Code = "bad-comparator"   //
	BadRelation     Code = "bad-relation"     //
	BadDatePart     Code = "bad-date-part"    //
	BadAddress      Code = "bad-address"      // of redirect or vacation :from
	BadName         Code = "bad-name"         // of a variable
	BadRegex        Code = "bad-regex"        // More: what the engine says
	NotRun          Code = "not-run"          // an extension servers have and this interpreter does not run
	HeaderColon     Code = "header-colon"     // "Subject:" never matches a header
	NotAnAddress    Code = "not-an-address"   // the address test on a header without addresses
	WildcardLiteral Code = "wildcard-literal" // * under :is or :contains stands for itself
	MatchesAll      Code = "matches-all"      // :contains "" and the like are always true
	Unreachable     Code = "unreachable"      // Word: the command, More: the line that ends the script before
	NeverTrue       Code = "never-true"       // a test that is false by itself
	UnusedRequire   Code = "unused-require"   //
)

// Problem is a fault of meaning at a place.
type Problem struct {
	Code Code   `json:"code"`
	Pos  Pos    `json:"at"`
	Word string `json:"word,omitempty"`
	More string `json:"more,omitempty"`
}

// Refused tells whether a server refuses a script with this fault.
func (p *Problem) Refused() bool {
	switch p.Code {
	case NotRun, HeaderColon, WildcardLiteral, MatchesAll, Unreachable, NeverTrue, UnusedRequire:
		return false
	}
	return true
}

// Refused tells whether a server refuses the script as a whole.
func (s *Script) Refused() bool {
	return slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.Refused() })
}

// call is a command or test with its arguments sorted out.
type call struct {
	tags map[string]Arg // the value of a tag; tags without one have a TagArg
	pos  []Arg          // in the order of the shape; an optional one left out has Strings nil
	bad  bool           // its arguments are wrong: it is not run
}

func (c *call) has(tag string) bool { _, ok := c.tags[tag]; return ok }

func (c *call) str(tag string) string {
	if a, ok := c.tags[tag]; ok && len(a.Strings) > 0 {
		return a.Strings[0]
	}
	return ""
}

// checker walks a script once. Its maps live for one script.
type checker struct {
	s        *Script
	commands map[string]shape
	tests    map[string]shape
	others   map[string][]string
	have     map[string]Pos
	used     map[string]bool
	missing  map[string]bool
}

func (s *Script) check() {
	c := &checker{s: s, commands: commandShapes(), tests: testShapes(), others: elsewhere(),
		have: map[string]Pos{}, used: map[string]bool{}, missing: map[string]bool{}}
	c.requires()
	c.block(s.Commands)
	for _, ext := range s.Requires {
		if !c.used[ext] && slices.Contains(Extensions(), ext) && ext != "encoded-character" && !c.implied(ext) {
			c.say(UnusedRequire, c.have[ext], ext, "")
		}
	}
	slices.SortStableFunc(s.Problems, func(a, b Problem) int {
		if a.Pos.Line != b.Pos.Line {
			return a.Pos.Line - b.Pos.Line
		}
		return a.Pos.Col - b.Pos.Col
	})
}

// implied tells of an extension whose use cannot be seen by its words alone.
func (c *checker) implied(ext string) bool {
	return strings.HasPrefix(ext, "comparator-") || ext == "vacation" && c.used["vacation-seconds"]
}

func (c *checker) say(code Code, at Pos, word, more string) {
	if len(c.s.Problems) < 500 {
		c.s.Problems = append(c.s.Problems, Problem{code, at, word, more})
	}
}

func (c *checker) requires() {
	other := false
	for _, cmd := range c.s.Commands {
		if cmd.Name != "require" {
			other = true
			continue
		}
		if other {
			c.say(LateRequire, cmd.Pos, "require", "")
		}
		for _, a := range cmd.Args {
			for _, ext := range a.Strings {
				if _, again := c.have[ext]; again {
					continue
				}
				c.have[ext] = a.Pos
				c.s.Requires = append(c.s.Requires, ext)
				if _, known := c.others[ext]; known {
					c.say(NotRun, a.Pos, ext, "")
				} else if !slices.Contains(Extensions(), ext) {
					c.say(UnknownRequire, a.Pos, ext, "")
				}
			}
		}
	}
}

// need notes that an extension is used, and says once where it was not required.
func (c *checker) need(ext string, at Pos, by string) {
	if ext == "" {
		return
	}
	c.used[ext] = true
	if _, ok := c.have[ext]; ok || c.missing[ext] {
		return
	}
	if ext == "vacation" {
		if _, ok := c.have["vacation-seconds"]; ok { // RFC 6131 section 2: it implies vacation
			return
		}
	}
	c.missing[ext] = true
	c.say(MissingRequire, at, ext, by)
}

func (c *checker) block(cmds []*Command) {
	prev := ""
	for _, cmd := range cmds {
		c.command(cmd, prev)
		prev = cmd.Name
	}
	c.reach(cmds)
}

// reach finds what stands behind a stop, or behind an if whose every branch stops.
func (c *checker) reach(cmds []*Command) {
	for i := 0; i < len(cmds); i++ {
		line := ends(cmds, i)
		if line == 0 {
			continue
		}
		j := i + 1
		for j < len(cmds) && (cmds[j].Name == "elsif" || cmds[j].Name == "else") {
			j++
		}
		if j < len(cmds) {
			c.say(Unreachable, cmds[j].Pos, cmds[j].Name, itoa(line))
		}
		return
	}
}

// ends gives the line of the stop that every way through command i comes to, or 0.
func ends(cmds []*Command, i int) int {
	switch cmds[i].Name {
	case "stop":
		return cmds[i].Pos.Line
	case "if":
		line := 0
		for j := i; j < len(cmds) && (j == i || cmds[j].Name == "elsif" || cmds[j].Name == "else"); j++ {
			if line = endsBlock(cmds[j].Block); line == 0 {
				return 0
			}
			if cmds[j].Name == "else" || always(cmds[j].Tests) {
				return line
			}
		}
	}
	return 0
}

func endsBlock(cmds []*Command) int {
	for i := range cmds {
		if line := ends(cmds, i); line > 0 {
			return line
		}
	}
	return 0
}

func always(ts []*Test) bool { return len(ts) == 1 && ts[0].Name == "true" }

func (c *checker) command(cmd *Command, prev string) {
	sh, ok := c.commands[cmd.Name]
	if !ok {
		if !c.foreign(cmd.Name, cmd.Pos) {
			c.say(UnknownCommand, cmd.Pos, cmd.Name, "")
		}
		cmd.call = &call{bad: true}
		for _, t := range cmd.Tests {
			c.test(t)
		}
		c.block(cmd.Block)
		return
	}
	c.need(sh.ext, cmd.Pos, cmd.Name)
	cmd.call = c.arguments(cmd.Name, sh, cmd.Args, cmd.Pos)
	if (cmd.Name == "elsif" || cmd.Name == "else") && prev != "if" && prev != "elsif" {
		c.say(ElseWithoutIf, cmd.Pos, cmd.Name, "")
	}
	if sh.block != cmd.Has {
		c.say(BlockPlace, cmd.Pos, cmd.Name, "")
	}
	c.testsOf(cmd.Name, sh, cmd.Tests, false, cmd.Pos)
	for _, t := range cmd.Tests {
		c.test(t)
		if t.Name == "false" {
			c.say(NeverTrue, t.Pos, "false", "")
		}
	}
	c.block(cmd.Block)
	if !cmd.call.bad {
		c.values(cmd)
	}
}

// foreign tells whether a word belongs to an extension that is not run here, and checks its require.
func (c *checker) foreign(name string, at Pos) bool {
	var exts []string
	for ext, words := range c.others {
		if slices.Contains(words, name) {
			if _, ok := c.have[ext]; ok {
				return true
			}
			exts = append(exts, ext)
		}
	}
	if len(exts) == 0 {
		return false
	}
	slices.Sort(exts)
	c.need(exts[0], at, name)
	return true
}

func (c *checker) testsOf(name string, sh shape, ts []*Test, list bool, at Pos) {
	ok := false
	switch sh.tests {
	case 0:
		ok = len(ts) == 0
	case '1':
		ok = len(ts) == 1 && !list
	case '*':
		ok = list && len(ts) > 0
	}
	if !ok {
		c.say(TestPlace, at, name, "")
	}
}

func (c *checker) test(t *Test) {
	sh, ok := c.tests[t.Name]
	if !ok {
		if !c.foreign(t.Name, t.Pos) {
			c.say(UnknownTest, t.Pos, t.Name, "")
		}
		t.call = &call{bad: true}
	} else {
		c.need(sh.ext, t.Pos, t.Name)
		t.call = c.arguments(t.Name, sh, t.Args, t.Pos)
		c.testsOf(t.Name, sh, t.Tests, t.List, t.Pos)
		if !t.call.bad {
			c.testValues(t)
		}
	}
	for _, sub := range t.Tests {
		c.test(sub)
	}
}

// arguments sorts the arguments of a call by its shape (RFC 5228 section 2.6).
func (c *checker) arguments(name string, sh shape, args []Arg, at Pos) *call {
	out := &call{tags: map[string]Arg{}}
	group := map[string]string{}
	wrong := func(p Pos) *call {
		c.say(WrongArguments, p, name, "")
		out.bad = true
		return out
	}
	var pos []Arg
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a.Kind != TagArg {
			pos = append(pos, a)
			continue
		}
		ts, ok := sh.tags[a.Tag]
		if !ok {
			c.say(UnknownTag, a.Pos, ":"+a.Tag, name)
			out.bad = true
			continue
		}
		if len(pos) > 0 {
			return wrong(a.Pos)
		}
		tag := a.Tag
		c.need(ts.ext, a.Pos, ":"+tag)
		if was := group[ts.group]; was != "" {
			c.say(TagConflict, a.Pos, ":"+a.Tag, ":"+was)
		}
		group[ts.group] = a.Tag
		if ts.arg != 0 {
			if i++; i >= len(args) || !fits(args[i], ts.arg) {
				return wrong(a.Pos)
			}
			a = args[i]
		}
		out.tags[tag] = a
	}
	want := sh.args
	if n := len(want); n > 0 && want[0] >= 'A' && want[0] <= 'Z' {
		if len(pos) == n-1 {
			pos = append([]Arg{{Kind: ListArg}}, pos...)
		}
		want = strings.ToLower(want)
	}
	if len(pos) != len(want) {
		return wrong(at)
	}
	for i := range pos {
		if pos[i].Strings == nil && pos[i].Kind == ListArg {
			continue // left out
		}
		if !fits(pos[i], want[i]) {
			return wrong(pos[i].Pos)
		}
	}
	out.pos = pos
	return out
}

func fits(a Arg, want byte) bool {
	switch want {
	case 's':
		return a.Kind == StringArg
	case 'l':
		return a.Kind == StringArg || a.Kind == ListArg
	case 'n':
		return a.Kind == NumberArg
	}
	return false
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *checker) values(cmd *Command) {
	k := cmd.call
	switch cmd.Name {
	case "redirect":
		if a := k.pos[0].Strings[0]; !c.expands(a) && !plainAddress(a) {
			c.say(BadAddress, k.pos[0].Pos, a, cmd.Name)
		}
	case "vacation":
		if a := k.str("from"); a != "" && !c.expands(a) && len(addresses(a)) != 1 {
			c.say(BadAddress, k.tags["from"].Pos, a, cmd.Name)
		}
	case "set":
		if n := k.pos[0].Strings[0]; !variableName.MatchString(n) {
			c.say(BadName, k.pos[0].Pos, n, "")
		}
	}
}

// expands tells whether a string may hold variables: its value is known only at run time.
func (c *checker) expands(s string) bool {
	_, on := c.have["variables"]
	return on && strings.Contains(s, "${")
}

var relations = []string{"gt", "ge", "lt", "le", "eq", "ne"}

func (c *checker) testValues(t *Test) {
	k := t.call
	if cmp, ok := k.tags["comparator"]; ok {
		name := cmp.Strings[0]
		switch name {
		case "i;octet", "i;ascii-casemap":
		case "i;ascii-numeric", "i;unicode-casemap":
			c.need("comparator-"+name, cmp.Pos, name)
		default:
			c.say(BadComparator, cmp.Pos, name, "")
		}
	}
	for _, tag := range []string{"value", "count"} {
		if a, ok := k.tags[tag]; ok && !slices.Contains(relations, strings.ToLower(a.Strings[0])) {
			c.say(BadRelation, a.Pos, a.Strings[0], "")
		}
	}
	switch t.Name {
	case "header", "exists", "address":
		for _, h := range k.pos[0].Strings {
			c.headerName(t, h, k.pos[0].Pos)
		}
	case "size":
		if len(k.tags) != 1 {
			c.say(WrongArguments, t.Pos, t.Name, "")
			k.bad = true
		}
	case "date", "currentdate":
		part := k.pos[len(k.pos)-2]
		if p := strings.ToLower(part.Strings[0]); !c.expands(p) && !slices.Contains(dateParts, p) {
			c.say(BadDatePart, part.Pos, part.Strings[0], "")
		}
	}
	if len(k.pos) > 0 && t.Name != "exists" && t.Name != "mailboxexists" && t.Name != "size" {
		c.keys(t, k.pos[len(k.pos)-1])
	}
}

// addressHeaders hold addresses by their standards (RFC 5228 section 5.1 allows no others in the address test).
var addressHeaders = []string{"from", "to", "cc", "bcc", "sender", "reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc",
	"resent-sender", "resent-reply-to", "return-path", "delivered-to", "x-original-to", "envelope-to", "errors-to", "mail-followup-to",
	"disposition-notification-to", "return-receipt-to", "apparently-to", "x-envelope-to", "x-delivered-to", "x-forwarded-to", "x-sender", "x-original-from"}

func (c *checker) headerName(t *Test, h string, at Pos) {
	switch {
	case c.expands(h):
	case strings.HasSuffix(strings.TrimSpace(h), ":") || strings.ContainsAny(h, " \t"):
		c.say(HeaderColon, at, h, "")
	case t.Name == "address" && !slices.Contains(addressHeaders, strings.ToLower(h)) && !strings.HasPrefix(strings.ToLower(h), "x-"):
		c.say(NotAnAddress, at, h, "")
	}
}

// keys looks at the patterns of a test.
func (c *checker) keys(t *Test, keys Arg) {
	k := t.call
	for _, key := range keys.Strings {
		switch {
		case c.expands(key):
		case k.has("regex"):
			if _, err := compileRegex(key, k.str("comparator")); err != nil {
				c.say(BadRegex, keys.Pos, key, err.Error())
			}
		case k.has("matches"):
			if key == "*" && t.Name != "hasflag" && t.Name != "string" && t.Name != "envelope" && t.Name != "header" && t.Name != "address" {
				c.say(MatchesAll, keys.Pos, key, t.Name)
			}
		case k.has("value"), k.has("count"):
		case k.has("contains") && key == "":
			c.say(MatchesAll, keys.Pos, key, t.Name)
		case strings.HasPrefix(key, "*") && len(key) > 2 || strings.HasSuffix(key, "*") && len(key) > 2:
			if !strings.HasPrefix(key, "**") {
				c.say(WildcardLiteral, keys.Pos, key, "")
			}
		}
	}
}
