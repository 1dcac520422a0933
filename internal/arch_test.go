package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The map of rooms. A room imports only rooms of lower rings and its own subfolders; two rooms of one ring do not meet.
var rings = map[string]int{
	"finding": 0, "event": 0,
	"mail": 1, "audit": 1, "knowledge": 1,
	"wire": 2, "logs": 2,
	"trace":   3,
	"check":   4,
	"monitor": 5, "intake": 5, "inbox": 5, "notify": 5, "change": 5, "access": 5, "runs": 5,
	"store": 6, "render": 6,
	"web": 7,
	"cli": 8,
}

// The survey packs of check may import topic packs; topic packs never import each other.
var surveys = map[string]bool{
	"domain": true, "host": true, "server": true, "delivery": true, "message": true, "path": true, "logs": true, "feedback": true,
	"capture": true, "receive": true, "canary": true, "find": true, "local": true, "score": true, "demo": true, "verify": true, "court": true, "journey": true,
}

// A few surveys follow one message through what other surveys look at, and join them.
var joining = map[string]bool{"receive": true, "canary": true}

const module = "github.com/mailwhy/mailwhy/"

// Doors for what a room must not import from outside, with the reason that the test prints.
var doors = []struct {
	what   string                 // import path, or a prefix that ends in /
	except func(room string) bool // rooms that may
	why    string
}{
	{"flag", isRoom("cli"), "flags are read by cli only: a room takes an options struct"},
	{"github.com/spf13/cobra", isRoom("cli"), "flags are read by cli only: a room takes an options struct"},
	{"database/sql", isRoom("store"), "SQL lives in store only: other rooms declare an interface"},
	{"zombiezen.com/go/sqlite/", isRoom("store"), "SQL lives in store only: other rooms declare an interface"},
	{"zombiezen.com/go/sqlite", isRoom("store"), "SQL lives in store only: other rooms declare an interface"},
	{"github.com/ClickHouse/", isRoom("store"), "SQL lives in store only: other rooms declare an interface"},
	{"os/exec", isRoom("wire"), "processes are started by wire only: take a door"},
	{"syscall", isRoom("wire", "store", "logs", "cli", "intake"), "sockets and system calls belong to wire"},
	{"github.com/danielgtaylor/huma/", isRoom("web"), "HTTP is served by web only"},
	{"C", func(string) bool { return false }, "the binary needs no cgo"},
}

// What pure rooms may not touch.
var pure = map[string][]string{
	"mail":      {"net/http", "os", "os/exec", "log", "log/slog", "crypto/tls"},
	"finding":   {"net/http", "os", "log", "log/slog", "net"},
	"event":     {"net/http", "os", "log", "log/slog", "net"},
	"knowledge": {"net/http", "os/exec"},
}

func isRoom(names ...string) func(string) bool {
	return func(room string) bool {
		for _, n := range names {
			if room == n {
				return true
			}
		}
		return false
	}
}

type source struct {
	file string // path below internal/
	dir  string // "check/spf"
	test bool
	ast  *ast.File
	fset *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || filepath.Dir(p) == "." {
			return err
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		out = append(out, source{p, path.Dir(p), strings.HasSuffix(p, "_test.go"), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d source files found: is the test run in internal/?", len(out))
	}
	return out
}

func room(dir string) string { r, _, _ := strings.Cut(dir, "/"); return r }

func TestRoomsImportOnlyLowerRings(t *testing.T) {
	for _, s := range sources(t) {
		from := room(s.dir)
		ring, known := rings[from]
		if !known {
			t.Errorf("%s: room %q is not on the map: add it to rings with its place, or move the file", s.file, from)
			continue
		}
		for _, imp := range imports(s) {
			if to, ours := strings.CutPrefix(imp, module+"internal/"); ours {
				if why := mayNot(s, ring, to); why != "" {
					t.Errorf("%s imports %s: %s", s.file, to, why)
				}
			}
		}
	}
}

// mayNot says why the file may not import the package below internal/, or "".
func mayNot(s source, ring int, to string) string {
	from, target := room(s.dir), room(to)
	switch {
	case from == "mail" && target == "knowledge":
		return "mail is what standards say, knowledge is what experience teaches: a standard does not depend on it"
	case target == "wire" && strings.Contains(to, "wiretest") && s.test:
		return "" // tests of any room may stand on the fake internet
	case from != target:
		if rings[target] >= ring {
			return "ring " + strconv.Itoa(rings[target]) + " from ring " + strconv.Itoa(ring) + "; imports go to lower rings only"
		}
		return ""
	case from == "mail", s.dir == to:
		return ""
	case from == "check":
		return checkDoor(s.dir, to)
	case strings.HasPrefix(to, s.dir+"/"), strings.HasPrefix(s.dir, to+"/"):
		if strings.HasPrefix(to, s.dir+"/") && (from == "wire" || from == "logs") && s.dir == from && !s.test {
			return "what siblings share lives in the parent, and children import the parent, never the reverse"
		}
		return ""
	case strings.Contains(s.dir, "wiretest") || strings.Contains(s.dir, "storetest") || s.test:
		return ""
	}
	return "siblings do not meet: what they share lives in their parent"
}

func checkDoor(dir, to string) string {
	if to == "check" {
		return ""
	}
	here, there := strings.TrimPrefix(dir, "check/"), strings.TrimPrefix(to, "check/")
	if h, _, _ := strings.Cut(here, "/"); strings.HasPrefix(there, h) {
		return ""
	}
	if surveys[here] && !surveys[there] || joining[here] && !joining[there] {
		return ""
	}
	return "topics never import each other, and surveys import topics, never each other but for those that join them"
}

func TestDoors(t *testing.T) {
	for _, s := range sources(t) {
		from := room(s.dir)
		for _, imp := range imports(s) {
			for _, d := range doors {
				hit := imp == d.what || strings.HasSuffix(d.what, "/") && strings.HasPrefix(imp, d.what)
				if hit && !d.except(from) && !s.test {
					t.Errorf("%s imports %s: %s", s.file, imp, d.why)
				}
			}
			for _, bad := range pure[from] {
				if imp == bad && !s.test {
					t.Errorf("%s imports %s: %s is a pure room", s.file, imp, from)
				}
			}
			if (from == "finding" || from == "event") && !s.test && strings.Contains(imp, ".") && !strings.HasPrefix(imp, module) {
				t.Errorf("%s imports %s: %s uses the standard library only", s.file, imp, from)
			}
		}
	}
}

// TestNoClockNoExit holds the calls that belong to one room.
func TestNoClockNoExit(t *testing.T) {
	calls := []struct {
		call string
		in   func(string) bool
		why  string
	}{
		{"os.Exit", isRoom("cli"), "only cli ends the program"},
		{"os.Getenv", isRoom("cli"), "only cli reads the environment: take it in the options struct"},
		{"os.LookupEnv", isRoom("cli"), "only cli reads the environment: take it in the options struct"},
		{"time.Now", func(r string) bool { return rings[r] >= 2 }, "pure rooms take the time as an argument"},
		{"http.ListenAndServe", isRoom("web"), "HTTP is served by web only"},
	}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, c := range calls {
				if x.Name+"."+sel.Sel.Name == c.call && !c.in(room(s.dir)) {
					t.Errorf("%s: %s: %s", s.fset.Position(n.Pos()), c.call, c.why)
				}
			}
			return true
		})
	}
}

// TestNoInitNoMutableGlobals keeps registration by import and hidden state out.
func TestNoInit(t *testing.T) {
	banned := map[string]bool{"util": true, "utils": true, "common": true, "helpers": true, "models": true, "types": true, "core": true}
	for _, s := range sources(t) {
		if banned[s.ast.Name.Name] {
			t.Errorf("%s: package %s: the name says nothing about what is in it", s.file, s.ast.Name.Name)
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !s.test {
				t.Errorf("%s: init(): lists are plain slices in sight, not registered by import", s.file)
			}
		}
	}
}

// TestPackagesSayTheirPromise wants a package comment in every package.
func TestPackagesSayTheirPromise(t *testing.T) {
	has := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		has[s.dir] = has[s.dir] || s.ast.Doc != nil
	}
	for dir, ok := range has {
		if !ok {
			t.Errorf("%s: no package comment: state the promise, the RFCs, and what it must not do", dir)
		}
	}
}

// TestPackageMain keeps the program's root at a few lines.
func TestPackageMain(t *testing.T) {
	raw, err := os.ReadFile("../main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), "\n"); n > 10 {
		t.Errorf("main.go has %d lines: it hands over to cli and does nothing else", n)
	}
}

func imports(s source) []string {
	var out []string
	for _, i := range s.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}
