package intake

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// under gives all lines of the sources whose names begin so, sorted.
func under(m *memory, prefix string) (out []string) {
	for name, lines := range m.lines {
		if strings.HasPrefix(name, prefix) {
			out = append(out, lines...)
		}
	}
	slices.Sort(out)
	return out
}

func TestFolder(t *testing.T) {
	dir, m := t.TempDir(), newMemory()
	c := Config{Kind: "folder", Paths: []string{dir}}
	head := "#Software: Exchange\n#Fields: a,b\n"
	write(t, filepath.Join(dir, "a.log"), head+"a,1\na,2\n")
	gzipped(t, filepath.Join(dir, "b.log.gz"), head+"b,1\nb,2")
	write(t, filepath.Join(dir, "empty.log"), "")
	write(t, filepath.Join(dir, "c.bin"), strings.Repeat("\x01\x02\x03", 100))
	data := func() []string {
		return slices.DeleteFunc(under(m, "folder:"+dir+"#"), func(l string) bool { return l[0] == '#' })
	}
	in, stop := start(t, quick(), m, c)
	m.until(t, "both files", func() bool { return slices.Equal(data(), []string{"a,1", "a,2", "b,1", "b,2"}) })
	m.until(t, "the binary file told", func() bool { return in.Stats().Sources[0].Unreadable == 1 })
	stop()
	rename(t, filepath.Join(dir, "a.log"), filepath.Join(dir, "renamed.log"))
	write(t, filepath.Join(dir, "renamed.log"), "a,3\n")
	gzipped(t, filepath.Join(dir, "copy.gz"), head+"b,1\nb,2")
	write(t, filepath.Join(dir, "d.log"), "d,1\nd,2\n")
	start(t, quick(), m, c)
	m.until(t, "what is new", func() bool { return slices.Equal(data(), []string{"a,1", "a,2", "a,3", "b,1", "b,2", "d,1", "d,2"}) })
}

func TestStdin(t *testing.T) {
	m, o := newMemory(), quick()
	o.Stdin = strings.NewReader("one\ntwo\nhalf")
	in, err := New(o, []Config{{Kind: "stdin", Host: "mx1"}}, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Run(t.Context()); err != nil { // ends with its input
		t.Fatal(err)
	}
	m.wantLines(t, "stdin", "one", "two", "half")
}
