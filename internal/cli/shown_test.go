package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestShownCommandLines parses every command line that help, the README files and docs show: the command is there, so
// are its flags, and the number of arguments is right. Nothing is run.
func TestShownCommandLines(t *testing.T) {
	a := newApp(nil, nil, nil, func(string) (string, bool) { return "", false })
	n := 0
	for _, c := range everyCommand(a.root()) {
		for _, line := range strings.Split(c.Example, "\n") {
			n += parses(t, "help of "+c.CommandPath(), line, true)
		}
	}
	root := a.root()
	for _, e := range examples {
		if find(root, e.command) == nil {
			t.Errorf("examples of %s: no such command", e.command)
		}
	}
	if n < 50 {
		t.Errorf("only %d examples in help", n)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(pages, "../../README.md", "../../README.zh-CN.md", "../../CONTRIBUTING.md") {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		block := false
		for _, line := range strings.Split(string(raw), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				block = !block
				continue
			}
			if block {
				parses(t, filepath.Base(name), line, true)
				continue
			}
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				parses(t, filepath.Base(name), m[1], false)
			}
		}
	}
}

var quoted = regexp.MustCompile("`((?:\\./)?mailwhy [^`]+)`")

func everyCommand(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, everyCommand(sub)...)
	}
	return all
}

// parses holds the command lines of a line of shell against the command tree and counts them. Only a whole one has its
// arguments: a sentence may name a command without them.
func parses(t *testing.T, where, line string, whole bool) (n int) {
	t.Helper()
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	if i := strings.Index(line, " #"); i >= 0 {
		line = line[:i]
	}
	for _, part := range regexp.MustCompile(`\s*(?:\||&&|;)\s*`).Split(line, -1) {
		words := shellWords(part)
		for len(words) > 0 && (strings.Contains(words[0], "=") || words[0] == "sudo" || words[0] == "exec") {
			words = words[1:]
		}
		if len(words) < 2 || words[0] != "mailwhy" && words[0] != "./mailwhy" {
			continue
		}
		n++
		if words[1] == "help" || strings.ContainsAny(part, "[…") || strings.Contains(part, "...") {
			continue // a pattern of command lines, not one
		}
		a := newApp(nil, nil, nil, func(string) (string, bool) { return "", false })
		c, rest, err := a.root().Find(words[1:])
		if err != nil {
			t.Errorf("%s: %q: %v", where, part, err)
			continue
		}
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("%s: %q: %v", where, part, err)
			continue
		}
		if err := c.ValidateArgs(c.Flags().Args()); err != nil && whole {
			t.Errorf("%s: %q: %v", where, part, err)
		}
	}
	return n
}

// shellWords cuts a line at blanks outside quotes, up to a redirection.
func shellWords(line string) (out []string) {
	var word strings.Builder
	open, inside := rune(0), false
	for _, r := range line + " " {
		switch {
		case open != 0 && r == open:
			open = 0
		case open == 0 && (r == '"' || r == '\''):
			open, inside = r, true
		case open == 0 && (r == ' ' || r == '\t'):
			if inside {
				w := word.String()
				if w == ">" || w == "<" || w == "2>&1" || w == "\\" {
					return out
				}
				out = append(out, w)
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	return out
}
