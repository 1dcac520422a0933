package intake

import (
	"bytes"
	"strings"
	"testing"
)

func cutAll(t *testing.T, chunks ...string) (lines []string, ends []int64, c *cutter) {
	t.Helper()
	c = &cutter{emit: func(line []byte, end int64) error {
		lines, ends = append(lines, string(line)), append(ends, end)
		return nil
	}}
	for _, s := range chunks {
		if err := c.feed([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return lines, ends, c
}

func TestCutter(t *testing.T) {
	lines, ends, c := cutAll(t, "one\r\nt", "wo\n", "\x00\x00", "\x00three\n\n", "fo")
	if got := strings.Join(lines, "|"); got != "one|two|three|" || ends[1] != 9 || c.taken != ends[3] || c.seen != c.taken+2 {
		t.Errorf("%q %v taken %d seen %d", got, ends, c.taken, c.seen)
	}
	if err := c.feed([]byte("ur\n")); err != nil || c.taken != c.seen {
		t.Errorf("%v: a line half written was not waited for", err)
	}
}

func TestCutterLongLine(t *testing.T) {
	long := strings.Repeat("x", MaxLine+5)
	lines, ends, c := cutAll(t, "a\n", long[:1000], long[1000:], "yyy\nb\n", strings.Repeat("z", MaxLine)+"\n")
	if len(lines) != 4 || len(lines[1]) != MaxLine || lines[2] != "b" || len(lines[3]) != MaxLine || c.long != 1 {
		t.Fatalf("%d lines, %d long", len(lines), c.long)
	}
	if want := int64(2 + MaxLine + 5 + 4); ends[1] != want {
		t.Errorf("the long line ends at %d, want %d", ends[1], want)
	}
}

// FuzzCutter holds that the chunks a text comes in make no difference, and that offsets are those of the line ends.
func FuzzCutter(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\x00\x00three"), uint8(3))
	f.Add([]byte("\n\n\x00\n"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, step uint8) {
		whole, ends, _ := cutAll(t, string(text))
		var chunks []string
		for b := text; len(b) > 0; {
			n := min(int(step%7)+1, len(b))
			chunks, b = append(chunks, string(b[:n])), b[n:]
		}
		pieces, ends2, _ := cutAll(t, chunks...)
		if strings.Join(whole, "\n") != strings.Join(pieces, "\n") || len(whole) != len(pieces) || len(whole) != bytes.Count(text, []byte("\n")) {
			t.Fatalf("%q in one piece, %q in chunks", whole, pieces)
		}
		for i, e := range ends {
			if e != ends2[i] || text[e-1] != '\n' {
				t.Fatalf("line %d ends at %d and %d", i, e, ends2[i])
			}
		}
	})
}
