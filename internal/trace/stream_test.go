package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// printed tells whether a piece of one line is recognised by its fingerprints as having the id.
func printed(id, line []byte) bool {
	v := newVisitor(&scan{Found: &Found{}})
	st := &blockState{stream: true, piece: piece{text: line}}
	v.takePrints(st)
	book := newIDBook(&room{left: 1 << 20})
	book.take(&lineIDs{strong: [][]byte{id}})
	var p printBook
	p.catchUp(book, func(string) bool { return false })
	p.defined(book)
	return p.in(st, 0) >= 0
}

// TestFingerprintsTellPlaces: an id that was only named so far matters where it stands in front of a line, and in lines
// that are not understood; once it was found in front, lines that name it matter too.
func TestFingerprintsTellPlaces(t *testing.T) {
	lines := map[string]string{
		"front":   "Nov 22 10:01:01 mx2 postfix/cleanup[32]: C00000000001: message-id=<m@mine.example>",
		"queued":  "Nov 22 10:01:01 mx1 postfix/smtp[23]: B00000000001: to=<chen@mine.example>, relay=mx2[192.0.2.7]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as C00000000001)",
		"other":   "Nov 22 10:01:01 mx1 postfix/smtp[23]: B00000000001: to=<chen@mine.example>, relay=mx2[192.0.2.7]:25, dsn=2.0.0, status=sent (250 OK id=C00000000001)",
		"unknown": "2026-11-22 10:01:01 C00000000001 => chen@mine.example",
		"none":    "Nov 22 10:01:01 mx2 postfix/cleanup[32]: C00000000002: message-id=<m@mine.example>",
	}
	in := func(book *idBook) (out []string) {
		var p printBook
		p.catchUp(book, func(string) bool { return false })
		p.defined(book)
		for name, line := range lines {
			v := newVisitor(&scan{Found: &Found{}})
			st := &blockState{stream: true, piece: piece{text: []byte(line)}}
			v.takePrints(st)
			if p.in(st, 0) >= 0 {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return out
	}
	book := newIDBook(&room{left: 1 << 20})
	book.take(&lineIDs{refs: [][]byte{[]byte("C00000000001")}})
	if got := in(book); !slices.Equal(got, []string{"front", "unknown"}) {
		t.Errorf("only named: %v", got)
	}
	book.take(&lineIDs{strong: [][]byte{[]byte("C00000000001")}})
	if got := in(book); !slices.Equal(got, []string{"front", "other", "queued", "unknown"}) {
		t.Errorf("found in front: %v", got)
	}
}

// TestStreamsLoseNothing spreads the lines of the world over the pieces of a packed log, last lines first, so that what
// belongs together was let go before it is known to: the lines found are those of the plain log.
func TestStreamsLoseNothing(t *testing.T) {
	var all []string
	for _, k := range []string{"bounced", "passed on", "stranger"} {
		all = append(all, world[k]...)
	}
	slices.Reverse(all)
	var text bytes.Buffer
	for i, l := range all {
		for n := 0; n < 100<<10; n += 100 {
			fmt.Fprintf(&text, "Nov 22 09:00:00 mx1 postfix/qmgr[13]: F%011X: from=<filler@mine.example>, size=%d, nrcpt=1 (queue active)\n", i*1000000+n, n)
		}
		text.WriteString(l + "\n")
	}
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "log"), filepath.Join(dir, "log.gz")
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, 1)
	w.Write(text.Bytes())
	w.Close()
	if err := os.WriteFile(plain, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packed, z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	found := func(name, what string, workers int) string {
		var out strings.Builder
		for _, line := range look(t, open(t, []string{name}), what, workers).RawLines(context.Background()) {
			out.Write(line)
			out.WriteByte('\n')
		}
		return out.String()
	}
	for _, what := range []string{"m1@mine.example", "A00000000003", "SESSIONABCDEF12", "wang@partner.example", "m2@sender.example", "C00000000001", "*@sender.example", "sun@far.example"} {
		want := found(plain, what, 1)
		if want == "" {
			t.Errorf("nothing found for %s", what)
		}
		for workers := range 3 {
			if got := found(packed, what, workers); got != want {
				t.Errorf("%s, %d workers: got\n%swant\n%s", what, workers, got, want)
			}
		}
	}
}

// TestCutStreamIsFollowed: of a gzip cut in half the readable part is searched like any other, and the error is told.
func TestCutStreamIsFollowed(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(strings.Join(world["bounced"], "\n") + "\n"))
	w.Flush()
	whole := z.Len()
	for i := range 1000 {
		fmt.Fprintf(w, "Nov 22 11:00:00 mx1 sshd[%d]: %x\n", i, i*i*i*7919)
	}
	w.Close()
	name := filepath.Join(t.TempDir(), "cut.gz")
	if err := os.WriteFile(name, z.Bytes()[:whole+1000], 0o600); err != nil {
		t.Fatal(err)
	}
	q, _ := ParseQuery("wang@partner.example")
	f, err := Scan(context.Background(), open(t, []string{name}), q, Options{Dialects: dialects.All(), Workers: 2, MemSpill: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Errors) != 1 || f.Lines != len(world["bounced"]) {
		t.Errorf("%d of %d lines, errors %v", f.Lines, len(world["bounced"]), f.Errors)
	}
}

// TestLogThatBecameShorter: what is still there of a plain log that was cut after it was opened is searched like any other.
func TestLogThatBecameShorter(t *testing.T) {
	text := strings.Join(world["bounced"], "\n") + "\n" + strings.Repeat("Nov 22 11:00:00 mx1 sshd[1]: nothing to see here\n", 60000)
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inputs := open(t, []string{name})
	if err := os.Truncate(name, int64(len(text)/2)); err != nil {
		t.Fatal(err)
	}
	q, err := ParseQuery("wang@partner.example")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Scan(context.Background(), inputs, q, Options{Dialects: dialects.All(), Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Lines != len(world["bounced"]) {
		t.Errorf("%d of %d lines", f.Lines, len(world["bounced"]))
	}
	if len(f.Errors) != 1 || !errors.Is(f.Errors[0], logs.ErrShorter) {
		t.Errorf("errors %v", f.Errors)
	}
}
