package internal_test

import (
	"os"
	"path"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// parserRooms are the rooms whose packages read what comes from outside: each package in them needs a fuzz test.
var parserRooms = []string{"mail/", "logs/"}

// parserPackages are further packages that read what comes from outside.
var parserPackages = []string{"wire/capture", "wire/smtp", "wire/tls", "wire/imap", "wire/pop3", "wire/managesieve", "wire/feed", "intake"}

// noParser are packages of those rooms that parse nothing themselves, with the reason.
var noParser = map[string]string{
	"logs/logstest": "helps the tests of dialects; it reads nothing",
}

var fuzzFunc = regexp.MustCompile(`(?m)^func Fuzz\w+\(f \*testing\.F\)`)

// TestEveryParserIsFuzzed wants a fuzz test in every package that reads what comes from outside.
func TestEveryParserIsFuzzed(t *testing.T) {
	has := map[string]bool{}
	for _, s := range sources(t) {
		if !isParserPackage(s.dir) {
			continue
		}
		if _, ok := has[s.dir]; !ok {
			has[s.dir] = false
		}
		if s.test {
			raw, err := os.ReadFile(s.file)
			if err != nil {
				t.Fatal(err)
			}
			has[s.dir] = has[s.dir] || fuzzFunc.Match(raw)
		}
	}
	var dirs []string
	for d := range has {
		dirs = append(dirs, d)
	}
	sort.Strings(dirs)
	for _, d := range dirs {
		if _, excused := noParser[d]; !has[d] && !excused {
			t.Errorf("%s reads what comes from outside and has no fuzz test", path.Join("internal", d))
		}
	}
}

func isParserPackage(dir string) bool {
	for _, p := range parserRooms {
		if strings.HasPrefix(dir, p) && !strings.Contains(dir, "testdata") {
			return true
		}
	}
	for _, p := range parserPackages {
		if dir == p {
			return true
		}
	}
	return false
}
