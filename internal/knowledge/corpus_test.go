package knowledge

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCorpus reads replies of every family, in wording of our own.
func TestCorpus(t *testing.T) {
	raw, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	b := Embedded()
	for i, line := range strings.Split(string(raw), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, "\t", 3)
		if len(f) != 3 {
			t.Fatalf("line %d: %q", i+1, line)
		}
		host := f[1]
		if host == "-" {
			host = ""
		}
		r := b.ReadReply(f[2], ReplyContext{Host: host})
		if !slices.Contains(strings.Split(f[0], ","), r.Cause) {
			t.Errorf("line %d: want %s, got %s (%s %s %q %s): %s", i+1, f[0], r.Cause, r.Basis, r.Certainty, r.Matched, r.Provider, f[2])
		}
	}
}
