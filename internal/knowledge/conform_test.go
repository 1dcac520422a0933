package knowledge

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSharedReplies reads the collected replies and prints how each is read; it holds the share that is known.
func TestSharedReplies(t *testing.T) {
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	path := filepath.Join(dir, "replies", "responses.jsonl")
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("no sample replies: looked at %s", path)
	}
	defer f.Close()
	b := Embedded()
	n, known := 0, 0
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var d struct{ Provider, Response, Description string }
		if err := json.Unmarshal(sc.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		r := b.ReadReply(d.Response, ReplyContext{})
		n++
		if r.Known() {
			known++
		}
		t.Logf("%s\t%s\t%s\t%s\t%s\t%s", d.Provider, r.Cause, r.Certainty, r.Provider, r.Matched, strings.TrimSpace(d.Response[:min(len(d.Response), 130)]))
	}
	t.Logf("%d of %d replies known", known, n)
	if n > 0 && known*100 < n*95 {
		t.Errorf("only %d of %d replies known", known, n)
	}
}
