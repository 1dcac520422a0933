package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// sentencesInSource finds every literal that is a sentence: finding.M("…"), finding.S("…", …), finding.Msg("…"),
// x.say("…"), x.t("…"), a.nArgs(n, m, "…"), and {{t "…"}} in HTML templates.
func sentencesInSource(t *testing.T) map[finding.Msg]string {
	t.Helper()
	found := map[finding.Msg]string{}
	inTemplate := regexp.MustCompile(`\{\{t "([^"]+)"\}\}`)
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go"):
			return err
		case strings.HasSuffix(p, ".tmpl"):
			raw, err := readFile(p)
			for _, m := range inTemplate.FindAllStringSubmatch(string(raw), -1) {
				found[finding.Msg(m[1])] = p
			}
			return err
		case !strings.HasSuffix(p, ".go"):
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if i := sentenceArg(call); i >= 0 && i < len(call.Args) {
				if s, ok := literal(call.Args[i]); ok && s != "" {
					found[finding.Msg(s)] = fset.Position(call.Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// sentenceArg says which argument of a call is a sentence, -1 for none.
func sentenceArg(c *ast.CallExpr) int {
	name, qualified := "", ""
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
		if x, ok := f.X.(*ast.Ident); ok {
			qualified = x.Name + "." + name
		}
	case *ast.Ident:
		qualified = f.Name // inside package finding
	}
	switch {
	case qualified == "finding.M", qualified == "finding.S", qualified == "finding.Msg":
		return 0
	case name == "say":
		return 0
	case name == "nArgs":
		return 2
	}
	return -1
}

// literal is the value of a string literal, also of literals joined by +.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		a, ok1 := literal(e.X)
		b, ok2 := literal(e.Y)
		return a + b, ok1 && ok2
	case *ast.ParenExpr:
		return literal(e.X)
	}
	return "", false
}

func allSentences(t *testing.T) map[finding.Msg]string {
	all := sentencesInSource(t)
	for _, r := range Rules() {
		for _, m := range []finding.Msg{r.Title, r.Says, r.OK, r.Why, r.Repair} {
			if m != "" {
				all[m] = "rule " + r.ID
			}
		}
	}
	return all
}

func TestEverySentenceHasChinese(t *testing.T) {
	all, zh := allSentences(t), finding.Chinese()
	missing := map[finding.Msg]string{}
	for m, at := range all {
		switch tr, ok := zh[m]; {
		case !ok:
			missing[m] = ""
			t.Logf("missing: %s: %q", at, m)
		case strings.TrimSpace(tr) == "":
			t.Errorf("%s: empty translation of %q", at, m)
		case !slices.Equal(actions(string(m)), actions(tr)):
			t.Errorf("%s: the Chinese of %q uses other particulars: %q", at, m, tr)
		}
	}
	for m := range zh {
		if _, ok := all[m]; !ok {
			t.Errorf("stale: no such sentence any more: %q", m)
		}
	}
	if len(missing) > 0 {
		skeleton, _ := json.MarshalIndent(missing, "", " ")
		t.Errorf("%d sentences without Chinese; for internal/finding/zh/:\n%s", len(missing), unescape(skeleton))
	}
}

func unescape(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte(`\u003c`), []byte("<"))
	b = bytes.ReplaceAll(b, []byte(`\u003e`), []byte(">"))
	return bytes.ReplaceAll(b, []byte(`\u0026`), []byte("&"))
}

var action = regexp.MustCompile(`\{\{[^}]*\}\}`)

var field = regexp.MustCompile(`\.[A-Z]\w*`)

// actions lists the fields a template uses, sorted, each once: a translation must use the same. A field that is only
// the number of a plural may be missing where it is not shown, so plural's argument does not count.
func actions(s string) []string {
	set := map[string]bool{}
	for _, a := range action.FindAllString(s, -1) {
		if strings.Contains(a, "plural ") {
			continue
		}
		for _, f := range field.FindAllString(a, -1) {
			set[f] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func TestRulesAreSound(t *testing.T) {
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+$`)
	seen := map[string]*finding.Rule{}
	for _, r := range slices.Concat(catalogue...) {
		if !id.MatchString(r.ID) {
			t.Errorf("rule ID %q: want topic.fault in lower case", r.ID)
		}
		if was := seen[r.ID]; was != nil && was != r {
			t.Errorf("rule ID %s is used twice", r.ID)
		}
		seen[r.ID] = r
		if r.Title == "" || r.Says == "" || r.Why == "" {
			t.Errorf("%s: title, says and why must be there", r.ID)
		}
		if r.Repair == "" && r.Severity > finding.Note {
			t.Errorf("%s: no repair", r.ID)
		}
		if strings.Contains(string(r.Title), "{{") {
			t.Errorf("%s: a title has no particulars: it is shown without them", r.ID)
		}
	}
	for _, r := range seen {
		for _, ref := range r.Refs {
			refIsSound(t, r.ID, ref)
		}
		for _, a := range r.After {
			if seen[a] == nil {
				t.Errorf("%s comes after %s, which does not exist", r.ID, a)
			}
		}
		if c := cycle(r, seen, nil); c != nil {
			t.Errorf("causes go round: %v", c)
		}
	}
}

// refIsSound holds the shape of a reference: an RFC with a section that a table of contents may hold ("4.6.4", "A.1"), or
// a title with the place where it is found.
func refIsSound(t *testing.T, id string, ref finding.Ref) {
	t.Helper()
	section := regexp.MustCompile(`^([1-9][0-9]?|[A-Z])(\.[1-9][0-9]?){0,4}$`)
	switch {
	case ref.RFC == 0 && ref.Title == "":
		t.Errorf("%s: a reference without an RFC and without a title", id)
	case ref.RFC < 0 || ref.RFC > 9999:
		t.Errorf("%s: there is no RFC %d", id, ref.RFC)
	case ref.RFC == 0 && ref.Section != "":
		t.Errorf("%s: section %q of %q: sections are for RFCs", id, ref.Section, ref.Title)
	case ref.Section != "" && !section.MatchString(ref.Section):
		t.Errorf("%s: RFC %d has no section %q", id, ref.RFC, ref.Section)
	case ref.URL != "" && !strings.HasPrefix(ref.URL, "https://"):
		t.Errorf("%s: %q is no https address", id, ref.URL)
	}
}

func cycle(r *finding.Rule, all map[string]*finding.Rule, path []string) []string {
	if slices.Contains(path, r.ID) {
		return append(path, r.ID)
	}
	for _, a := range r.After {
		if all[a] != nil {
			if c := cycle(all[a], all, append(slices.Clone(path), r.ID)); c != nil {
				return c
			}
		}
	}
	return nil
}

// TestPrintedCommandsExist holds every finding.Cmd("name", …) literal against the command tree.
func TestPrintedCommandsExist(t *testing.T) {
	have := commandNames()
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(fset, p, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || len(c.Args) == 0 {
				return true
			}
			if sel, ok := c.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Cmd" {
				if s, ok := literal(c.Args[0]); ok && !have[s] {
					t.Errorf("%s: mailwhy %s is printed as a next step, but there is no such command", fset.Position(c.Pos()), s)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommandsInSentencesExist holds "mailwhy x" inside sentences, in both languages.
func TestCommandsInSentencesExist(t *testing.T) {
	have := commandNames()
	named := regexp.MustCompile(`mailwhy ([a-z]+)\b`)
	zh := finding.Chinese()
	for m, at := range allSentences(t) {
		for _, s := range []string{string(m), zh[m]} {
			for _, c := range named.FindAllStringSubmatch(s, -1) {
				if !have[c[1]] && !prose[c[1]] {
					t.Errorf("%s: mailwhy %s: there is no such command: %q", at, c[1], s)
				}
			}
		}
	}
}

// prose are words that follow the program's name in sentences about it.
var prose = map[string]bool{"has": true, "recognises": true, "is": true, "was": true, "does": true, "could": true, "can": true, "reads": true, "runs": true, "at": true, "itself": true, "knows": true, "of": true, "on": true, "means": true, "cannot": true}

func commandNames() map[string]bool {
	a := newApp(nil, nil, nil, func(string) (string, bool) { return "", false })
	have := map[string]bool{}
	for _, c := range a.root().Commands() {
		have[c.Name()] = true
	}
	return have
}

func run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = Run(context.Background(), args, strings.NewReader(""), &o, &e, func(string) (string, bool) { return "", false })
	return status, o.String(), e.String()
}

func TestHelpSpeaksBothLanguages(t *testing.T) {
	_, en, _ := run(t, "--help")
	_, zh, _ := run(t, "--help", "--lang", "zh")
	if !strings.Contains(en, "Exit status:") || !strings.Contains(zh, "退出码") {
		t.Errorf("help must state the exit status:\n%s\n%s", en, zh)
	}
}

func TestMalformedArguments(t *testing.T) {
	for _, args := range [][]string{
		{"--no-such-flag"}, {"--lang", "fr", "version"}, {"--format", "pdf", "version"}, {"--fail-on", "x", "version"},
		{"--color", "pink", "version"}, {"not a thing"}, {"version", "extra"}, {"--record", "a", "--replay", "b", "version"},
	} {
		status, out, errs := run(t, args...)
		if status != exitUsage || errs == "" || out != "" {
			t.Errorf("%q: status %d, stdout %q, stderr %q", args, status, out, errs)
		}
	}
}
