package logs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestViewShowsWhatIsRead: every block is the same, whether it is looked at or read, with lines of all lengths at its ends.
func TestViewShowsWhatIsRead(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var text bytes.Buffer
	for text.Len() < 20<<20 {
		n := r.IntN(200)
		if r.IntN(20000) == 0 {
			n = r.IntN(3 * BlockSize)
		}
		fmt.Fprintf(&text, "%s\n", bytes.Repeat([]byte{'a' + byte(r.IntN(26))}, n))
	}
	text.WriteString("the last line has no end")
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var v View
	defer v.Close()
	shown := 0
	for range 3 {
		for _, i := range r.Perm(in.Blocks()) {
			want, from, err := in.Block(i, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Guard(func() {
				if got, base, ok := v.Block(in, i); ok {
					shown++
					if base != from || !bytes.Equal(got, want) {
						t.Errorf("block %d: %d bytes from %d on, want %d from %d on", i, len(got), base, len(want), from)
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v.text != nil && shown < 2*in.Blocks() {
		t.Errorf("%d blocks shown in three rounds of %d", shown, in.Blocks())
	}
}

// TestTextThatGoesAway: looking at a file that became shorter is an error and no crash; what is an error of the program stays a panic.
func TestTextThatGoesAway(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, bytes.Repeat([]byte("a line of a log\n"), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.Truncate(name, 100); err != nil {
		t.Fatal(err)
	}
	var v View
	defer v.Close()
	shown := false
	err = v.Guard(func() { _, _, shown = v.Block(in, 2) })
	if shown || v.text != nil && err == nil {
		t.Errorf("text shown that is not there any more, error %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a mistake of the program was taken for a file that became shorter")
		}
	}()
	v.Guard(func() { panic("a mistake") })
}
