package dialects

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// samples is where logs of real servers lie; they are not part of the project.
func samples(t *testing.T) []string {
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "logs", "*.gz"))
	if len(files) == 0 {
		t.Skipf("no logs under %s/logs: set MAILWHY_DATA", dir)
	}
	return files
}

// Every mail line of real servers is understood.
func TestRealLogsAreUnderstood(t *testing.T) {
	for _, name := range samples(t) {
		in, err := logs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in.Sniff(All())
		r := in.Reader(time.UTC, All())
		shown := 0
		r.Unread = func(o *event.Origin) {
			if shown++; shown < 20 {
				t.Logf("not understood: %s", o.Line)
			}
		}
		if err := in.Each(func(b []byte, base int64) error {
			r.Block(b, 0, base, event.SinkFunc(func(*event.Event) {}))
			return nil
		}); err != nil {
			t.Error(err)
		}
		in.Close()
		t.Logf("%s: %+v", filepath.Base(name), r.Counts)
		if r.Unparsed > r.Lines/10000 {
			t.Errorf("%s: %d of %d lines not understood", name, r.Unparsed, r.Lines)
		}
	}
}
