package dialects

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

// Each file of testdata is a log as one family of software writes it, all of the kinds of line it has; the file beside it
// with ".events" tells what is to be read from each line. Every line of a mail program is understood; lines of others stand
// behind "foreign".
//
// MAILWHY_UPDATE=1 writes the ".events" files anew, to be read through before they are kept.
func TestFamilies(t *testing.T) {
	files, err := filepath.Glob("testdata/*.log")
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs in testdata: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".log"), func(t *testing.T) { family(t, name) })
	}
}

func family(t *testing.T, name string) {
	in, err := logs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	in.ModTime = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	all := All()
	in.Sniff(all)
	r := in.Reader(time.UTC, all)
	var got []string
	err = in.Each(func(b []byte, base int64) error {
		for _, line := range bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) {
			var told []string
			out := r.Line(line, 0, base, event.SinkFunc(func(e *event.Event) {
				s := logstest.Short(e)
				if e.TimeSet {
					s = e.Time().Format("01-02T15:04:05 ") + s
				}
				if e.Stage != nil {
					s += fmt.Sprintf(" stage=%s", e.Stage)
				}
				if e.Level >= event.Warn {
					s += " level=" + e.Level.String()
				}
				told = append(told, s)
			}))
			switch {
			case out == logs.Unparsed:
				t.Errorf("not understood: %s", line)
				told = []string{"unparsed"}
			case out == logs.Foreign:
				told = []string{"foreign"}
			case len(told) == 0:
				told = []string{"nothing"}
			}
			got = append(got, strings.Join(told, " | "))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	events := strings.TrimSuffix(name, ".log") + ".events"
	if os.Getenv("MAILWHY_UPDATE") != "" {
		if err := os.WriteFile(events, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	raw, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	for i := range max(len(got), len(want)) {
		g, w := "no line", "no line"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s:%d\n got %s\nwant %s", name, i+1, g, w)
		}
	}
}
